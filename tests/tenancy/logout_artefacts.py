"""Artefacts of logout: which applications a session signed in to, and what they are told at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from house import decoded

if TYPE_CHECKING:
    from artefacts import Side

_NOTED = "SELECT count(*) FROM session_clients WHERE session_id = ?"
_TOLD = "SELECT count(*) FROM outbox"


def noted(a: Side, _b: Side) -> tuple[str, str]:
    """Sign ada in; return the session's public id and an ID token of it."""
    id_token = a.tokens()["id_token"]
    return str(decoded(id_token)[1]["sid"]), id_token


def noted_unknown(b: Side, made: tuple[str, str]) -> None:
    """B knows of no such session, and its end there, asked for by A's ID token, tells nobody."""
    before = b.count(_TOLD)
    answer = b.signed_in().get(f"{b.tenant.base_path}/logout?id_token_hint={made[1]}")
    assert answer.status == 400
    assert b.count(_NOTED, made[0]) == 0
    assert b.count(_TOLD) == before


def noted_known(a: Side, made: tuple[str, str]) -> None:
    """A does."""
    assert a.count(_NOTED, made[0]) == 1
