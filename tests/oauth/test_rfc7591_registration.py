"""Dynamic client registration (RFC 7591 §3, OpenID Registration §3; S107): who may, what is registered, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from house import CALLBACK, RelyingParty
from refusals import events, harmless, refused
from registering import WEB, register
from serving import together

from idp import clock
from idp.errors import Invalid
from idp.identity.accounts import By
from idp.oauth import initial_access
from idp.store.tenant import clients

if TYPE_CHECKING:
    from house import House

    from idp.tenancy.tenant import Tenant

OPERATOR = By("operator")


def count(house: House, tenant: Tenant) -> int:
    with house.database(tenant).reading() as conn:
        return len(clients.list_all(conn))


def issue(house: House, tenant: Tenant, *, uses: int = 1, lifetime: int = 3600) -> str:
    return initial_access.create(house.database(tenant), name="a team", uses=uses, lifetime=lifetime, by=OPERATOR)[1]


@pytest.fixture
def open_tenant(house: House) -> Tenant:
    """A tenant at which anybody may register."""
    return house.tenant("acme", registration="open", rate_limits="off")


def test_off_is_the_default(house: House, acme: Tenant) -> None:
    """RFC 7591 §3: nobody registers unless the tenant says so, and discovery then names no endpoint."""
    assert "registration_endpoint" not in discovery(house, acme)
    record = refused(house, register(house, acme, WEB), 403, "access_denied")
    assert "registration=token" in record["fix"]
    assert count(house, acme) == 0


def test_a_client_registers_and_signs_people_in(any_house: House) -> None:
    """RFC 7591 §3.2.1, OpenID Registration §3.2: 201 with everything that was registered, and it works at once."""
    tenant = any_house.tenant("acme", registration="open")
    assert discovery(any_house, tenant)["registration_endpoint"] == f"{tenant.issuer}/register"
    answer = register(any_house, tenant, WEB | {"grant_types": ["authorization_code", "refresh_token"], "unknown": 1})
    assert answer.status == 201, answer.text
    assert (answer.header("cache-control"), answer.header("content-type")) == ("no-store", "application/json")
    made = answer.json
    assert made["redirect_uris"] == [CALLBACK]
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["response_types"] == ["code"]
    assert made["client_secret_expires_at"] == 0
    assert abs(made["client_id_issued_at"] - clock.now()) < 5
    assert made["registration_client_uri"] == f"{tenant.issuer}/register/{made['client_id']}"
    assert made["registration_access_token"].startswith("reg_")
    assert not {"unknown", "client_profile", "state"} & made.keys()
    rp = RelyingParty(any_house, tenant, made["client_id"], made["client_secret"], made)
    tokens = rp.redeem(any_house.browser(tenant).sign_in(rp)).json
    assert rp.userinfo(tokens["access_token"]).status == 200
    (event,) = events(any_house, tenant, "client.created")
    assert (event.actor, event.client_id, event.source) == ("client", made["client_id"], "127.0.0.1")
    with any_house.database(tenant).reading() as conn:
        row = clients.find(conn, made["client_id"])
        assert row is not None
        stored = repr(row)
    assert made["client_secret"] not in stored
    assert made["registration_access_token"] not in stored


@pytest.mark.parametrize("profile", ["strict", "oidc"])
def test_the_tenant_decides_the_profile(house: House, profile: str) -> None:
    """Security §1 (client profiles): a client that registers itself never chooses how strictly it is treated."""
    tenant = house.tenant(
        "acme", registration="open", allowed_client_profiles="strict,oidc", registration_client_profile=profile
    )
    made = register(house, tenant, WEB | {"client_profile": "oidc" if profile == "strict" else "strict"}).json
    with house.database(tenant).reading() as conn:
        row = clients.find(conn, made["client_id"])
    assert row is not None
    assert row.client_profile == profile


def test_scopes_of_apis_are_not_the_clients_to_choose(house: House, open_tenant: Tenant) -> None:
    """RFC 7591 §2 (scope), S107: the server registers less than was asked for and says so; nothing left is an error."""
    made = register(house, open_tenant, WEB | {"scope": "openid email admin api"}).json
    assert made["scope"] == "openid email"
    refused(house, register(house, open_tenant, WEB | {"scope": "admin api"}), 400, "invalid_client_metadata")


HOSTILE = {
    "NUL": rb'"contacts": ["\u0000"]',
    "half of a surrogate pair": rb'"contacts": ["\ud800"]',
    "a number beyond all": b'"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "%s", "y": 1e999}]}' % (b"A" * 43),
}


@pytest.mark.parametrize("member", HOSTILE)
def test_what_a_database_cannot_read_again(any_house: House, member: str) -> None:
    """RFC 7591 §3.2.2, RFC 8259 §8.1: JSON can say what PostgreSQL refuses later, when it must find out whom a logout is told."""
    tenant = any_house.tenant("acme", registration="open")
    body = b'{"redirect_uris": ["%s"], %s}' % (CALLBACK.encode(), HOSTILE[member])
    refused(any_house, register(any_house, tenant, body), 400, "invalid_client_metadata")


BAD: dict[str, tuple[Any, str]] = {
    "no redirect URI": ({"client_name": "x"}, "invalid_redirect_uri"),
    "no list": (WEB | {"redirect_uris": CALLBACK}, "invalid_redirect_uri"),
    "a fragment": (WEB | {"redirect_uris": [CALLBACK + "#x"]}, "invalid_redirect_uri"),
    "a wildcard": (WEB | {"redirect_uris": ["https://*.example/cb"]}, "invalid_redirect_uri"),
    "http": (WEB | {"redirect_uris": ["http://rp.example/cb"]}, "invalid_redirect_uri"),
    "javascript": (WEB | {"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    "data": (WEB | {"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
    "a user": (WEB | {"redirect_uris": ["https://u:p@rp.example/"]}, "invalid_redirect_uri"),
    "localhost over https": (WEB | {"redirect_uris": ["https://localhost/cb"]}, "invalid_redirect_uri"),
    "a loopback address over https": (WEB | {"redirect_uris": ["https://127.0.0.2/cb"]}, "invalid_redirect_uri"),
    "an app's scheme on the web": (WEB | {"redirect_uris": ["com.example.app:/cb"]}, "invalid_redirect_uri"),
    "101 redirect URIs": (WEB | {"redirect_uris": [f"{CALLBACK}/{n}" for n in range(101)]}, "invalid_redirect_uri"),
    "the password grant": (WEB | {"grant_types": ["password"]}, "invalid_client_metadata"),
    "the implicit grant under strict": (WEB | {"grant_types": ["implicit"]}, "invalid_client_metadata"),
    "grants and responses that disagree": (
        WEB | {"grant_types": ["client_credentials"], "response_types": ["code"]},
        "invalid_client_metadata",
    ),
    "client credentials of a public client": (
        {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"},
        "invalid_client_metadata",
    ),
    "an unknown method": (WEB | {"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
    "a method as a list": (WEB | {"token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
    "private_key_jwt without keys": (
        WEB | {"token_endpoint_auth_method": "private_key_jwt"},
        "invalid_client_metadata",
    ),
    "a private key": (
        WEB | {"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}]}},
        "invalid_client_metadata",
    ),
    "a symmetric key": (WEB | {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "invalid_client_metadata"),
    "an unsigned software statement": (
        WEB | {"software_statement": "eyJhbGciOiJub25lIn0.e30."},
        "invalid_software_statement",
    ),
    "a software statement that is no text": (WEB | {"software_statement": {"a": 1}}, "invalid_software_statement"),
    "a script for a logo": (WEB | {"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    "a script for the terms": (WEB | {"tos_uri": "data:text/html,x"}, "invalid_client_metadata"),
    "its own id": (WEB | {"client_id": "admin"}, "invalid_client_metadata"),
    "its own secret": (WEB | {"client_secret": "x" * 40}, "invalid_client_metadata"),
    "its own management": (WEB | {"registration_access_token": "x"}, "invalid_client_metadata"),
    "a name with a newline": (WEB | {"client_name": "a\nb"}, "invalid_client_metadata"),
    "a name that never ends": (WEB | {"client_name": "a" * 100_000}, "invalid_client_metadata"),
    "an array": ([WEB], "invalid_client_metadata"),
    "null": (None, "invalid_client_metadata"),
    "half a document": (b'{"redirect_uris": [', "invalid_client_metadata"),
    "no UTF-8": (b'{"client_name": "\xff"}', "invalid_client_metadata"),
    "a name twice": (b'{"client_name": "a", "client_name": "b"}', "invalid_client_metadata"),
    "not a number": (b'{"default_max_age": NaN}', "invalid_client_metadata"),
    "a thousand brackets": (b"[" * 50_000, "invalid_client_metadata"),
    "64 KB and more": (b'{"x": "' + b"a" * 70_000 + b'"}', "invalid_client_metadata"),
}


@pytest.mark.parametrize("case", BAD)
def test_s107_what_is_refused(house: House, open_tenant: Tenant, case: str) -> None:
    """RFC 7591 §3.2.2, S107: the specification's own error, 400, and nothing is registered."""
    metadata, error = BAD[case]
    refused(house, register(house, open_tenant, metadata), 400, error)
    assert count(house, open_tenant) == 0


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_only_json(house: House, open_tenant: Tenant, media_type: str) -> None:
    """RFC 7591 §3.1: the metadata are sent as application/json."""
    answer = register(house, open_tenant, WEB, **{"content-type": media_type})
    refused(house, answer, 400, "invalid_client_metadata")


def test_what_development_needs(house: House, open_tenant: Tenant) -> None:
    """RFC 8252 §7: apps on the loopback interface and with a scheme of their own, and web clients that are tried at home."""
    for metadata in (
        WEB | {"redirect_uris": ["http://localhost:9999/cb"]},
        {
            "application_type": "native",
            "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "none",
        },
    ):
        answer = register(house, open_tenant, metadata)
        assert answer.status == 201, answer.text
    assert "client_secret" not in answer.json
    assert "client_secret_expires_at" not in answer.json


# -- initial access tokens --------------------------------------------------------------------------------------------


def test_with_an_initial_access_token(any_house: House) -> None:
    """RFC 7591 §3: each use is one client; who has none, or a used one, gets 401 with a challenge."""
    tenant = any_house.tenant("acme", registration="token")
    assert "registration_endpoint" in discovery(any_house, tenant)
    token = issue(any_house, tenant, uses=2)
    for _ in range(2):
        assert register(any_house, tenant, WEB, token).status == 201
    record = refused(any_house, register(any_house, tenant, WEB, token), 401, "invalid_token")
    assert "used up" in record["reason"]
    without = register(any_house, tenant, WEB)
    assert without.status == 401
    assert without.header("www-authenticate") == 'Bearer realm="registration"'
    assert count(any_house, tenant) == 2


def test_bad_metadata_use_no_token_up(house: House) -> None:
    """RFC 7591 §3: what was refused has not been counted."""
    tenant = house.tenant("acme", registration="token")
    token = issue(house, tenant)
    refused(house, register(house, tenant, {}, token), 400, "invalid_redirect_uri", withheld=[token])
    assert register(house, tenant, WEB, token).status == 201


@pytest.mark.parametrize("trouble", ["unknown", "expired", "revoked", "another tenant's", "empty", "a client secret"])
@pytest.mark.parametrize("setting", ["token", "open"])
def test_s107_a_bad_token_is_refused_also_where_none_is_needed(house: House, trouble: str, setting: str) -> None:
    """RFC 6750 §3.1, S107: a token that is sent is judged; it is never just ignored."""
    tenant, other = house.tenant("acme", registration=setting), house.tenant("other", registration="token")
    rp = house.client(tenant)
    token = issue(house, tenant)
    if trouble == "revoked":
        with house.database(tenant).reading() as conn:
            (row,) = initial_access.initial_access_tokens.list_all(conn)
        initial_access.revoke(house.database(tenant), row.id, by=OPERATOR)
    sent = {"unknown": "iat_x", "another tenant's": issue(house, other), "empty": " ", "a client secret": rp.secret}
    with clock.shifted(3601 if trouble == "expired" else 0):
        answer = register(house, tenant, WEB, sent.get(trouble, token))
    refused(house, answer, 401, "invalid_token")
    assert count(house, tenant) == 1


def test_the_last_use_is_one_clients(any_house: House) -> None:
    """Security rule 4: twenty registrations at once with one use left make one client."""
    tenant = any_house.tenant("acme", registration="token", rate_limits="off")
    token = issue(any_house, tenant)
    answers = together(20, lambda _: register(any_house, tenant, WEB, token))
    assert sorted(answer.status for answer in answers) == [201] + [401] * 19
    assert count(any_house, tenant) == 1


@pytest.mark.parametrize(
    "wrong", [{"uses": 0}, {"uses": 10**9}, {"lifetime": 1}, {"lifetime": 10**9}, {"name": ""}, {"name": "a\n"}]
)
def test_a_token_has_bounds(house: House, acme: Tenant, wrong: dict[str, Any]) -> None:
    """RFC 7591 §3: what an administrator issues is counted and ends."""
    with pytest.raises(Invalid):
        initial_access.create(house.database(acme), **{"name": "x", "uses": 1, "lifetime": 3600, **wrong}, by=OPERATOR)


def test_s107_the_quota_holds(any_house: House) -> None:
    """RFC 7591 §5, S107: registrations are bounded, also when they come at once; administrators' clients do not count."""
    tenant = any_house.tenant("acme", registration="open", registration_quota="5", rate_limits="off")
    any_house.client(tenant)
    answers = together(20, lambda _: register(any_house, tenant, WEB))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [403] * 15
    assert count(any_house, tenant) == 6


def test_s107_a_flood_is_slowed_down(house: House) -> None:
    """RFC 7591 §5, S107: one source registers so many a minute."""
    tenant = house.tenant("acme", registration="open")
    answers = [register(house, tenant, WEB) for _ in range(70)]
    assert [answer.status for answer in answers].count(201) == 60
    assert {answer.status for answer in answers} == {201, 429}
    assert answers[-1].header("retry-after")
    for answer in answers:
        harmless(answer)
