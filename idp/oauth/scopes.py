"""Scopes: syntax (RFC 6749 §3.3), what a client may ask for, and what a request is granted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidScopeError

from idp.access import claims
from idp.errors import refused
from idp.identity.claims import STANDARD_SCOPES

if TYPE_CHECKING:
    from collections.abc import Collection

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
MAX_SCOPES = 100
_USER_SCOPES = frozenset(STANDARD_SCOPES)


def split(scope: str | None) -> list[str]:
    """Return the scope values in order, each once; raises ``invalid_scope`` when the syntax is wrong."""
    values = list(dict.fromkeys((scope or "").split(" ")))
    values = [value for value in values if value]
    if len(values) > MAX_SCOPES or any(not _SCOPE.fullmatch(value) for value in values):
        raise refused(
            InvalidScopeError("The scope parameter is malformed."),
            check="scope",
            spec="RFC 6749 §3.3",
            reason="the scope parameter has characters that a scope may not have, or too many values",
            fix="Send scope values of visible ASCII, separated by single spaces.",
        )
    return values


def is_well_formed(value: str) -> bool:
    """Say whether one scope value has the right characters."""
    return _SCOPE.fullmatch(value) is not None


def for_user(requested: list[str], allowed: frozenset[str], of_users: Collection[str]) -> list[str]:
    """Return what an authorization request for a user is about.

    ``of_users`` are the scopes about users that only the tenant has.

    Values nobody knows are ignored (OpenID Connect Core §3.1.2.1); a known one that the client may not ask for is refused.
    """
    forbidden = [value for value in requested if (value in _USER_SCOPES or value in of_users) and value not in allowed]
    granted = [value for value in requested if value in allowed]
    if forbidden or (requested and not granted):
        raise _refusal(requested, allowed)
    return granted


def for_client(requested: list[str], allowed: frozenset[str], of_users: Collection[str]) -> list[str]:
    """Return what a client may have for itself (RFC 6749 §4.4): none of the scopes that are about a user.

    ``of_users`` are those that only the tenant has.
    """
    own = allowed - _USER_SCOPES - frozenset(of_users) - frozenset(claims.SCOPES)
    if not requested:
        return sorted(own)  # RFC 6749 §3.3: the default, when the client leaves the parameter out
    if not set(requested) <= own:
        raise _refusal(requested, own)
    return requested


def narrowed(requested: list[str], granted: str) -> str:
    """Return the scope of a refresh (RFC 6749 §6): what was granted, or the part of it that is asked for."""
    if not requested:
        return granted
    if not set(requested) <= set(granted.split()):
        raise _refusal(requested, frozenset(granted.split()))
    return " ".join(requested)


def _refusal(requested: list[str], allowed: frozenset[str]) -> InvalidScopeError:
    return refused(
        InvalidScopeError("The requested scope exceeds what this client may ask for."),
        check="scope",
        spec="RFC 6749 §3.3",
        reason="a requested scope is not among those the client is registered for, or not among those that were granted",
        fix="Ask for less, or add the value to the client's `scope`: idp client update TENANT CLIENT_ID",
        received=" ".join(requested),
        registered=tuple(sorted(allowed)),
    )
