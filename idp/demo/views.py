"""What the pages show, made ready for the templates: people, tokens and answers as cards. No HTML, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.demo.decoding import Decoded, decode, distance, members, pretty

if TYPE_CHECKING:
    from idp.demo.decoding import Member
    from idp.demo.visits import Tokens


@dataclass(frozen=True, slots=True)
class Badge:
    """A short remark: tone is good, bad or plain."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer about a token."""

    badge: Badge
    members: tuple[Member, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A token or an answer, with what can be done with it."""

    id: str
    title: str
    lead: str
    badges: tuple[Badge, ...]
    header: tuple[Member, ...]
    payload: tuple[Member, ...]
    text: str
    actions: tuple[tuple[str, str, str], ...]  # words, path, kind of token
    introspected: Answer | None = None


def person(tokens: Tokens) -> dict[str, str]:
    """Return how the person is called and by which stable name."""
    known = {**tokens.claims, **(tokens.userinfo or {})}
    sub = str(known.get("sub", ""))
    name = next((str(known[key]) for key in ("name", "preferred_username", "email") if known.get(key)), sub)
    detail = next(
        (str(known[key]) for key in ("email", "preferred_username") if known.get(key) and str(known[key]) != name), ""
    )
    return {"name": name, "detail": detail, "sub": sub}


def cards(tokens: Tokens) -> list[Card]:
    """Return a card for each thing the sign-in brought, in the order in which they matter."""
    return [_id_token(tokens), _userinfo(tokens), _access_token(tokens), *_refresh_token(tokens)]


def _id_token(tokens: Tokens) -> Card:
    found = decode(tokens.id_token, tokens.keys)
    return Card(
        "id-token",
        "ID token",
        "It says who signed in, to this application only. The application checked its signature, issuer, audience and expiry, and after a sign-in the nonce.",
        _badges(found, is_revoked=False),
        found.header,
        found.payload,
        found.text,
        (),
    )


def _access_token(tokens: Tokens) -> Card:
    found = decode(tokens.access_token, tokens.keys)
    readable = "The application only passes it on; it is opened here so that you can see it."
    return Card(
        "access-token",
        "Access token",
        f"It is for APIs, and lets the application do what you allowed. {readable if found.payload else 'It is opaque: there is nothing in it to read.'}",
        _badges(found, is_revoked="access" in tokens.revoked),
        found.header,
        found.payload,
        found.text,
        (("Introspect", "/introspect", "access"), ("Revoke", "/revoke", "access")),
        _introspected(tokens, "access"),
    )


def _refresh_token(tokens: Tokens) -> list[Card]:
    if tokens.refresh_token is None:
        return []
    badges = (Badge("revoked", "bad"),) if "refresh" in tokens.revoked else ()
    return [
        Card(
            "refresh-token",
            "Refresh token",
            "It gets new tokens without you, and is replaced each time. It is opaque, and whoever steals it has your access: so it never leaves the application’s server.",
            badges,
            (),
            (),
            "",
            (
                ("Refresh tokens", "/refresh", ""),
                ("Introspect", "/introspect", "refresh"),
                ("Revoke", "/revoke", "refresh"),
            ),
            _introspected(tokens, "refresh"),
        )
    ]


def _userinfo(tokens: Tokens) -> Card:
    found = tokens.userinfo
    return Card(
        "userinfo",
        "Userinfo",
        "What the identity provider tells about you when the application shows the access token: the claims of the scopes that you allowed.",
        (),
        (),
        members(found) if found else (),
        pretty(found) if found else "",
        (("Call userinfo", "/userinfo", ""),),
    )


def _badges(found: Decoded, *, is_revoked: bool) -> tuple[Badge, ...]:
    made = []
    if found.algorithm:
        made.append(
            Badge(f"{found.algorithm} signature checked", "good")
            if found.is_signed
            else Badge(f"{found.algorithm} signature not checked", "bad")
        )
    if is_revoked:
        made.append(Badge("revoked", "bad"))
    elif found.expires_at is not None:
        seconds = found.expires_at - now()
        made.append(
            Badge(f"expires {distance(seconds)}") if seconds > 0 else Badge(f"expired {distance(seconds)}", "bad")
        )
    return tuple(made)


def _introspected(tokens: Tokens, kind: str) -> Answer | None:
    answer: dict[str, Any] | None = tokens.introspected.get(kind)
    if answer is None:
        return None
    badge = Badge("active", "good") if answer["active"] else Badge("not active", "bad")
    return Answer(badge, members(answer), pretty(answer))
