"""What Client Management takes and shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from idp.api.client_management.metadata import TAGGED, ClientMetadata, let_in_languages
from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from idp.oauth.clients import Registered
    from idp.store.rows import Row

MOST_TAGS = 20
Tag = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Profile = Literal["strict", "oidc"]
Status = Literal["active", "disabled"]
_PROFILE = "How strict the protocol is with it, of those that the tenant allows. Default: the tenant's."
_TAGS = "Words to sort clients by. Applications do not see them."
_FIRST_PARTY = (
    "Whether it is the tenant's own, so that people may sign in in it by program, without a browser. Default `false`."
)


class ClientReplacement(ClientMetadata, Given):
    """Everything that may be changed of a client; what is left out is removed, or becomes its default."""

    model_config = ConfigDict(extra="allow", json_schema_extra=lambda schema: let_in_languages(schema, is_closed=True))

    client_profile: Annotated[Profile | None, Field(description=_PROFILE)] = None
    tags: Annotated[list[Tag] | None, Field(max_length=MOST_TAGS, description=_TAGS)] = None
    first_party: Annotated[bool | None, Field(description=_FIRST_PARTY)] = None

    @classmethod
    def is_unknown(cls, name: str) -> bool:
        """Texts for people may stand there in further languages."""
        return super().is_unknown(name) and not TAGGED.fullmatch(name)


class NewClient(ClientReplacement):
    """A client to be."""

    client_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=128,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._~:/-]*$",
            description="Its id; left out, one is made. It cannot be changed later.",
        ),
    ] = None


class ClientPatch(ClientReplacement):
    """A JSON merge patch (RFC 7396): what is left out stays, null removes a member or brings its default back."""


class Managed(Shown):
    """What is said of a client beside its metadata."""

    client_id: Annotated[str, Field(description="Its id.")]
    client_profile: Annotated[str, Field(description="How strict the protocol is with it: `strict` or `oidc`.")]
    status: Annotated[Status, Field(description="A disabled client is refused everywhere, its grants have ended.")]
    tags: Annotated[list[str], Field(description=_TAGS)]
    first_party: Annotated[bool, Field(description=_FIRST_PARTY)]
    registered_by: Annotated[
        Literal["administrator", "itself", "initial_access_token"],
        Field(
            description="Who registered it: an administrator, itself at the open registration endpoint, or itself with an initial "
            "access token."
        ),
    ]
    has_secret: Annotated[bool, Field(description="Whether it authenticates with a secret.")]
    created_at: Annotated[Moment, Field(description="When it was registered.")]
    updated_at: Annotated[Moment, Field(description="When it was last changed.")]


class Client(ClientMetadata, Managed):
    """A client as it is registered, with the defaults of what was left out. Its secret is never shown again."""

    model_config = ConfigDict(extra="allow", json_schema_extra=lambda schema: let_in_languages(schema, is_closed=False))


class ClientWithSecret(Client):
    """A client with the secret that was just made. It is shown this once: what is kept is its digest."""

    client_secret: Annotated[str | None, Field(description="The secret; absent where the client has none.")] = None


class ClientList(Page):
    """One page of clients."""

    items: list[Client]


class ClientQuery(PageQuery):
    """The parameters of the list of clients."""

    status: Annotated[Status | None, Field(description="Only those with this status.")] = None
    active: Annotated[
        bool | None, Field(description="The same in another form: `true` for active, `false` for disabled ones.")
    ] = None
    name: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="A part of the client_name, in any case of Latin letters."),
    ] = None
    tags: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1100,
            pattern=r"^[a-z0-9][a-z0-9._-]{0,49}(,[a-z0-9][a-z0-9._-]{0,49}){0,19}$",
            description="Tags, separated by commas: only clients that have all of them.",
        ),
    ] = None
    client_profile: Annotated[Profile | None, Field(description="Only those with this profile.")] = None
    sort: Annotated[
        Literal["client_id", "-client_id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"],
        Field(description="The order, `-` for descending. Equal ones are in the order of client_id."),
    ] = "client_id"

    @field_validator("name")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("must be printable")
        return value


class NewInitialAccessToken(Given):
    """A token to be."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="Whom it is for; people read it.")]
    uses: Annotated[int, Field(ge=1, le=100_000, description="How many clients may be registered with it.")] = 1
    lifetime: Annotated[int, Field(ge=60, le=31_536_000, description="Seconds until it expires; at most 365 days.")] = (
        1_209_600
    )


class InitialAccessToken(Shown):
    """A token by which others may register clients; the token itself is never shown again."""

    id: Annotated[str, Field(description="Its id.")]
    name: Annotated[str, Field(description="Whom it is for.")]
    status: Annotated[
        Literal["active", "used_up", "expired", "revoked"],
        Field(description="Whether clients can be registered with it."),
    ]
    uses_left: Annotated[int, Field(description="How many clients may still be registered with it.")]
    created_at: Annotated[Moment, Field(description="When it was issued.")]
    expires_at: Annotated[Moment, Field(description="When it expires.")]
    revoked_at: Annotated[Moment | None, Field(description="When it was revoked, if it was.")] = None
    created_by: Annotated[str, Field(description="Who issued it, as in the audit trail.")]


class IssuedInitialAccessToken(InitialAccessToken):
    """A token that was just issued. It is shown this once: what is kept is its digest."""

    token: Annotated[str, Field(description="What is sent to the registration endpoint as a Bearer token.")]


class InitialAccessTokenList(Page):
    """One page of tokens."""

    items: list[InitialAccessToken]


class InitialAccessTokenQuery(PageQuery):
    """The parameters of the list of tokens."""

    sort: Annotated[
        Literal["created_at", "-created_at", "expires_at", "-expires_at"],
        Field(description="The order, `-` for descending. Equal ones are in the order of ids."),
    ] = "-created_at"


_BY = {None: "administrator", "open": "itself"}


def shown_client(registered: Registered) -> dict[str, Any]:
    """Return a client as answers show it, without its secret."""
    row = registered.row
    return {
        **row.metadata,
        "client_id": row.client_id,
        "client_profile": row.client_profile,
        "status": row.state,
        "tags": registered.tags,
        "first_party": row.first_party,
        "registered_by": _BY.get(row.registered_by, "initial_access_token"),
        "has_secret": row.secret_hash is not None,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def shown_token(row: Row[Any], at: int) -> dict[str, Any]:
    """Return an initial access token as answers show it."""
    if row.revoked_at is not None:
        status = "revoked"
    elif row.expires_at <= at:
        status = "expired"
    else:
        status = "active" if row.uses_left else "used_up"
    return {
        "id": row.id,
        "name": row.name,
        "status": status,
        "uses_left": row.uses_left,
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at) if row.revoked_at is not None else None,
        "created_by": row.created_by,
    }
