"""Recipes that prove the members of a discovery document: for each member, the requests that show that a value of it works.

A recipe is called with one value; it fails when the value does not work, and when it does not know how to try it. A refusal is
called with a value that is not advertised, and fails when it works all the same.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from id_token_rules import header_of, verified
from joserfc import jwe
from joserfc.jwk import KeySet
from op_under_test import CLAIMS
from relying import REDIRECT, Asked, RelyingParty, public_set
from user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from loopback_site import Site
    from op_under_test import Provider
    from relying import SignedIn
    from user_agent import Arrival

SCOPE_CLAIM = {"profile": "birthdate", "email": "email", "address": "address", "phone": "phone_number"}
# Claims about the event, which stand in the ID token alone (Core §2).
OF_THE_EVENT = ("sub", "auth_time", "acr", "amr")
EVERY_SCOPE = "openid profile email address phone offline_access"


@dataclass
class Probe:
    """The provider, its document, and one browser that is signed in already."""

    provider: Provider
    site: Site
    keys: dict[str, Any]
    document: dict[str, Any]
    _agents: list[UserAgent] = field(default_factory=list)

    def agent(self) -> UserAgent:
        """A fresh browser."""
        made = UserAgent(self.provider.issuer, self.provider.trust)
        self._agents.append(made)
        return made

    def close(self) -> None:
        """Close the browsers."""
        for each in self._agents:
            each.close()

    def client(self, **given: Any) -> RelyingParty:
        """Register a client that has keys."""
        return RelyingParty.register(self.provider, keys=self.keys, **{"jwks": public_set(self.keys), **given})

    def registration(self, **given: Any) -> httpx.Response:
        """A registration that may be refused."""
        body = {"redirect_uris": [REDIRECT], "jwks": public_set(self.keys), **given}
        return self.provider.http.post(self.document["registration_endpoint"], json=body)

    def signed_in(self, rp: RelyingParty, **params: str | None) -> SignedIn:
        """A sign-in of a fresh browser."""
        return rp.sign_in(self.agent(), **params)

    def userinfo(self, signed_in: SignedIn) -> httpx.Response:
        """The answer of userinfo."""
        return self.provider.http.get(
            self.document["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
        )


# -- endpoints --------------------------------------------------------------------------------------------------------------


def issuer(probe: Probe, value: Any) -> None:
    assert value == probe.provider.discovery()["issuer"] == probe.provider.issuer


def jwks_uri(probe: Probe, value: Any) -> None:
    KeySet.import_key_set(probe.provider.http.get(value).json())


def authorization_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    assert rp.url({}).startswith(value)
    for method in ("GET", "POST"):
        assert rp.sign_in(probe.agent(), by=method).claims["sub"]


def token_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    assert rp.metadata["token_endpoint"] == value
    assert probe.signed_in(rp).tokens["access_token"]


def authorization_challenge_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    # First-Party Apps §9.1: only the tenant's own applications; one is there by itself, and asks for what is needed.
    assert rp.post(value, {"response_type": "code", "scope": "openid"}).json()["error"] == "unauthorized_client"
    form = {"client_id": "authsec-sdk", "response_type": "code", "scope": "openid"}
    form |= {"code_challenge": "a" * 43, "code_challenge_method": "S256"}
    answer = probe.provider.http.post(value, data=form)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_authorization")
    assert answer.json()["auth_session"]


def userinfo_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    assert rp.metadata["userinfo_endpoint"] == value
    assert rp.userinfo(probe.signed_in(rp))["sub"]


def registration_endpoint(probe: Probe, value: Any) -> None:
    assert probe.provider.http.post(value, json={"redirect_uris": [REDIRECT]}).status_code == 201


def introspection_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    assert rp.post(value, {"token": probe.signed_in(rp).access_token}).json()["active"] is True
    assert rp.post(value, {"token": "foobar"}).json() == {"active": False}


def revocation_endpoint(probe: Probe, value: Any) -> None:
    rp = probe.client()
    signed_in = probe.signed_in(rp)
    assert rp.post(value, {"token": signed_in.access_token}).status_code == 200
    assert probe.userinfo(signed_in).status_code == 401


def end_session_endpoint(probe: Probe, value: Any) -> None:
    rp, agent = probe.client(), probe.agent()
    rp.sign_in(agent)
    agent.open(value)
    assert rp.ask(agent, prompt="none").arrival.error == "login_required"


def check_session_iframe(probe: Probe, value: Any) -> None:
    answer = probe.provider.http.get(value)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert "<script" in answer.text
    # Session Management §3.3: any relying party frames it.
    assert "x-frame-options" not in answer.headers
    policy = answer.headers.get("content-security-policy", "")
    assert "frame-ancestors 'none'" not in policy
    assert "frame-ancestors 'self'" not in policy
    assert probe.signed_in(probe.client()).asked.arrival.params["session_state"]


# -- what is asked for ------------------------------------------------------------------------------------------------------


def scopes_supported(probe: Probe, value: Any) -> None:
    if value == "openid":
        assert probe.signed_in(probe.client()).id_token
    elif value == "offline_access":
        rp = probe.client(grant_types=["authorization_code", "refresh_token"])
        assert probe.signed_in(rp, scope=f"openid {value}", prompt="consent").tokens["refresh_token"]
    else:
        rp = probe.client()
        assert SCOPE_CLAIM[value] in rp.userinfo(probe.signed_in(rp, scope=f"openid {value}"))


def no_such_scope(probe: Probe, value: str) -> None:
    tokens = probe.signed_in(probe.client(), scope=f"openid {value}").tokens
    assert value not in tokens["scope"].split()


def claims_supported(probe: Probe, value: Any) -> None:
    rp, agent = probe.client(), probe.agent()
    if value in OF_THE_EVENT:
        assert value in rp.sign_in(agent, claims=json.dumps({"id_token": {value: {"essential": True}}})).claims
        return
    for place in ("id_token", "userinfo"):
        signed_in = rp.sign_in(agent, claims=json.dumps({place: {value: {"essential": True}}}))
        found = signed_in.claims if place == "id_token" else rp.userinfo(signed_in)
        assert value in found, place
        if value in CLAIMS:
            assert found[value] == CLAIMS[value]


def no_such_claim(probe: Probe, value: str) -> None:
    rp = probe.client()
    wanted = json.dumps({place: {value: {"essential": True}} for place in ("id_token", "userinfo")})
    signed_in = probe.signed_in(rp, claims=wanted)
    assert value not in signed_in.claims
    assert value not in rp.userinfo(signed_in)


def claim_types_supported(probe: Probe, value: Any) -> None:
    assert value == "normal", f"no recipe for claims of the type {value}"
    rp = probe.client()
    found = rp.userinfo(probe.signed_in(rp, scope="openid profile"))
    assert not {"_claim_names", "_claim_sources"} & found.keys()


def acr_values_supported(probe: Probe, value: Any) -> None:
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "value": value}}})
    assert probe.signed_in(probe.client(), claims=wanted).claims["acr"] == value


def no_such_acr(probe: Probe, value: str) -> None:
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "value": value}}})
    assert probe.client().ask(probe.agent(), claims=wanted).arrival.error is not None


def subject_types_supported(probe: Probe, value: Any) -> None:
    subs = {
        probe.signed_in(probe.client(redirect_uris=[f"https://{host}.example/cb"], subject_type=value)).claims["sub"]
        for host in ("one", "two")
    }
    assert len(subs) == {"public": 1, "pairwise": 2}[value]


def grant_types_supported(probe: Probe, value: Any) -> None:
    if value == "authorization_code":
        assert probe.signed_in(probe.client(grant_types=[value])).tokens["access_token"]
    elif value == "implicit":
        assert probe.signed_in(probe.client(grant_types=[value], response_types=["id_token"])).front["sub"]
    elif value == "refresh_token":
        rp = probe.client(grant_types=["authorization_code", value])
        token = probe.signed_in(rp, scope="openid offline_access", prompt="consent").tokens["refresh_token"]
        form = {"grant_type": value, "refresh_token": token}
        assert rp.post(probe.document["token_endpoint"], form).json()["access_token"]
    elif value == "client_credentials":
        rp = probe.client(grant_types=[value], response_types=[])
        assert rp.post(probe.document["token_endpoint"], {"grant_type": value}).json()["access_token"]
    elif value == "urn:ietf:params:oauth:grant-type:token-exchange":
        # RFC 8693 §2.1: served, but an administrator decides who exchanges tokens, so who registers itself is not let.
        rp = probe.client(grant_types=["authorization_code"])
        token = probe.signed_in(rp).access_token
        kind = "urn:ietf:params:oauth:token-type:access_token"
        form = {"grant_type": value, "subject_token": token, "subject_token_type": kind}
        assert rp.post(probe.document["token_endpoint"], form).json()["error"] == "unauthorized_client"
        assert probe.registration(grant_types=["authorization_code", value]).status_code == 400
    else:
        raise AssertionError(f"no recipe for the grant type {value}")


def no_such_grant(probe: Probe, value: str) -> None:
    answer = probe.registration(grant_types=["authorization_code", value])
    assert answer.status_code == 400 or value not in answer.json()["grant_types"]
    form = {"grant_type": value, "username": "ada@example.com", "password": "x", "assertion": "x", "device_code": "x"}
    answer = probe.client().post(probe.document["token_endpoint"], form)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def response_types_supported(probe: Probe, value: Any) -> None:
    assert probe.signed_in(probe.client(response_types=[value])).claims["sub"]


def no_such_response_type(probe: Probe, value: str) -> None:
    answer = probe.registration(response_types=[value], grant_types=["authorization_code", "implicit"])
    assert answer.status_code == 400 or value not in answer.json()["response_types"]
    arrival = probe.client().ask(probe.agent(), response_type=value).arrival
    assert arrival.error in ("unsupported_response_type", "invalid_request")


def response_modes_supported(probe: Probe, value: Any) -> None:
    agent = probe.agent()
    for response_type in probe.document["response_types_supported"]:
        rp = probe.client(response_types=[response_type])
        if value == "query" and response_type != "code":
            # Multiple Response Types §3, §5: never for what carries a token.
            assert rp.ask(agent, response_mode=value).arrival.error == "invalid_request"
        else:
            assert rp.sign_in(agent, response_mode=value).claims["sub"], response_type


def no_such_response_mode(probe: Probe, value: str) -> None:
    assert probe.client().ask(probe.agent(), response_mode=value).arrival.error == "invalid_request"


def prompt_values_supported(probe: Probe, value: Any) -> None:
    if value == "create":
        _account_is_created(probe)
        return
    rp, agent = probe.client(), probe.agent()
    first = rp.sign_in(agent)
    agent.ignored = frozenset({"login-submit", "consent-approve", "account-continue"} if value != "none" else ())
    arrival = rp.ask(agent, prompt=value).arrival
    if value == "none":
        assert arrival.params["code"]
    else:
        button = {"login": "login-submit", "consent": "consent-approve", "select_account": "account-continue"}[value]
        assert button in arrival.markup.buttons
    agent.ignored = frozenset()
    assert rp.sign_in(agent, prompt=value).claims["sub"] == first.claims["sub"]


def _account_is_created(probe: Probe) -> None:
    """Initiating User Registration via OpenID Connect 1.0 §4.1: a page for a new account though somebody is signed in, and on as that one."""
    rp, agent = probe.client(), probe.agent()
    first = rp.sign_in(agent)
    address, password = f"{secrets.token_hex(6)}@new.example", f"planted {secrets.token_hex(12)}"
    asked = rp.ask(agent, prompt="create", scope="openid email")
    assert "signup-submit" in asked.arrival.markup.buttons
    form = {"email": address, "profile_name": "Eve", "password": password, "confirm_password": password}
    arrival = _filled_in(agent, asked.arrival, **form)
    assert "code-submit" in arrival.markup.buttons
    arrival = _filled_in(agent, arrival, code=probe.provider.code_for(address))
    made = rp.tokens(Asked(asked.params, arrival))
    assert made.claims["sub"] != first.claims["sub"]
    assert rp.userinfo(made)["email"] == address


def _filled_in(agent: UserAgent, arrival: Arrival, **fields: str) -> Arrival:
    """Fill in a page's form, send it, and go on from there."""
    assert arrival.page is not None
    markup = arrival.markup
    url = urljoin(str(arrival.page.url), markup.action or "")
    return agent.open(url, form={**markup.fields, **fields}, origin=agent.origin)


def no_such_prompt(probe: Probe, value: str) -> None:
    assert probe.client().ask(probe.agent(), prompt=value).arrival.error == "invalid_request"


def display_values_supported(probe: Probe, value: Any) -> None:
    assert value in ("page", "popup", "touch", "wap")
    assert probe.signed_in(probe.client(), display=value).claims["sub"]


def ui_locales_supported(probe: Probe, value: Any) -> None:
    agent = probe.agent()
    agent.ignored = frozenset({"login-submit"})
    page = probe.client().ask(agent, ui_locales=value).arrival.page
    assert page is not None
    assert f'lang="{value}"' in page.text


def code_challenge_methods_supported(probe: Probe, value: Any) -> None:
    assert value == "S256", f"no recipe for the challenge method {value}"
    rp, verifier = probe.client(), secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    for sent, status in ((verifier, 200), (verifier + "x", 400)):
        asked = rp.ask(probe.agent(), code_challenge=challenge, code_challenge_method=value)
        assert rp.redeem(asked, code_verifier=sent).status_code == status


def no_such_challenge(probe: Probe, value: str) -> None:
    arrival = probe.client().ask(probe.agent(), code_challenge="a" * 43, code_challenge_method=value).arrival
    assert arrival.error == "invalid_request"


# -- how clients authenticate -----------------------------------------------------------------------------------------------


def _authenticated(probe: Probe, endpoint: str, **given: Any) -> None:
    rp = probe.client(**given)
    if endpoint == "token":
        verifier = secrets.token_urlsafe(48)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = rp.ask(probe.agent(), code_challenge=challenge, code_challenge_method="S256")
        assert rp.tokens(asked, code_verifier=verifier).tokens["access_token"]
        return
    form = {"token": "foobar"}
    assert rp.post(probe.document[f"{endpoint}_endpoint"], form).status_code == 200
    if rp.auth_method != "none":
        # Without the credential, nothing: it was the method that let the client in.
        answer = rp.post(probe.document[f"{endpoint}_endpoint"], form, "none")
        assert answer.status_code == 401


def auth_methods(endpoint: str) -> Callable[[Probe, Any], None]:
    """A recipe for the authentication methods of an endpoint."""

    def recipe(probe: Probe, value: Any) -> None:
        assert value in ("client_secret_basic", "client_secret_post", "private_key_jwt", "none"), (
            f"no recipe for {value}"
        )
        _authenticated(probe, endpoint, token_endpoint_auth_method=value)

    return recipe


def auth_algorithms(endpoint: str) -> Callable[[Probe, Any], None]:
    """A recipe for the algorithms of client assertions at an endpoint."""

    def recipe(probe: Probe, value: Any) -> None:
        given = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": value}
        _authenticated(probe, endpoint, **given)

    return recipe


def no_such_auth_method(probe: Probe, value: str) -> None:
    assert probe.registration(token_endpoint_auth_method=value).json()["error"] == "invalid_client_metadata"


def refused_at_registration(member: str, **beside: Any) -> Callable[[Probe, str], None]:
    """A refusal of a value that a client would have to register."""

    def refusal(probe: Probe, value: str) -> None:
        answer = probe.registration(**{member: value, **beside})
        # Registration §3.1: a member that nobody knows may be ignored, and is then not in the answer.
        if member in answer.json() or answer.status_code != 201:
            assert answer.status_code == 400, f"{member}={value}: {answer.status_code}"
            assert answer.json()["error"] == "invalid_client_metadata"

    return refusal


# -- signed and encrypted ---------------------------------------------------------------------------------------------------


def id_token_signing_alg_values_supported(probe: Probe, value: Any) -> None:
    assert header_of(probe.signed_in(probe.client(id_token_signed_response_alg=value)).id_token)["alg"] == value


def userinfo_signing_alg_values_supported(probe: Probe, value: Any) -> None:
    rp = probe.client(userinfo_signed_response_alg=value)
    answer = probe.userinfo(probe.signed_in(rp))
    assert verified(answer.text, probe.provider.keys(), value)["aud"] == rp.client_id


def introspection_signing_alg_values_supported(probe: Probe, value: Any) -> None:
    rp = probe.client(introspection_signed_response_alg=value)
    signed_in = probe.signed_in(rp)
    answer = probe.provider.http.post(
        probe.document["introspection_endpoint"],
        data={"token": signed_in.access_token},
        auth=(rp.client_id, rp.document["client_secret"]),
        headers={"accept": "application/token-introspection+jwt"},
    )
    assert answer.headers["content-type"].partition(";")[0] == "application/token-introspection+jwt"
    claims = verified(answer.text, probe.provider.keys(), value)
    # RFC 9701 §5.
    assert (claims["iss"], claims["aud"]) == (probe.provider.issuer, rp.client_id)
    assert claims["token_introspection"]["active"] is True


def _pairs(probe: Probe, prefix: str, value: str, kind: str) -> Iterator[tuple[str, str]]:
    """Every pair of key management and content encryption that has ``value``."""
    algs = probe.document[f"{prefix}_encryption_alg_values_supported"]
    encs = probe.document[f"{prefix}_encryption_enc_values_supported"]
    for alg in algs if kind == "enc" else [value]:
        for enc in encs if kind == "alg" else [value]:
            yield alg, enc


def encrypted(prefix: str, kind: str) -> Callable[[Probe, Any], None]:
    """A recipe for the encryption of ID tokens, userinfo and introspection answers."""

    def recipe(probe: Probe, value: Any) -> None:
        for alg, enc in _pairs(probe, prefix, value, kind):
            given = {
                f"{prefix}_encrypted_response_alg": alg,
                f"{prefix}_encrypted_response_enc": enc,
                f"{prefix}_signed_response_alg": "RS256",
            }
            rp = probe.client(**given)
            signed_in = probe.signed_in(rp)
            token = {
                "id_token": lambda signed_in=signed_in: signed_in.id_token,
                "userinfo": lambda signed_in=signed_in: probe.userinfo(signed_in).text,
                "introspection": lambda rp=rp, signed_in=signed_in: (
                    probe.provider.http.post(
                        probe.document["introspection_endpoint"],
                        data={"token": signed_in.access_token},
                        auth=(rp.client_id, rp.document["client_secret"]),
                        headers={"accept": "application/token-introspection+jwt"},
                    ).text
                ),
            }[prefix]()
            header = header_of(token)
            assert (header["alg"], header["enc"]) == (alg, enc)
            assert verified(rp.decrypted(token), probe.provider.keys(), "RS256")

    return recipe


def request_object_signing_alg_values_supported(probe: Probe, value: Any) -> None:
    rp = probe.client(request_object_signing_alg=value)
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    assert rp.ask_by_object(probe.agent(), {**inside, "state": "s"}, alg=value).arrival.params["state"] == "s"


def request_object_encryption(kind: str) -> Callable[[Probe, Any], None]:
    """A recipe for request objects that are encrypted to the provider."""

    def recipe(probe: Probe, value: Any) -> None:
        for alg, enc in _pairs(probe, "request_object", value, kind):
            rp = probe.client(request_object_encryption_alg=alg, request_object_encryption_enc=enc)
            inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
            made = encrypt(probe.provider, rp.request_object({**inside, "state": f"{alg} {enc}"}), alg, enc)
            assert rp.ask(probe.agent(), request=made).arrival.params["state"] == f"{alg} {enc}"

    return recipe


def encrypt(provider: Provider, text: str, alg: str, enc: str) -> str:
    """Encrypt a signed object to the provider's published key (Core §10.2)."""
    published = provider.keys()
    fits = [
        key
        for key in published
        if key.get("use") == "enc"
        and key["kty"] == ("RSA" if alg.startswith("RSA") else "EC")
        and key.get("alg", alg) == alg
    ]
    assert fits, f"no key is published to encrypt to with {alg}"
    key = KeySet.import_key_set({"keys": [fits[0]]}).keys[0]
    header = {"alg": alg, "enc": enc, "kid": fits[0]["kid"], "cty": "JWT"}
    return jwe.encrypt_compact(header, text, key, algorithms=[alg, enc])


# -- yes or no --------------------------------------------------------------------------------------------------------------


def claims_parameter_supported(probe: Probe, value: Any) -> None:
    rp = probe.client()
    wanted = json.dumps({"userinfo": {"name": None}})
    assert ("name" in rp.userinfo(probe.signed_in(rp, claims=wanted))) is value


def request_parameter_supported(probe: Probe, value: Any) -> None:
    rp = probe.client()
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    arrival = rp.ask_by_object(probe.agent(), {**inside, "state": "s"}).arrival
    if value:
        assert (arrival.error, arrival.params["state"]) == (None, "s")
    else:
        assert arrival.error == "request_not_supported"


def request_uri_parameter_supported(probe: Probe, value: Any) -> None:
    path = f"/probe/{secrets.token_urlsafe(8)}"
    if not value:
        arrival = probe.client().ask(probe.agent(), request_uri=probe.site.url + path).arrival
        assert arrival.error == "request_uri_not_supported"
        return
    rp = probe.client(request_uris=[probe.site.url + path])
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    made = rp.request_object({**inside, "state": "s"})
    address = probe.site.put(path, made, "application/oauth-authz-req+jwt")
    assert rp.ask(probe.agent(), request_uri=address).arrival.params["state"] == "s"


def require_request_uri_registration(probe: Probe, value: Any) -> None:
    path = f"/probe/{secrets.token_urlsafe(8)}"
    rp = probe.client()
    inside = {"response_type": "code", "client_id": rp.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    address = probe.site.put(path, rp.request_object(inside), "application/oauth-authz-req+jwt")
    arrival = rp.ask(probe.agent(), request_uri=address).arrival
    assert (arrival.error == "invalid_request_uri") is value


def require_signed_request_object(probe: Probe, value: Any) -> None:
    """RFC 9101 §10.5: whether a plain request is refused."""
    assert (probe.client().ask(probe.agent()).arrival.error is not None) is value


def authorization_response_iss_parameter_supported(probe: Probe, value: Any) -> None:
    for agent_params in ({}, {"prompt": "none"}):
        arrival = probe.client().ask(probe.agent(), **agent_params).arrival
        assert (arrival.params.get("iss") == probe.provider.issuer) is value


def frontchannel_logout_supported(probe: Probe, value: Any) -> None:
    given = {"frontchannel_logout_uri": "https://rp.example/front", "frontchannel_logout_session_required": True}
    if not value:
        assert probe.registration(**given).status_code == 400
        return
    rp, agent = probe.client(**given), probe.agent()
    signed_in = rp.sign_in(agent)
    frames = agent.open(probe.document["end_session_endpoint"]).markup.sources["iframe"]
    (frame,) = [each for each in frames if each.startswith("https://rp.example/front")]
    if probe.document.get("frontchannel_logout_session_supported"):
        assert f"sid={signed_in.claims['sid']}" in frame


def backchannel_logout_supported(probe: Probe, value: Any) -> None:
    path = f"/probe/{secrets.token_urlsafe(8)}"
    given = {"backchannel_logout_uri": probe.site.url + path, "backchannel_logout_session_required": True}
    if not value:
        assert probe.registration(**given).status_code == 400
        return
    probe.site.put(path, "")
    rp, agent = probe.client(**given), probe.agent()
    signed_in = rp.sign_in(agent)
    agent.open(probe.document["end_session_endpoint"])
    (received,) = probe.site.wait_for(path)
    claims = verified(received.form["logout_token"], probe.provider.keys(), "RS256")
    if probe.document.get("backchannel_logout_session_supported"):
        assert claims["sid"] == signed_in.claims["sid"]


def as_its_neighbour(name: str) -> Callable[[Probe, Any], None]:
    """A recipe for a member that is proven by the recipe of another one."""

    def recipe(probe: Probe, value: Any) -> None:
        assert value is True
        RECIPES[name](probe, probe.document[name])

    return recipe


RECIPES: dict[str, Callable[[Probe, Any], None]] = {
    "issuer": issuer,
    "jwks_uri": jwks_uri,
    "authorization_endpoint": authorization_endpoint,
    "token_endpoint": token_endpoint,
    "authorization_challenge_endpoint": authorization_challenge_endpoint,
    "userinfo_endpoint": userinfo_endpoint,
    "registration_endpoint": registration_endpoint,
    "introspection_endpoint": introspection_endpoint,
    "revocation_endpoint": revocation_endpoint,
    "end_session_endpoint": end_session_endpoint,
    "check_session_iframe": check_session_iframe,
    "scopes_supported": scopes_supported,
    "claims_supported": claims_supported,
    "claim_types_supported": claim_types_supported,
    "acr_values_supported": acr_values_supported,
    "subject_types_supported": subject_types_supported,
    "grant_types_supported": grant_types_supported,
    "response_types_supported": response_types_supported,
    "response_modes_supported": response_modes_supported,
    "prompt_values_supported": prompt_values_supported,
    "display_values_supported": display_values_supported,
    "ui_locales_supported": ui_locales_supported,
    "code_challenge_methods_supported": code_challenge_methods_supported,
    "token_endpoint_auth_methods_supported": auth_methods("token"),
    "token_endpoint_auth_signing_alg_values_supported": auth_algorithms("token"),
    "introspection_endpoint_auth_methods_supported": auth_methods("introspection"),
    "introspection_endpoint_auth_signing_alg_values_supported": auth_algorithms("introspection"),
    "revocation_endpoint_auth_methods_supported": auth_methods("revocation"),
    "revocation_endpoint_auth_signing_alg_values_supported": auth_algorithms("revocation"),
    "id_token_signing_alg_values_supported": id_token_signing_alg_values_supported,
    "userinfo_signing_alg_values_supported": userinfo_signing_alg_values_supported,
    "introspection_signing_alg_values_supported": introspection_signing_alg_values_supported,
    "request_object_signing_alg_values_supported": request_object_signing_alg_values_supported,
    "request_object_encryption_alg_values_supported": request_object_encryption("alg"),
    "request_object_encryption_enc_values_supported": request_object_encryption("enc"),
    **{
        f"{prefix}_encryption_{kind}_values_supported": encrypted(prefix, kind)
        for prefix in ("id_token", "userinfo", "introspection")
        for kind in ("alg", "enc")
    },
    "claims_parameter_supported": claims_parameter_supported,
    "request_parameter_supported": request_parameter_supported,
    "request_uri_parameter_supported": request_uri_parameter_supported,
    "require_request_uri_registration": require_request_uri_registration,
    "require_signed_request_object": require_signed_request_object,
    "authorization_response_iss_parameter_supported": authorization_response_iss_parameter_supported,
    "frontchannel_logout_supported": frontchannel_logout_supported,
    "frontchannel_logout_session_supported": as_its_neighbour("frontchannel_logout_supported"),
    "backchannel_logout_supported": backchannel_logout_supported,
    "backchannel_logout_session_supported": as_its_neighbour("backchannel_logout_supported"),
}

_SIGNING = ("none", "HS256", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "ES256K")
_SIGNING = (*_SIGNING, "RS256", "PS256", "ES256", "EdDSA", "foobar")
_KEY_MANAGEMENT = ("RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "dir", "A128KW")
_KEY_MANAGEMENT = (*_KEY_MANAGEMENT, "A256GCMKW", "PBES2-HS256+A128KW", "foobar")
_CONTENT = ("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM", "foobar")

_RESPONSE_TYPES = ("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token")

# Values that this provider or others offer; each that the document does not list must be refused.
REFUSALS: dict[str, tuple[tuple[str, ...], Callable[[Probe, str], None]]] = {
    "scopes_supported": ((*EVERY_SCOPE.split(), "foobar", "groups", "admin"), no_such_scope),
    "claims_supported": ((*CLAIMS, "email", "foobar", "groups", "password", "roles"), no_such_claim),
    "acr_values_supported": (("urn:mace:incommon:iap:silver", "phr", "phrh", "2"), no_such_acr),
    "subject_types_supported": (("public", "pairwise", "foobar"), refused_at_registration("subject_type")),
    "grant_types_supported": (
        (
            "authorization_code",
            "implicit",
            "refresh_token",
            "client_credentials",
            "password",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:saml2-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:openid:params:grant-type:ciba",
            "foobar",
        ),
        no_such_grant,
    ),
    "response_types_supported": (
        (*_RESPONSE_TYPES, "token", "none", "code code", "foobar", "code foobar"),
        no_such_response_type,
    ),
    "response_modes_supported": (
        (
            "query",
            "fragment",
            "form_post",
            "jwt",
            "query.jwt",
            "fragment.jwt",
            "form_post.jwt",
            "web_message",
            "foobar",
        ),
        no_such_response_mode,
    ),
    "prompt_values_supported": (
        ("none", "login", "consent", "select_account", "create", "foobar", "login foobar"),
        no_such_prompt,
    ),
    "code_challenge_methods_supported": (("S256", "plain", "s256", "S512"), no_such_challenge),
    "token_endpoint_auth_methods_supported": (
        (
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
            "client_secret_jwt",
            "tls_client_auth",
            "self_signed_tls_client_auth",
            "attest_jwt_client_auth",
            "foobar",
        ),
        no_such_auth_method,
    ),
    "token_endpoint_auth_signing_alg_values_supported": (
        _SIGNING,
        refused_at_registration("token_endpoint_auth_signing_alg", token_endpoint_auth_method="private_key_jwt"),
    ),
    **{
        f"{prefix}_signing_alg_values_supported": (_SIGNING, refused_at_registration(member))
        for prefix, member in (
            ("id_token", "id_token_signed_response_alg"),
            ("userinfo", "userinfo_signed_response_alg"),
            ("introspection", "introspection_signed_response_alg"),
            ("request_object", "request_object_signing_alg"),
        )
    },
    **{
        f"{prefix}_encryption_alg_values_supported": (_KEY_MANAGEMENT, refused_at_registration(member))
        for prefix, member in (
            ("id_token", "id_token_encrypted_response_alg"),
            ("userinfo", "userinfo_encrypted_response_alg"),
            ("introspection", "introspection_encrypted_response_alg"),
            ("request_object", "request_object_encryption_alg"),
        )
    },
    **{
        f"{prefix}_encryption_enc_values_supported": (
            _CONTENT,
            refused_at_registration(member, **{member.removesuffix("enc") + "alg": "RSA-OAEP-256"}),
        )
        for prefix, member in (
            ("id_token", "id_token_encrypted_response_enc"),
            ("userinfo", "userinfo_encrypted_response_enc"),
            ("introspection", "introspection_encrypted_response_enc"),
            ("request_object", "request_object_encryption_enc"),
        )
    },
}
