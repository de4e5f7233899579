"""Who may call: a living access token of the tenant in the path, or of the platform's own, for this service, with the permission.

RFC 6750 §2.1, §3; RFC 9068 §4; RFC 8707 §2. The tenant comes from the path, never from the token (security rule 6): the token must
be one of its own, or of `system`. An operation without a tenant in its path is about the platform, and for tokens of `system`
alone, as is what only the platform may do with a tenant. Revocation, grant, user, application and permission are read from the database each time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from idp.access import audiences, claims, permissions, policy
from idp.access.conditions import Context
from idp.access.granting import Granter
from idp.access.policy import Subject
from idp.api.errors import PermissionRequired, TokenMissing, TokenRefused, TooOften, nothing_here
from idp.api.operations import Caller
from idp.clock import now
from idp.errors import StorageUnavailable, refused
from idp.identity.accounts import By
from idp.keys.compact import InvalidToken
from idp.tenancy.tenant import SYSTEM
from idp.tokens import verification
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.api.operations import Operation, Service, Surroundings
    from idp.oauth.server import TenantServer
    from idp.tenancy.tenant import Tenant
    from idp.tokens.verification import LiveToken
    from idp.web.http import Request
    from idp.web.ratelimit import Verdict

# Per address before the token is looked at, and per caller behind it.
RATE_OF_ADDRESS = Rule("api", 6000, 60)
RATE_OF_CALLER = Rule("api-caller", 3000, 60)
# RFC 9562 §4: a UUID in its usual form, or without the hyphens, as we write it.
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def find_tenant(surroundings: Surroundings, named: str) -> Tenant | None:
    """Return the tenant of a path, by its id or its slug; None when there is none."""
    found = surroundings.resolver.by_id(named.replace("-", "").lower()) if _ID.fullmatch(named) else None
    if found is None and _SLUG.fullmatch(named):
        found = surroundings.resolver.by_slug(named)
    return found


class Guard:
    """The guard of one service."""

    def __init__(self, surroundings: Surroundings, service: Service) -> None:
        """Keep the service's audience."""
        self._around, self._service = surroundings, service
        self._audience = audiences.of_service(surroundings.settings.public_url, service.name)

    def admit(self, http: Request, operation: Operation, path: dict[str, str]) -> tuple[Caller, Tenant, Verdict | None]:
        """Return the caller, the tenant and how much the caller has left; raises what the answer is to be."""
        named = path.get("tenant_id")
        tenant = self._around.resolver.by_slug(SYSTEM) if named is None else find_tenant(self._around, named)
        is_limited = tenant is None or tenant.settings.rate_limits != "off"
        if is_limited:
            self._allowed(f"{self._service.name} {http.remote_addr}", RATE_OF_ADDRESS)
        home, live = self._authenticated(http, tenant)
        within = "" if operation.is_of_platform else _within(tenant)
        caller, context = self._caller(http, tenant, home, live, within)
        verdict = None
        if is_limited:
            name = f"{self._service.name} {home.tenant.id} {caller.subject.type}:{caller.subject.id}"
            verdict = self._allowed(name, RATE_OF_CALLER)
        # Before it is said whether there is such a tenant: who has no power over tenants does not learn which there are.
        self._require_permission(operation, path, tenant, caller, live, context, within)
        if tenant is None:
            raise nothing_here()
        return caller, tenant, verdict

    def _allowed(self, key: str, rule: Rule) -> Verdict:
        verdict = self._around.limiter.hit(key, rule)
        if not verdict.allowed:
            raise TooOften(headers=verdict.headers, retry_after=verdict.reset_after)
        return verdict

    # -- the token ------------------------------------------------------------------------------------------------

    def _authenticated(self, http: Request, tenant: Tenant | None) -> tuple[TenantServer, LiveToken]:
        token = self._presented(http)
        reasons: list[str] = []
        lost: StorageUnavailable | None = None
        # A tenant that is not active has no tokens; the platform's administrators look after it.
        own = [tenant] if tenant is not None and tenant.state == "active" and tenant.slug != SYSTEM else []
        system = self._around.resolver.by_slug(SYSTEM)
        for issuer in (*own, *([system] if system is not None and system.state == "active" else [])):
            try:
                server = self._around.servers.get(issuer)
                live = verification.find_live(
                    server.database, server.keys, issuer.issuer, token, audience=self._audience
                )
            except StorageUnavailable as error:  # the platform's people look after a tenant whose database is lost
                lost = error
                continue
            except InvalidToken as error:
                reasons.append(f"as a token of {issuer.slug}: {error}")
                continue
            if not server.serves(live.claims):
                reasons.append(f"as a token of {issuer.slug}: its application is disabled or gone")
                continue
            return server, live
        if lost is not None:
            raise lost
        raise refused(
            TokenRefused(headers=[("www-authenticate", self._challenge("invalid_token"))]),
            check="access_token",
            spec="RFC 6750 §3.1",
            reason="; ".join(reasons),
            fix=f"Use a living access token of the tenant in the path, or of {SYSTEM}, whose audience has {self._audience}.",
        )

    def _presented(self, http: Request) -> str:
        found = [header.partition(" ") for header in http.headers.all("authorization")]
        tokens = [token.strip() for scheme, _, token in found if scheme.lower() == "bearer"]
        if len(found) == 1 and len(tokens) == 1 and tokens[0]:
            return tokens[0]
        # RFC 6750 §3.1: without authentication information the challenge has no error code.
        raise refused(
            TokenMissing(headers=[("www-authenticate", self._challenge(None))]),
            check="access_token",
            spec="RFC 6750 §2.1",
            reason="no access token was presented, or more than one",
            fix="Send it once: Authorization: Bearer TOKEN.",
        )

    def _challenge(self, error: str | None, scope: str | None = None) -> str:
        text = f'Bearer realm="{self._service.name}"'
        if error is not None:
            text += f', error="{error}"'
        return text if scope is None else f'{text}, scope="{scope}"'

    # -- the caller and what it may -------------------------------------------------------------------------------

    def _caller(
        self, http: Request, tenant: Tenant | None, home: TenantServer, live: LiveToken, within: str
    ) -> tuple[Caller, Context]:
        client_id = live.claims["client_id"]
        # A subject in a token may be pairwise: who it is, the grant says.
        subject = Subject("client", client_id) if live.standing is None else Subject("user", live.standing.user_id)
        context = Context(now(), http.remote_addr, tuple(live.claims.get("amr") or ()))
        is_of_platform = home.tenant.slug == SYSTEM
        actor = subject.id if subject.type == "user" else f"client:{subject.id}"
        if tenant is None or tenant.id != home.tenant.id:
            actor = f"{home.tenant.slug}:{actor}"  # in the trail of another tenant it must not look like one of its own
        by = By(actor, http.remote_addr, http.correlation_id)

        def granter() -> Granter:
            with home.database.reading() as conn:
                held = policy.held(conn, subject, context=context, within=within)
                # A token lends no more than its scopes stand for.
                return Granter(by, held & (claims.stands_for(conn, live.scopes) or frozenset()))

        return Caller(home, subject, client_id, by, is_of_platform, granter), context

    def _require_permission(
        self,
        operation: Operation,
        path: dict[str, str],
        tenant: Tenant | None,
        caller: Caller,
        live: LiveToken,
        context: Context,
        within: str,
    ) -> None:
        wanted = operation.permission
        if wanted is None:
            raise RuntimeError(f"the guarded operation {operation.name} has no permission")
        is_own = tenant is not None and tenant.id == caller.home.tenant.id
        resource = operation.resource.format(**path) if is_own else ""
        with caller.home.database.reading() as conn:
            decision = policy.permitted(conn, caller.subject, wanted, context=context, resource=resource, within=within)
            is_covered = claims.covers(conn, live.scopes, wanted)
        if wanted in permissions.OF_PLATFORM and not caller.is_of_platform:
            raise self._refusal(wanted, f"Only administrators of {SYSTEM} do this.")
        if not (decision.allowed and is_covered):
            is_narrowed = decision.allowed
            explanation = "None of the token's scopes stands for it." if is_narrowed else decision.explanation
            raise self._refusal(wanted, explanation, is_narrowed=is_narrowed)

    def _refusal(self, wanted: str, explanation: str, *, is_narrowed: bool = False) -> PermissionRequired:
        # RFC 6750 §3.1: what the token does not allow is insufficient_scope, and says what would.
        challenge = self._challenge("insufficient_scope", wanted)
        return refused(
            PermissionRequired(
                f"This needs the permission {wanted}. {explanation}",
                headers=[("www-authenticate", challenge)],
                more={"permission": wanted},
            ),
            check="permission",
            spec="RFC 6750 §3.1",
            reason=explanation,
            fix=f"Ask for a token with the scope {wanted} or {claims.EVERYTHING}."
            if is_narrowed
            else f"Give the caller a role with {wanted}.",
        )


def _within(tenant: Tenant | None) -> str:
    """Return the resource that a role in `system` may be bound to, to hold in one tenant alone."""
    return f"tenant:{tenant.id}" if tenant is not None else ""
