"""The value every grant ends in: who allowed what to whom, and how that was authenticated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.keys.encryption import Recipient


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the mint turns into tokens."""

    client_id: str
    subject: str
    scope: str
    grant_id: str | None = None  # None: a client for itself (RFC 6749 §4.4); there is nothing to revoke but the token
    auth_time: int | None = None
    acr: str | None = None
    amr: Sequence[str] = ()
    session_id: str | None = None
    nonce: str | None = None
    id_token_alg: str | None = None  # None: no ID token
    id_token_recipient: Recipient | None = None  # None: it is not encrypted
    id_token_claims: Mapping[str, Any] = field(default_factory=dict)  # about the user, beside the protocol's own
    audience: Sequence[str] = ()  # of the access token; empty: the issuer (RFC 9068 §3)
    access_claims: Mapping[str, Any] = field(default_factory=dict)  # in the access token, beside the protocol's own
    expires_at: int | None = None  # the access token ends no later


# The client_id of tokens that an operator with a shell is given; no client has it.
OPERATOR_CLIENT = "idp-command"
