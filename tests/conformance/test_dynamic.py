"""Dynamic OP: discovery, registration (OpenID Connect Dynamic Client Registration 1.0), keys that change, request objects by reference.

Modules of the certification plan (oidcc-dynamic-certification-test-plan) beside the tests that hold them. What is to be fetched
lies on the relying parties' own site (:mod:`loopback_site`).
"""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from id_token_rules import header_of, verified
from joserfc import jwt
from op_under_test import OTHER_PERSON
from relying import REDIRECT, Asked, RelyingParty, new_keys, public_set, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from loopback_site import Site
    from op_under_test import Provider
    from user_agent import UserAgent

OBJECT_TYPE = "application/oauth-authz-req+jwt"


def attempt(provider: Provider, **given: Any) -> httpx.Response:
    """A registration that may be refused."""
    body = {"redirect_uris": [REDIRECT], **given}
    return provider.http.post(provider.discovery()["registration_endpoint"], json=body)


def own_path(kind: str) -> str:
    """A path of the site that no other test uses."""
    return f"/{kind}/{secrets.token_urlsafe(8)}"


# -- registration ---------------------------------------------------------------------------------------------------------


def test_every_response_type_of_a_dynamic_provider(provider: Provider) -> None:
    """OpenID Connect Core §15.2: dynamic providers serve code, id_token and id_token token, and the grant implicit."""
    document = provider.discovery()
    assert {"code", "id_token", "id_token token"} <= set(document["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(document["grant_types_supported"])
    assert document["registration_endpoint"].startswith(provider.issuer)


def test_defaults_are_filled_in(provider: Provider) -> None:
    """OpenID Connect Registration §2, §3.2: the answer holds every registered member, with the defaults of the specification."""
    document = RelyingParty.register(provider).document
    assert document["response_types"] == ["code"]
    assert document["grant_types"] == ["authorization_code"]
    assert document["application_type"] == "web"
    assert document["token_endpoint_auth_method"] == "client_secret_basic"
    assert document.get("id_token_signed_response_alg", "RS256") == "RS256"
    assert document["client_secret"]


def test_a_registration_needs_only_redirect_uris(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Registration §2: redirect_uris is the only REQUIRED member; unknown members are ignored (§3.1)."""
    answer = attempt(provider, unheard_of="x", **{"client_name#de": "Eine Anwendung"})
    assert answer.status_code == 201, answer.text
    assert "unheard_of" not in answer.json()
    assert RelyingParty(provider, provider.discovery(), answer.json()).sign_in(agent).claims["sub"]


def test_the_registration_can_be_read(provider: Provider) -> None:
    """OpenID Connect Registration §4.2, §4.3: GET with the registration access token gives the registration."""
    document = RelyingParty.register(provider, client_name="To be read").document
    token = {"authorization": f"Bearer {document['registration_access_token']}"}
    answer = provider.http.get(document["registration_client_uri"], headers=token)
    assert answer.status_code == 200
    assert answer.json()["client_id"] == document["client_id"]
    assert answer.json()["client_name"] == "To be read"


@pytest.mark.parametrize("token", [None, "Bearer foobar", "of another client"])
def test_the_registration_is_not_for_others(provider: Provider, token: str | None) -> None:
    """OpenID Connect Registration §4.4: without the right token 401 (RFC 6750 §3), and nothing is shown."""
    document = RelyingParty.register(provider).document
    if token == "of another client":
        token = "Bearer " + RelyingParty.register(provider).document["registration_access_token"]
    answer = provider.http.get(
        document["registration_client_uri"], headers={"authorization": token} if token is not None else {}
    )
    assert answer.status_code in (401, 403)
    assert "redirect_uris" not in answer.text


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a fragment (oidcc-redirect-uri-regfrag)": ({"redirect_uris": [f"{REDIRECT}#x"]}, "invalid_redirect_uri"),
    "no redirect URI": ({"redirect_uris": []}, "invalid_redirect_uri"),
    "plain http for a web client": ({"redirect_uris": ["http://rp.example/cb"]}, "invalid_redirect_uri"),
    "localhost for a web client": (
        {"redirect_uris": ["https://localhost/cb"], "response_types": ["id_token"], "grant_types": ["implicit"]},
        "invalid_redirect_uri",
    ),
    "a script": ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    "no list": ({"redirect_uris": REDIRECT}, "invalid_redirect_uri"),
    "an unknown method": ({"token_endpoint_auth_method": "carrier_pigeon"}, "invalid_client_metadata"),
    "an unknown algorithm": ({"id_token_signed_response_alg": "RS257"}, "invalid_client_metadata"),
    "no signature for the code flow's neighbours": (
        {"id_token_signed_response_alg": "none", "response_types": ["id_token"], "grant_types": ["implicit"]},
        "invalid_client_metadata",
    ),
    "grants that do not fit": ({"response_types": ["code"], "grant_types": ["implicit"]}, "invalid_client_metadata"),
    "both jwks and jwks_uri": (
        {"jwks_uri": "https://localhost/jwks", "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        "invalid_client_metadata",
    ),
    "an encoding without encryption": (
        {"id_token_encrypted_response_enc": "A128CBC-HS256"},
        "invalid_client_metadata",
    ),
    "a relative logout address": ({"post_logout_redirect_uris": ["/bye"]}, "invalid_redirect_uri"),
    "an initiation address that is not https": (
        {"initiate_login_uri": "http://rp.example/start"},
        "invalid_client_metadata",
    ),
    "a request_uri that is not https": ({"request_uris": ["http://rp.example/request"]}, "invalid_client_metadata"),
    "an unknown subject type": ({"subject_type": "secret"}, "invalid_client_metadata"),
    "pairwise with two hosts and no sector": (
        {"subject_type": "pairwise", "redirect_uris": [REDIRECT, "https://other.example/cb"]},
        "invalid_client_metadata",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_metadata_are_refused(provider: Provider, case: str) -> None:
    """OpenID Connect Registration §3.3, §2: 400 with invalid_redirect_uri or invalid_client_metadata, as JSON, not to be cached."""
    given, error = REFUSED[case]
    answer = attempt(provider, **given)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == error
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("body", [b"", b"foobar", b"[]", b'"x"', b"{"])
def test_what_is_no_object_is_refused(provider: Provider, body: bytes) -> None:
    """OpenID Connect Registration §3.1: the request is a JSON object."""
    answer = provider.http.post(
        provider.discovery()["registration_endpoint"], content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_client_metadata", "invalid_request", "invalid_redirect_uri")


@pytest.mark.parametrize("member", ["logo_uri", "policy_uri", "tos_uri"])
def test_what_a_client_shows_is_shown(provider: Provider, agent: UserAgent, member: str) -> None:
    """OpenID Connect Registration §2: the person sees the logo and may follow the links to policy and terms.

    Modules oidcc-registration-logo-uri, -policy-uri, -tos-uri.
    """
    address = f"https://rp.example/{member}"
    rp = RelyingParty.register(provider, **{member: address})
    agent.ignored = frozenset({"consent-approve"})
    seen = rp.ask(agent).arrival.markup
    assert address in (seen.sources.get("img", []) if member == "logo_uri" else seen.links)


def test_default_max_age_is_applied(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Registration §2 (default_max_age): stands in for max_age; the request's own value overrides it."""
    rp = RelyingParty.register(provider, default_max_age=1, require_auth_time=True)
    first = rp.sign_in(agent).claims["auth_time"]
    time.sleep(2.1)
    assert rp.sign_in(agent, max_age="10000").claims["auth_time"] == first
    assert rp.sign_in(agent).claims["auth_time"] > first


# -- redirect URIs with a query ---------------------------------------------------------------------------------------------


def test_a_redirect_uri_with_a_query(provider: Provider, agent: UserAgent) -> None:
    """RFC 6749 §3.1.2: a registered query is kept when parameters are added (oidcc-redirect-uri-query-OK)."""
    rp = RelyingParty.register(provider, redirect_uris=[f"{REDIRECT}?foo=bar"])
    signed_in = rp.sign_in(agent)
    assert signed_in.asked.arrival.params["foo"] == "bar"


def test_a_query_must_not_be_added(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: a query that was not registered is another address (oidcc-redirect-uri-query-added)."""
    rp = RelyingParty.register(provider)
    arrival = rp.ask(agent, redirect_uri=f"{REDIRECT}?foo=bar").arrival
    assert arrival.page is not None
    assert arrival.error == "invalid_redirect_uri"


@pytest.mark.parametrize("query", ["?foo=baz", "?foo=bar&foo=bar", "?foo=bar&x=y", ""])
def test_a_query_must_not_differ(provider: Provider, agent: UserAgent, query: str) -> None:
    """OpenID Connect Core §3.1.2.1: another query is another address (oidcc-redirect-uri-query-mismatch)."""
    rp = RelyingParty.register(provider, redirect_uris=[f"{REDIRECT}?foo=bar"])
    arrival = rp.ask(agent, redirect_uri=REDIRECT + query).arrival
    assert arrival.page is not None
    assert arrival.error == "invalid_redirect_uri"


# -- keys of the client -----------------------------------------------------------------------------------------------------


@pytest.fixture
def published(provider: Provider, site: Site, client_keys: dict[str, Any]) -> RelyingParty:
    """A client that authenticates with keys it publishes."""
    address = site.put(own_path("jwks"), public_set(client_keys))
    return RelyingParty.register(
        provider, keys=client_keys, jwks_uri=address, token_endpoint_auth_method="private_key_jwt"
    )


def test_keys_are_read_from_jwks_uri(published: RelyingParty, site: Site, agent: UserAgent) -> None:
    """OpenID Connect Registration §2 (jwks_uri), OpenID Connect Core §10.1: the client's keys are fetched there (oidcc-registration-jwks-uri)."""
    assert published.sign_in(agent).claims["sub"]
    assert site.fetched(published.document["jwks_uri"].removeprefix(site.url)) >= 1


def test_an_assertion_for_the_issuer_is_good(published: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §9, RFC 7523 §3: the issuer as audience (oidcc-ensure-client-assertion-with-iss-aud-succeeds)."""
    asked = published.ask(agent)
    form = {
        "grant_type": "authorization_code",
        "code": asked.code,
        "redirect_uri": REDIRECT,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": published.assertion(published.metadata["issuer"]),
    }
    answer = published.provider.http.post(published.metadata["token_endpoint"], data=form)
    assert answer.status_code == 200, answer.text


def test_an_unknown_kid_is_refused(published: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §10.1, §9: a key that the client has not published authenticates nobody: invalid_client."""
    asked = published.ask(agent)
    published.keys = new_keys("unheard-of")
    answer = published.redeem(asked)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_changes_its_keys(published: RelyingParty, site: Site, agent: UserAgent) -> None:
    """OpenID Connect Core §10.1.1: a kid that is not known makes the provider fetch the client's keys again.

    Module oidcc-refresh-token-rp-key-rotation.
    """
    assert published.sign_in(agent).claims["sub"]
    published.keys = new_keys("2")
    site.put(published.document["jwks_uri"].removeprefix(site.url), public_set(published.keys))
    assert published.sign_in(agent).claims["sub"]


# -- keys of the provider -----------------------------------------------------------------------------------------------------


def test_keys_are_rotated_between_two_requests(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §10.1.1: new keys are published with names of their own and sign; what the old ones signed stays valid.

    Module oidcc-server-rotate-keys.
    """
    rp = RelyingParty.register(provider)
    before, former = rp.sign_in(agent), provider.keys()
    assert header_of(before.id_token)["kid"] in {key["kid"] for key in former}
    provider.rotate_keys()
    after, present = rp.sign_in(agent), provider.keys()
    assert header_of(after.id_token)["kid"] != header_of(before.id_token)["kid"]
    # Retired keys stay published as long as tokens of theirs live, and are never another key under the same name.
    published = {key["kid"]: key for key in present}
    assert all(published[key["kid"]] == key for key in former if key["use"] == "sig")
    assert verified(before.id_token, present, "RS256")["sub"] == before.claims["sub"]
    assert rp.userinfo(before)["sub"] == before.claims["sub"]
    assert rp.sign_in(agent, prompt="none", id_token_hint=before.id_token).claims["sub"] == before.claims["sub"]


def test_a_token_with_an_unknown_kid_is_refused(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §10.1, §3.1.2.2: a signature by a key that the provider does not have is not the provider's."""
    rp = RelyingParty.register(provider)
    signed_in = rp.sign_in(agent)
    key = new_keys("stranger")["RS256"]
    hint = jwt.encode({"alg": "RS256", "kid": key.kid, "typ": "JWT"}, signed_in.claims, key, algorithms=["RS256"])
    assert rp.ask(agent, prompt="none", id_token_hint=hint).arrival.error in ("invalid_request", "login_required")


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_the_registered_algorithm_signs_the_id_token(provider: Provider, agent: UserAgent, alg: str) -> None:
    """OpenID Connect Registration §2 (id_token_signed_response_alg): the algorithm the client asked for (oidcc-idtoken-rs256)."""
    rp = RelyingParty.register(provider, id_token_signed_response_alg=alg)
    assert header_of(rp.sign_in(agent).id_token)["alg"] == alg


def test_an_unsigned_id_token_is_not_registered(provider: Provider) -> None:
    """OpenID Connect Registration §2, RFC 8725 §3.2: none is not offered, so it is refused (oidcc-idtoken-unsigned is skipped then)."""
    assert "none" not in provider.discovery()["id_token_signing_alg_values_supported"]
    assert attempt(provider, id_token_signed_response_alg="none").json()["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_userinfo_is_signed(provider: Provider, agent: UserAgent, alg: str) -> None:
    """OpenID Connect Core §5.3.2, OpenID Connect Registration §2 (userinfo_signed_response_alg): a JWT with iss and aud (oidcc-userinfo-rs256)."""
    rp = RelyingParty.register(provider, userinfo_signed_response_alg=alg)
    signed_in = rp.sign_in(agent, scope="openid email")
    answer = provider.http.get(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
    )
    assert answer.headers["content-type"].partition(";")[0] == "application/jwt"
    claims = verified(answer.text, provider.keys(), alg)
    assert (claims["iss"], claims["aud"]) == (provider.issuer, rp.client_id)
    assert (claims["sub"], claims["email"]) == (signed_in.claims["sub"], "ada@example.com")


@pytest.mark.parametrize("enc", ["A128CBC-HS256", "A256GCM"])
@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "ECDH-ES"])
def test_tokens_are_encrypted(
    provider: Provider, agent: UserAgent, client_keys: dict[str, Any], alg: str, enc: str
) -> None:
    """OpenID Connect Core §10.2, §16.14, OpenID Connect Registration §2: signed, then encrypted to the client's key, in ID token and userinfo."""
    rp = RelyingParty.register(
        provider,
        keys=client_keys,
        jwks=public_set(client_keys),
        id_token_encrypted_response_alg=alg,
        id_token_encrypted_response_enc=enc,
        userinfo_signed_response_alg="RS256",
        userinfo_encrypted_response_alg=alg,
        userinfo_encrypted_response_enc=enc,
    )
    signed_in = rp.sign_in(agent)
    answer = provider.http.get(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
    )
    assert answer.headers["content-type"].partition(";")[0] == "application/jwt"
    header = header_of(answer.text)
    assert (header["alg"], header["enc"]) == (alg, enc)
    claims = verified(rp.decrypted(answer.text), provider.keys(), "RS256")
    assert claims["sub"] == signed_in.claims["sub"]


@pytest.mark.parametrize("keys", ["none", "for signatures only"])
def test_encryption_needs_a_key(provider: Provider, client_keys: dict[str, Any], keys: str) -> None:
    """OpenID Connect Registration §2, OpenID Connect Core §10.2: what could never be encrypted is not registered."""
    signing = {"keys": [key for key in public_set(client_keys)["keys"] if key["use"] == "sig"]}
    given = {"jwks": signing} if keys != "none" else {}
    answer = attempt(provider, id_token_encrypted_response_alg="RSA-OAEP-256", **given)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_keys_that_cannot_be_had_encrypt_nothing(provider: Provider, site: Site, agent: UserAgent) -> None:
    """OpenID Connect Core §10.2, §16.14: when the client's keys cannot be fetched there is an error, and no token in the clear."""
    rp = RelyingParty.register(
        provider, id_token_encrypted_response_alg="RSA-OAEP-256", jwks_uri=site.url + own_path("nowhere")
    )
    answer = rp.redeem(rp.ask(agent))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "id_token" not in answer.json()


def test_the_default_of_encryption(provider: Provider, agent: UserAgent, client_keys: dict[str, Any]) -> None:
    """OpenID Connect Registration §2 (id_token_encrypted_response_enc): A128CBC-HS256 where only the algorithm is named."""
    rp = RelyingParty.register(
        provider, keys=client_keys, jwks=public_set(client_keys), id_token_encrypted_response_alg="ECDH-ES"
    )
    assert header_of(rp.sign_in(agent).id_token)["enc"] == "A128CBC-HS256"


# -- subjects -------------------------------------------------------------------------------------------------------------


def test_pairwise_subjects_differ_by_sector(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §8.1: the same within a sector (the host of the redirect URI), another elsewhere, none of them public."""
    public = RelyingParty.register(provider).sign_in(agent)

    def sub(host: str) -> str:
        rp = RelyingParty.register(provider, redirect_uris=[f"https://{host}/cb"], subject_type="pairwise")
        signed_in = rp.sign_in(agent)
        assert rp.userinfo(signed_in)["sub"] == signed_in.claims["sub"]
        return str(signed_in.claims["sub"])

    one, again, other = sub("one.example"), sub("one.example"), sub("other.example")
    assert one == again
    assert len({one, other, public.claims["sub"]}) == 3


def test_a_sector_identifier_joins_hosts(provider: Provider, site: Site, agent: UserAgent) -> None:
    """OpenID Connect Core §8.1, OpenID Connect Registration §5: the sector is the host of sector_identifier_uri (oidcc-registration-sector-uri)."""
    uris = ["https://one.example/cb", "https://two.example/cb"]
    address = site.put(own_path("sector"), [*uris, "https://three.example/cb"])
    first = RelyingParty.register(provider, redirect_uris=uris, subject_type="pairwise", sector_identifier_uri=address)
    second = RelyingParty.register(
        provider, redirect_uris=["https://three.example/cb"], subject_type="pairwise", sector_identifier_uri=address
    )
    assert first.sign_in(agent).claims["sub"] == second.sign_in(agent).claims["sub"]


@pytest.mark.parametrize("document", [["https://one.example/cb"], {"a": 1}, "foobar", None])
def test_a_sector_identifier_that_does_not_name_the_uris(provider: Provider, site: Site, document: Any) -> None:
    """OpenID Connect Registration §5: each redirect URI must be in the array (oidcc-registration-sector-bad)."""
    path = own_path("sector")
    if document is not None:
        site.put(path, document)
    answer = attempt(
        provider,
        redirect_uris=["https://one.example/cb", "https://two.example/cb"],
        subject_type="pairwise",
        sector_identifier_uri=site.url + path,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_a_pairwise_hint_is_about_the_same_person(
    provider: Provider, agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect Core §8.1, §3.1.2.1: a hint with a pairwise sub means the person behind it, and nobody else."""
    rp = RelyingParty.register(provider, subject_type="pairwise")
    hint = rp.sign_in(agent)
    assert rp.sign_in(agent, prompt="none", id_token_hint=hint.id_token).claims["sub"] == hint.claims["sub"]
    bob = browsers(username=OTHER_PERSON)
    rp.sign_in(bob)
    assert rp.ask(bob, prompt="none", id_token_hint=hint.id_token).arrival.error == "login_required"


# -- request objects ------------------------------------------------------------------------------------------------------


@pytest.fixture
def signer(provider: Provider, client_keys: dict[str, Any]) -> RelyingParty:
    """A client with keys to sign request objects with."""
    return RelyingParty.register(provider, keys=client_keys, jwks=public_set(client_keys))


def with_reference(provider: Provider, site: Site, keys: dict[str, Any], **more: Any) -> tuple[RelyingParty, str]:
    """A client that has registered one address of request objects on the site."""
    path = own_path("request")
    rp = RelyingParty.register(provider, keys=keys, jwks=public_set(keys), request_uris=[site.url + path], **more)
    return rp, path


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_signed_request_object_by_value(signer: RelyingParty, agent: UserAgent, alg: str) -> None:
    """OpenID Connect Core §6.1: the parameter request, signed by the client; its values count."""
    inside = {"response_type": "code", "client_id": signer.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    state, nonce = secrets.token_urlsafe(), secrets.token_urlsafe()
    asked = signer.ask_by_object(agent, {**inside, "state": state, "nonce": nonce}, alg=alg, state=None, nonce=None)
    assert asked.arrival.params["state"] == state, asked.arrival
    asked.params.update(state=state, nonce=nonce)
    assert signer.tokens(asked).claims["nonce"] == nonce


def test_the_object_outweighs_what_stands_beside_it(signer: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.1, RFC 9101 §6.3: parameters of the object supersede those beside it; only the object's are used."""
    inside = {"response_type": "code", "client_id": signer.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    asked = signer.ask_by_object(
        agent, {**inside, "state": "inside", "nonce": "inside"}, state="beside", nonce="beside"
    )
    assert asked.arrival.params["state"] == "inside"
    asked.params.update(state="inside", nonce="inside")
    assert signer.tokens(asked).claims["nonce"] == "inside"


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_an_object_may_hold_everything(signer: RelyingParty, agent: UserAgent, by: str) -> None:
    """RFC 9101 §5, OpenID Connect Core §6.1: beside client_id nothing has to stand outside; members have their JSON types.

    Claims is an object, max_age a number; response_mode and prompt are as good inside as outside.
    """
    inside = signer.request(
        scope="openid", response_mode="form_post", prompt="login", state="inside", nonce="inside"
    ) | {"max_age": 300, "claims": {"userinfo": {"name": None}}}
    sent = {"client_id": signer.client_id, "request": signer.request_object(inside)}
    if by == "GET":
        arrival = agent.open(signer.url(sent))
    else:
        arrival = agent.open(signer.metadata["authorization_endpoint"], form=sent, origin="https://rp.example")
    asked = Asked({name: str(value) for name, value in inside.items()}, arrival)
    assert "login-submit" in agent.pressed
    signed_in = signer.tokens(asked)
    assert "name" in signer.userinfo(signed_in)


BAD_OBJECTS: dict[str, dict[str, Any]] = {
    "another client inside": {"client_id": "somebody-else"},
    "another response type inside": {"response_type": "id_token"},
    "another issuer of the object": {"iss": "somebody-else"},
    "another audience": {"aud": "https://other.example"},
    "expired": {"exp": 1_000_000_000},
    "not yet valid": {"nbf": 4_000_000_000},
    "an object in the object": {"request": "e30.e30."},
    "a reference in the object": {"request_uri": "https://rp.example/request"},
}


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_a_wrong_object_is_refused(signer: RelyingParty, agent: UserAgent, case: str) -> None:
    """OpenID Connect Core §6.1, §6.3, RFC 9101 §4, §6: what must match and is wrong is invalid_request_object."""
    inside = {"response_type": "code", "client_id": signer.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    arrival = signer.ask_by_object(agent, {**inside, **BAD_OBJECTS[case]}).arrival
    assert arrival.error == "invalid_request_object"
    assert "code" not in arrival.params


def test_an_object_that_is_not_the_clients(signer: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.3.2, RFC 9101 §10.2: another key, an unknown kid, an altered object, none: invalid_request_object."""
    inside = {"response_type": "code", "client_id": signer.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    good = signer.request_object(inside)
    head, body, signature = good.split(".")
    strangers = RelyingParty(signer.provider, signer.metadata, signer.document, new_keys())
    unknown = RelyingParty(signer.provider, signer.metadata, signer.document, new_keys("unheard-of"))
    for made in (
        strangers.request_object(inside),
        unknown.request_object(inside),
        f"{head}.{body[:-4]}AAAA.{signature}",
        f"{head}.{body}.",
        "foobar",
        good + "A",
    ):
        arrival = signer.ask(agent, request=made).arrival
        assert arrival.error == "invalid_request_object", made
    # Unsigned, and this client never said how it signs: that kind of request is not supported (Core §3.1.2.6).
    assert signer.ask(agent, request=unsigned(inside)).arrival.error == "request_not_supported"


def test_only_the_registered_algorithm_signs_objects(
    provider: Provider, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Registration §2 (request_object_signing_alg): objects of any other algorithm are rejected."""
    rp = RelyingParty.register(
        provider, keys=client_keys, jwks=public_set(client_keys), request_object_signing_alg="ES256"
    )
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    assert rp.ask_by_object(agent, inside, alg="RS256").arrival.error == "invalid_request_object"
    assert rp.ask_by_object(agent, {**inside, "state": "s"}, alg="ES256").arrival.params["state"] == "s"


def test_an_unsigned_object_is_not_registered(provider: Provider) -> None:
    """OpenID Connect Registration §2, RFC 9101 §10.5: request_object_signing_alg none is refused (the suite then skips its use)."""
    assert attempt(provider, request_object_signing_alg="none").json()["error"] == "invalid_client_metadata"


def test_a_request_object_by_reference(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Core §6.2: the object is fetched from a registered request_uri (oidcc-request-uri-signed)."""
    rp, path = with_reference(provider, site, client_keys, request_object_signing_alg="RS256")
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    address = site.put(path, rp.request_object({**inside, "state": "s1", "nonce": "n1"}), OBJECT_TYPE)
    asked = rp.ask(agent, request_uri=address, state=None, nonce=None)
    assert asked.arrival.params.get("state") == "s1", asked.arrival
    asked.params.update(state="s1", nonce="n1")
    assert rp.tokens(asked).claims["nonce"] == "n1"


def test_a_reference_may_be_used_again_with_what_it_names_now(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Core §6.2: a request_uri is used again; its fragment is the hash of what it names and tells versions apart."""
    rp, path = with_reference(provider, site, client_keys)
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    for state in ("first", "second"):
        made = rp.request_object({**inside, "state": state, "nonce": state})
        fragment = urlsafe_b64encode(sha256(made.encode()).digest()).rstrip(b"=").decode()
        address = f"{site.put(path, made, OBJECT_TYPE)}#{fragment}"
        assert rp.ask(agent, request_uri=address).arrival.params.get("state") == state
    # The former version is asked for by its hash, and is no longer there.
    other = f"{site.url}{path}#{urlsafe_b64encode(sha256(b'another').digest()).rstrip(b'=').decode()}"
    assert rp.ask(agent, request_uri=other).arrival.error == "invalid_request_uri"


def test_an_unsigned_object_by_reference_is_refused(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Core §6.2, §6.3.2, RFC 9101 §10.5: never unsigned (oidcc-request-uri-unsigned is for those who offer none)."""
    rp, path = with_reference(provider, site, client_keys)
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    address = site.put(path, unsigned({**inside, "iss": rp.client_id, "aud": provider.issuer}), OBJECT_TYPE)
    assert rp.ask(agent, request_uri=address).arrival.error == "request_uri_not_supported"


def test_an_unregistered_reference_is_not_fetched(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Core §6.2, §15.5.2, OpenID Connect Discovery §3 (require_request_uri_registration): another address is never fetched."""
    rp, _ = with_reference(provider, site, client_keys)
    assert rp.metadata["require_request_uri_registration"] is True
    path = own_path("request")
    address = site.put(path, rp.request_object({"response_type": "code", "client_id": rp.client_id}), OBJECT_TYPE)
    assert rp.ask(agent, request_uri=address).arrival.error == "invalid_request_uri"
    assert site.fetched(path) == 0


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_reference_that_leads_nowhere(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any], status: int
) -> None:
    """OpenID Connect Core §3.1.2.6, §6.2: what cannot be fetched is invalid_request_uri."""
    rp, path = with_reference(provider, site, client_keys)
    address = site.put(path, "", OBJECT_TYPE, status)
    assert rp.ask(agent, request_uri=address).arrival.error == "invalid_request_uri"


def test_value_and_reference_exclude_each_other(
    provider: Provider, site: Site, agent: UserAgent, client_keys: dict[str, Any]
) -> None:
    """OpenID Connect Core §6.1, §6.2, RFC 9101 §5: request and request_uri are not used together."""
    rp, path = with_reference(provider, site, client_keys)
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    address = site.put(path, rp.request_object(inside), OBJECT_TYPE)
    arrival = rp.ask(agent, request_uri=address, request=rp.request_object(inside)).arrival
    assert arrival.error in ("invalid_request", "invalid_request_object", "invalid_request_uri")
