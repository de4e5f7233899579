"""User Flow (`/uflow`): the people of a tenant and what they may do."""

from __future__ import annotations

from idp.api import health
from idp.api.operations import Service
from idp.api.user_flow import (
    audit,
    branding,
    domains,
    groups,
    invitations,
    permissions,
    role_bindings,
    roles,
    scopes,
    settings,
    sign_ups,
    tenants,
    terms,
    texts,
    user_access,
    user_states,
    users,
    webhooks,
)

NAME, VERSION = "uflow", "4.0"

USER_FLOW = Service(
    name=NAME,
    title="User Flow",
    version=VERSION,
    description="The people of a tenant and what they may do: users, invitations, sign-ups, sessions, consents, roles and their "
    "permissions, groups, and who holds which role.",
    tags={
        tenants.TAG: "The tenants of the platform.",
        settings.TAG: "What a tenant decides for itself.",
        branding.TAG: "What a tenant's pages and mails look like.",
        texts.TAG: "What sentences of pages and mails read at the tenant, in place of the product's own.",
        terms.TAG: "Which terms people accept, and where they can be read.",
        domains.TAG: "Host names of a tenant's own, proven by a record in the DNS.",
        users.TAG: "The people of the tenant: their accounts, profiles and states.",
        invitations.TAG: "People who get an account by a link in a mail.",
        sign_ups.TAG: "People who make an account for themselves, through a program that shows its own forms.",
        user_access.SESSIONS: "Where a user is signed in.",
        user_access.CONSENTS: "What a user has allowed applications.",
        roles.TAG: "What roles there are and which permissions each grants. Built-in ones stay as they are.",
        permissions.TAG: "Permissions that the tenant defines for its own applications, beside those of this product.",
        scopes.TAG: "Scopes that stand for permissions: a token with such a scope carries no others.",
        groups.TAG: "Groups of users; who is in a group holds its roles.",
        role_bindings.TAG: "Who holds which role: users, groups and clients, in the whole tenant or for one resource.",
        webhooks.TAG: "Addresses that are told what happens in the tenant, in signed messages (docs/webhooks.md).",
        audit.TAG: "What happened in the tenant: who did what, to whom, when, from where, with which outcome.",
        "Health": "Whether the service can answer.",
    },
    operations=(
        *tenants.OPERATIONS,
        *settings.OPERATIONS,
        *branding.OPERATIONS,
        *texts.OPERATIONS,
        *terms.OPERATIONS,
        *domains.OPERATIONS,
        *users.OPERATIONS,
        *user_states.OPERATIONS,
        *invitations.OPERATIONS,
        *sign_ups.OPERATIONS,
        *user_access.OPERATIONS,
        *roles.OPERATIONS,
        *permissions.OPERATIONS,
        *scopes.OPERATIONS,
        *groups.OPERATIONS,
        *role_bindings.OPERATIONS,
        *webhooks.OPERATIONS,
        *audit.OPERATIONS,
        *health.operations(NAME, VERSION),
    ),
)
