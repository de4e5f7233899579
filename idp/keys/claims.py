"""The claims of a token that this installation signed itself: their types, their time, issuer and audience (RFC 7519 §4.1).

Types are strict because what we sign is uniform: a date is a whole number of seconds, the audience is text or a list of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.keys.compact import InvalidToken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LATEST = 253_402_300_799  # the last second of the year 9999
EXPIRED = "expired"
_DATES = ("exp", "iat", "nbf", "auth_time")
_TEXTS = ("iss", "sub", "jti", "client_id", "azp", "scope", "sid", "nonce")


def check_types(claims: Mapping[str, Any]) -> None:
    """Refuse claims of a type that no token of ours has; raises :class:`InvalidToken`."""
    for name in _DATES:
        value = claims.get(name, 0)
        # RFC 7519 §2: a NumericDate is a number; true is an int to Python, and text is not a date.
        if type(value) is not int or not 0 <= value <= LATEST:
            raise InvalidToken("a date is not a whole number of seconds")
    if "exp" not in claims:
        raise InvalidToken("there is no expiry")
    for name in _TEXTS:
        if not isinstance(claims.get(name, ""), str):
            raise InvalidToken("a claim that is text has another type")
    if claims.get("sub", "-") == "" or claims.get("iss", "-") == "":
        raise InvalidToken("the issuer or the subject is empty")
    audience = claims.get("aud", "-")
    if isinstance(audience, list):
        if not audience or not all(isinstance(one, str) and one for one in audience):
            raise InvalidToken("the audience is not text or a list of text")
    elif not isinstance(audience, str) or not audience:
        raise InvalidToken("the audience is not text or a list of text")


def check_validity(
    claims: Mapping[str, Any],
    *,
    now: int,
    issuer: str,
    audience: str | Collection[str] | None,
    leeway: int,
    allow_expired: bool,
) -> None:
    """Refuse claims that are not for this moment, issuer and audience (any one of several); raises :class:`InvalidToken`."""
    if claims.get("iss") != issuer:
        raise InvalidToken("another issuer")
    if audience is not None:
        check_audience(claims, audience)
    # RFC 7519 §4.1.4: the current time must be before the expiry.
    if not allow_expired and claims["exp"] + leeway <= now:
        raise InvalidToken(EXPIRED)
    if claims.get("nbf", 0) > now + leeway:
        raise InvalidToken("not valid yet")


def check_audience(claims: Mapping[str, Any], audience: str | Collection[str]) -> None:
    """Refuse claims that are for nobody of an audience; raises :class:`InvalidToken`."""
    wanted = {audience} if isinstance(audience, str) else audience
    stated = claims.get("aud")
    if not any(one in wanted for one in (stated if isinstance(stated, list) else [stated])):
        raise InvalidToken("another audience")
