"""Clients that register themselves: openid-client and pyoidc by functions of their own, Authlib's users by a POST (RFC 7591).

All answer to the same calls: register, ask, finish, userinfo and logout. ``ask`` takes the parameters of the request, and whether
they go into a signed request object, by value or by reference.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
from clients import AuthlibClient, NodeClient, Refused
from joserfc.jwk import ECKey
from jwkest import JWKESTException
from oic.exception import PyoidcError
from oic.oauth2.message import ErrorResponse, MessageException
from oic.oic import rndstr
from oic.oic.consumer import Consumer
from oic.oic.message import AccessTokenResponse, AuthorizationResponse, BackChannelLogoutRequest, ClaimsRequest
from oic.utils.authn.client import CLIENT_AUTHN_METHOD
from oic.utils.keyio import KeyBundle
from oic.utils.session_backend import DictSessionBackend
from oic.utils.settings import OicClientSettings

if TYPE_CHECKING:
    from pathlib import Path

    from website import Website


def trusting(root: Path) -> ssl.SSLContext:
    """What httpx is told to trust."""
    return ssl.create_default_context(cafile=str(root))


class RegisteredAuthlib(AuthlibClient):
    """Authlib has no function for it: its users send the POST, and configure the client with the answer."""

    def __init__(self, trust: Path) -> None:
        """Keep what to trust."""
        super().__init__(trust)
        self._context = trusting(trust)

    def register(self, issuer: str, metadata: dict[str, Any], **more: Any) -> dict[str, Any]:
        with httpx.Client(verify=self._context, trust_env=False) as line:
            endpoint = line.get(f"{issuer}/.well-known/openid-configuration").json()["registration_endpoint"]
            answer = line.post(endpoint, json=metadata)
        assert answer.status_code == 201, answer.text
        document = dict(answer.json())
        self.discover(
            issuer=issuer,
            client_id=document["client_id"],
            redirect_uri=document["redirect_uris"][0],
            method=document["token_endpoint_auth_method"],
            **({"secret": document["client_secret"]} if "client_secret" in document else {}),
            **({"key": more["key"], "kid": more["kid"]} if "key" in more else {}),
        )
        return document

    def ask(self, parameters: dict[str, str]) -> str:
        return self.begin(**parameters)


class Pyoidc:
    """The library's consumer, called as its documentation shows."""

    def __init__(self, trust: Path, website: Website) -> None:
        """Make it; ``website`` is where it publishes request objects, which it writes as files below ``requests_dir``."""
        self._client = Consumer(
            DictSessionBackend(),
            {},
            client_config={
                "client_authn_method": CLIENT_AUTHN_METHOD,
                "config": {"code_challenge": {"length": 64, "method": "S256"}},
                "requests_dir": str(website.folder),
                "settings": OicClientSettings(verify_ssl=str(trust)),
            },
        )
        self._client.base_url = website.url

    def close(self) -> None:
        """Nothing to end."""

    def register(self, issuer: str, metadata: dict[str, Any], **more: Any) -> dict[str, Any]:
        self._metadata = self._client.provider_config(issuer)
        self._client.redirect_uris = metadata["redirect_uris"]
        if "key" in more:
            jwk = ECKey.import_key(more["key"]).as_dict(private=True)
            self._client.keyjar.add_kb("", KeyBundle([{**jwk, "kid": more["kid"], "use": "sig"}]))
        if "decrypting" in more:
            self._client.keyjar.add_kb("", KeyBundle([{**more["decrypting"], "use": "enc"}]))
        if "request_uris" in metadata:
            metadata = {**metadata, "request_uris": [self._client.generate_request_uris(self._client.requests_dir)]}
        try:
            answer = self._client.register(str(self._metadata["registration_endpoint"]), **metadata)
        except PyoidcError as error:
            raise Refused(type(error).__name__, None, str(error)) from error
        return dict(answer.to_dict())

    def ask(self, parameters: dict[str, str], request: str = "") -> str:
        registered = self._client.registration_response
        self._state = rndstr()
        given: dict[str, Any] = {
            "redirect_uri": registered["redirect_uris"][0],
            "response_type": registered["response_types"][0],
            "state": self._state,
            "nonce": rndstr(),
            **parameters,
        }
        if "claims" in parameters:
            given["claims"] = ClaimsRequest().from_json(parameters["claims"])
        self._verifier = None
        if "code" in given["response_type"]:  # beside a request object it stands outside
            challenge, self._verifier = self._client.add_code_challenge()
            given |= challenge
        how = {"value": "parameter", "reference": "file"}.get(request)
        more = {"request_method": how, "request_object_signing_alg": "ES256"} if how else {}
        made = self._client.construct_AuthorizationRequest(request_args=given, **more)
        self._asked = made
        return str(made.request(self._client.authorization_endpoint))

    def finish(self, url: str) -> dict[str, Any]:
        try:
            return self._finish(url)
        except (PyoidcError, MessageException) as error:
            raise Refused(type(error).__name__, None, str(error)) from error

    def _finish(self, url: str) -> dict[str, Any]:
        client = self._client
        answer = client.parse_response(
            AuthorizationResponse,
            info=url.partition("#")[2] or url,
            sformat="urlencoded",
            state=self._state,
            keyjar=client.keyjar,
            client_id=client.client_id,
            iss=client.provider_info["issuer"],
        )
        if isinstance(answer, ErrorResponse):
            raise Refused("ErrorResponse", answer["error"], str(answer))
        found = dict(answer)
        if "code" in answer:
            tokens = client.do_access_token_request(
                state=self._state,
                request_args={
                    "code": answer["code"],
                    **({"code_verifier": self._verifier} if self._verifier else {}),
                },
                authn_method=client.registration_response["token_endpoint_auth_method"],
                algorithm="ES256",
            )
            assert isinstance(tokens, AccessTokenResponse), tokens
            found |= dict(tokens)
        client.verify_id_token(found["id_token"], self._asked)
        return {**found, "claims": found["id_token"].to_dict()}

    def userinfo(self, access_token: str, sub: str) -> dict[str, Any]:
        found = self._client.do_user_info_request(token=access_token)
        assert found["sub"] == sub
        return dict(found.to_dict())

    def logged_out(self, form: dict[str, str]) -> str | None:
        """Return the session that a logout token ends."""
        request = BackChannelLogoutRequest(**form)
        client = self._client
        try:
            request.verify(aud=client.client_id, iss=client.provider_info["issuer"], keyjar=client.keyjar)
        except (PyoidcError, MessageException, JWKESTException, ValueError) as error:
            raise Refused(type(error).__name__, None, str(error)) from error
        return str(request["logout_token"]["sid"])

    def logout(self, id_token: str, post_logout_redirect_uri: str, state: str) -> str:  # noqa: ARG002 it has kept it
        given = {"post_logout_redirect_uri": post_logout_redirect_uri, "state": state}
        made = self._client.construct_EndSessionRequest(state=self._state, request_args=given)
        return str(made.request(self._client.provider_info["end_session_endpoint"]))


def registering(name: str, trust: Path, website: Website) -> Any:
    """Start a client by the name of its column."""
    if name == "pyoidc":
        return Pyoidc(trust, website)
    return RegisteredAuthlib(trust) if name == "authlib" else NodeClient(name, trust)
