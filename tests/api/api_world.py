"""The services as the tests use them: tenants with people and applications, and tokens for whoever calls.

A token is what the mint would make: the keys are the tenant's own, and behind a user's token stands a real grant.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from name_server import NameServer

from idp import opaque
from idp.access.audiences import SERVICES as AUDIENCES
from idp.access.bindings import Bindings, Wanted
from idp.access.granting import Granter
from idp.clock import now
from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry
from idp.store.db import db
from idp.store.tenant import grants
from idp.tokens.mint import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from house import Answer, House

    from idp.tenancy.tenant import Tenant

PUBLIC = "http://localhost:8000"
HOST = "localhost:8000"
NAMES = NameServer()  # one a process


@dataclass
class World:
    """`acme` and `globex`, alike in everything, beside `system`; in each an administrator, an auditor and somebody."""

    house: House
    tenants: dict[str, Tenant] = field(default_factory=dict)
    people: dict[tuple[str, str], str] = field(default_factory=dict)
    there: dict[str, dict[str, str]] = field(default_factory=dict)  # what the matrix has made, by tenant

    def __post_init__(self) -> None:
        for slug in ("system", "acme", "globex"):
            tenant = self.tenants[slug] = self.house.tenant(slug)
            self.house.client(tenant, "console", grant_types=["authorization_code", "client_credentials"])
            admin = "platform-admin" if slug == "system" else "tenant-admin"
            roles = {"admin": [admin], "auditor": ["auditor"], "apps": ["client-admin"], "nobody": []}
            for name, held in roles.items():
                self.people[slug, name] = self.house.user(tenant, f"{name}@{slug}.example", roles=held)

    def database(self, slug: str = "acme") -> Any:
        return self.house.database(self.tenants[slug])

    def grant(self, slug: str, who: str, client_id: str = "console", scope: str = "openid") -> str:
        """A grant of a person to an application; returns its id."""
        grant_id, at = opaque.new_id(), now()
        values: dict[str, Any] = {
            "id": grant_id,
            "client_id": client_id,
            "user_id": self.people[slug, who],
            "session_id": None,
            "scope": scope,
            "auth_time": at,
            "amr": ["pwd"],
            "acr": "1",
            "claims_request": None,
            "resources": None,
            "is_offline": False,
            "created_at": at,
            "expires_at": at + 3600,
            "revoked_at": None,
            "revoked_reason": None,
        }
        self.database(slug).writing(lambda conn: grants.create(conn, **values))
        return grant_id

    def token(self, slug: str = "acme", who: str = "admin", *, client_id: str = "console", **claims: Any) -> str:
        """An access token of a person for all services; a claim that is None is left out."""
        at = now()
        made = {
            "iss": self.tenants[slug].issuer,
            "sub": self.people[slug, who],
            "aud": [f"{PUBLIC}/{each}" for each in AUDIENCES],
            "client_id": client_id,
            "iat": at,
            "exp": at + 300,
            "jti": secrets.token_urlsafe(12),
            "amr": ["pwd"],
            "scope": "authsec",
            **({"grant_id": self.grant(slug, who, client_id)} if "grant_id" not in claims else {}),
            **claims,
        }
        return self.signed(slug, {name: value for name, value in made.items() if value is not None})

    def client_token(self, slug: str, client_id: str, **claims: Any) -> str:
        """An access token of an application for itself."""
        return self.token(slug, "nobody", client_id=client_id, grant_id=None, sub=client_id, amr=None, **claims)

    def signed(self, slug: str, claims: dict[str, Any], typ: str = ACCESS_TOKEN_TYPE) -> str:
        keys = self.house.installation.servers.get(self.tenants[slug]).keys
        return keys.sign(claims, alg="ES256", typ=typ)

    def bind(self, slug: str, client_id: str, role: str, **more: Any) -> None:
        """Give a role to an application."""
        wanted = Wanted("client", client_id, role, **more)
        Bindings(self.database(slug)).create(wanted, granter=Granter(By("operator")))

    def bind_user(self, slug: str, who: str, role: str, **more: Any) -> None:
        """Give a role to a person."""
        wanted = Wanted("user", self.people[slug, who], role, **more)
        Bindings(self.database(slug)).create(wanted, granter=Granter(By("operator")))

    def tidy(self) -> None:
        """Take away what a test made in acme, its settings too."""
        acme = self.tenants["acme"]
        registry = ClientRegistry(acme, self.database(), self.house.installation.feed)
        for each in registry.list_all():
            if each.row.client_id != "console":
                registry.delete(each.row.client_id, by=By("operator"))
        tables = db.metadatas["tenant"].tables
        names = ("initial_access_tokens", "idempotency_keys", "audit_events", "group_members", "groups", "permissions")
        gone = [tables[name].delete() for name in (*names, "access_scopes", "role_permissions")]
        hooks = ("webhooks", "webhook_deliveries", "outbox_attempts", "outbox")
        gone += [tables[name].delete() for name in hooks]
        gone.append(tables["roles"].delete().where(tables["roles"].c.is_built_in.is_(False)))
        # Those that came with the people stay.
        gone.append(tables["role_bindings"].delete().where(tables["role_bindings"].c.created_by != ""))
        for statement in gone:
            self.database().writing(lambda conn, statement=statement: conn.execute(statement))
        self.house.installation.provisioning.change_settings(acme, {"registration": "off"})

    # -- calls ----------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        media_type: str | None = None,
        service: str = "clientms",
    ) -> Answer:
        """Call a service, as acme's administrator unless a token is given; an empty one sends none."""
        pairs = [(name, value) for name, value in (headers or {}).items()]
        if token is None:
            token = self.token()
        if token:
            pairs.append(("authorization", f"Bearer {token}"))
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            if media_type is None:
                media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
            pairs.append(("content-type", media_type))
        return self.house.send(method, f"/{service}{path}", headers=pairs, body=raw, host=HOST)

    def clients(self, method: str, rest: str = "", body: Any = None, slug: str = "acme", **more: Any) -> Answer:
        """Call the operations on clients of a tenant."""
        return self.call(method, f"/tenants/{slug}/clients{rest}", body, **more)

    def uflow(self, method: str, path: str, body: Any = None, slug: str = "acme", **more: Any) -> Answer:
        """Call User Flow about a tenant."""
        return self.call(method, f"/tenants/{slug}{path}", body, service="uflow", **more)

    def dump(self, slug: str = "acme") -> dict[str, list[Any]]:
        """Every row of a tenant's database, in order, except those that only say that somebody was refused."""
        with self.database(slug).reading() as conn:
            return {
                table.name: sorted(map(repr, conn.execute(table.select()).all()))
                for table in db.metadatas["tenant"].sorted_tables
                if table.name not in ("refusals", "grants")
            }

    def events(self, kind: str, slug: str = "acme") -> list[Any]:
        from idp.store.tenant.audit_events import audit_events

        with self.database(slug).reading() as conn:
            return list(conn.execute(audit_events.select().where(audit_events.c.kind == kind)).all())


def client_of(**changes: Any) -> dict[str, Any]:
    """The metadata of a client to be."""
    return {"client_name": "Orders", "redirect_uris": ["https://orders.example/callback"], **changes}
