"""What is kept of a client beside its metadata: its id, its secret, and what administrators alone decide.

Owns the rules of these values. Must not know the database.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.oauth.built_in_clients import is_built_in
from idp.oauth.client_metadata import InvalidClientMetadata
from idp.tokens.authorization import OPERATOR_CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_ID = 128
# RFC 6749 §10.10: what we make has 256 bits; what an operator brings is taken from 16 characters on (made at random, 96 bits).
SHORTEST_SECRET, LONGEST_SECRET = 16, 256
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
_CLIENT_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._~:/-]{{0,{LONGEST_ID - 1}}}", re.ASCII)
_USER_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_SECRET = re.compile(rf"[\x21-\x7e]{{{SHORTEST_SECRET},{LONGEST_SECRET}}}")
_OWN_MEMBERS = (
    "client_id",
    "client_secret",
    "client_profile",
    "first_party",
    "client_id_issued_at",
    "client_secret_expires_at",
)


def new_id(wanted: Any) -> str:
    """Return the id of a client that is registered: a new one, or the one that is wanted; raises :class:`InvalidClientMetadata`."""
    if wanted is None:
        return f"client-{secrets.token_hex(8)}"
    if not isinstance(wanted, str) or not _CLIENT_ID.fullmatch(wanted):
        raise InvalidClientMetadata(
            f"client_id is 1 to {LONGEST_ID} letters, digits and . _ ~ : / - after the first.",
            errors={"client_id": f"1 to {LONGEST_ID} letters, digits and . _ ~ : / - after the first"},
        )
    if is_built_in(wanted):
        raise InvalidClientMetadata(f"{wanted} is built in; change it, or take another client_id.")
    if wanted == OPERATOR_CLIENT:
        raise InvalidClientMetadata(f"{OPERATOR_CLIENT} stands for the command line; take another client_id.")
    # RFC 9700 §4.15: a client must not be able to pass for a user, whose `sub` looks like this.
    if _USER_ID.fullmatch(wanted):
        raise InvalidClientMetadata(
            "client_id must not look like the id of a user; take a name such as acme-web.",
            errors={"client_id": "must not look like the id of a user"},
        )
    return wanted


def new_secret(metadata: Mapping[str, Any], wanted: Any) -> str | None:
    """Return the secret of a client that is registered, None where it needs none; raises :class:`InvalidClientMetadata`."""
    if metadata["token_endpoint_auth_method"] not in SECRET_METHODS:
        if wanted is not None:
            raise InvalidClientMetadata("client_secret does not go with this token_endpoint_auth_method; leave it out.")
        return None
    if wanted is None:
        return opaque.new_secret("cs")
    if not isinstance(wanted, str) or not _SECRET.fullmatch(wanted):
        raise InvalidClientMetadata(
            f"client_secret is {SHORTEST_SECRET} to {LONGEST_SECRET} visible ASCII characters, made at random; leave it out to get one."
        )
    return wanted


def flag(name: str, value: Any) -> bool | None:
    """Return what says yes, no or nothing; raises :class:`InvalidClientMetadata` for anything else."""
    if value is None or isinstance(value, bool):
        return value
    raise InvalidClientMetadata(f"{name} must be true or false.", errors={name: "must be true or false"})


def without_own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata without what stands beside them: a column of its own, or only ever said by us."""
    return {name: value for name, value in given.items() if name not in _OWN_MEMBERS}
