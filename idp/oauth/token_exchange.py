"""Token exchange (RFC 8693): a confidential client hands in a person's token and gets one that is for somebody else, and less.

Who may, and why (docs/decisions/0015-token-exchange.md): the client is registered for the grant type by an administrator. It may hand
in its own tokens and those that are addressed to it; those of other clients with the permission ``tokens:exchange``. The token that it
gets says who acts (``act``), unless the client holds ``tokens:impersonate``; it allows no more, lives no longer and ends no later than
what it came from. It is never for the services of this product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError, InvalidScopeError, OAuth2Error, TokenEndpointMixin

from idp.access import claims as access_claims
from idp.access import policy
from idp.access.conditions import Context
from idp.access.policy import Subject
from idp.clock import now
from idp.errors import refused
from idp.feature import Feature
from idp.keys.compact import InvalidToken
from idp.oauth import authorizations, presented_tokens, scopes
from idp.oauth.client_auth import METHODS
from idp.oauth.grants.base import TenantGrant
from idp.oauth.introspection import is_addressed
from idp.oauth.presented_tokens import ACCESS_TOKEN, TYPES
from idp.oauth.resource_indicators import AUDIENCE, MOST, PARAMETER, TOKEN_EXCHANGE, invalid_target
from idp.tokens.authorization import Authorization
from idp.tokens.verification import CAME_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.oauth.presented_tokens import Presented

EXCHANGE, IMPERSONATE = "tokens:exchange", "tokens:impersonate"
MOST_ACTORS = 5  # nested in one token
MOST_ANCESTORS = 20
# Of the exchanged token: it has no refresh token, and userinfo is for the client that the person allowed it.
_NOT_HANDED_ON = frozenset({"openid", "offline_access"})
_TEXT = "The subject_token or actor_token is invalid, or may not be exchanged by this client."


class TokenExchange(TenantGrant, BaseGrant, TokenEndpointMixin):
    """The grant; it changes no row, so its event goes to the worker's spool."""

    GRANT_TYPE = TOKEN_EXCHANGE
    # A public client cannot prove who hands the token in.
    TOKEN_ENDPOINT_AUTH_METHODS = tuple(method for method in METHODS if method != "none")

    def validate_token_request(self) -> None:
        """Authenticate the client, find both tokens and decide who acts, for whom and for what."""
        client = self.request.client = self.authenticate_token_endpoint_client()
        sent = self.request.payload.data
        if sent.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise _invalid("requested_token_type", "another kind of token than an access token is asked for", "§2.1")
        self._subject = self._presented("subject_token", is_required=True)
        if self._subject.user_id is None:
            raise _invalid("subject_token", "it stands for no person: a client gets tokens for itself", "§2.1")
        has_actor = "actor_token" in sent or "actor_token_type" in sent
        self._actor = self._presented("actor_token", is_required=True) if has_actor else None
        self._act = self._decide_actor()
        self._scope = self._decide_scope()
        self._audience = self._decide_audience()
        self._ids = (*self._subject.ids, *(self._actor.ids if self._actor is not None else ()))
        if len(self._ids) > MOST_ANCESTORS:
            raise _invalid("subject_token", "it was exchanged too often", "§4.1", received=client.client_id)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Mint the access token; RFC 8693 §2.2.1 wants its type named."""
        subject, server, client, http = self._subject, self.server, self.request.client, self.request.http
        user_id = str(subject.user_id)
        released = frozenset(self._scope)
        amr = subject.claims.get("amr", ())
        about_access = (
            {}
            if released.isdisjoint(access_claims.SCOPES)
            else authorizations.access_claims(server, Subject("user", user_id), released, amr, subject.allowed)
        )
        act = {"act": self._act} if self._act is not None else {}
        response = self.generate_token(
            Authorization(
                client_id=client.client_id,
                subject=server.subjects.of(client, user_id),
                scope=" ".join(self._scope),
                grant_id=subject.grant_id,
                auth_time=subject.claims.get("auth_time"),
                acr=subject.claims.get("acr"),
                amr=amr,
                audience=self._audience,
                access_claims={**about_access, **act, CAME_FROM: list(self._ids)},
                expires_at=min(each.claims["exp"] for each in (subject, self._actor) if each is not None),
            )
        )
        server.services.spool.audit(
            server.tenant.id,
            "token.issued",
            outcome="success",
            actor=f"client:{client.client_id}",
            client_id=client.client_id,
            subject=user_id,
            grant_id=subject.grant_id,
            source=http.remote_addr,
            correlation_id=http.correlation_id,
            details={
                "grant_type": "token_exchange",
                "issued_to": subject.client_id,
                "act": self._act,
                "audience": list(self._audience),
                "scope": " ".join(self._scope),
            },
        )
        return 200, {**response, "issued_token_type": ACCESS_TOKEN}, self.TOKEN_RESPONSE_HEADER

    # -- the tokens ---------------------------------------------------------------------------------------------------

    def _presented(self, name: str, *, is_required: bool) -> Presented:
        sent = self.request.payload.data
        token, kind = sent.get(name), sent.get(f"{name}_type")
        # §2.1: the type is required with its token, and must not be there without.
        if is_required and (token is None or kind is None):
            raise _invalid(name, f"{name} and {name}_type belong together, and one is missing", "§2.1")
        if kind not in TYPES:
            raise _invalid(name, f"{name}_type is none that is exchanged here", "§3", received=kind, registered=TYPES)
        try:
            return presented_tokens.find(self.server, str(token), str(kind))
        except InvalidToken as error:
            # §2.2.2: invalid_request, whatever is wrong with a token.
            raise _invalid(name, f"{name}: {error.reason}", "§2.2.2") from None

    # -- who acts -----------------------------------------------------------------------------------------------------

    def _decide_actor(self) -> Mapping[str, Any] | None:
        """Return the claim ``act`` of the new token; None where nobody is named in it."""
        subject, actor, client_id = self._subject, self._actor, self.request.client.client_id
        if actor is not None and (actor.client_id != client_id or "act" in actor.claims):
            # Who acts proves it with a token of its own, not with one that it was handed.
            raise _invalid("actor_token", "actor_token was issued to another client, or is a delegated one", "§2.1")
        facts = actor.actor if actor is not None else {"sub": client_id, "client_id": client_id}
        is_named = self._is_named(facts)
        if not (
            is_named
            or subject.client_id == client_id
            or is_addressed(self.server, client_id, {"aud": list(subject.audience)})
            or self._holds(EXCHANGE)
        ):
            raise _invalid(
                "subject_token",
                f"it was issued to another client, and this one does not hold {EXCHANGE} for it",
                "§1.1",
                fix=f"Give the client a role with {EXCHANGE}, in the tenant or for client:{subject.client_id}.",
                received=subject.client_id,
            )
        before = subject.claims.get("act")
        if actor is None and self._holds(IMPERSONATE):
            return before
        if before is not None and facts == {name: value for name, value in before.items() if name != "act"}:
            return dict(before)
        # §4.1: the outermost is the current actor, those before are nested in it.
        act = facts if before is None else {**facts, "act": before}
        if _depth(act) > MOST_ACTORS:
            raise _invalid("subject_token", f"more than {MOST_ACTORS} would have acted one for another", "§4.1")
        return act

    def _is_named(self, facts: Mapping[str, str]) -> bool:
        """Say whether the subject token names who acts; one that names somebody else is refused (§4.4)."""
        named = self._subject.claims.get("may_act")
        if named is None:
            return False
        known = {**facts, "iss": self.server.tenant.issuer}
        if not isinstance(named, dict) or not named or any(known.get(name) != named[name] for name in named):
            raise _invalid("subject_token", "its may_act names another actor", "§4.4")
        return True

    def _holds(self, permission: str) -> bool:
        at, source = now(), self.request.http.remote_addr
        with self.server.database.reading() as conn:
            return policy.permitted(
                conn,
                Subject("client", self.request.client.client_id),
                permission,
                context=Context(at, source),
                resource=f"client:{self._subject.client_id}",
            ).allowed

    # -- for what, and for whom -----------------------------------------------------------------------------------------

    def _decide_scope(self) -> list[str]:
        """Return the scope: a part of what the subject token has that the client is registered for, too."""
        client = self.request.client
        wanted = scopes.split(self.request.payload.scope)
        within = [each for each in self._subject.scope if each in client.scopes and each not in _NOT_HANDED_ON]
        if not set(wanted) <= set(within) or (self._subject.scope and not wanted and not within):
            raise refused(
                InvalidScopeError(
                    "The requested scope exceeds what the subject token has, or this client may ask for."
                ),
                check="scope",
                spec="RFC 8693 §2.1",
                reason="a requested scope is not in the subject token, not registered for the client, or about the person only",
                fix="Ask for less, or add the value to the client's `scope`: idp client update TENANT CLIENT_ID",
                received=" ".join(wanted),
                registered=tuple(within),
            )
        return wanted or within

    def _decide_audience(self) -> tuple[str, ...]:
        """Return for whom the token is: what is named, or what the subject token is for; raises ``invalid_target``."""
        issuer, has = self.server.tenant.issuer, self._subject.audience
        # The services of the product are no target: who acts there is the person, and the trail would not say by whom.
        closed = set(self.server.reserved_audiences) - {issuer}
        listed = self.request.client.metadata.get("token_exchange_audiences", ())
        known = {each for each in (*has, *listed) if each not in closed and (each != issuer or issuer in has)}
        named = [(name, value) for name, value in self.request.payload.pairs if name in (AUDIENCE, PARAMETER) and value]
        wanted = list(dict.fromkeys(value for _, value in named)) or [each for each in has if each in known]
        is_well_formed = all(name != PARAMETER or _is_resource(value) for name, value in named)
        if not wanted or len(wanted) > MOST or not is_well_formed or not set(wanted) <= known:
            raise _target(next((each for each in wanted if each not in known), None), tuple(sorted(known)))
        return tuple(wanted)


def _target(received: str | None, known: tuple[str, ...]) -> OAuth2Error:
    return invalid_target(
        "a target is none that this client may exchange this token for, or none was named and the token's own is not among them",
        "Name it in the client's token_exchange_audiences, or ask for one of those that are there.",
        received,
        known,
    )


def _is_resource(value: str) -> bool:
    """RFC 8707 §2: an absolute URI without a fragment."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and "#" not in value


def _depth(act: Any) -> int:
    return 1 + _depth(act.get("act")) if isinstance(act, dict) else 0


def _invalid(
    check: str,
    reason: str,
    section: str,
    *,
    fix: str = "Hand in a living token of this tenant, with its type; see docs/token-exchange.md.",
    received: str | None = None,
    registered: tuple[str, ...] = (),
) -> InvalidRequestError:
    """Return the one answer to whatever is wrong with a token (§2.2.2), with its private reason."""
    text = "Only access tokens are issued." if check == "requested_token_type" else _TEXT
    return refused(
        InvalidRequestError(text),
        check=check,
        spec=f"RFC 8693 {section}",
        reason=reason,
        fix=fix,
        received=received[:200] if received else None,
        registered=registered,
    )


TOKEN_EXCHANGE_FEATURE = Feature(
    name="token_exchange",
    spec="RFC 8693",
    grants=((TokenExchange, ()),),
    metadata=lambda _server: {"grant_types_supported": [TOKEN_EXCHANGE]},
)
