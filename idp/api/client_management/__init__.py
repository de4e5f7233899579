"""Client Management (`/clientms`): the applications of a tenant, and the tokens by which others may register some."""

from __future__ import annotations

from idp.api import health
from idp.api.client_management import clients, initial_access_tokens
from idp.api.operations import Service

NAME, VERSION = "clientms", "0.4"

CLIENT_MANAGEMENT = Service(
    name=NAME,
    title="Client Management",
    version=VERSION,
    description="The applications (OAuth 2 and OpenID Connect clients) of a tenant: registering, changing, disabling and deleting them.",
    tags={
        clients.TAG: "OAuth 2 and OpenID Connect clients, with the metadata of RFC 7591 and OpenID Connect Registration.",
        initial_access_tokens.TAG: "Tokens that let their holders register clients by themselves (RFC 7591 §3).",
        "Health": "Whether the service can answer.",
    },
    operations=(*clients.OPERATIONS, *initial_access_tokens.OPERATIONS, *health.operations(NAME, VERSION)),
)
