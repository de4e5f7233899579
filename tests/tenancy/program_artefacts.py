"""Artefacts of sign-ins by program: an auth_session under way, signed in already."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from house import challenge

if TYPE_CHECKING:
    from artefacts import Side
    from house import Answer

_CLIENT = "authsec-sdk"
_OLD, _NEW = "of both, and to be changed", "five unrelated words here"


def _asked(side: Side, **fields: str) -> Answer:
    return side.house.post(side.tenant, "/challenge", {"client_id": _CLIENT, **fields})


def _begun(side: Side, address: str) -> Any:
    code_challenge = {"code_challenge": challenge("v" * 43), "code_challenge_method": "S256"}
    return _asked(side, scope="openid", **code_challenge, username=address, password=_OLD).json


def auth_session(a: Side, b: Side) -> tuple[str, str]:
    """The address and the auth_session at A of somebody who has shown the password and has to choose another one."""
    address = f"{secrets.token_hex(4)}@both.example"
    for side in (a, b):
        side.house.user(side.tenant, address, password=_OLD, must_change=True)
    found = _begun(a, address)
    assert found["step"] == "password"
    return address, found["auth_session"]


def refused(b: Side, made: tuple[str, str]) -> None:
    """B knows nothing of it, and its own account keeps its password."""
    answer = _asked(b, auth_session=made[1], new_password=_NEW)
    assert (answer.status, answer.json.get("error")) in {(400, "invalid_session"), (401, "invalid_client")}
    assert _begun(b, made[0])["step"] == "password"


def works(a: Side, made: tuple[str, str]) -> None:
    """At A it goes on."""
    assert _asked(a, auth_session=made[1], new_password=_NEW).status == 200
