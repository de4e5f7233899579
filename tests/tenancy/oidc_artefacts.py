"""Artefacts of OpenID Connect: a subject that a request names, and an application that people are sent to."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artefacts import Side
    from house import Answer

START = "https://only-a.example/start"


def subject(a: Side, _b: Side) -> str:
    """The sub of ada at A; B has an ada too."""
    return a.house.user_id(a.tenant)


def _asked(side: Side, sub: str) -> Answer:
    wish = json.dumps({"id_token": {"sub": {"value": sub}}})
    return side.signed_in().authorize(side.rp, verifier="v" * 43, prompt="none", claims=wish)


def subject_refused(b: Side, sub: str) -> None:
    """At B it is nobody's: not even who is signed in there is told that."""
    assert _asked(b, sub).params.get("error") == "login_required"


def subject_works(a: Side, sub: str) -> None:
    """At A it is hers."""
    assert "code" in _asked(a, sub).params


def application(a: Side, _b: Side) -> str:
    """An application of A that people are sent to."""
    return a.house.client(a.tenant, f"starts-{secrets.token_hex(4)}", initiate_login_uri=START).client_id


def application_refused(b: Side, client_id: str) -> None:
    """B sends nobody there and does not list it."""
    answer = b.house.get(b.tenant, f"/start?client_id={client_id}")
    assert (answer.status, answer.header("location")) == (400, None)
    listed = b.house.get(b.tenant, "/start", headers={"accept": "application/json"}).json["applications"]
    assert client_id not in {each["client_id"] for each in listed}


def application_works(a: Side, client_id: str) -> None:
    """A does."""
    answer = a.house.get(a.tenant, f"/start?client_id={client_id}")
    assert answer.status == 303
    assert answer.location.startswith(START)
