"""The application as OpenID Connect knows it: sign-in, tokens, userinfo, introspection, revocation, sign-out (with Authlib).

Each sign-in has a client of its own, so that discovery and keys are read anew and can be shown. Beyond what Authlib checks
(state, PKCE, signature, nonce and claims of the ID token) this checks what RFC 9207 §2.4, OpenID Connect Discovery §4.3 and
Core §5.3.2 and §12.2 ask of a relying party. Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_client import FlaskOAuth2App, OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, current_app

from idp.demo.exchanges import RecordingSession
from idp.demo.problems import Problem, refused, wrong_issuer, wrong_metadata, wrong_state
from idp.demo.visits import Tokens, Visit

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict
    from werkzeug.wrappers import Response

SCOPE = "openid profile email offline_access"
DISCOVERY = "/.well-known/openid-configuration"
_HINTS = {"access": "access_token", "refresh": "refresh_token"}


class RecordingApp(FlaskOAuth2App):
    """Authlib's client for Flask, with sessions that record."""

    client_cls = RecordingSession


class Application:
    """One registered client at one issuer."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, base_url: str, ca_bundle: str | None, scope: str
    ) -> None:
        """Take the registration; ``base_url`` is where browsers reach the application."""
        self.issuer, self.client_id, self.base_url = issuer.rstrip("/"), client_id, base_url.rstrip("/")
        self.redirect_uri = f"{self.base_url}/callback"
        self.signed_out_uri = f"{self.base_url}/signed-out"
        self._secret, self._ca_bundle, self._scope = client_secret, ca_bundle, scope

    def begin(self, visit: Visit, prompt: str | None) -> Response:
        """Send the browser to the identity provider; ``prompt`` is login, none or nothing."""
        visit.trace.mask.learn(self._secret, "client_secret")
        visit.client = self._client(visit)
        self._metadata(visit)
        wishes = {"prompt": prompt} if prompt else {}
        if prompt == "none" and visit.tokens is not None:
            wishes["id_token_hint"] = visit.tokens.id_token  # Core §3.1.2.1: whom the silent answer has to be about
        response: Response = visit.client.authorize_redirect(self.redirect_uri, **wishes)
        visit.trace.sent("authorization", response.location or "", "The browser was sent there.")
        return response

    def finish(self, visit: Visit, answer: MultiDict[str, str]) -> Tokens:
        """Take the identity provider's answer and fetch the tokens; raises what `problems.from_error` understands."""
        error, state = answer.get("error"), answer.get("state")
        outcome = (
            f"It brought an error: {error}."
            if error
            else "It brought a code."
            if "code" in answer
            else "It brought neither code nor error."
        )
        visit.trace.returned(
            "callback",
            self.redirect_uri,
            answer.items(multi=True),
            visit.trace.mask.text(outcome)[:200],
            is_good=error is None,
        )
        client = visit.client
        if client is None or not state or client.framework.get_state_data(visit, state) is None:
            raise wrong_state()
        metadata, received = self._metadata(visit), answer.get("iss")
        if (received or metadata.get("authorization_response_iss_parameter_supported")) and received != self.issuer:
            client.framework.clear_state_data(visit, state)
            raise wrong_issuer(self.issuer, received)
        if error:
            client.framework.clear_state_data(visit, state)
            raise refused(error, answer.get("error_description"))
        if not answer.get("code"):
            raise Problem("The answer is empty", "It has neither a code nor an error.", "unexpected_answer", status=502)
        token = client.authorize_access_token()
        if "id_token" not in token:
            raise Problem(
                "There is no ID token",
                "The identity provider sent tokens, but none that says who you are.",
                "unexpected_answer",
                status=502,
            )
        visit.tokens = self._tokens(visit, token, dict(token["userinfo"]), token["id_token"], None)
        visit.renew()
        return visit.tokens

    def refresh(self, visit: Visit, tokens: Tokens) -> None:
        """Trade the refresh token for new tokens (RFC 6749 §6)."""
        if tokens.refresh_token is None:
            raise Problem(
                "There is no refresh token",
                "The identity provider gave none, so only a new sign-in brings new tokens.",
                "no_refresh_token",
            )
        asked = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        token = visit.client.fetch_access_token(**asked, scope=tokens.scope)
        claims, id_token = tokens.claims, tokens.id_token
        if "id_token" in token:
            claims, id_token = dict(visit.client.parse_id_token(token, nonce=None)), token["id_token"]
            if any(claims.get(name) != tokens.claims.get(name) for name in ("iss", "sub", "aud")):  # Core §12.2
                raise Problem(
                    "The new ID token is about somebody else",
                    "A refresh never changes whom it is about; the new tokens were thrown away.",
                    "wrong_subject",
                    status=502,
                )
        visit.tokens = self._tokens(visit, token, claims, id_token, tokens)

    def fetch_userinfo(self, visit: Visit, tokens: Tokens) -> None:
        """Ask who the access token is about (Core §5.3)."""
        bearer = {"access_token": tokens.access_token, "token_type": "Bearer"}
        found = dict(visit.client.userinfo(token=bearer))
        if found.get("sub") != tokens.claims.get("sub"):  # Core §5.3.2
            raise Problem(
                "Userinfo is about somebody else",
                "Its sub is not that of the ID token, so nothing of it may be used.",
                "wrong_subject",
                status=502,
            )
        tokens.userinfo = found

    def introspect(self, visit: Visit, tokens: Tokens, kind: str) -> bool:
        """Ask whether a token, ``access`` or ``refresh``, is still good (RFC 7662)."""
        answer = self._tell(visit, tokens, kind, "introspection_endpoint").json()
        if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
            raise Problem(
                "The answer could not be understood",
                "An introspection says whether the token is active; this one did not.",
                "unexpected_answer",
                status=502,
            )
        tokens.introspected[kind] = answer
        return bool(answer["active"])

    def revoke(self, visit: Visit, tokens: Tokens, kind: str) -> None:
        """Give a token back (RFC 7009)."""
        self._tell(visit, tokens, kind, "revocation_endpoint")
        tokens.revoked.add(kind)

    def sign_out(self, visit: Visit, tokens: Tokens) -> Response:
        """Forget the tokens, and send the browser to end the session at the identity provider (RP-Initiated Logout §2)."""
        response: Response = visit.client.logout_redirect(
            post_logout_redirect_uri=self.signed_out_uri, id_token_hint=tokens.id_token
        )
        visit.trace.sent(
            "logout", response.location or "", "The browser was sent there; the application has forgotten its tokens."
        )
        visit.tokens = None
        visit.renew()
        return response

    def returned_from_sign_out(self, visit: Visit, answer: MultiDict[str, str]) -> None:
        """Note the return, when it is ours; raises Authlib's OAuthError when nobody here began it."""
        visit.client.validate_logout_response()
        visit.trace.returned(
            "signed_out", self.signed_out_uri, answer.items(multi=True), "You are signed out.", is_good=True
        )

    def _client(self, visit: Visit) -> Any:
        return OAuth(_app()).register(
            "idp",
            client_cls=RecordingApp,
            client_id=self.client_id,
            client_secret=self._secret,
            server_metadata_url=f"{self.issuer}{DISCOVERY}",
            client_kwargs={
                "scope": self._scope,
                "code_challenge_method": "S256",
                "trace": visit.trace,
                "ca_bundle": self._ca_bundle,
            },
        )

    def _metadata(self, visit: Visit) -> dict[str, Any]:
        metadata: dict[str, Any] = visit.client.load_server_metadata()
        if metadata.get("issuer") != self.issuer:
            raise wrong_metadata(self.issuer, metadata.get("issuer"))
        return metadata

    def _tokens(
        self, visit: Visit, token: dict[str, Any], claims: dict[str, Any], id_token: str, earlier: Tokens | None
    ) -> Tokens:
        return Tokens(
            access_token=token["access_token"],
            id_token=id_token,
            claims=claims,
            scope=token.get("scope") or (earlier.scope if earlier else self._scope),
            refresh_token=token.get("refresh_token") or (earlier.refresh_token if earlier else None),
            keys=visit.client.fetch_jwk_set(),
            userinfo=earlier.userinfo if earlier else None,
        )

    def _tell(self, visit: Visit, tokens: Tokens, kind: str, endpoint: str) -> Any:
        """Send a token, authenticated as the client, to an endpoint of the metadata."""
        token = tokens.access_token if kind == "access" else tokens.refresh_token
        method = "client_secret_basic" if self._secret else "none"
        auth = OAuth2Session.client_auth_class(self.client_id, self._secret, method)
        form = {"token": token, "token_type_hint": _HINTS[kind]}
        answer = visit.client.post(self._metadata(visit)[endpoint], data=form, withhold_token=True, auth=auth)
        answer.raise_for_status()
        return answer


def _app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    return app
