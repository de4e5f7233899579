"""The tenant's own application, as the tests of the sign-in by program drive it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from house import PASSWORD, challenge

from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, RelyingParty

ADA = {"username": "ada@example.com", "password": PASSWORD}


class App:
    """The tenant's own application, as the draft describes one."""

    def __init__(self, cast: Cast, client: RelyingParty) -> None:
        self.cast, self.client = cast, client
        self.verifier = secrets.token_urlsafe(48)

    def ask(self, fields: dict[str, str], **begin: str | None) -> Answer:
        """A first request."""
        form = {
            "response_type": "code",
            "scope": "openid",
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
            **begin,
        }
        return self.client.post("/challenge", {k: v for k, v in (form | fields).items() if v is not None})

    def go_on(self, auth_session: str, **fields: str) -> Answer:
        """A further request."""
        return self.client.post("/challenge", {"auth_session": auth_session, **fields})

    def redeem(self, answer: Answer) -> Answer:
        """Redeem the code."""
        form = {
            "grant_type": "authorization_code",
            "code": answer.json["authorization_code"],
            "code_verifier": self.verifier,
        }
        return self.client.post("/token", form)


def first_party(cast: Cast, client_id: str, **metadata: Any) -> RelyingParty:
    client = cast.house.client(cast.acme, client_id, **metadata)
    registry(cast).update(client_id, {"first_party": True}, by=By("operator"))
    return client


def registry(cast: Cast) -> ClientRegistry:
    return ClientRegistry(cast.acme, cast.house.database(cast.acme), cast.house.installation.feed)
