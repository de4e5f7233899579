"""The client as Authlib's grants see it: built once per revision from its row, answering from plain attributes."""

from __future__ import annotations

import hmac
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import KeySet

from idp import opaque
from idp.clock import now
from idp.identity.claims import STANDARD_SCOPES, in_language
from idp.oauth import client_metadata, redirect_uri, sectors
from idp.oauth.profiles import PROFILES, STRICT
from idp.web import cors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from idp.store.rows import Row


# Most clients register one of a few sets: a thousand tenants that share them find them in the processor's caches.
@lru_cache(maxsize=1024)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


_STANDARD = frozenset(STANDARD_SCOPES)


class Client(ClientMixin):
    """One relying party."""

    def __init__(self, row: Row[Any], allowed_profiles: Collection[str] = tuple(PROFILES)) -> None:
        """Read the row and its metadata; a profile that the tenant does not allow (any more) counts as ``strict``."""
        metadata: dict[str, Any] = row.metadata
        self.client_id: str = row.client_id
        self.metadata = metadata
        # Security §1: a tenant that takes a profile back is not left with clients that it still loosens.
        self.profile = PROFILES[row.client_profile] if row.client_profile in allowed_profiles else STRICT
        self.is_active = row.state == "active"
        self.is_first_party: bool = row.first_party
        self.secret_hash: str | None = row.secret_hash
        self.secret_expires_at: int = row.secret_expires_at or 0
        self.created_at: int = row.created_at
        self.updated_at: int = row.updated_at
        self.auth_method: str = metadata["token_endpoint_auth_method"]
        self.grant_types = _shared(tuple(metadata["grant_types"]))
        self.response_types = _shared(tuple(metadata["response_types"]))
        self.redirect_uris = frozenset(metadata.get("redirect_uris", ()))
        self.post_logout_redirect_uris = frozenset(metadata.get("post_logout_redirect_uris", ()))
        scope = metadata.get("scope")
        # Without registered scopes a client may ask for the standard ones.
        self.scopes = _shared(tuple(scope.split())) if scope else _STANDARD
        self.name: str = metadata.get("client_name") or row.client_id
        # OpenID Connect Core §8.1: within one sector a user has one pairwise subject; None: subjects are public.
        self.sector: str | None = sectors.sector_of(metadata) if metadata.get("subject_type") == "pairwise" else None
        self.default_max_age: int | None = metadata.get("default_max_age")

    @property
    def is_public(self) -> bool:
        """Whether the client cannot keep a secret (RFC 6749 §2.1)."""
        return self.auth_method == "none"

    @cached_property
    def jwks(self) -> KeySet:
        """The client's public keys."""
        keys: Any = self.metadata.get("jwks") or {"keys": []}
        return KeySet.import_key_set(keys)

    @cached_property
    def origins(self) -> frozenset[str]:
        """The origins of the registered redirect URIs: scripts there may read the client's answers (CORS)."""
        return frozenset(origin for origin in map(cors.origin_of, self.redirect_uris) if origin is not None)

    def presentation(self, locales: Sequence[str] = ()) -> dict[str, str | None]:
        """Return what a person is shown about the client, in the first of the languages that it is registered in."""
        metadata = self.metadata
        shown: dict[str, str | None] = {"name": self.name}
        for member in client_metadata.IN_LANGUAGES:
            tagged = next((found for each in locales if (found := in_language(metadata, member, each))), None)
            value = metadata.get(tagged or member)
            if member != "client_name":
                shown[member] = value
            elif value:
                shown["name"] = value
        return shown

    # -- Authlib's ClientMixin ------------------------------------------------------------------------------------

    def get_client_id(self) -> str:
        """Return the identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Return the only registered redirect URI; None when there are several (RFC 6749 §3.1.2.3)."""
        return next(iter(self.redirect_uris)) if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the scope as it is; :mod:`idp.oauth.scopes` has decided."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri_: str) -> bool:
        """Say whether a redirect URI is registered."""
        return redirect_uri.matches(redirect_uri_, self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Say whether a secret is right and has not expired; time does not tell how wrong it is."""
        presented = opaque.digest(client_secret).encode()
        is_right = hmac.compare_digest(presented, (self.secret_hash or "-" * 64).encode())
        return is_right and self.secret_hash is not None and not 0 < self.secret_expires_at <= now()

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """Say whether the client registered this method; the same at every endpoint."""
        return method == self.auth_method

    def check_response_type(self, response_type: str) -> bool:
        """Say whether the client registered this response type and its profile has it."""
        return response_type in self.response_types and response_type in self.profile.response_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Say whether the client registered this grant type."""
        return grant_type in self.grant_types
