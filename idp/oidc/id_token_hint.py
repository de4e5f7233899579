"""The ``id_token_hint``: an ID token of this issuer that a client sends back, expired or not (OpenID Connect Core §3.1.2.1).

As it was signed, or encrypted to this server. What was encrypted to the client only the client can open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.keys.compact import MAX_TOKEN, InvalidToken
from idp.tokens.mint import ID_TOKEN_TYPE

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer


def claims_of(server: TenantServer, hint: str) -> dict[str, Any]:
    """Return the claims of a hint; raises :class:`~idp.keys.compact.InvalidToken`."""
    if hint.count(".") == 4:
        try:
            hint = server.keys.decryption.decrypt(hint, max_length=MAX_TOKEN)
        except InvalidToken:
            # §3.1.2.1: the client must decrypt it; it may then encrypt it to this server.
            raise InvalidToken("it is encrypted, and not to this server: send the signed ID token inside") from None
    return server.keys.verify(hint, typ=ID_TOKEN_TYPE, issuer=server.tenant.issuer, allow_expired=True)
