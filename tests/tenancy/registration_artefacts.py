"""What a tenant gives out at registration: initial access tokens and registration access tokens, for the isolation list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registering import WEB, manage, register

from idp.identity.accounts import By
from idp.oauth import initial_access

if TYPE_CHECKING:
    from artefacts import Side


def initial_token(a: Side, _b: Side) -> str:
    """Issue a token for two registrations."""
    database = a.house.database(a.tenant)
    return initial_access.create(database, name="a team", uses=2, lifetime=600, by=By("operator"))[1]


def initial_token_refused(b: Side, token: str) -> None:
    """Nobody registers with a token of another tenant."""
    before = b.count("SELECT count(*) FROM clients")
    answer = register(b.house, b.tenant, WEB, token)
    assert (answer.status, answer.json.get("error")) == (401, "invalid_token")
    assert b.count("SELECT count(*) FROM clients") == before


def initial_token_works(a: Side, token: str) -> None:
    """It registers a client where it was issued."""
    assert register(a.house, a.tenant, WEB, token).status == 201


def registration(a: Side, b: Side) -> dict[str, Any]:
    """Register a client; return its id and its registration access token."""
    made: dict[str, Any] = register(a.house, a.tenant, WEB, initial_token(a, b)).json
    return made


def registration_refused(b: Side, made: dict[str, Any]) -> None:
    """Another tenant neither shows, changes nor deletes by it, also not a client of its own."""
    for client_id in (made["client_id"], "rp"):
        for method in ("GET", "PUT", "DELETE"):
            body = {"client_id": client_id, **WEB} if method == "PUT" else None
            answer = manage(b.house, b.tenant, method, client_id, made["registration_access_token"], body)
            assert answer.status == 401


def registration_works(a: Side, made: dict[str, Any]) -> None:
    """Its own tenant shows the registration."""
    assert manage(a.house, a.tenant, "GET", made["client_id"], made["registration_access_token"]).status == 200
