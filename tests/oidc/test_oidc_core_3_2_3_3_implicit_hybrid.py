"""The implicit and the hybrid flow (OpenID Connect Core §3.2, §3.3; OAuth 2.0 Multiple Response Types)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cast import discovery
from house import CALLBACK, decoded
from joserfc import jwt
from joserfc.jwk import KeySet
from refusals import error_page, harmless, record_of

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser, House, RelyingParty

FRONT = ("id_token", "id_token token", "code id_token", "code token", "code id_token token")
EVERY = ("code", *FRONT)


@pytest.fixture(scope="module")
def app(any_cast: Cast) -> RelyingParty:
    """A client of the profile oidc with every response type."""
    return anything(any_cast)


def anything(cast: Cast, client_id: str = "anything", **more: Any) -> RelyingParty:
    """Register a client with every response type."""
    given = {
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "response_types": list(EVERY),
        **more,
    }
    return cast.house.client(cast.acme, client_id, profile="oidc", **given)


def signed_in(cast: Cast, app: RelyingParty) -> Browser:
    """A browser whose person has consented to everything."""
    browser = cast.browser()
    browser.sign_in(app, scope="openid profile email phone address offline_access")
    return browser


def verified(cast: Cast, token: str) -> dict[str, Any]:
    """The claims of an ID token whose signature is right."""
    keys = KeySet.import_key_set(cast.house.get(cast.acme, "/jwks").json)
    header = decoded(token)[0]
    key = next(key for key in keys.keys if key.kid == header["kid"])
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[header["alg"]]).claims
    return claims


def half(value: str) -> str:
    """at_hash and its like for RS256."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: the response types, the modes and the grant type implicit where the tenant has them."""
    found = discovery(cast.house, cast.acme)
    assert set(found["response_types_supported"]) == set(EVERY)
    assert "fragment" in found["response_modes_supported"]
    assert "implicit" in found["grant_types_supported"]


def test_absent_when_disabled(house: House) -> None:
    """OpenID Connect Discovery §3: a tenant decides which of them it serves; what it does not serve is refused."""
    tenant = house.tenant("some", allowed_client_profiles="strict,oidc", response_types="code,code id_token")
    assert discovery(house, tenant)["response_types_supported"] == ["code", "code id_token"]
    rp = house.client(
        tenant,
        profile="oidc",
        grant_types=["authorization_code", "implicit"],
        response_types=["code id_token", "id_token"],
    )
    answer = house.browser(tenant).authorize(rp, response_type="id_token")
    assert answer.fragment["error"] == "unsupported_response_type"
    strict = house.tenant("strict-only")
    assert discovery(house, strict)["response_types_supported"] == ["code"]
    assert "implicit" not in discovery(house, strict)["grant_types_supported"]


@pytest.mark.parametrize("response_type", EVERY)
@pytest.mark.parametrize("mode", [None, "fragment", "form_post"])
def test_what_comes_back(any_cast: Cast, app: RelyingParty, response_type: str, mode: str | None) -> None:
    """Multiple Response Types §3, §5; Core §3.2.2.5, §3.3.2.5: what was asked for, state and iss, and nothing else."""
    answer = signed_in(any_cast, app).authorize(
        app, response_type=response_type, response_mode=mode, scope="openid email"
    )
    if mode == "form_post":
        action, fields = answer.form
        assert action == CALLBACK
    elif mode is None and response_type == "code":
        fields = answer.params
        assert not urlsplit(answer.location).fragment
    else:
        fields = answer.fragment
        assert not urlsplit(answer.location).query
    words = response_type.split()
    wanted = {"state", "iss"} | ({"code"} & set(words)) | ({"id_token"} & set(words))
    if "token" in words:
        wanted |= {"access_token", "token_type", "expires_in", "scope"}
        assert fields["token_type"] == "Bearer"
        assert fields["expires_in"] == "3600"
        assert any_cast.house.get(
            any_cast.acme, "/userinfo", headers={"authorization": f"Bearer {fields['access_token']}"}
        ).json["email"]
    assert set(fields) - {"session_state"} == wanted
    assert fields["state"] == "a state"
    assert fields["iss"] == any_cast.acme.issuer
    if "id_token" in words:
        claims = verified(any_cast, fields["id_token"])
        assert claims["nonce"] == "a nonce"
        assert claims["aud"] == claims["azp"] == app.client_id
        # Core §3.3.2.11, §3.2.2.10: the hashes of what came beside it, and of nothing else.
        for name, value in (("c_hash", fields.get("code")), ("at_hash", fields.get("access_token"))):
            assert claims.get(name) == (half(value) if value else None), name
        assert claims["s_hash"] == half("a state")
    if "code" in words:
        tokens = app.redeem({"code": fields["code"]}).json
        later = verified(any_cast, tokens["id_token"])
        assert later["nonce"] == "a nonce"
        if "id_token" in words:
            # Core §3.3.3.6: both are about the same authentication.
            assert [later[name] for name in ("iss", "sub", "auth_time")] == [
                claims[name] for name in ("iss", "sub", "auth_time")
            ]


def test_the_order_of_the_words(cast: Cast) -> None:
    """RFC 6749 §3.1.1: the order of the values does not matter, neither in the request nor at registration."""
    app = anything(cast, "ordered", response_types=["token id_token code"])
    browser = cast.browser()
    page = browser.follow(browser.authorize(app, response_type="id_token code token"))
    answer = browser.follow(browser.submit(page, username="ada@example.com", password="correct horse battery staple"))
    answer = browser.follow(browser.submit(answer, action="approve")) if answer.status == 200 else answer
    assert {"code", "id_token", "access_token"} <= answer.fragment.keys()
    twice = browser.authorize(app, response_type="code code")
    assert (twice.params | twice.fragment)["error"] == "unsupported_response_type"


@pytest.mark.parametrize("response_type", FRONT)
def test_no_query(cast: Cast, response_type: str) -> None:
    """Multiple Response Types §5: a response type with a token cannot be answered in the query."""
    app = _of(cast)
    answer = signed_in(cast, app).authorize(app, response_type=response_type, response_mode="query")
    _refused(cast, answer, "invalid_request")


@pytest.mark.parametrize("response_type", [each for each in FRONT if "id_token" in each.split()])
@pytest.mark.parametrize("nonce", [None, ""])
def test_a_nonce_is_required(cast: Cast, response_type: str, nonce: str | None) -> None:
    """Core §3.2.2.1, §3.3.2.11: an ID token from the authorization endpoint needs a nonce."""
    app = _of(cast)
    _refused(cast, signed_in(cast, app).authorize(app, response_type=response_type, nonce=nonce), "invalid_request")


def test_no_nonce_needed_without_an_id_token(cast: Cast) -> None:
    """Core §3.3.2.11: `code token` carries no ID token, so the nonce is optional as with `code`."""
    app = _of(cast)
    assert "access_token" in signed_in(cast, app).authorize(app, response_type="code token", nonce=None).fragment


@pytest.mark.parametrize("response_type", FRONT)
def test_openid_is_required(cast: Cast, response_type: str) -> None:
    """Core §3.2.2.1: without the scope openid these are no response types (Authlib PYSEC-2026-4359)."""
    app = _of(cast)
    for scope in ("email", "profile openid_ email", "OPENID"):
        answer = signed_in(cast, app).authorize(app, response_type=response_type, scope=scope)
        _refused(cast, answer, "invalid_scope")


@pytest.mark.parametrize("response_type", FRONT)
def test_s004_never_to_an_unregistered_address(cast: Cast, response_type: str) -> None:
    """RFC 6749 §4.1.2.1, S004: with an unregistered redirect URI every error is a page, in implicit and hybrid requests too."""
    app = _of(cast)
    for more in ({}, {"scope": "nonsense"}, {"response_mode": "query"}, {"nonce": None}, {"prompt": "x"}):
        answer = cast.browser().authorize(
            app, response_type=response_type, redirect_uri="https://evil.example/cb", **more
        )
        error_page(cast.house, answer)


def test_a_client_gets_what_it_registered(cast: Cast) -> None:
    """Registration §2: a response type that the client did not register is unauthorized_client."""
    app = anything(cast, "only-hybrid", response_types=["code id_token"])
    for response_type in ("code", "id_token", "code token"):
        answer = cast.browser().authorize(app, response_type=response_type)
        assert (answer.params | answer.fragment)["error"] == "unauthorized_client"


def test_errors_travel_like_answers(cast: Cast) -> None:
    """Core §3.2.2.6, §3.3.2.6: errors of these flows are in the fragment, unless form_post was asked for."""
    app = _of(cast)
    answer = cast.browser().authorize(app, response_type="code id_token", prompt="none")
    _refused(cast, answer, "login_required")
    answer = cast.browser().authorize(app, response_type="code id_token", prompt="none", response_mode="form_post")
    assert answer.form[1]["error"] == "login_required"


def test_claims_of_an_id_token_alone(cast: Cast) -> None:
    """Core §5.4: where no access token is issued the scopes' claims are in the ID token, else they are at userinfo."""
    app = _of(cast)
    browser = signed_in(cast, app)
    alone = browser.authorize(app, response_type="id_token", scope="openid email profile").fragment
    claims = verified(cast, alone["id_token"])
    assert claims["email"] == "ada@example.com"
    assert claims["name"] == "Ada Lovelace"
    beside = browser.authorize(app, response_type="id_token token", scope="openid email profile").fragment
    assert "email" not in verified(cast, beside["id_token"])


def test_offline_access_needs_a_code(cast: Cast) -> None:
    """Core §11: without a code offline_access is ignored."""
    app = _of(cast)
    browser = signed_in(cast, app)
    fields = browser.authorize(app, response_type="id_token token", scope="openid offline_access").fragment
    assert fields["scope"] == "openid"
    fields = browser.authorize(app, response_type="code token", scope="openid offline_access").fragment
    assert "offline_access" in fields["scope"].split()


def test_the_tokens_of_one_answer_are_one_family(any_cast: Cast, app: RelyingParty) -> None:
    """RFC 6749 §4.1.2: a code used twice revokes everything that was granted with it, the access token of the front channel too."""
    fields = signed_in(any_cast, app).authorize(app, response_type="code id_token token").fragment
    assert app.userinfo(fields["access_token"]).status == 200
    tokens = app.redeem({"code": fields["code"]}).json
    assert app.redeem({"code": fields["code"]}).json["error"] == "invalid_grant"
    assert app.userinfo(fields["access_token"]).status == 401
    assert app.userinfo(tokens["access_token"]).status == 401


def test_an_access_token_of_the_front_channel_ends_with_the_session(any_cast: Cast, app: RelyingParty) -> None:
    """RP-Initiated Logout §2: what was issued without a code hangs on the session as well."""
    browser = signed_in(any_cast, app)
    fields = browser.authorize(app, response_type="id_token token").fragment
    assert app.userinfo(fields["access_token"]).status == 200
    browser.get(f"{any_cast.acme.base_path}/logout?id_token_hint={fields['id_token']}")
    assert app.userinfo(fields["access_token"]).status == 401


def test_hybrid_with_pkce(cast: Cast) -> None:
    """RFC 7636 §4.4: a challenge sent with a hybrid request is enforced at the token endpoint."""
    app = _of(cast)
    fields = signed_in(cast, app).authorize(app, response_type="code id_token", verifier="v" * 43).fragment
    assert app.redeem({"code": fields["code"]}).json["error"] == "invalid_grant"
    fields = signed_in(cast, app).authorize(app, response_type="code id_token", verifier="v" * 43).fragment
    assert "id_token" in app.redeem({"code": fields["code"], "verifier": "v" * 43}).json


def test_a_public_client_without_a_code(cast: Cast) -> None:
    """RFC 7636 §1: PKCE is about codes; a public client's `id_token` needs none, its `code id_token` does."""
    app = anything(cast, "page", token_endpoint_auth_method="none")
    browser = signed_in(cast, _of(cast))
    page = browser.follow(browser.authorize(app, response_type="id_token"))
    assert "id_token" in browser.follow(browser.submit(page, action="approve")).fragment
    assert "code_challenge" in browser.authorize(app, response_type="code id_token").fragment["error_description"]


def _of(cast: Cast) -> RelyingParty:
    found = getattr(cast, "_anything", None)
    if found is None:
        found = cast._anything = anything(cast)  # type: ignore[attr-defined]
    return found  # type: ignore[no-any-return]


def _refused(cast: Cast, answer: Answer, error: str) -> None:
    harmless(answer)
    fields = answer.fragment
    assert fields.get("error") == error, answer.location
    assert fields["iss"] == cast.acme.issuer
    assert fields["state"] == "a state"
    assert not {"code", "id_token", "access_token"} & fields.keys()
    assert record_of(cast.house, fields["error_description"].rpartition(" ")[2].rstrip(")"))
