"""A bearer token in a request and what is answered without a good one (RFC 6750 §2.1, §3), for any framework."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from authsec.errors import InsufficientScope, InvalidToken, KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

# RFC 6750 §2.1.
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered instead."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class NoToken(InvalidToken):
    """No bearer token was sent."""


class MalformedRequest(InvalidToken):
    """A token was sent in a way that is not one."""


def presented(values: Sequence[str]) -> str:
    """Return the token of the values of Authorization."""
    if not values or (len(values) == 1 and not values[0].lower().startswith("bearer")):
        raise NoToken("no bearer token was sent")
    found = _CREDENTIALS.fullmatch(values[0].strip())
    if len(values) > 1 or found is None:
        raise MalformedRequest("Authorization is not `Bearer TOKEN`, once")
    return found[1]


def refusal(error: InvalidToken | InsufficientScope | KeysUnavailable, realm: str) -> Refusal:
    """Return the answer to a request; why a token is not accepted is not said to who sent it."""
    if isinstance(error, KeysUnavailable):
        return _refusal(503, "Tokens cannot be checked for the moment.", (("Retry-After", "10"),))
    challenge = f'Bearer realm="{realm}"'
    if isinstance(error, NoToken):  # RFC 6750 §3.1: no error code without authentication information
        return _refusal(401, "Send an access token as Authorization: Bearer.", (("WWW-Authenticate", challenge),))
    if isinstance(error, MalformedRequest):
        return _refusal(
            400,
            "Send the access token once, as Authorization: Bearer.",
            (("WWW-Authenticate", f'{challenge}, error="invalid_request"'),),
        )
    if isinstance(error, InvalidToken):
        return _refusal(
            401, "The access token is not accepted.", (("WWW-Authenticate", f'{challenge}, error="invalid_token"'),)
        )
    challenge += ', error="insufficient_scope"'
    if error.scope is not None:
        return _refusal(
            403,
            f"The access token lacks the scope {error.scope}.",
            (("WWW-Authenticate", f'{challenge}, scope="{error.scope}"'),),
        )
    return _refusal(
        403,
        f"The permission {error.permission} is needed.",
        (("WWW-Authenticate", challenge),),
        permission=error.permission,
    )


def _refusal(status: int, detail: str, headers: tuple[tuple[str, str], ...], permission: str | None = None) -> Refusal:
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}
    document: dict[str, object] = {"title": titles[status], "status": status, "detail": detail}
    if permission is not None:
        document["permission"] = permission
    fixed = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"))
    return Refusal(status, (*fixed, *headers), json.dumps(document).encode())
