"""Request objects by value (RFC 9101; OpenID Connect Core §6.1): only what is signed counts, and only when it is signed right."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cast import JWT_BEARER, SigningKey, asserted, assertion_claims, discovery, segment
from house import CALLBACK, PASSWORD, challenge, decoded
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from refusals import error_page, harmless, refused, sent_back
from request_objects import TYP, VERIFIER, ask, object_claims, signed_object

from idp.clock import now, shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, RelyingParty


def back(
    cast: Cast, answer: Answer, error: str = "invalid_request_object", state: str | None = "a state"
) -> dict[str, Any]:
    """The error is told to the redirect URI; returns the record."""
    return sent_back(cast.house, answer, cast.acme, error, to=CALLBACK, state=state)


def sent(cast: Cast, client: RelyingParty, text: str, **more: str | None) -> Answer:
    """A request object beside a whole request of the parameters."""
    return cast.browser(client.tenant).authorize(client, verifier=VERIFIER, request=text, **more)


def is_served(answer: Answer) -> bool:
    return answer.status == 303 and ("/login?" in answer.location or "/continue?" in answer.location)


def test_advertised(cast: Cast) -> None:
    """RFC 9101 §10.5, §9.2: by value for everybody, by reference where a profile has it, and no algorithm `none`."""
    found = discovery(cast.house, cast.acme)
    assert found["request_parameter_supported"] is True
    assert found["request_object_signing_alg_values_supported"] == ["RS256", "PS256", "ES256", "EdDSA"]
    assert found["require_signed_request_object"] is False
    assert found["request_uri_parameter_supported"] is True
    assert found["require_request_uri_registration"] is True
    strict = cast.house.tenant("only-strict")
    found = discovery(cast.house, strict)
    assert found["request_parameter_supported"] is True
    assert found["request_uri_parameter_supported"] is False
    assert "require_request_uri_registration" not in found


@pytest.mark.parametrize("kind", ["signed", "lax_signed"])
def test_a_whole_sign_in(any_cast: Cast, kind: str) -> None:
    """RFC 9101 §4, §5: client_id and the object are all that has to be sent; everything inside is what happens."""
    client: RelyingParty = getattr(any_cast, kind)
    key = ECKey.import_key(
        {
            **any_cast.key.public_jwk,
            "d": segment(any_cast.key.private.private_numbers().private_value.to_bytes(32, "big")),
        }
    )
    text = jwt.encode({"alg": "ES256", "kid": "the-key", "typ": TYP}, object_claims(client), key)
    browser = any_cast.browser()
    page = browser.follow(ask(browser, client, request=text, response_type=None, scope=None))
    answer = browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORD))
    if 'id="consent-approve"' in answer.text:
        answer = browser.follow(browser.submit(answer, action="approve"))
    assert answer.params["state"] == "the state inside"
    form = {"grant_type": "authorization_code", "code": answer.params["code"], "redirect_uri": CALLBACK}
    assertion = {
        "client_assertion_type": JWT_BEARER,
        "client_assertion": any_cast.key.sign(assertion_claims(client)),
    }
    redeemed = any_cast.house.post(any_cast.acme, "/token", {**form, "code_verifier": VERIFIER, **assertion})
    assert redeemed.status == 200, redeemed.text
    assert decoded(redeemed.json["id_token"])[1]["nonce"] == "the nonce inside"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_every_advertised_algorithm_works(cast: Cast, alg: str) -> None:
    """RFC 9101 §10.5: what discovery lists verifies."""
    key = SigningKey.new(alg)
    client = cast.house.client(cast.acme, f"jar-{alg}", jwks={"keys": [key.public_jwk]})
    assert is_served(ask(cast.browser(), client, request=signed_object(client, key)))


@pytest.mark.parametrize("kind", ["signed", "lax_signed"])
def test_s012_only_the_objects_parameters_are_used(cast: Cast, kind: str) -> None:
    """RFC 9101 §6.3, S012: what is sent outside neither overrides what is inside nor adds to it."""
    client: RelyingParty = getattr(cast, kind)
    outside = {
        "scope": "openid email phone",
        "redirect_uri": "https://evil.example/cb",
        "state": "outside",
        "response_mode": "form_post",
        "prompt": "none",
        "code_challenge": "c" * 43,
    }
    answer = ask(cast.browser(), client, request=signed_object(client, cast.key), **outside)
    assert is_served(answer), "prompt=none outside is not used"
    answer = ask(cast.browser(), client, request=signed_object(client, cast.key, prompt="none"), **outside)
    # Sent where the object says, by the mode the object says, with its state.
    back(cast, answer, "login_required", "the state inside")


def test_the_request_can_be_begun_again(cast: Cast) -> None:
    """RFC 9101 §6.3: the address that begins a lost sign-in again carries the object, and not what was in it."""
    browser = cast.browser()
    text = signed_object(cast.signed, cast.key)
    assert is_served(ask(browser, cast.signed, request=text))
    with cast.house.database(cast.acme).reading() as conn:
        from sqlalchemy import select

        from idp.store.tenant.interactions import interactions

        stored = conn.execute(select(interactions.c.request).order_by(interactions.c.created_at.desc())).scalars().all()
    restart = next(one["restart"] for one in stored if text in one["restart"])
    assert dict(parse_qsl(urlsplit(restart).query))["request"] == text
    assert is_served(browser.get(cast.acme.base_path + restart))


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # name: (changes of the header, changes of the claims)
    "iss of another": ({}, {"iss": "basic"}),
    "iss a list": ({}, {"iss": ["signed"]}),
    "client_id of another": ({}, {"client_id": "basic"}),
    "client_id empty": ({}, {"client_id": ""}),
    "aud of another": ({}, {"aud": "https://evil.example"}),
    "aud with a slash": ({}, {"aud": "{issuer}/"}),
    "aud empty": ({}, {"aud": []}),
    "aud an object": ({}, {"aud": {"{issuer}": 1}}),
    "aud a number": ({}, {"aud": 1}),
    "exp past": ({}, {"exp": 1}),
    "exp a text": ({}, {"exp": "9999999999"}),
    "exp true": ({}, {"exp": True}),
    "exp negative": ({}, {"exp": -1}),
    "exp huge": ({}, {"exp": 10**30}),
    "nbf in the future": ({}, {"nbf": 9_999_999_999}),
    "iat in the future": ({}, {"iat": 9_999_999_999}),
    "iat null": ({}, {"iat": [None]}),
    "sub is the client": ({}, {"sub": "{client}"}),
    "request inside": ({}, {"request": "x"}),
    "request_uri inside": ({}, {"request_uri": "https://rp.example/x"}),
    "scope a list": ({}, {"scope": ["openid"]}),
    "state an object": ({}, {"state": {}}),
    "redirect_uri a list": ({}, {"redirect_uri": [CALLBACK]}),
    "nonce true": ({}, {"nonce": True}),
    "max_age a float": ({}, {"max_age": 1.5}),
    "max_age huge": ({}, {"max_age": 10**40}),
    "claims a list": ({}, {"claims": [1]}),
    "response_type of another": ({}, {"response_type": "none"}),
    "typ of a token": ({"typ": "at+jwt"}, {}),
    "typ of a logout token": ({"typ": "logout+jwt"}, {}),
    "typ a number": ({"typ": 1}, {}),
    "typ empty": ({"typ": ""}, {}),
    "alg none": ({"alg": "none"}, {}),
    "alg nOnE": ({"alg": "nOnE"}, {}),
    "alg HS256": ({"alg": "HS256"}, {}),
    "alg a list": ({"alg": ["ES256"]}, {}),
    "alg of another key": ({"alg": "RS256"}, {}),
    "no alg": ({"alg": None}, {}),
    "kid of nobody": ({"kid": "other"}, {}),
    "kid a number": ({"kid": 1}, {}),
    "jwk": ({"jwk": SigningKey.new("ES256").public_jwk}, {}),
    "jku": ({"jku": "https://evil.example/jwks"}, {}),
    "x5u": ({"x5u": "https://evil.example/x"}, {}),
    "crit": ({"crit": ["exp"]}, {}),
    "b64": ({"b64": False}, {}),
    "zip": ({"zip": "DEF"}, {}),
}


def filled(value: Any, client: RelyingParty) -> Any:
    text = json.dumps(value).replace("{issuer}", client.tenant.issuer).replace("{client}", client.client_id)
    return json.loads(text)


@pytest.mark.parametrize("kind", ["signed", "lax_signed"])
@pytest.mark.parametrize("name", WRONG)
def test_s011_what_is_wrong_is_refused(cast: Cast, kind: str, name: str) -> None:
    """RFC 9101 §6, S011, S036, S040: invalid_request_object, whatever of it is wrong, sent to a registered address."""
    client: RelyingParty = getattr(cast, kind)
    header, claims = WRONG[name]
    text = signed_object(client, cast.key, header, **filled(claims, client))
    answer = sent(cast, client, text)
    record = back(cast, answer, state=dict(parse_qsl(urlsplit(answer.location).query)).get("state"))
    assert record["check"] == "request_object"
    assert text not in json.dumps(record)


def test_s011_unsigned_even_if_registered(cast: Cast) -> None:
    """RFC 9101 §10.5, S011 (Authlib's JAR downgrade): alg none is refused of everybody; it cannot be registered either."""
    fixed = cast.house.client(cast.acme, "fixed", profile="oidc", request_object_signing_alg="PS256")
    for client in (cast.signed, fixed, cast.lax_signed, cast.lax):
        for signature in ("", segment(b"x")):
            text = f"{segment({'alg': 'none', 'typ': TYP})}.{segment(object_claims(client))}.{signature}"
            # Core §3.1.2.6: to who never said how it signs, the kind of request is what is not supported.
            is_open = client in (cast.lax_signed, cast.lax) and not signature
            back(cast, sent(cast, client, text), "request_not_supported" if is_open else "invalid_request_object")
    with pytest.raises(Exception, match="request_object_signing_alg"):
        cast.house.client(cast.acme, "none", request_object_signing_alg="none")
    with pytest.raises(Exception, match="request_object_signing_alg"):
        cast.house.client(cast.acme, "hs256", request_object_signing_alg="HS256")


def test_s011_the_registered_algorithm_alone(cast: Cast) -> None:
    """RFC 9101 §10.5, S011: a client that registered PS256 signs with PS256, whatever other keys it has."""
    ps, es = SigningKey.new("PS256"), SigningKey.new("ES256")
    rs = SigningKey("RS256", ps.kid, ps.private)
    client = cast.house.client(
        cast.acme,
        "ps-only",
        request_object_signing_alg="PS256",
        jwks={"keys": [{k: v for k, v in ps.public_jwk.items() if k != "alg"}, es.public_jwk]},
    )
    assert is_served(ask(cast.browser(), client, request=signed_object(client, ps)))
    for key in (es, rs):
        back(cast, sent(cast, client, signed_object(client, key)))


def test_s011_signed_by_somebody_else(cast: Cast) -> None:
    """RFC 9101 §6.2, S011: another client's key, the tenant's own, and a secret that everybody knows verify nothing."""
    stranger = SigningKey.new("ES256", cast.key.kid)
    back(cast, sent(cast, cast.signed, signed_object(cast.signed, stranger)))
    back(cast, sent(cast, cast.basic, signed_object(cast.basic, cast.key)))  # it has registered no key at all
    for secret in (
        cast.key.public_pem,
        json.dumps(cast.key.public_jwk).encode(),
        b"",
        (cast.lax.secret or "").encode(),
    ):
        head = segment({"alg": "HS256", "kid": cast.key.kid, "typ": TYP})
        body = f"{head}.{segment(object_claims(cast.lax_signed))}"
        mac = segment(hmac.new(secret, body.encode(), hashlib.sha256).digest())
        back(cast, sent(cast, cast.lax_signed, f"{body}.{mac}"))


def test_s034_mutated(cast: Cast) -> None:
    """RFC 7515 §5.2, S034: another payload, another spelling, duplicate members and psychic signatures are refused."""
    good = signed_object(cast.signed, cast.key)
    head, body, tail = good.split(".")
    doubled = '{"iss": "basic", ' + json.dumps(object_claims(cast.signed))[1:]
    for text in (
        f"{head}.{segment(object_claims(cast.signed, scope='openid email'))}.{tail}",
        f"{head}.{body}.{segment(bytes(64))}",
        f"{head}.{body}.{tail}=",
        f"{head}.{body}.{tail}.",
        f" {good}",
        f"{head}.{body}",
        f"{head}..{tail}",
        cast.key.sign(doubled, typ=TYP),
        cast.key.sign("[]", typ=TYP),
        cast.key.sign('{"exp": NaN}', typ=TYP),
        cast.key.sign('{"exp": 1e999}', typ=TYP),
        cast.key.sign('{"a":' * 1500, typ=TYP),
        cast.key.sign('{"state": "\\ud800"}', typ=TYP),
        cast.key.sign(b"\xff", typ=TYP),
        "x",
    ):
        back(cast, sent(cast, cast.signed, text))


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "client_id"])
def test_what_strict_asks_for(cast: Cast, missing: str) -> None:
    """RFC 9101 §4: profile strict wants iss, aud, exp and client_id inside; OpenID Core §6.1 does not."""
    back(
        cast, sent(cast, cast.signed, signed_object(cast.signed, cast.key, **{missing: None})), state="the state inside"
    )
    lax = signed_object(cast.lax_signed, cast.key, **{missing: None})
    assert is_served(ask(cast.browser(), cast.lax_signed, request=lax))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", None])
def test_typ_as_the_profile_says(cast: Cast, typ: str | None) -> None:
    """RFC 9101 §10.8: profile strict wants the explicit type; profile oidc takes a JWT, or none, as OpenID Core does."""
    back(cast, sent(cast, cast.signed, signed_object(cast.signed, cast.key, {"typ": typ})))
    assert is_served(
        ask(cast.browser(), cast.lax_signed, request=signed_object(cast.lax_signed, cast.key, {"typ": typ}))
    )


def test_bare_objects_of_oidc(cast: Cast) -> None:
    """OpenID Connect Core §6.1: response_type and client_id may stand outside alone; both must match where both stand."""
    text = cast.key.sign(
        {"redirect_uri": CALLBACK, "scope": "openid", "max_age": 0, "claims": {"userinfo": {"name": None}}}
    )
    assert is_served(ask(cast.browser(), cast.lax_signed, request=text))
    text = cast.key.sign({"redirect_uri": CALLBACK, "scope": "openid", "response_type": "none", "state": "s"})
    record = back(cast, ask(cast.browser(), cast.lax_signed, request=text), state="s")
    assert record["spec"] == "OpenID Connect Core §6.1"


@pytest.mark.parametrize("typ", [None, "JWT"])
def test_an_object_of_core_is_put_together_with_what_is_outside(cast: Cast, typ: str | None) -> None:
    """OpenID Connect Core §6.3.3, S012: what stands only outside is used, what stands inside counts; RFC 9101's typ ends that."""
    client, browser = cast.lax_signed, cast.browser()
    browser.sign_in(client)
    inside = {"scope": "openid", "redirect_uri": CALLBACK, "state": "inside"}
    outside = {"state": "outside", "nonce": "outside", "prompt": "login", "code_challenge": challenge(VERIFIER)}
    outside |= {"code_challenge_method": "S256", "redirect_uri": "https://evil.example/cb"}
    answer = ask(browser, client, request=cast.key.sign(inside, typ=typ), **outside)
    assert "/login?" in answer.location, "prompt=login outside is used"
    answer = ask(browser, client, request=cast.key.sign({**inside, "prompt": "none"}, typ=typ), **outside)
    assert answer.location.startswith(f"{CALLBACK}?")
    assert answer.params["state"] == "inside"
    form = {"code": answer.params["code"]}
    assert client.redeem(form, **asserted(client, cast.key)).json["error"] == "invalid_grant", (
        "the challenge outside holds"
    )
    jar = cast.key.sign({**inside, "prompt": "none"}, typ=TYP)
    answer = ask(browser, client, request=jar, **outside)
    assert client.redeem({"code": answer.params["code"]}, **asserted(client, cast.key)).status == 200


def test_nothing_from_outside_where_requests_must_be_signed(cast: Cast) -> None:
    """RFC 9101 §10.5, §6.3, S012: who registered that its requests are signed is not to be given parameters that nobody signed."""
    client = cast.house.client(
        cast.acme,
        "signed-only",
        profile="oidc",
        require_signed_request_object=True,
        jwks={"keys": [cast.key.public_jwk]},
    )
    browser = cast.browser()
    browser.sign_in(cast.lax)
    inside = {"scope": "openid", "redirect_uri": CALLBACK, "prompt": "none"}
    outside = {"state": "outside", "nonce": "outside", "max_age": "x", "response_mode": "form_post"}
    answer = ask(browser, client, request=cast.key.sign(inside, typ="JWT"), **outside)
    back(cast, answer, "consent_required", state=None)


def test_numbers_and_objects_inside(cast: Cast) -> None:
    """RFC 9101 §4: a number is a JSON number, `claims` is an object, and what nobody knows is ignored whatever it is."""
    text = signed_object(
        cast.signed,
        cast.key,
        max_age=100,
        claims={"id_token": {"acr": {"essential": False}}},
        unknown={"a": [1]},
        another=None,
        authorization_details=[{}],
        ui_locales="en",
    )
    assert is_served(ask(cast.browser(), cast.signed, request=text))
    for max_age in (-1, "x"):
        text = signed_object(cast.signed, cast.key, max_age=max_age)
        back(cast, ask(cast.browser(), cast.signed, request=text), "invalid_request", "the state inside")


def test_characters_inside(cast: Cast) -> None:
    """RFC 6749 Appendix A: what no parameter may contain is not let in by signing it."""
    for state in ("a\x00b", "a\r\nb", "x" * 20_000):
        answer = ask(cast.browser(), cast.signed, request=signed_object(cast.signed, cast.key, state=state, nonce=None))
        harmless(answer)
        assert not is_served(answer)


def test_s004_never_to_an_unregistered_address(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.6, S004: without a registered redirect URI, in the object or beside a bad one, a page."""
    evil = "https://evil.example/cb"
    text = signed_object(cast.signed, cast.key, redirect_uri=evil)
    error_page(cast.house, ask(cast.browser(), cast.signed, request=text))
    error_page(cast.house, ask(cast.browser(), cast.signed, request=text, redirect_uri=CALLBACK, state="s"))
    for bad in ("x", signed_object(cast.signed, SigningKey.new("ES256"), redirect_uri=CALLBACK)):
        error_page(cast.house, ask(cast.browser(), cast.signed, request=bad))  # nobody's word for where to send it
        error_page(cast.house, ask(cast.browser(), cast.signed, request=bad, redirect_uri=evil))
        back(cast, ask(cast.browser(), cast.signed, request=bad, redirect_uri=CALLBACK), state=None)
    expired = signed_object(cast.signed, cast.key, exp=1, redirect_uri=evil)
    error_page(cast.house, ask(cast.browser(), cast.signed, request=expired, redirect_uri=CALLBACK))
    unknown = signed_object(cast.signed, cast.key, client_id="nobody")
    error_page(cast.house, ask(cast.browser(), cast.signed, request=unknown, client_id="nobody"))
    error_page(cast.house, ask(cast.browser(), cast.signed, request=unknown, client_id=None))


def test_repeats_and_both(cast: Cast) -> None:
    """RFC 6749 §3.1, OpenID Core §6.2: the object twice, or by value and by reference at once, is refused."""
    text = signed_object(cast.lax_signed, cast.key)
    address = f"{cast.acme.base_path}/authorize?client_id=lax-signed&redirect_uri={CALLBACK}&state=s&request={text}"
    back(cast, cast.browser().get(f"{address}&request={text}"), "invalid_request", "s")
    back(cast, cast.browser().get(f"{address}&request_uri=https://rp.example/x"), "invalid_request", "s")


def test_required_of_a_client(cast: Cast) -> None:
    """RFC 9101 §10.5: a client that registered require_signed_request_object sends nothing else."""
    client = cast.house.client(
        cast.acme, "jar-only", require_signed_request_object=True, jwks={"keys": [cast.key.public_jwk]}
    )
    back(cast, cast.browser().authorize(client, verifier=VERIFIER), "invalid_request")
    back(cast, cast.browser().authorize(client, verifier=VERIFIER, request=""), "invalid_request")
    assert is_served(ask(cast.browser(), client, request=signed_object(client, cast.key)))


def test_it_expires(cast: Cast) -> None:
    """RFC 9101 §4, RFC 7519 §4.1.4: an object is good until its exp, and a minute for clocks that differ."""
    text = signed_object(cast.signed, cast.key)
    with shifted(359):
        assert is_served(ask(cast.browser(), cast.signed, request=text))
    with shifted(361):
        back(cast, ask(cast.browser(), cast.signed, request=text), state="the state inside")


def test_s035_no_jwt_of_another_kind(cast: Cast) -> None:
    """RFC 9101 §10.8, S035: a client assertion is no request object, and a request object authenticates nobody."""
    assertion = cast.key.sign(assertion_claims(cast.lax_signed))
    back(cast, sent(cast, cast.lax_signed, assertion))
    claims = {**object_claims(cast.lax_signed), **assertion_claims(cast.lax_signed)}
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": cast.key.sign(claims, typ=TYP),
    }
    refused(cast.house, cast.house.post(cast.acme, "/token", form), 401, "invalid_client")
    form["client_assertion"] = cast.key.sign(claims)
    assert cast.house.post(cast.acme, "/token", form).status == 200, "the typ alone was wrong"


def test_it_can_be_posted(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: a large object comes by POST."""
    text = signed_object(cast.signed, cast.key, unknown="x" * 4000)
    assert len(text) > 4000
    answer = cast.browser().post(f"{cast.acme.base_path}/authorize", {"client_id": "signed", "request": text})
    assert is_served(answer)
    too_long = signed_object(cast.signed, cast.key, state="x" * 20_000)
    error_page(
        cast.house,
        cast.browser().post(f"{cast.acme.base_path}/authorize", {"client_id": "signed", "request": too_long}),
    )


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_NAMES = [
    *object_claims.__annotations__,
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "client_id",
    "redirect_uri",
    "scope",
]
_NAMES += [
    "state",
    "nonce",
    "max_age",
    "prompt",
    "claims",
    "response_type",
    "response_mode",
    "code_challenge",
    "request",
]
_NAMES += [
    "code_challenge_method",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "registration",
    "request_uri",
    "display",
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=6), _values, max_size=6), st.booleans())
def test_s040_anything_rightly_signed(cast: Cast, changes: dict[str, Any], is_strict: bool) -> None:
    """RFC 8725 §3.2, S040: any JSON that a client has signed is a request, an error at its address, or a page."""
    client = cast.signed if is_strict else cast.lax_signed
    text = cast.key.sign(object_claims(client) | changes, typ=TYP)
    answer = sent(cast, client, text)
    harmless(answer)
    assert (answer.header("location") or f"{CALLBACK}?").startswith((f"{CALLBACK}?", f"{cast.acme.base_path}/login?"))


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_\-=]{0,60}(\.[A-Za-z0-9_\-=]{0,60}){1,5}")
    | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit"]), _values).map(
        lambda header: f"{segment(header)}.e30.AA"
    )
)
def test_s034_any_text(cast: Cast, text: str) -> None:
    """RFC 8725 §3.2, S034: any text instead of an object is refused as one."""
    answer = sent(cast, cast.lax_signed, text.encode("utf-8", "ignore").decode())
    harmless(answer)
    assert answer.status in (303, 400)


def test_other_tenants_objects(cast: Cast) -> None:
    """RFC 9101 §10.3, S037: signed by the same key for another tenant, it is refused by its aud."""
    twin = cast.house.client(
        cast.globex, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [cast.key.public_jwk]}
    )
    text = signed_object(cast.signed, cast.key)
    answer = ask(cast.browser(cast.globex), twin, request=text)
    sent_back(cast.house, answer, cast.globex, "invalid_request_object", to=CALLBACK, state="the state inside")
    assert is_served(ask(cast.browser(), cast.signed, request=text))


def test_secrets_are_not_repeated(cast: Cast) -> None:
    """RFC 9101 §10.1: neither answer nor record repeats the object."""
    marker = secrets.token_hex(8)
    text = signed_object(cast.signed, SigningKey.new("ES256"), login_hint=marker, exp=now() - 1000)
    record = back(cast, sent(cast, cast.signed, text))
    assert marker not in json.dumps(record)
