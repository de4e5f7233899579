"""What `idp init` puts into a fresh installation outside production: people and a client to try things with.

The credentials are written before the accounts are made, so that a crash in between never leaves an account whose password
nobody knows; an account that exists keeps its password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.cli import credentials
from idp.cli.credentials import PEOPLE, RP_CLIENT, TENANT
from idp.cli.opening import OPERATOR
from idp.errors import Conflict, NotFound
from idp.identity import accounts
from idp.oauth import clients
from idp.store.tenant import clients as stored_clients
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from idp.installation import Installation

RP_URL = "http://localhost:8001"
# Claims that show in the demo what the standard scopes carry.
CLAIMS: dict[str, dict[str, Any]] = {
    "demo_user": {
        "given_name": "Ada",
        "family_name": "Lovelace",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "phone_number": "+44 20 7946 0958",
        "phone_number_verified": True,
        "address": {"street_address": "12 St James's Square", "locality": "London", "country": "United Kingdom"},
    }
}


def metadata() -> dict[str, Any]:
    """Return the registration of the demo relying party."""
    return {
        "client_name": "Demo relying party",
        "client_uri": RP_URL,
        "redirect_uris": [f"{RP_URL}/callback"],
        "post_logout_redirect_uris": [f"{RP_URL}/signed-out"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "openid profile email phone address offline_access",
    }


def fill(installation: Installation) -> list[str]:
    """Make the people and the client that are missing; returns what was made, in words."""
    known = credentials.read(installation.settings)
    planned = dict(known)
    made = []
    for key, person in PEOPLE.items():
        if key not in planned and not _has_user(installation, person.tenant, person.username):
            planned[key] = {
                "tenant": person.tenant,
                "username": person.username,
                "password": credentials.new_password(),
            }
    if "demo_rp" not in planned and not _has_client(installation):
        planned["demo_rp"] = {
            "tenant": TENANT,
            "client_id": RP_CLIENT,
            "client_secret": opaque.new_secret("cs"),
            "url": RP_URL,
        }
    if planned != known:
        credentials.write(installation.settings, planned)
        made.append(f"credentials in {credentials.path(installation.settings)}")
    made += [
        f"the user {person.username} of {person.tenant}"
        for key, person in PEOPLE.items()
        if key in planned and _make_person(installation, key, str(planned[key]["password"]))
    ]
    if "demo_rp" in planned and _make_client(installation, str(planned["demo_rp"]["client_secret"])):
        made.append(f"the client {RP_CLIENT}")
    return made


def _make_person(installation: Installation, key: str, password: str) -> bool:
    slug, username, name, roles = PEOPLE[key]
    if _has_user(installation, slug, username):
        return False
    tenant = installation.provisioning.find(slug)
    with entered(installation.store, tenant) as database:
        try:
            accounts.create_user(
                database,
                installation.services.hasher,
                tenant,
                username=username,
                password=password,
                email=username,
                by=OPERATOR,
                claims={"name": name, "email_verified": True} | CLAIMS.get(key, {}),
                roles=roles,
            )
        except Conflict:
            return False
    return True


def _make_client(installation: Installation, secret: str) -> bool:
    if _has_client(installation):
        return False
    tenant = installation.provisioning.find(TENANT)
    with entered(installation.store, tenant) as database:
        registry = clients.ClientRegistry(tenant, database, installation.feed)
        try:
            registry.create({"client_id": RP_CLIENT, "client_secret": secret, **metadata()}, by=OPERATOR)
        except Conflict:
            return False
    return True


def _has_user(installation: Installation, slug: str, username: str) -> bool:
    tenant = installation.provisioning.find(slug)
    with entered(installation.store, tenant) as database:
        try:
            accounts.find_user(database, username)
        except NotFound:
            return False
    return True


def _has_client(installation: Installation) -> bool:
    tenant = installation.provisioning.find(TENANT)
    with entered(installation.store, tenant) as database, database.reading() as conn:
        return stored_clients.find(conn, RP_CLIENT) is not None
