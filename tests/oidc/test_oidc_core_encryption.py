"""ID tokens that are signed, then encrypted (OpenID Connect Core §2, §10.2): for the client that registered it, and never in clear."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cast import discovery
from encryption import ALGORITHMS, CONTENT, new_key, opened, public, verified
from house import CALLBACK, decoded
from joserfc import jwe
from publisher import Publisher, publisher
from refusals import error_page, record_of, refused, sent_back
from request_objects import VERIFIER
from serving import Served

from idp import clock
from idp.oauth import client_metadata
from idp.oauth.client_metadata import InvalidClientMetadata

if TYPE_CHECKING:
    from pathlib import Path

    from cast import Cast
    from house import RelyingParty

__all__ = ["publisher"]


def registered(cast: Cast, client_id: str, key: Any, alg: str, enc: str | None = None, **more: Any) -> RelyingParty:
    wanted = {
        "id_token_encrypted_response_alg": alg,
        "id_token_encrypted_response_enc": enc,
        "jwks": public(key),
        **more,
    }
    return cast.house.client(
        cast.acme, client_id, **{name: value for name, value in wanted.items() if value is not None}
    )


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: the algorithms for ID token and userinfo; RSA1_5 and shared keys are not among them."""
    found = discovery(cast.house, cast.acme)
    for purpose in ("id_token", "userinfo", "introspection"):
        assert found[f"{purpose}_encryption_alg_values_supported"] == list(ALGORITHMS)
        assert found[f"{purpose}_encryption_enc_values_supported"] == list(CONTENT)


@pytest.mark.parametrize("enc", CONTENT)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_signed_then_encrypted(cast: Cast, alg: str, enc: str) -> None:
    """OpenID Connect Core §2, §10.2, RFC 7519 §5.2: a nested JWT, with cty JWT, to the registered key by its kid."""
    key = new_key(alg)
    client = registered(cast, f"idt-{alg}-{enc}", key, alg, enc)
    tokens = cast.tokens(client, scope="openid offline_access")
    header, inner = opened(tokens["id_token"], key, alg, enc)
    assert {name: header[name] for name in ("alg", "enc", "cty", "kid")} == {
        "alg": alg,
        "enc": enc,
        "cty": "JWT",
        "kid": "enc",
    }
    assert not {"zip", "jwk", "jku"} & header.keys()
    _, claims = verified(cast.house, cast.acme, inner, "RS256")
    assert (claims["aud"], claims["nonce"]) == (client.client_id, "a nonce")
    again = client.refresh(tokens["refresh_token"]).json["id_token"]
    assert verified(cast.house, cast.acme, opened(again, key, alg, enc)[1], "RS256")[1]["sub"] == claims["sub"]


def test_the_default_content_encryption(cast: Cast) -> None:
    """OpenID Registration §2: without an enc it is A128CBC-HS256, and the registration says so."""
    key = new_key("ECDH-ES")
    client = registered(cast, "idt-default", key, "ECDH-ES", None, id_token_signed_response_alg="ES256")
    assert client.metadata["id_token_encrypted_response_enc"] == "A128CBC-HS256"
    _, inner = opened(cast.tokens(client)["id_token"], key, "ECDH-ES", "A128CBC-HS256")
    verified(cast.house, cast.acme, inner, "ES256")


@pytest.mark.parametrize("crv", ["P-384", "P-521", "X25519"])
def test_every_curve(cast: Cast, crv: str) -> None:
    """RFC 7518 §4.6, RFC 8037 §3.2: a client may agree on keys over the curve it has."""
    key = new_key("ECDH-ES", crv=crv)
    client = registered(cast, f"idt-{crv}", key, "ECDH-ES")
    opened(cast.tokens(client)["id_token"], key, "ECDH-ES", "A128CBC-HS256")


def test_which_key(cast: Cast) -> None:
    """OpenID Connect Core §10.1, RFC 7517 §4.2: a key for encryption, never one for signatures; one without a use may be taken."""
    signing, plain, enc = (
        new_key("ECDH-ES", "s", named="ES256", use="sig"),
        new_key("ECDH-ES", "p", named=None, use=None),
        new_key("ECDH-ES"),
    )
    for keys, expected in (((signing, plain, enc), enc), ((signing, plain), plain)):
        client = registered(cast, f"which-{len(keys)}", enc, "ECDH-ES", jwks=public(*keys))
        header, _ = opened(cast.tokens(client)["id_token"], expected, "ECDH-ES", "A128CBC-HS256")
        assert header["kid"] == expected.kid
    with pytest.raises(InvalidClientMetadata, match="id_token_encrypted_response_alg"):
        registered(cast, "which-none", enc, "ECDH-ES", jwks=public(signing))


def test_from_the_authorization_endpoint(cast: Cast) -> None:
    """OpenID Connect Core §3.2.2.5, §3.3.2.5: what the front channel carries is encrypted too."""
    key = new_key("ECDH-ES")
    client = registered(
        cast,
        "idt-front",
        key,
        "ECDH-ES",
        grant_types=["authorization_code", "implicit"],
        response_types=["code", "code id_token", "id_token"],
        profile="oidc",
    )
    browser = cast.browser()
    browser.sign_in(client)
    for response_type in ("id_token", "code id_token"):
        answer = browser.authorize(client, verifier=VERIFIER, response_type=response_type)
        fields = dict(parse_qsl(urlsplit(answer.location).fragment))
        _, inner = opened(fields["id_token"], key, "ECDH-ES", "A128CBC-HS256")
        assert verified(cast.house, cast.acme, inner, "RS256")[1]["nonce"] == "a nonce"


def test_as_a_hint(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: what was encrypted to the client cannot be read here; the signed token inside is the hint."""
    key = new_key("ECDH-ES")
    client = registered(cast, "idt-hint", key, "ECDH-ES")
    browser = cast.browser()
    token = client.redeem(browser.sign_in(client)).json["id_token"]
    inner = opened(token, key, "ECDH-ES", "A128CBC-HS256")[1]
    record = sent_back(
        cast.house,
        browser.authorize(client, verifier=VERIFIER, prompt="none", id_token_hint=token),
        cast.acme,
        "invalid_request",
        to=CALLBACK,
    )
    assert "encrypted" in record["reason"]
    assert "code" in browser.authorize(client, verifier=VERIFIER, prompt="none", id_token_hint=inner).params
    answer = browser.get(f"{cast.acme.base_path}/logout?id_token_hint={token}")
    error_page(cast.house, answer)


@pytest.mark.parametrize(
    "metadata",
    [
        {"id_token_encrypted_response_enc": "A256GCM"},
        {"userinfo_encrypted_response_enc": "A256GCM"},
        {"introspection_encrypted_response_enc": "A256GCM"},
        {"id_token_encrypted_response_alg": "RSA1_5"},
        {"id_token_encrypted_response_alg": "dir"},
        {"id_token_encrypted_response_alg": "A128KW"},
        {"id_token_encrypted_response_alg": "RSA-OAEP"},
        {"id_token_encrypted_response_alg": "ECDH-ES+A128KW"},
        {"id_token_encrypted_response_alg": "PBES2-HS256+A128KW"},
        {"id_token_encrypted_response_alg": "RSA-OAEP-256"},
        {"id_token_encrypted_response_alg": ["ECDH-ES"]},
        {"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM"},
        {"userinfo_encrypted_response_alg": "ECDH-ES", "jwks": None},
        {"userinfo_signed_response_alg": "none"},
        {"userinfo_signed_response_alg": "HS256"},
        {"userinfo_signed_response_alg": "EdDSA"},
        {"introspection_signed_response_alg": "PS256"},
        {
            "id_token_encrypted_response_alg": "ECDH-ES",
            "jwks": {"keys": [{"kty": "OKP", "crv": "X25519", "x": "A" * 43}]},
        },
        {
            "id_token_encrypted_response_alg": "ECDH-ES",
            "jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]},
        },
    ],
)
def test_what_can_be_registered(metadata: dict[str, Any]) -> None:
    """OpenID Registration §2: enc needs alg, alg needs a key that fits, and signing one of the tenant's algorithms."""
    given = {"redirect_uris": [CALLBACK], "jwks": public(new_key("ECDH-ES")), **metadata}
    with pytest.raises(InvalidClientMetadata):
        client_metadata.validate(given, "strict", ("ES256", "RS256"))


def test_no_key_to_be_had(cast: Cast) -> None:
    """OpenID Connect Core §10.2: without the client's key nothing is sent in clear; the code stays good until there is one."""
    client = cast.house.client(
        cast.acme, "idt-gone", id_token_encrypted_response_alg="ECDH-ES", jwks_uri="https://127.0.0.1:1/jwks"
    )
    grant = cast.grant(client)
    for _ in range(2):
        record = refused(cast.house, client.redeem(grant), 400, "invalid_request")
        assert record["check"] == "encryption_key"
    plain = client.post("/token", {"grant_type": "client_credentials"})
    assert decoded(plain.json["access_token"])[0]["typ"] == "at+jwt", "access tokens are not the client's to read"


@pytest.mark.parametrize("prompt", ["none", "consent"])
def test_no_key_for_the_front_channel(cast: Cast, prompt: str) -> None:
    """OpenID Connect Core §3.1.2.6, RFC 6749 §4.1.2.1: the client hears of it by server_error; nobody is left before a page."""
    client = cast.house.client(
        cast.acme,
        f"idt-gone-{prompt}",
        profile="oidc",
        id_token_encrypted_response_alg="ECDH-ES",
        jwks_uri="https://127.0.0.1:1/jwks",
        grant_types=["authorization_code", "implicit"],
        response_types=["code", "code id_token"],
    )
    browser = cast.browser()
    browser.sign_in(client)
    answer = browser.follow(browser.authorize(client, response_type="code id_token", prompt=prompt))
    if prompt == "consent":
        answer = browser.submit(answer, action="approve")
    assert answer.status == 303, answer.text
    fields = answer.fragment
    assert (fields["error"], fields["state"], fields["iss"]) == ("server_error", "a state", cast.acme.issuer)
    assert not {"code", "id_token"} & fields.keys()
    assert record_of(cast.house, fields["error_description"].split()[-1].rstrip(")"))["check"] == "encryption_key"


def test_published_keys_and_their_rotation(publisher: Publisher, tmp_path: Path) -> None:
    """OpenID Connect Core §10.2.1: keys are fetched from jwks_uri; when the client replaces them, the new one is used within the hour."""
    from house import House

    house = House(
        tmp_path / "var", IDP_CA_BUNDLE=str(tmp_path / "ca" / "ca.pem"), IDP_ALLOWED_PRIVATE_HOSTS="localhost"
    )
    tenant = house.tenant("acme", rate_limits="off")
    client = house.client(tenant, id_token_encrypted_response_alg="ECDH-ES", jwks_uri=publisher.uri)
    old, new = new_key("ECDH-ES", "old"), new_key("ECDH-ES", "new")

    def id_token() -> str:
        return str(client.redeem(house.browser(tenant).sign_in(client)).json["id_token"])

    publisher.document = public(old)
    for _ in range(2):
        assert opened(id_token(), old, "ECDH-ES", "A128CBC-HS256")[0]["kid"] == "old"
    assert publisher.fetches == 1
    publisher.document = public(new)
    with clock.shifted(3700):
        token = id_token()
    assert opened(token, new, "ECDH-ES", "A128CBC-HS256")[0]["kid"] == "new"
    with pytest.raises(Exception, match=r".*"):
        jwe.decrypt_compact(token, old, algorithms=["ECDH-ES", "A128CBC-HS256"])
    house.close()


def test_s111_a_fetch_delays_nobody_else(publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S111: userinfo that waits for a client's slow jwks_uri holds neither the event loop nor what others ask for."""
    environ = {"IDP_CA_BUNDLE": str(tmp_path / "ca" / "ca.pem"), "IDP_ALLOWED_PRIVATE_HOSTS": "localhost"}
    key = new_key("ECDH-ES")
    publisher.document = public(key)
    begun = threading.Event()

    def slow(_path: str) -> None:
        begun.set()
        time.sleep(2)

    with Served(tmp_path, workers=1, **environ) as served:
        tenant = served.tenant("acme", rate_limits="off")
        client = served.client(tenant, userinfo_encrypted_response_alg="ECDH-ES", jwks_uri=publisher.uri)
        token = client.redeem(served.browser(tenant).sign_in(client)).json["access_token"]
        served.get(tenant, "/jwks")
        monkeypatch.setattr(publisher, "before", slow)
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.append(client.userinfo(token)))
        asking.start()
        assert begun.wait(5)
        began = time.monotonic()
        assert served.get(tenant, "/jwks").status == 200
        assert time.monotonic() - began < 1
        asking.join(10)
    assert found[0].status == 200, found[0].text
    assert '"sub"' in opened(found[0].text, key, "ECDH-ES", "A128CBC-HS256")[1]
    assert publisher.fetches == 1
