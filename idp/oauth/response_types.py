"""Response types: what an authorization response carries (OAuth 2.0 Multiple Response Types §3, §5; OpenID Connect Core §3).

A response type is a set of words; their order does not matter (RFC 6749 §3.1.1), and here they have one order each.
"""

from __future__ import annotations

RESPONSE_TYPES = ("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token")
_CANONICAL = {frozenset(each.split()): each for each in RESPONSE_TYPES}


def canonical(sent: str) -> str | None:
    """Return a response type in its one spelling; None for one that nobody serves here."""
    words = sent.split(" ")
    return _CANONICAL.get(frozenset(words)) if len(set(words)) == len(words) else None


def default_mode(sent: str) -> str:
    """Return the response mode of who names none: what carries a token or an ID token goes into the fragment (§5)."""
    return "fragment" if {"token", "id_token"} & set(sent.split(" ")) else "query"


def grant_types(response_type: str) -> frozenset[str]:
    """Return the grant types that go with a response type (OpenID Registration §2, RFC 7591 §2.1)."""
    words = set(response_type.split())
    found = {"authorization_code"} if "code" in words else set()
    return frozenset(found | ({"implicit"} if words & {"token", "id_token"} else set()))
