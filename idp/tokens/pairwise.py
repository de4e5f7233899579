"""Pairwise subjects: another identifier for the same user in each sector (OpenID Connect Core §8.1).

The identifier is the user's id, encrypted by AES-SIV under a key of the tenant with the sector as associated data: the same user
has the same identifier in one sector and an unrelated one in every other, nobody without the key tells whose it is, and the
server reads it back where a client presents it (an ``id_token_hint``) without a table of pairs.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BITS = 512
LONGEST = 255  # OpenID Connect Core §2: characters of a subject


def new_key() -> bytes:
    """Return a key for a tenant; with another one every pairwise subject is another."""
    return AESSIV.generate_key(KEY_BITS)


class PairwiseSubjects:
    """The pairwise subjects of one tenant."""

    def __init__(self, key: bytes) -> None:
        """Take the tenant's key."""
        self._cipher = AESSIV(key)

    def of(self, sector: str, user_id: str) -> str:
        """Return the subject of a user in a sector."""
        sealed = self._cipher.encrypt(user_id.encode(), [sector.encode()])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def user_of(self, sector: str, subject: str) -> str | None:
        """Return the id of the user with this subject in this sector; None for what never was one."""
        if len(subject) > LONGEST or not subject.isascii():
            return None
        try:
            sealed = base64.urlsafe_b64decode(subject + "=" * (-len(subject) % 4))
            return self._cipher.decrypt(sealed, [sector.encode()]).decode()
        except (InvalidTag, ValueError, binascii.Error):
            return None
