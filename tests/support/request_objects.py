"""Request objects as clients make them, by hand where they must be wrong in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from house import CALLBACK, challenge

from idp.clock import now

if TYPE_CHECKING:
    from cast import SigningKey
    from house import Answer, Browser, RelyingParty

VERIFIER = "v" * 43
TYP = "oauth-authz-req+jwt"


def object_claims(client: RelyingParty, **changes: Any) -> dict[str, Any]:
    """The claims of a good request object, with changes; None leaves one out."""
    at = now()
    made = {
        "iss": client.client_id,
        "aud": client.tenant.issuer,
        "iat": at,
        "exp": at + 300,
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "the state inside",
        "nonce": "the nonce inside",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def signed_object(client: RelyingParty, key: SigningKey, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good request object, with changes."""
    return key.sign(object_claims(client, **changes), **{"typ": TYP, **(header or {})})


def ask(browser: Browser, client: RelyingParty, **params: str | None) -> Answer:
    """An authorization request with what OpenID Core wants outside and nothing else, unless it is said."""
    return browser.authorize(client, **{"redirect_uri": None, "state": None, "nonce": None, **params})
