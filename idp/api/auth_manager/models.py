"""What Auth Manager takes and shows about tokens and decisions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from idp.access.bindings import LONGEST_RESOURCE
from idp.api.operations import Given, Shown

MOST_CHECKS = 100
PermissionName = Annotated[
    str,
    Field(
        max_length=130,
        pattern=r"^[a-z][a-z0-9_.-]{0,62}:[a-z][a-z0-9_.-]{0,62}$",
        description="The permission `resource:action`, of this product or the tenant's own.",
    ),
]
Resource = Annotated[
    str, Field(max_length=LONGEST_RESOURCE, pattern=r"^[a-z][a-z0-9_.-]{0,62}:[!-~]{1,190}$")
]  # fmt: skip
ScopeName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!#-\[\]-~]+$")]
Source = Annotated[str, Field(max_length=45)]
_SOURCE = "The address that the request came from, for roles that are bound to networks."
_RESOURCE = "The one thing `type:id` that it is about; left out, the whole tenant."


# -- decisions ----------------------------------------------------------------------------------------------------------


class Decision(Shown):
    """Whether something is allowed, why, and by which binding."""

    allowed: Annotated[bool, Field(description="Whether it is allowed.")]
    reason: Annotated[
        str,
        Field(
            description="`granted`, `subject_unknown`, `subject_not_active`, `not_bound`, `expired`, `condition` or `not_in_scope`."
        ),
    ]
    explanation: Annotated[str, Field(description="The same in a sentence.")]
    role: Annotated[str | None, Field(description="The role that decided.")] = None
    binding_id: Annotated[str | None, Field(description="The role binding that decided.")] = None
    resource: Annotated[str | None, Field(description="The resource that the binding is for.")] = None
    condition: Annotated[str | None, Field(description="The condition that does not hold.")] = None


class CheckedSubject(Given):
    """Who is to do something."""

    type: Annotated[Literal["user", "client"], Field(description="A user or an application of the tenant.")]
    id: Annotated[
        str,
        Field(min_length=1, max_length=255, description="A user's id or username; an application's `client_id`."),
    ]


class CheckContext(Given):
    """The circumstances, as far as they are known; the time is the server's."""

    source: Annotated[Source | None, Field(description=_SOURCE)] = None
    amr: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=50)]] | None,
        Field(max_length=20, description="How the subject was authenticated (RFC 8176), `mfa` for a second factor."),
    ] = None
    properties: Annotated[
        dict[Literal["subject", "resource", "action", "context"], dict[str, str | int | float | bool]] | None,
        Field(description="Properties that conditions of role bindings are about, by what they are properties of."),
    ] = None


class PolicyCheck(Given):
    """A question: whether a subject may do something."""

    subject: Annotated[CheckedSubject, Field(description="Who is to do it.")]
    permission: PermissionName
    resource: Annotated[Resource | None, Field(description=_RESOURCE)] = None
    context: Annotated[CheckContext | None, Field(description="The circumstances, as far as they are known.")] = None


class PolicyChecks(Given):
    """Several questions at once."""

    checks: Annotated[
        list[PolicyCheck], Field(min_length=1, max_length=MOST_CHECKS, description="The questions, each for itself.")
    ]


class Decisions(Shown):
    """The answers."""

    decisions: Annotated[list[Decision], Field(description="In the order of the questions.")]


# -- tokens -------------------------------------------------------------------------------------------------------------


class AskedPermission(Given):
    """A permission that is to be held."""

    name: PermissionName
    resource: Annotated[Resource | None, Field(description=_RESOURCE)] = None


class TokenQuestion(Given):
    """A token, and what it is to allow."""

    token: Annotated[str, Field(description="The access token as it was presented.")]
    scopes: Annotated[
        list[ScopeName] | None, Field(max_length=50, description="Scopes that it is to have, all of them.")
    ] = None
    audience: Annotated[
        str | None, Field(min_length=1, max_length=2000, description="For whom it is to be: your own address or name.")
    ] = None
    permission: Annotated[AskedPermission | None, Field(description="What its holder is to be allowed.")] = None
    source: Annotated[Source | None, Field(description=_SOURCE)] = None


class HeldScope(Shown):
    """Whether the token has a scope."""

    scope: Annotated[str, Field(description="The scope.")]
    held: Annotated[bool, Field(description="Whether the token has it.")]


class HeldAudience(Shown):
    """Whether the token is for somebody."""

    audience: Annotated[str, Field(description="Who was asked about.")]
    held: Annotated[bool, Field(description="Whether the token is for them.")]


class HeldPermission(Decision):
    """Whether the holder may do something with this token."""

    permission: Annotated[str, Field(description="The permission.")]


class TokenUser(Shown):
    """Who the token stands for."""

    id: Annotated[str, Field(description="The user's id; in the token itself the subject may be pairwise.")]
    username: Annotated[str, Field(description="The name to sign in with.")]


class TokenAnswer(Shown):
    """What a token is worth at this moment."""

    active: Annotated[bool, Field(description="Whether the token is alive.")]
    allowed: Annotated[bool, Field(description="Whether it is alive and everything that was asked for holds.")]
    reason: Annotated[
        str | None,
        Field(
            description="Why it is not alive: `unknown`, `expired`, `revoked`, `grant_ended`, `user_not_active`, `client_not_active` "
            "or `tenant_not_active`. What is no token of this tenant is `unknown`, whatever else it is."
        ),
    ] = None
    explanation: Annotated[str | None, Field(description="The same in a sentence.")] = None
    claims: Annotated[dict[str, Any] | None, Field(description="What the token says; `act` names who acts.")] = None
    user: Annotated[TokenUser | None, Field(description="The user; absent where a client acts for itself.")] = None
    scopes: Annotated[list[HeldScope] | None, Field(description="For each scope that was asked for.")] = None
    audience: Annotated[HeldAudience | None, Field(description="Where an audience was asked for.")] = None
    permission: Annotated[HeldPermission | None, Field(description="Where a permission was asked for.")] = None


class Withdrawal(Given):
    """A token to be withdrawn: by its text, or an access token by its `jti`."""

    token: Annotated[str | None, Field(min_length=1, description="An access token or refresh token.")] = None
    jti: Annotated[
        str | None,
        Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._~-]+$", description="The `jti` of an access token."),
    ] = None
    with_grant: Annotated[
        bool,
        Field(description="Whether the grant of an access token ends too, with its refresh tokens and other tokens."),
    ] = False


class Withdrawn(Shown):
    """What was withdrawn."""

    withdrawn: Annotated[bool, Field(description="Whether it was a token of this tenant; it is worthless now.")]
    kind: Annotated[str | None, Field(description="What it was: `access_token` or `refresh_token`.")] = None


class UserWithdrawal(Given):
    """Whose access to a user's account ends."""

    client_id: Annotated[
        str | None,
        Field(min_length=1, max_length=128, pattern=r"^[!-~]+$", description="One application; left out, all of them."),
    ] = None


class UserWithdrawn(Shown):
    """What came of it."""

    grants_ended: Annotated[int, Field(description="How many grants ended, each with all its tokens.")]
