"""`idp serve`: granian with the front, a worker process beside it, and on request the demo relying party.

The process that is started supervises: it proves that there is an installation to serve (it never makes one), imports the
application once for all workers, and ends its children when it ends. Children end by themselves when it is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from idp.cli.commands import Failed, Output, json_option
from idp.settings import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Settings


@click.command()
@click.option(
    "--listen",
    default="",
    metavar="HOST:PORT",
    help="Where to listen; by default the port of IDP_PUBLIC_URL on 127.0.0.1.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Worker processes.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate chain in PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Private key of the certificate in PEM.")
@click.option("--tls-self-signed", is_flag=True, help="Serve TLS with a certificate made here; for trying things only.")
@click.option("--demo", is_flag=True, help="Start the demo relying party too, and say where to click.")
@click.option(
    "--demo-listen", default="127.0.0.1:8001", show_default=True, metavar="HOST:PORT", help="Where the demo listens."
)
@json_option
def serve(
    out: Output,
    *,
    listen: str,
    workers: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_self_signed: bool,
    demo: bool,
    demo_listen: str,
) -> None:
    """Serve this installation until Ctrl-C or SIGTERM; `idp init` makes one."""
    from idp.cli.preflight import read_settings, require_installation, require_right_key

    settings = read_settings()
    if demo and settings.is_production:
        raise click.UsageError("--demo is not for IDP_ENV=production")
    host, port = parse_address("--listen", listen) if listen else default_address(settings)
    demo_address = parse_address("--demo-listen", demo_listen) if demo else None
    certificate = _certificate(settings, tls_cert, tls_key, is_self_signed=tls_self_signed)
    require_installation(settings)
    require_right_key(settings)
    _require_free("--listen", host, port)
    if demo_address is not None:
        _require_free("--demo-listen", *demo_address)
    if settings.metrics_listen:
        metrics_address = parse_address("IDP_METRICS_LISTEN", settings.metrics_listen)
        _require_free("IDP_METRICS_LISTEN", *metrics_address)
        if metrics_address[1] in {port, demo_address[1] if demo_address is not None else port}:
            # Free by now, but not when the server itself listens there: the metrics would never be had, or be public.
            raise Failed("IDP_METRICS_LISTEN must be another port than the one that is served; set a free one.")
    from idp.web import logs, metrics

    logs.configure(settings)
    metrics.prepare(settings)
    _run(out, settings, (host, port), workers, certificate, demo_address)


def _run(
    out: Output,
    settings: Settings,
    address: tuple[str, int],
    workers: int,
    certificate: tuple[Path, Path] | None,
    demo: tuple[str, int] | None,
) -> None:
    from idp.cli.beside import Beside
    from idp.cli.respawns import Respawns

    beside = Beside(settings, address, is_tls=certificate is not None, demo=demo, out=out)
    beside.start_demo()  # a process of its own, which gets ready while this one imports
    import encodings.idna  # noqa: F401 - before threads exist: a worker forked while one imports it would wait for ever

    import granian
    from granian.log import LogLevels

    import idp.app  # noqa: F401 - once here, so that the workers, which are forks, need not
    from idp.web.server import granian_options

    server = granian.Granian(
        "idp.app:create_front",
        address=address[0],
        port=address[1],
        workers=workers,
        factory=True,
        log_level=LogLevels.warning,
        log_dictconfig=_granian_logging(),
        ssl_cert=certificate[0] if certificate else None,
        ssl_key=certificate[1] if certificate else None,
        **granian_options(),
    )
    server.respawned_wrks = Respawns()
    server.on_startup(lambda: beside.start(lambda: len(server.wrks) == workers))
    server.on_startup(lambda: _end_with_terminal(server))
    try:
        server.serve(target_loader=_loader(os.getpid()), wrap_loader=False)
    except KeyboardInterrupt:  # a second Ctrl-C while workers finish what they do
        pass
    finally:
        beside.stop()


def _end_with_terminal(server: Any) -> None:
    """Stop when the terminal is closed; without a terminal SIGHUP replaces the workers, which is granian's meaning of it."""
    if sys.stdin is not None and sys.stdin.isatty():
        signal.signal(signal.SIGHUP, server.signal_handler_interrupt)


def _loader(parent: int) -> Callable[[], Any]:
    def load() -> Any:
        from idp.app import create_front
        from idp.cli.parent import end_with

        end_with(parent)
        return create_front()

    return load


def _granian_logging() -> dict[str, Any]:
    """Leave granian's records to the root logger, which writes them as JSON."""
    plain = {"handlers": [], "level": "WARNING", "propagate": True}
    return {"version": 1, "disable_existing_loggers": False, "loggers": {"_granian": plain, "granian.access": plain}}


def default_address(settings: Settings) -> tuple[str, int]:
    """Return where to listen when nothing is said: loopback, at the port of a public address on this machine, else 8000."""
    url = urlsplit(settings.public_url)
    name = url.hostname or ""
    if name in LOOPBACK_HOSTS or name.endswith(".localhost"):
        return "127.0.0.1", url.port or (443 if url.scheme == "https" else 80)
    return "127.0.0.1", 8000


def parse_address(option: str, text: str) -> tuple[str, int]:
    """Return the address of this machine that HOST:PORT names; raises click's UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise click.UsageError(f"{option} must be HOST:PORT, such as 127.0.0.1:8000")
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", int(port), type=socket.SOCK_STREAM)  # noqa: S104 - an empty host asks for it
    except OSError:
        raise click.UsageError(f"{option} names {host}, which is no address of this machine") from None
    addresses = sorted({str(each[4][0]) for each in found}, key=lambda address: (":" in address, address))
    return addresses[0], int(port)


def _require_free(option: str, host: str, port: int) -> None:
    """Raise when something listens there: the workers share the port, so that the kernel would share it with strangers too."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError:
            raise Failed(
                f"Port {port} needs privileges; choose one above 1023 with {option}, behind a proxy."
            ) from None
        except OSError as error:
            raise Failed(
                f"Cannot listen on {host}:{port} ({error.strerror}); stop what listens there, or choose another {option} HOST:PORT."
            ) from None


def _certificate(
    settings: Settings, cert: Path | None, key: Path | None, *, is_self_signed: bool
) -> tuple[Path, Path] | None:
    if is_self_signed:
        if cert or key:
            raise click.UsageError("--tls-self-signed does not go with --tls-cert and --tls-key")
        from idp.cli.certificates import self_signed

        return self_signed(settings)
    if bool(cert) != bool(key):
        raise click.UsageError("--tls-cert and --tls-key go together")
    if cert is None or key is None:
        return None
    import ssl

    for option, path in (("--tls-cert", cert), ("--tls-key", key)):
        if not path.is_file() or not os.access(path, os.R_OK):
            raise Failed(f"{option} names {path}, which cannot be read; check the path and its permissions.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError, OSError):
        raise Failed(
            f"--tls-cert {cert} and --tls-key {key} do not fit: give a PEM certificate chain and its private key, without a password."
        ) from None
    return cert, key
