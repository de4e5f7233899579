"""Proof Key for Code Exchange (RFC 7636): S256 alone, and no way down (RFC 9700 §2.1.1, §4.8.2)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from cast import discovery
from house import CALLBACK, challenge
from refusals import refused, sent_back

if TYPE_CHECKING:
    from cast import Cast

VERIFIER = "abcdefghijklmnopqrstuvwxyz-._~0123456789ABCDEFG"


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: code_challenge_methods_supported says S256 and nothing else."""
    assert discovery(cast.house, cast.acme)["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize("kind", ["basic", "public", "lax"])
def test_the_verifier_opens_the_code(any_cast: Cast, kind: str) -> None:
    """RFC 7636 §4.6: with the verifier of the challenge the code is redeemed."""
    client = getattr(any_cast, kind)
    assert client.redeem(any_cast.grant(client)).status == 200


def test_the_appendix(cast: Cast) -> None:
    """RFC 7636 Appendix B: the example of the specification."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    wanted = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge(verifier) == wanted
    grant = cast.grant(cast.public, code_challenge=wanted, code_challenge_method="S256")
    assert cast.public.redeem(grant, code_verifier=verifier).status == 200


@pytest.mark.parametrize("kind", ["public", "basic", "lax"])
@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge_method": None},
        {"code_challenge_method": ""},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge_method": "S256 "},
        {"code_challenge_method": '"'},
        {"code_challenge": None},
        {"code_challenge": ""},
        {"code_challenge": "a" * 42},
        {"code_challenge": "a" * 44},
        {"code_challenge": "a" * 129},
        {"code_challenge": "a" * 42 + "="},
        {"code_challenge": "a" * 42 + "+"},
        {"code_challenge": "a" * 42 + "/"},
        {"code_challenge": "a" * 42 + "."},
        {"code_challenge": "a" * 42 + "~"},
        {"code_challenge": "a" * 42 + " "},
        {"code_challenge": "a" * 42 + "ä"},
    ],
)
def test_s006_only_a_sha256_challenge(cast: Cast, kind: str, change: dict[str, str | None]) -> None:
    """RFC 7636 §4.4.1, S006: invalid_request for another method, for none, and for what is no SHA-256."""
    client = getattr(cast, kind)
    answer = cast.browser().authorize(client, verifier=VERIFIER, **change)
    record = sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)
    assert record["check"] == "pkce"


@pytest.mark.parametrize("kind", ["public", "basic", "post", "signed"])
def test_s006_required(cast: Cast, kind: str) -> None:
    """RFC 9700 §2.1.1, S006: of public clients always, of confidential ones under profile strict."""
    answer = cast.browser().authorize(getattr(cast, kind))
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)


def test_s006_a_public_client_of_profile_oidc_too(cast: Cast) -> None:
    """RFC 9700 §2.1.1, S006: no profile frees a public client."""
    client = cast.house.client(cast.acme, "lax-public", profile="oidc", token_endpoint_auth_method="none")
    sent_back(cast.house, cast.browser().authorize(client), cast.acme, "invalid_request", to=CALLBACK)


def test_profile_oidc_leaves_it_to_a_confidential_client(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: certified relying parties send no PKCE; without a challenge there is no verifier."""
    grant = cast.grant(cast.lax, code_challenge=None, code_challenge_method=None)
    form = {"grant_type": "authorization_code", "code": grant.code, "redirect_uri": CALLBACK}
    assert cast.lax.post("/token", form).status == 200


def test_s007_no_verifier_without_a_challenge(cast: Cast) -> None:
    """RFC 9700 §4.8.2, S007: a verifier for a code without a challenge is a downgrade; the code is not spent."""
    grant = cast.grant(cast.lax, code_challenge=None, code_challenge_method=None)
    refused(cast.house, cast.lax.redeem(grant), 400, "invalid_grant", withheld=[grant.verifier])
    form = {"grant_type": "authorization_code", "code": grant.code, "redirect_uri": CALLBACK}
    assert cast.lax.post("/token", form).status == 200


@pytest.mark.parametrize("kind", ["basic", "public", "lax"])
@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "short",
        "a" * 42,
        "a" * 43,
        "a" * 129,
        "challenge",
        "{v}=",
        "{v} ",
        " {v}",
        "{V}",
        "ä" * 43,
        "a" * 42 + "+",
        "%00" * 15,
        "a" * 15000,
    ],
)
def test_s007_a_wrong_verifier_or_none(cast: Cast, kind: str, verifier: str | None) -> None:
    """RFC 7636 §4.6, S007: invalid_grant, and no token; the right one still works."""
    client = getattr(cast, kind)
    grant = cast.grant(client)
    form = {"grant_type": "authorization_code", "code": grant.code, "redirect_uri": CALLBACK}
    if verifier is not None:
        sent = verifier.replace("{v}", grant.verifier).replace("{V}", grant.verifier.swapcase())
        form["code_verifier"] = challenge(grant.verifier) if sent == "challenge" else sent
    record = refused(cast.house, client.post("/token", form), 400, "invalid_grant", withheld=[grant.verifier])
    assert record["check"] == "pkce"
    assert client.redeem(grant).status == 200


def test_a_challenge_belongs_to_its_code(cast: Cast) -> None:
    """RFC 7636 §1: a code that was taken from one sign-in cannot be redeemed with the verifier of another."""
    mine, stolen = cast.grant(cast.public), cast.grant(cast.public)
    refused(cast.house, cast.public.redeem({"code": stolen.code, "verifier": mine.verifier}), 400, "invalid_grant")
    assert cast.public.redeem(mine).status == 200


@pytest.mark.parametrize("length", [43, 128])
def test_the_lengths_of_a_verifier(cast: Cast, length: int) -> None:
    """RFC 7636 §4.1: 43 to 128 unreserved characters."""
    verifier = secrets.token_urlsafe(128)[:length]
    grant = cast.grant(cast.public, code_challenge=challenge(verifier))
    assert cast.public.redeem(grant, code_verifier=verifier).status == 200
