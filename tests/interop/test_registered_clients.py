"""openid-client, Authlib and pyoidc, registered dynamically at the served product, a feature a test: the second table of docs/interop.md."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from clients import Refused
from house import decoded
from joserfc.jwk import ECKey, RSAKey
from matrix import CANNOT, showed
from registered import registering
from website import Website
from world import KID, RP, SCOPE, World, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.slow
NAMES = ("openid-client", "authlib", "pyoidc")
OPEN = {"allowed_client_profiles": "strict,oidc", "registration_client_profile": "oidc", "registration": "open"}


def able(feature: str) -> pytest.MarkDecorator:
    """Run a test for each client that has the feature."""
    return pytest.mark.parametrize("name", [name for name in NAMES if (name, feature) not in CANNOT])


@pytest.fixture(scope="session")
def tenant(tls: World) -> Tenant:
    """Where anybody may register."""
    return tls.running.tenant("open", **OPEN)


@pytest.fixture
def website(tls: World, tmp_path: Path) -> Iterator[Website]:
    """The relying party's own site."""
    made = Website(tls.running.authority, tmp_path)
    yield made
    made.close()


@contextmanager
def registered(
    name: str, tls: World, tenant: Tenant, website: Website, token: str = "", **metadata: Any
) -> Iterator[Any]:
    """A client that has registered itself; ``document`` is what it was answered."""
    pem, jwk = new_key()
    made = registering(name, tls.running.authority.file, website)
    more: dict[str, Any] = {"initial_access_token": token} if token else {}
    if "jwks" in metadata:
        metadata["jwks"] = {"keys": [jwk]}
        more |= {"key": pem, "kid": KID}
    if "id_token_encrypted_response_alg" in metadata:
        alg = metadata["id_token_encrypted_response_alg"]
        key = ECKey.generate_key("P-256") if alg == "ECDH-ES" else RSAKey.generate_key(2048)
        more["decrypting"] = {**key.as_dict(private=True), "kid": "for-me"}
        public = {**key.as_dict(private=False), "kid": "for-me", "use": "enc", "alg": alg}
        metadata["jwks"] = {"keys": [*metadata.get("jwks", {}).get("keys", ()), public]}
    wanted = {
        "client_name": f"A registered {name}",
        "redirect_uris": [f"{RP}/cb"],
        "post_logout_redirect_uris": [f"{RP}/bye"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": SCOPE,
        **metadata,
    }
    try:
        made.document = made.register(issuer=tenant.issuer, metadata=wanted, **more)
        yield made
    finally:
        made.close()


def sign_in(rp: Any, tls: World, request: str = "", **parameters: str) -> dict[str, Any]:
    """Sign Ada in with a fresh browser."""
    return dict(rp.finish(url=tls.person().open(asked(rp, request, **parameters), stop_at=RP).url))


def asked(rp: Any, request: str = "", **parameters: str) -> str:
    """The address the client sends the browser to."""
    how = {"request": request} if request else {}
    return str(rp.ask(parameters={"scope": "openid profile email", **parameters}, **how))


@able("registration")
def test_registration(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Registration §3, RFC 7591 §3.2: the client registers itself and understands the answer; what is refused it reports."""
    with registered(name, tls, tenant, website, contacts=["dev@rp.example"]) as rp:
        assert rp.document["client_id"]
        assert rp.document["client_secret"]
        assert rp.document["redirect_uris"] == [f"{RP}/cb"]
        assert rp.document["registration_client_uri"].startswith(f"{tenant.issuer}/register/")
    with pytest.raises(Refused), registered(name, tls, tenant, website, redirect_uris=["http://rp.example/cb"]):
        pass
    showed(name, "registration")


@able("initial_access_token")
def test_initial_access_token(name: str, tls: World, website: Website) -> None:
    """RFC 7591 §3.1: where registration is for holders of a token, the client sends its own; without one it is refused."""
    slug = f"closed-{name}"
    tenant = tls.running.tenant(slug, **{**OPEN, "registration": "token"})
    made = tls.running.idp("registration-token", "create", slug, "--name", "Tests", "--uses", "1", "--json")
    token = re.search(r"iat_[\w-]+", made)
    assert token is not None
    with registered(name, tls, tenant, website, token=token[0]) as rp:
        assert sign_in(rp, tls)["claims"]["aud"] in (rp.document["client_id"], [rp.document["client_id"]])
    for worn in ("", token[0]):
        with pytest.raises(Refused), registered(name, tls, tenant, website, token=worn):
            pass
    showed(name, "initial_access_token")


@able("registered_code")
def test_sign_in(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §3.1, §5.3: code with PKCE, an ID token for the registered client, and userinfo."""
    with registered(name, tls, tenant, website) as rp:
        tokens = sign_in(rp, tls)
        assert tokens["claims"]["aud"] in (rp.document["client_id"], [rp.document["client_id"]])
        found = rp.userinfo(access_token=tokens["access_token"], sub=tokens["claims"]["sub"])
        assert (found["email"], found["name"]) == ("ada@example.com", "Ada Lovelace")
    showed(name, "registered_code")


@able("registered_private_key_jwt")
def test_private_key_jwt(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §9: the client proves itself with the key it registered."""
    with registered(name, tls, tenant, website, jwks=..., token_endpoint_auth_method="private_key_jwt") as rp:
        assert "client_secret" not in rp.document
        assert sign_in(rp, tls)["access_token"]
    showed(name, "registered_private_key_jwt")


@able("hybrid")
def test_hybrid(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §3.3.2.11: the client checks c_hash of the ID token in the fragment; a code that was exchanged it refuses."""
    types = {"response_types": ["code id_token"], "grant_types": ["authorization_code", "implicit"]}
    with registered(name, tls, tenant, website, **types) as rp:
        tokens = sign_in(rp, tls)
        assert tokens["access_token"]
        other = tls.person().open(asked(rp), stop_at=RP).url
        answer = tls.person().open(asked(rp), stop_at=RP).url
        assert "#" in answer
        assert "c_hash" in decoded(_value(answer, "id_token"))[1]
        with pytest.raises(Refused):
            rp.finish(url=answer.replace(_value(answer, "code"), _value(other, "code")))
    showed(name, "hybrid")


@able("implicit")
def test_implicit(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §3.2.2.11: the ID token comes in the fragment, with the nonce; an answer to another request is refused."""
    types = {"response_types": ["id_token"], "grant_types": ["implicit"]}
    with registered(name, tls, tenant, website, **types) as rp:
        claims = sign_in(rp, tls)["claims"]
        assert claims["nonce"]
        assert claims["email"] == "ada@example.com"  # §5.4: without an access token the claims are in the ID token
        old = tls.person().open(asked(rp), stop_at=RP).url
        asked(rp)
        with pytest.raises(Refused):
            rp.finish(url=old)
    showed(name, "implicit")


@able("claims")
def test_claims(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §5.5: a claim asked for by name comes in the ID token, another in userinfo."""
    wanted = {"id_token": {"email": {"essential": True}}, "userinfo": {"given_name": None}}
    with registered(name, tls, tenant, website) as rp:
        tokens = sign_in(rp, tls, scope="openid", claims=json.dumps(wanted))
        assert tokens["claims"]["email"] == "ada@example.com"
        assert "name" not in tokens["claims"]
        found = rp.userinfo(access_token=tokens["access_token"], sub=tokens["claims"]["sub"])
        assert found["given_name"] == "Ada"
        assert "name" not in found
    showed(name, "claims")


@able("request")
def test_request_object(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §6.1, RFC 9101 §4: the parameters go in a signed request object; a changed one is refused."""
    with registered(name, tls, tenant, website, jwks=..., request_object_signing_alg="ES256") as rp:
        url = asked(rp, "value")
        assert _value(url, "request").count(".") == 2
        assert rp.finish(url=tls.person().open(url, stop_at=RP).url)["claims"]["sub"]
        signed = _value(url, "request")
        stop = tls.person().open(url.replace(signed, signed[:-8] + "AAAAAAAA"), stop_at=RP)
        assert "invalid_request_object" in stop.url + stop.text
    showed(name, "request")


@able("request_uri")
def test_request_object_by_reference(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §6.2: the client publishes the request object at an address it registered, where the server fetches it."""
    with registered(name, tls, tenant, website, jwks=..., request_object_signing_alg="ES256", request_uris=[]) as rp:
        url = asked(rp, "reference")
        assert rp.finish(url=tls.person().open(url, stop_at=RP).url)["claims"]["sub"]
        assert len(website.fetched) >= 1
        assert rp.document["request_uris"] == [website.url + path for path in set(website.fetched)]
    showed(name, "request_uri")


@able("signed_userinfo")
def test_signed_userinfo(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §5.3.2: userinfo comes as a JWT signed by the registered algorithm, which the client takes for nothing else."""
    with registered(name, tls, tenant, website, userinfo_signed_response_alg="ES256") as rp:
        tokens = sign_in(rp, tls)
        found = rp.userinfo(access_token=tokens["access_token"], sub=tokens["claims"]["sub"])
        assert (found["iss"], found["email"]) == (tenant.issuer, "ada@example.com")
    showed(name, "signed_userinfo")


@able("encrypted")
def test_encrypted_id_token(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §10.2, §16.14: the ID token is signed and then encrypted to the key that the client registered."""
    # What pyoidc's library computes for ECDH-ES fails when no PartyUInfo is sent.
    alg = "RSA-OAEP-256" if name == "pyoidc" else "ECDH-ES"
    wanted = {"id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": "A128CBC-HS256"}
    with registered(name, tls, tenant, website, **wanted) as rp:
        assert sign_in(rp, tls)["claims"]["iss"] == tenant.issuer
        assert rp.document["id_token_encrypted_response_alg"] == alg
    showed(name, "encrypted")


@able("pairwise")
def test_pairwise(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §8.1, OIDC Registration §5: clients of one sector know Ada by one name, others by another."""
    listed = json.dumps([f"{RP}/cb", "https://other.example/cb"]).encode()
    website.pages["/sector"] = ("application/json", listed)
    sector = {"subject_type": "pairwise", "sector_identifier_uri": f"{website.url}/sector"}
    found = []
    for metadata in (
        {**sector, "redirect_uris": [f"{RP}/cb", "https://other.example/cb"]},
        {**sector, "redirect_uris": [f"{RP}/cb"]},
        {"subject_type": "pairwise"},
        {},
    ):
        with registered(name, tls, tenant, website, **metadata) as rp:
            found.append(sign_in(rp, tls)["claims"]["sub"])
    assert found[0] == found[1]
    assert len(set(found)) == 3
    showed(name, "pairwise")


@able("silent")
def test_silent(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OIDC Core §3.1.2.1: with prompt=none whoever is signed in is answered without a page, and nobody else is."""
    with registered(name, tls, tenant, website) as rp:
        person = tls.person()
        with pytest.raises(Refused) as refusal:
            rp.finish(url=person.open(asked(rp, prompt="none"), stop_at=RP).url)
        assert refusal.value.error == "login_required"
        first = rp.finish(url=person.open(asked(rp), stop_at=RP).url)
        person.seen.clear()
        again = rp.finish(url=person.open(asked(rp, prompt="none"), stop_at=RP).url)
        assert again["claims"]["sub"] == first["claims"]["sub"]
        assert person.seen == []
    showed(name, "silent")


@able("registered_logout")
def test_logout(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """OpenID Connect RP-Initiated Logout §2: back at the registered address, with the state; the session is over."""
    with registered(name, tls, tenant, website) as rp:
        person = tls.person()
        answer = person.open(asked(rp), stop_at=RP).url
        tokens = rp.finish(url=answer)
        stop = person.open(
            rp.logout(id_token=tokens["id_token"], post_logout_redirect_uri=f"{RP}/bye", state="back"), stop_at=RP
        )
        assert stop.url == f"{RP}/bye?state=back"
        assert "error=login_required" in person.open(asked(rp, prompt="none"), stop_at=RP).url
    showed(name, "registered_logout")


@able("backchannel")
def test_back_channel_logout(name: str, tls: World, tenant: Tenant, website: Website) -> None:
    """Back-Channel Logout §2.6: the client accepts the logout token, of the session it knows; one that was changed it refuses."""
    uri = f"{website.url}/signed-out"
    with registered(name, tls, tenant, website, backchannel_logout_uri=uri) as rp:
        person = tls.person()
        claims = rp.finish(url=person.open(asked(rp), stop_at=RP).url)["claims"]
        person.open(f"{tenant.issuer}/logout")
        until = time.monotonic() + 15
        while not website.posted:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert rp.logged_out(website.posted[0]) == claims["sid"]
        token = website.posted[0]["logout_token"]
        with pytest.raises(Refused):
            rp.logged_out({"logout_token": token[:-8] + "AAAAAAAA"})
    showed(name, "backchannel")


def _value(url: str, name: str) -> str:
    found = re.search(rf"[?&#]{name}=([^&]*)", url)
    assert found is not None, url
    return found[1]
