"""What a client has signed: taken apart strictly, and verified with the client's own registered keys (RFC 7515 §5.2, RFC 8725 §3).

Shared by every purpose a client signs for. Which algorithms are allowed is the purpose's to say; `none` and what is keyed by a
secret are never among them. Must not know what the claims mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError

from idp.keys.compact import json_object, parse
from idp.oauth.client_keys import KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.oauth.client import Client
    from idp.oauth.client_keys import TenantClientKeys

REQUEST_OBJECT_TYPE = "oauth-authz-req+jwt"  # RFC 9101 §10.8: explicit typing
# RFC 8725 §3.10: a header that names a key of its own is refused, like every member that is not listed.
_HEADER = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})


class NotVerified(Exception):
    """The signature is not the client's; what is said is for the record of the refusal."""

    def __init__(
        self, reason: str, fix: str, *, spec: str, received: str | None = None, registered: tuple[str, ...] = ()
    ) -> None:
        """Keep what the record will say."""
        super().__init__(reason)
        self.reason, self.fix, self.spec = reason, fix, spec
        self.received, self.registered = received, registered


@dataclass(frozen=True, slots=True)
class Signed:
    """A compact JWS with a JSON object inside; not believed before :func:`verify` has returned."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]


def read(text: str, *, max_length: int) -> Signed:
    """Take a JWT apart; raises :class:`~idp.keys.compact.InvalidToken`."""
    compact = parse(text, header_members=_HEADER, max_length=max_length)
    return Signed(text, compact.header, json_object(compact.payload))


def allowed_algorithms(client: Client, member: str) -> tuple[str, ...]:
    """Return what a client may sign with: what it registered in this member of its metadata, else what its profile has."""
    registered = client.metadata.get(member)
    return (registered,) if registered else client.profile.signing_algorithms


def verify(signed: Signed, client: Client, keys: TenantClientKeys, allowed: Sequence[str], *, spec: str) -> None:
    """Verify the signature with the client's keys, which may have to be fetched; raises :class:`NotVerified`."""
    kid = signed.header.get("kid")
    try:
        known = keys.of(client, kid if isinstance(kid, str) else None)
    except KeysUnavailable as error:
        raise NotVerified(
            str(error),
            "Serve the key set over https at the registered jwks_uri, quickly and without redirects.",
            spec="OpenID Connect Registration §2",
            registered=(str(client.metadata.get("jwks_uri")),),
        ) from None
    # RFC 7515 §4.1.4: a kid names the key; only one that was registered without a kid may be called anything.
    for key in [key for name, key in known if kid is None or name in (None, kid)]:
        try:
            jwt.decode(signed.text, key, algorithms=list(allowed))
        except (JoseError, ValueError, TypeError):
            continue
        return
    raise NotVerified(
        "no registered key of the client verifies the signature",
        "Sign with a key of the client's jwks and an algorithm it allows.",
        spec=spec,
        received=f"alg {str(signed.header.get('alg'))[:20]}, kid {str(kid)[:100]}",
        registered=tuple(f"alg {alg}" for alg in allowed) + tuple(f"kid {name or key.kid}" for name, key in known),
    )


def is_moment(value: Any) -> bool:
    """Say whether a claim is a NumericDate (RFC 7519 §2): a number, which true is to Python only, and a moment that can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
