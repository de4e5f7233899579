"""What `idp doctor` checks about this node without its databases: settings, files and their permissions, disk, clock, proxies."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from idp.cli import credentials
from idp.spool import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.settings import Settings

LOW_DISK, NO_DISK = 2 * 2**30, 200 * 2**20  # bytes that are free
MOST_SPOOLED = 32 * 2**20  # bytes that wait to be drained
MOST_FILES = 2000  # of which the permissions are looked at
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how bad it is, what was found, what to do about it."""

    level: Literal["ok", "note", "warning", "error"]
    what: str
    fix: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    """Check everything that needs no database."""
    yield from _modes(settings)
    yield from _proxies(settings)
    yield from _clock()
    folder = settings.data_dir
    if not folder.is_dir():
        yield Finding("error", f"there is no data folder {folder}", "run `idp init`, or set IDP_DATA_DIR")
        return
    yield from _permissions(folder)
    yield from _disk(folder)
    yield from _spool(folder / "spool")


def _modes(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.public_url)
    if settings.is_production:
        yield Finding("ok", f"production at {settings.public_url}: plain HTTP is refused")
        if credentials.path(settings).exists():
            fix = "delete the file and the accounts of the demo: idp tenant delete demo --yes demo"
            yield Finding("error", f"{credentials.path(settings)} holds credentials of the demo", fix)
        if not settings.master_key:
            fix = "move it to where backups of the data do not go, and name it with IDP_MASTER_KEY_FILE"
            yield Finding("warning", "the master key lies in the data folder, beside what it protects", fix)
    else:
        plain = " over plain HTTP, which is answered on loopback only" if url.scheme == "http" else ""
        yield Finding(
            "note", f"development at {settings.public_url}{plain}", "set IDP_ENV=production where others sign in"
        )
    for name in ("AUTHLIB_INSECURE_TRANSPORT", "FLASK_DEBUG"):
        if os.environ.get(name, "0") not in ("", "0", "false"):
            yield Finding("warning", f"{name} is set, which switches protections off", f"unset {name}")
    if settings.ca_bundle and not os.access(settings.ca_bundle, os.R_OK):
        yield Finding(
            "error",
            f"IDP_CA_BUNDLE names {settings.ca_bundle}, which cannot be read",
            "correct the path or its permissions",
        )


def _proxies(settings: Settings) -> Iterator[Finding]:
    everyone = [str(network) for network in settings.trusted_proxies if network.prefixlen == 0]
    if everyone:
        fix = "list the proxies' own addresses in IDP_TRUSTED_PROXIES"
        yield Finding(
            "error", f"{', '.join(everyone)} is trusted as a proxy: anybody can forge address, host and scheme", fix
        )
    elif settings.trusted_proxies:
        yield Finding("ok", f"forwarded headers are believed from {', '.join(map(str, settings.trusted_proxies))}")
    elif settings.public_url.startswith("https://"):
        fix = "serve with --tls-cert and --tls-key, or list the proxy that ends TLS in IDP_TRUSTED_PROXIES"
        yield Finding("note", "no proxy is trusted, so that this program must end TLS itself", fix)


def _clock() -> Iterator[Finding]:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return
    if state == _TIME_ERROR:
        fix = "run an NTP client; tokens are refused where clocks differ"
        yield Finding("warning", "the system says that its clock is not synchronised", fix)
    elif state >= 0:
        yield Finding("ok", "the clock is synchronised")


def _permissions(folder: Path) -> Iterator[Finding]:
    open_ones = [path for path in _secret_files(folder) if _is_open(path)]
    foreign = [path for path in [folder] if path.stat().st_uid != os.geteuid()]
    for path in open_ones[:5]:
        bits = "700" if path.is_dir() else "600"
        level: Literal["warning", "error"] = "error" if path.name in ("master.key", "credentials") else "warning"
        yield Finding(level, f"{path} can be read by others than its owner", f"chmod {bits} {path}")
    if len(open_ones) > 5:
        yield Finding("warning", f"{len(open_ones) - 5} more files can be read by others", f"chmod -R go-rwx {folder}")
    if foreign:
        yield Finding("warning", f"{folder} belongs to another user than the one who runs this", "run as that user")
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("error", f"{folder} cannot be written", "correct its owner or permissions")
    if not open_ones and not foreign:
        yield Finding("ok", f"{folder} and what lies in it are for its owner alone")


def _secret_files(folder: Path) -> Iterator[Path]:
    yield folder
    named = [folder / name for name in ("master.key", "credentials", "control.db", "tls/self-signed.key")]
    yield from (path for path in named if path.exists())
    tenants = folder / "tenants"
    if tenants.is_dir():
        yield from sorted(tenants.glob("*.db"))[:MOST_FILES]


def _is_open(path: Path) -> bool:
    # Files behind a folder that nobody else may enter are safe whatever their own bits say.
    mode = path.stat().st_mode
    return bool(stat.S_IMODE(mode) & 0o077) and (
        path.name in ("master.key", "credentials") or not _is_closed(path.parent) or path.is_dir()
    )


def _is_closed(folder: Path) -> bool:
    return not stat.S_IMODE(folder.stat().st_mode) & 0o077


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB are free for {folder}"
    if free < NO_DISK:
        yield Finding("error", text, "make room: without it nothing can be written, and sign-ins are answered 503")
    elif free < LOW_DISK:
        yield Finding("warning", text, "make room soon")
    else:
        yield Finding("ok", text)


def _spool(folder: Path) -> Iterator[Finding]:
    size = sum(path.stat().st_size for path in files(folder) if path.exists())
    if size > MOST_SPOOLED:
        fix = "see to it that `idp serve` or `idp worker` runs on this node, and what its log says"
        yield Finding("warning", f"{size / 2**20:.0f} MiB of audit events wait in the spool", fix)
