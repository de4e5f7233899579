"""Process settings: read once from ``IDP_*`` environment variables, frozen, validated, with a sentence each.

A tenant's own settings live in :mod:`idp.tenancy.settings`. An unknown ``IDP_*`` variable is an error, so that a typing
mistake never silently leaves a default in force. Secrets have a ``_FILE`` variant that names a file to read.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# Variables of the project's own test and bench programs and of the SMS gateway, which share the prefix.
_FOREIGN_PREFIXES = ("IDP_TEST_", "IDP_BENCH_", "IDP_TWILIO_")
_MAIL_ADDRESS = re.compile(r"[!-~]+@[!-~]+", re.ASCII)


def _setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help_text, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; field ``data_dir`` is the variable ``IDP_DATA_DIR``, and so on."""

    public_url: str = _setting(
        "http://localhost:8000",
        "Address at which people and programs reach this installation, without a trailing slash.",
    )
    data_dir: Path = _setting(  # noqa: RUF009 - the default is a constant
        Path("var"), "Folder for databases, the master key, mails of development and spool files."
    )
    database_url: str = _setting(
        "",
        "Control database; empty means SQLite in the data folder, else postgresql+psycopg://user:password@host/name.",
        secret=True,
    )
    redis_url: str = _setting(
        "", "Redis for rate limits shared between workers; empty means each worker counts for itself.", secret=True
    )
    master_key: str = _setting(
        "",
        "Master keys of the envelope encryption, newest first, separated by commas; empty means data folder/master.key.",
        secret=True,
    )
    smtp_url: str = _setting(
        "",
        "Mail server: smtp://user:password@host:587 (STARTTLS, but on this machine) or smtps://host:465; empty means mails are written to the data folder's outbox, and wait in production.",
        secret=True,
    )
    mail_from: str = _setting(
        "",
        "Address that mails come from where a tenant sets none; empty means no-reply@ and the host of IDP_PUBLIC_URL.",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "Addresses or networks of proxies whose X-Forwarded headers are believed, separated by commas."
    )
    tenant_domain: str = _setting(
        "", "Domain under which new tenants get a host of their own: https://{slug}.{domain}."
    )
    metrics_listen: str = _setting("", "HOST:PORT of the Prometheus listener; empty means none.")
    env: str = _setting("development", "`production` turns on HTTPS-only and refuses unsafe development conveniences.")
    ca_bundle: str = _setting("", "File with extra root certificates for outbound TLS.")
    allowed_private_hosts: tuple[str, ...] = _setting(
        (), "Host names that outbound fetches may reach although they are private, separated by commas."
    )
    dns_resolvers: tuple[tuple[str, int], ...] = _setting(
        (),
        "Name servers that are asked whether a tenant's domain is its own, as ADDRESS[:PORT] separated by commas; empty means the system's.",
    )
    open_tenants: int = _setting(512, "How many tenants' databases one worker keeps open.")
    argon2_memory_kib: int = _setting(47104, "Memory of one password hash in KiB (OWASP: 46 MiB).")
    argon2_time_cost: int = _setting(1, "Passes of one password hash.")
    hash_queue: int = _setting(
        64, "How many sign-ins may wait for the one password hash at a time of a worker before 503."
    )
    threads: int = _setting(12, "Threads of a worker for requests that may wait.")
    log_level: str = _setting("info", "debug, info, warning or error.")
    access_log: bool = _setting(True, "Whether each request leaves one line in the log.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from an environment; raises :class:`SettingError` naming the first wrong variable."""
        known = {f.name: f for f in fields(cls)}
        given: dict[str, str] = {}
        for name, value in environ.items():
            if not name.startswith("IDP_") or name.startswith(_FOREIGN_PREFIXES):
                continue
            key = name[4:].lower()
            if key.endswith("_file") and key[:-5] in known and known[key[:-5]].metadata["secret"]:
                given[key[:-5]] = _read_secret(name, value)
            elif key in known:
                given[key] = value
            else:
                message = f"{name} is not a setting of this program; see docs/settings.md or unset it."
                raise SettingError(message)
        values = {key: _convert(known[key], value.strip()) for key, value in given.items() if value.strip()}
        made = cls(**values)
        made._validate(environ)
        return made

    @property
    def is_production(self) -> bool:
        """Whether HTTPS-only and the other production rules are in force."""
        return self.env == "production"

    @property
    def control_url(self) -> str:
        """The control database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'control.db'}"

    @property
    def uses_sqlite(self) -> bool:
        """Whether databases are SQLite files in the data folder."""
        return self.control_url.startswith("sqlite")

    @property
    def public_host(self) -> str:
        """Host and port of the public address, as a Host header shows it."""
        return urlsplit(self.public_url).netloc.lower()

    def _validate(self, environ: Mapping[str, str]) -> None:
        url = urlsplit(self.public_url)
        if (
            url.scheme not in ("http", "https")
            or not url.hostname
            or url.path
            or url.query
            or url.fragment
            or "@" in url.netloc
        ):
            message = "IDP_PUBLIC_URL must be http(s)://host[:port] without a path or trailing slash."
            raise SettingError(message)
        if self.env not in ("development", "production"):
            message = "IDP_ENV must be development or production."
            raise SettingError(message)
        if self.is_production and url.scheme != "https":
            message = "IDP_PUBLIC_URL must start with https:// when IDP_ENV=production."
            raise SettingError(message)
        if url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS and not url.hostname.endswith(".localhost"):
            message = "IDP_PUBLIC_URL may use http:// on a loopback host only; give an https:// address."
            raise SettingError(message)
        if self.is_production and environ.get("AUTHLIB_INSECURE_TRANSPORT"):
            message = (
                "AUTHLIB_INSECURE_TRANSPORT is set, which switches HTTPS checks off; unset it when IDP_ENV=production."
            )
            raise SettingError(message)
        if self.is_production and environ.get("FLASK_DEBUG", "0") not in ("", "0", "false"):
            message = "FLASK_DEBUG is set, which shows a debugger to everyone; unset it when IDP_ENV=production."
            raise SettingError(message)
        if self.is_production and sys.flags.optimize:
            message = "PYTHONOPTIMIZE (or python -O) is set, which strips the checks of libraries that use assert; unset it when IDP_ENV=production."
            raise SettingError(message)
        if not self.control_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            message = "IDP_DATABASE_URL must start with postgresql+psycopg:// or sqlite:///."
            raise SettingError(message)
        if self.log_level not in ("debug", "info", "warning", "error"):
            message = "IDP_LOG_LEVEL must be debug, info, warning or error."
            raise SettingError(message)
        if self.tenant_domain and (self.tenant_domain != self.tenant_domain.lower() or "/" in self.tenant_domain):
            message = "IDP_TENANT_DOMAIN must be a lower-case domain such as id.example.com."
            raise SettingError(message)
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            message = "IDP_REDIS_URL must start with redis://, rediss:// or unix://."
            raise SettingError(message)
        if any(network.prefixlen == 0 for network in self.trusted_proxies):
            message = "IDP_TRUSTED_PROXIES must name your proxies: with the whole internet in it every client chooses its own address."
            raise SettingError(message)
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            message = "IDP_CA_BUNDLE names a file that is not there; check the path."
            raise SettingError(message)
        if self.metrics_listen and not self.metrics_listen.rpartition(":")[2].isdigit():
            message = "IDP_METRICS_LISTEN must be HOST:PORT."
            raise SettingError(message)
        limits = {
            "open_tenants": (1, 100_000),
            "argon2_memory_kib": (7168, 4_194_304),
            "argon2_time_cost": (1, 100),
            "hash_queue": (1, 10_000),
            "threads": (1, 512),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                message = f"IDP_{name.upper()} must be a whole number from {low} to {high}."
                raise SettingError(message)
        self._validate_mail()

    def _validate_mail(self) -> None:
        if self.smtp_url and not self.smtp_url.startswith(("smtp://", "smtps://")):
            message = "IDP_SMTP_URL must start with smtp:// or smtps://."
            raise SettingError(message)
        if self.mail_from and not _MAIL_ADDRESS.fullmatch(self.mail_from):
            message = "IDP_MAIL_FROM must be an address such as no-reply@example.com."
            raise SettingError(message)


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        message = f"{name} names a file that cannot be read; check the path and its permissions."
        raise SettingError(message) from None


def _convert(setting: Any, value: str) -> Any:
    variable = "IDP_" + setting.name.upper()
    default = setting.default
    if isinstance(default, bool):
        if value.lower() not in ("1", "true", "on", "yes", "0", "false", "off", "no"):
            message = f"{variable} must be true or false."
            raise SettingError(message)
        return value.lower() in ("1", "true", "on", "yes")
    if isinstance(default, int):
        if not (value.isascii() and value.isdigit()):
            message = f"{variable} must be a whole number."
            raise SettingError(message)
        return int(value)
    if setting.name == "data_dir":
        return Path(value)
    if setting.name == "trusted_proxies":
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError:
            message = f"{variable} must list IP addresses or networks, separated by commas."
            raise SettingError(message) from None
    if setting.name == "dns_resolvers":
        return tuple(_name_server(variable, part.strip()) for part in value.split(",") if part.strip())
    if isinstance(default, tuple):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value.rstrip("/") if setting.name == "public_url" else value


def _name_server(variable: str, text: str) -> tuple[str, int]:
    """Return address and port of a name server, an IPv6 address in brackets where a port follows."""
    try:
        url = urlsplit(f"//{text}" if text.count(":") < 2 or text.startswith("[") else f"//[{text}]")
        return str(ipaddress.ip_address(url.hostname or "")), 53 if url.port is None else url.port
    except ValueError:
        message = f"{variable} must list addresses of name servers, such as 192.0.2.1 or 127.0.0.1:5353."
        raise SettingError(message) from None
