"""Structured JSON logs on standard error, without secrets.

Owns the configuration of structlog and of the standard library's logging, and the redaction both share (OWASP ASVS
16.2.5). The logger `authlib` never speaks below INFO: at DEBUG it prints tokens. Must not know what is logged.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from idp.settings import Settings

REDACTED = "[redacted]"
_MAX_TEXT = 16_000
_MAX_DEPTH = 6

_secret_names = frozenset(
    {
        "code",
        "state",
        "otp",
        "pin",
        "csrf",
        "session",
        "dpop",
        "authorization",
        "proxy_authorization",
        "key",
        "d",
        "query",
    }
)
_secret_parts = re.compile(
    r"passw|secret|token(?!_endpoint|_type)|assertion|cookie|credential|private|api_?key|verifier"
)
_named_secret = (
    r"[a-z_]*(?:passw[a-z]*|secret|token|assertion|verifier|code|state|session|otp|csrf|authorization|cookie|dpop)"
)
_scrubs: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,3}"), REDACTED),  # JOSE, compact form
    (re.compile(r"\b[a-z]{1,12}_[A-Za-z0-9_-]{43}\b"), REDACTED),  # idp.opaque.new_secret
    (re.compile(r"\bwhsec_[A-Za-z0-9+/_-]{16,}=*"), REDACTED),  # the secret of a webhook
    (re.compile(r"(?i)\b(bearer|basic|dpop)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"), REDACTED),  # user and password in a URL
    (re.compile(rf"(?i)\b({_named_secret})=[^&\s\"']+"), rf"\1={REDACTED}"),  # forms and query strings
    (re.compile(rf"(?i)(['\"]{_named_secret}['\"]\s*:\s*)(['\"])(?:(?!\2).)*\2"), rf"\1\2{REDACTED}\2"),  # JSON, dicts
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (standard error) as JSON lines at the level of the settings."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(default=str)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared[:-2]],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("_granian", "granian.access"):
        # The server configures its own handlers before it loads the application.
        served = logging.getLogger(name)
        served.handlers.clear()
        served.propagate = True
    # security.md §2, architecture.md §7: Authlib logs tokens at DEBUG.
    logging.getLogger("authlib").setLevel(max(level, logging.INFO))


def get_logger(name: str) -> Any:
    """Return the structured logger of a module."""
    return structlog.get_logger(module=name)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of an event: whole values by their name, patterns out of any text."""
    for name, value in event.items():
        event[name] = _clean(name, value, 0)
    return event


def scrub(text: str) -> str:
    """Take what looks like a secret (tokens, passwords in forms, credentials in URLs) out of a text."""
    text = text[:_MAX_TEXT]
    for pattern, replacement in _scrubs:
        text = pattern.sub(replacement, text)
    return text


def is_secret_name(name: str) -> bool:
    """Say whether a field of this name may hold a secret."""
    plain = name.lower().replace("-", "_")
    return plain in _secret_names or _secret_parts.search(plain) is not None


def _clean(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value if isinstance(value, bool) or value is None or not is_secret_name(name) else REDACTED
    if is_secret_name(name):
        return REDACTED
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if depth >= _MAX_DEPTH:
        return "[nested too deeply]"
    if isinstance(value, dict):
        return {str(key)[:200]: _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_item(inner, depth + 1) for inner in value]
    return scrub(value if isinstance(value, str) else str(value))


def _clean_item(item: Any, depth: int) -> Any:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        # A pair, as header and form lists hold them: its first half names the second.
        return [scrub(item[0]), _clean(item[0], item[1], depth)]
    return _clean("", item, depth)
