"""`idp token`: what an operator with a shell may do at the services as somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import decoded

if TYPE_CHECKING:
    from command import Idp


@pytest.fixture
def ada(idp: Idp) -> str:
    idp("user", "create", "acme", "ada@example.org", "--role", "tenant-admin")
    return "ada@example.org"


def test_a_token_for_the_services(idp: Idp, ada: str) -> None:
    """Interfaces §2: short-lived, for all four services, of the user, by the tenant; recorded with who it was."""
    made = idp("token", "acme", ada, "--json").json
    public = idp("tenant", "show", "acme", "--json").json["issuer"].removesuffix("/t/acme")
    services = [f"{public}/{name}" for name in ("uflow", "authmgr", "webauthn", "clientms")]
    assert (made["token_type"], made["scope"], made["audience"]) == ("Bearer", "authsec", services)
    claims = decoded(made["access_token"])[1]
    user = idp("user", "show", "acme", ada, "--json").json
    assert (claims["sub"], claims["aud"], claims["client_id"]) == (user["id"], services, "idp-command")
    assert claims["iss"].endswith("/t/acme")
    assert claims["exp"] - claims["iat"] == made["expires_in"] <= 3600
    assert not {"amr", "acr"} & claims.keys(), "nobody was authenticated"
    plain = idp("token", "acme", ada, "--scope", "users:read clients:read")
    assert decoded(plain.out.strip())[1]["scope"] == "users:read clients:read"
    assert idp("audit", "verify", "acme").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme", "nobody@example.org"),
        ("nobody", "ada@example.org"),
        ("acme", "ada@example.org", "--scope", ""),
        ("acme", "ada@example.org", "--scope", 'a "b"'),
        ("acme",),
    ],
)
def test_wrong_use(idp: Idp, ada: str, arguments: tuple[str, ...]) -> None:
    """Interfaces §2: exit status 1 or 2 and one sentence, and no token."""
    done = idp("token", *arguments)
    assert done.status in (1, 2)
    assert done.sentence
    assert "eyJ" not in done.out + ada


def test_only_for_who_is_active(idp: Idp, ada: str) -> None:
    """Issue 6 (guard): a disabled user gets no token, and a token that was made dies with the user's state."""
    idp("user", "disable", "acme", ada)
    done = idp("token", "acme", ada)
    assert (done.status, "disabled" in done.sentence) == (1, True)


def test_no_client_passes_for_the_command(idp: Idp) -> None:
    """Issue 6 (guard): the client_id of such tokens is nobody's."""
    done = idp(
        "client", "create", "acme", given='{"client_id": "idp-command", "redirect_uris": ["https://a.example/"]}'
    )
    assert done.status == 1
    assert "client_id" in done.sentence
