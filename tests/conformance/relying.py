"""A relying party written against the specifications alone: registration, authorization request, token request, userinfo.

It registers itself, asks in any way a relying party may (query, form, request object), and believes nothing that it has not
checked: each parameter of the answer, each ID token (:mod:`id_token_rules`).
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from id_token_rules import Expectation, header_of, validate
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

if TYPE_CHECKING:
    import httpx
    from op_under_test import Provider
    from user_agent import Arrival, UserAgent

REDIRECT = "https://rp.example/cb"
EVERYTHING = "openid profile email address phone"
# Core §3 (table): what each response type brings to the front.
FRONT = {"code": {"code"}, "id_token": {"id_token"}, "token": {"access_token", "token_type"}}
_OPTIONAL = {"expires_in", "scope", "session_state"}
_GRANTS = {"code": "authorization_code", "id_token": "implicit", "token": "implicit"}


@dataclass(frozen=True)
class Asked:
    """An authorization request as it was meant."""

    params: dict[str, str]
    arrival: Arrival

    @property
    def code(self) -> str:
        """The code of the answer."""
        assert "code" in self.arrival.params, f"no code: {self.arrival.params or self.arrival.page}"
        return self.arrival.params["code"]


@dataclass(frozen=True)
class SignedIn:
    """What a whole sign-in has brought, every part of it checked."""

    asked: Asked
    front: dict[str, Any]  # claims of the ID token of the authorization endpoint
    tokens: dict[str, Any]  # answer of the token endpoint
    claims: dict[str, Any]  # claims of the ID token (the token endpoint's, if there is one)

    @property
    def access_token(self) -> str:
        """The access token: the token endpoint's, or the authorization endpoint's."""
        found: str = self.tokens.get("access_token") or self.asked.arrival.params["access_token"]
        return found

    @property
    def id_token(self) -> str:
        """The ID token as it came."""
        found: str = self.tokens.get("id_token") or self.asked.arrival.params["id_token"]
        return found


def new_keys(generation: str = "1") -> dict[str, RSAKey | ECKey | OKPKey]:
    """A client's key pairs: signing by algorithm, and one RSA and one EC key for encryption."""
    sig, enc = {"use": "sig"}, {"use": "enc"}
    return {
        "RS256": RSAKey.generate_key(2048, {"kid": f"rs-{generation}", "alg": "RS256", **sig}),
        "PS256": RSAKey.generate_key(2048, {"kid": f"ps-{generation}", "alg": "PS256", **sig}),
        "ES256": ECKey.generate_key("P-256", {"kid": f"es-{generation}", "alg": "ES256", **sig}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": f"ed-{generation}", "alg": "EdDSA", **sig}),
        "RSA-OAEP-256": RSAKey.generate_key(2048, {"kid": f"rsa-enc-{generation}", "alg": "RSA-OAEP-256", **enc}),
        "ECDH-ES": ECKey.generate_key("P-256", {"kid": f"ec-enc-{generation}", "alg": "ECDH-ES", **enc}),
    }


def public_set(keys: dict[str, Any]) -> dict[str, Any]:
    """The JWK Set that a client publishes."""
    return {"keys": [key.as_dict(private=False) for key in keys.values()]}


@dataclass
class RelyingParty:
    """One registered client. ``document`` is what the registration answered."""

    provider: Provider
    metadata: dict[str, Any]  # of the provider
    document: dict[str, Any]
    keys: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def register(cls, provider: Provider, *, keys: dict[str, Any] | None = None, **given: Any) -> RelyingParty:
        """Register (OpenID Registration §3.1) and check the answer (§3.2); ``given`` are members beside the redirect URI."""
        metadata = provider.discovery()
        given = {"redirect_uris": [REDIRECT], "client_name": "A relying party", **given}
        kinds = {kind for response_type in given.get("response_types", ["code"]) for kind in response_type.split()}
        given.setdefault("grant_types", sorted({_GRANTS[kind] for kind in kinds}))
        answer = provider.http.post(metadata["registration_endpoint"], json=given)
        # OpenID Registration §3.2: 201 and JSON, not to be cached.
        assert answer.status_code == 201, f"{given}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
        assert "no-store" in answer.headers["cache-control"]
        document = answer.json()
        assert document["client_id"]
        if "client_secret" in document:
            assert isinstance(document["client_secret_expires_at"], int)
        assert document["redirect_uris"] == given["redirect_uris"]
        return cls(provider, metadata, document, keys or {})

    # -- what is registered -------------------------------------------------------------------------------------------

    @property
    def client_id(self) -> str:
        found: str = self.document["client_id"]
        return found

    @property
    def redirect_uri(self) -> str:
        found: str = self.document["redirect_uris"][0]
        return found

    @property
    def response_type(self) -> str:
        found: str = self.document.get("response_types", ["code"])[0]
        return found

    @property
    def auth_method(self) -> str:
        return str(self.document.get("token_endpoint_auth_method", "client_secret_basic"))

    # -- the authorization request ------------------------------------------------------------------------------------

    def request(self, **params: str | None) -> dict[str, str]:
        """The parameters of an authentication request (Core §3.1.2.1); a parameter None is left out."""
        wanted: dict[str, str | None] = {
            "response_type": self.response_type,
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            **params,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def url(self, params: dict[str, str]) -> str:
        """The address of a request by query."""
        return f"{self.metadata['authorization_endpoint']}?{urlencode(params)}"

    def ask(self, agent: UserAgent, *, by: str = "GET", **params: str | None) -> Asked:
        """Send the browser with a request, and wait where it arrives."""
        request = self.request(**params)
        if by == "POST":  # a form of the relying party's own site (Core §3.1.2.1)
            arrival = agent.open(self.metadata["authorization_endpoint"], form=request, origin="https://rp.example")
        else:
            arrival = agent.open(self.url(request))
        return Asked(request, arrival)

    def ask_by_object(
        self, agent: UserAgent, claims: dict[str, Any], *, alg: str = "RS256", **params: str | None
    ) -> Asked:
        """Send the browser with a request object by value (Core §6.1); ``params`` stand beside it."""
        return self.ask(agent, request=self.request_object(claims, alg=alg), **params)

    def request_object(self, claims: dict[str, Any], *, alg: str = "RS256", **header: Any) -> str:
        """A request object (Core §6.1), signed with the client's key or, with ``none``, not at all."""
        body = {"iss": self.client_id, "aud": self.metadata["issuer"], **claims}
        body = {name: value for name, value in body.items() if value is not None}
        if alg == "none":
            return unsigned(body)
        key = self.keys[alg]
        return jwt.encode({"alg": alg, "kid": key.kid, **header}, body, key, algorithms=[alg])

    # -- the answer ---------------------------------------------------------------------------------------------------

    def check_front(self, asked: Asked, *, keys: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Check an authorization response (Core §3.1.2.5, §3.2.2.5, §3.3.2.5) and return the claims of its ID token, if any."""
        arrival, params = asked.arrival, asked.arrival.params
        assert arrival.error is None, f"{arrival.error}: {params.get('error_description') or arrival.page}"
        assert arrival.page is None, f"a page instead of an answer: {arrival.page and arrival.page.text[:800]}"
        kinds = asked.params["response_type"].split()
        mode = asked.params.get("response_mode", "query" if kinds == ["code"] else "fragment")
        # Multiple Response Types §2.1, §5: the default mode of everything with a token in it is fragment.
        assert arrival.mode == mode
        assert arrival.repeated == ()
        sent_to = asked.params.get("redirect_uri", self.redirect_uri)
        assert arrival.target.startswith(sent_to), f"sent to {arrival.target}"
        if mode != "query":
            assert arrival.target == sent_to, "nothing is added to the redirect URI"
        expected = {"state"} & asked.params.keys() | {name for kind in kinds for name in FRONT[kind]}
        own = {"iss"} if self.metadata.get("authorization_response_iss_parameter_supported") else set()
        kept = set(arrival.params) - _query_of(sent_to)
        assert kept - _OPTIONAL == expected | own, f"the answer has {sorted(kept)}"
        assert params.get("state") == asked.params.get("state"), "RFC 6749 §4.1.2: state"
        if own:
            assert params["iss"] == self.metadata["issuer"], "RFC 9207 §2: iss"
        if "token" in kinds:
            assert params["token_type"].lower() == "bearer", "RFC 6749 §4.2.2: token_type"
            assert int(params["expires_in"]) > 0, "RFC 6749 §4.2.2: expires_in"
        if "id_token" not in kinds:
            return {}
        return self.believe(params["id_token"], asked, is_front=True, keys=keys)

    def believe(
        self,
        token: str,
        asked: Asked,
        *,
        is_front: bool = False,
        access_token: str | None = None,
        keys: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Validate an ID token that came for a request, decrypting it where the client registered so."""
        params = asked.arrival.params
        max_age = asked.params.get("max_age")
        alg = self.document.get("id_token_encrypted_response_alg")
        if alg is not None:
            header = header_of(token)
            # Registration §2: the encryption the client asked for, and no other.
            enc = self.document.get("id_token_encrypted_response_enc", "A128CBC-HS256")
            assert (header["alg"], header["enc"]) == (alg, enc)
            token = self.decrypted(token)
        return validate(
            token,
            Expectation(
                issuer=self.metadata["issuer"],
                client_id=self.client_id,
                keys=self.provider.keys() if keys is None else keys,
                alg=self.document.get("id_token_signed_response_alg", "RS256"),
                nonce=asked.params.get("nonce"),
                code=params.get("code"),
                access_token=access_token or params.get("access_token"),
                state=asked.params.get("state"),
                max_age=int(max_age) if max_age is not None else None,
                is_from_authorization_endpoint=is_front,
                response_type=asked.params["response_type"],
            ),
        )

    def decrypted(self, token: str) -> str:
        """The content of a JWE for this client."""
        header = header_of(token)
        key = self.keys[header["alg"]]
        assert header.get("kid", key.kid) == key.kid
        found = jwe.decrypt_compact(token, key, algorithms=[header["alg"], header["enc"]])
        return (found.plaintext or b"").decode()

    # -- the token endpoint -------------------------------------------------------------------------------------------

    def post(self, url: str, form: dict[str, str], method: str | None = None) -> httpx.Response:
        """Post to an endpoint, authenticated the registered way (Core §9), or by another method."""
        method = method or self.auth_method
        headers = {}
        if method == "client_secret_basic":
            # RFC 6749 §2.3.1: both parts form-encoded first.
            auth = (quote_plus(self.client_id), quote_plus(self.document["client_secret"]))
            return self.provider.http.post(url, data=form, auth=auth)
        form = {"client_id": self.client_id, **form}
        if method == "client_secret_post":
            form["client_secret"] = self.document["client_secret"]
        elif method == "private_key_jwt":
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = self.assertion(self.metadata["token_endpoint"])
        elif method == "client_secret_jwt":
            raise NotImplementedError(method)
        return self.provider.http.post(url, data=form, headers=headers)

    def assertion(self, audience: str, **more: Any) -> str:
        """A client assertion (Core §9, private_key_jwt)."""
        at = int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": audience, "iat": at, "exp": at + 60}
        claims |= {"jti": secrets.token_urlsafe(16), **more}
        alg = self.document.get("token_endpoint_auth_signing_alg", "RS256")
        key = self.keys[alg]
        return jwt.encode({"alg": alg, "kid": key.kid}, claims, key, algorithms=[alg])

    def redeem(self, asked: Asked, *, method: str | None = None, **more: str | None) -> httpx.Response:
        """Redeem the code (Core §3.1.3.1)."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": asked.code,
            "redirect_uri": asked.params.get("redirect_uri"),
            **more,
        }
        given = {name: value for name, value in form.items() if value is not None}
        return self.post(self.metadata["token_endpoint"], given, method)

    def tokens(self, asked: Asked, *, keys: list[dict[str, Any]] | None = None, **more: str | None) -> SignedIn:
        """Check the authorization response, redeem its code if it has one, and check what comes (Core §3.1.3.3)."""
        front = self.check_front(asked, keys=keys)
        if "code" not in asked.params["response_type"].split():
            return SignedIn(asked, front, {}, front)
        answer = self.redeem(asked, **more)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        # Core §3.1.3.3: JSON, not to be cached, Bearer, and an ID token.
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
        assert "no-store" in answer.headers["cache-control"]
        tokens = answer.json()
        assert tokens["token_type"].lower() == "bearer"
        assert isinstance(tokens.get("expires_in", 1), int)
        claims = self.believe(tokens["id_token"], asked, access_token=tokens["access_token"], keys=keys)
        if front:
            # Core §3.3.3.6: the same iss and sub; what both have about the event is the same.
            for name in ("iss", "sub", "auth_time", "acr", "amr"):
                assert front.get(name, claims.get(name)) == claims.get(name), f"Core §3.3.3.6: {name} differs"
        return SignedIn(asked, front, tokens, claims)

    def sign_in(self, agent: UserAgent, *, by: str = "GET", **params: str | None) -> SignedIn:
        """Everything from the request to believed tokens."""
        return self.tokens(self.ask(agent, by=by, **params))

    # -- userinfo -----------------------------------------------------------------------------------------------------

    def userinfo(self, signed_in: SignedIn) -> dict[str, Any]:
        """Ask userinfo and check that it speaks of the person of the ID token (Core §5.3.2, §5.3.4)."""
        answer = self.provider.http.get(
            self.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
        )
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
        found: dict[str, Any] = answer.json()
        assert found["sub"] == signed_in.claims["sub"], "Core §5.3.2: sub is not that of the ID token"
        return found


def unsigned(claims: dict[str, Any]) -> str:
    """An unsecured JWS (RFC 7515 Appendix A.5): header, claims, and nothing."""
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def key_set(keys: list[dict[str, Any]]) -> KeySet:
    """A key set of published keys."""
    return KeySet.import_key_set({"keys": keys})


def _query_of(uri: str) -> set[str]:
    return {pair.partition("=")[0] for pair in uri.partition("?")[2].split("&") if pair}
