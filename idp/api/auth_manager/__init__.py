"""Auth Manager (`/authmgr`): what a token is worth, what somebody may do, and the keys behind it."""

from __future__ import annotations

from idp.api import health
from idp.api.auth_manager import authentication, keys, policy_checks, profile, token_validations, tokens
from idp.api.operations import Service

NAME, VERSION = "authmgr", "1.1"

AUTH_MANAGER = Service(
    name=NAME,
    title="Auth Manager",
    version=VERSION,
    description="What a token is worth, what somebody may do, who is calling, how people can sign in, and the keys that tokens are signed "
    "with. A token is exchanged for another one (RFC 8693) at the token endpoint of the tenant's issuer.",
    tags={
        token_validations.TAG: "Whether a token is alive and allows something, for gateways that are handed one.",
        policy_checks.TAG: "What somebody may do; the same decision as at the tenant's AuthZEN endpoints.",
        profile.TAG: "Who is calling, and what they may do; and the same of a user.",
        authentication.TAG: "How a user can sign in, and does.",
        tokens.TAG: "Withdrawing tokens before their time.",
        keys.TAG: "The keys that tokens are signed with and request objects are encrypted to.",
        "Health": "Whether the service can answer.",
    },
    operations=(
        *token_validations.OPERATIONS,
        *policy_checks.OPERATIONS,
        *profile.OPERATIONS,
        *authentication.OPERATIONS,
        *tokens.OPERATIONS,
        *keys.OPERATIONS,
        *health.operations(NAME, VERSION),
    ),
)
