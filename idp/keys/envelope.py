"""The envelope: secrets that must be read back are stored sealed under the installation's master key.

Master keys are Fernet keys (AES-128-CBC with HMAC-SHA-256), the newest first: the newest seals, every one unseals, so that
a master key is replaced by putting a new one in front, running ``idp keys rewrap`` and dropping the old one. A sealed value
carries its purpose inside (ASVS 5.0 §11.3), so that it cannot be moved to another column, row or tenant.

It must not know what the secrets are; it never logs and names no value in an error.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from idp.errors import SettingError, Unavailable
from idp.store.control import control_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from idp.settings import Settings
    from idp.store.rows import Connection

MASTER_KEY_FILE = "master.key"
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_CHECK_NAME = "master_key_check"
_CHECK_VALUE = b"this installation's master key"


class CannotUnseal(Unavailable):
    """A sealed value was made under another master key, for another purpose, or is damaged."""


class Envelope:
    """Seals and unseals with the master keys; safe to share between threads."""

    __slots__ = ("_all", "_newest")

    def __init__(self, master_keys: Sequence[str]) -> None:
        """Take the master keys, the newest first; raises ValueError when one is not a Fernet key or there is none."""
        # Stricter than Fernet, which reads past characters that it does not understand.
        if not master_keys or not all(_FERNET_KEY.fullmatch(key) for key in master_keys):
            raise ValueError("not a list of Fernet keys")
        ciphers = [Fernet(key) for key in master_keys]
        self._all = MultiFernet(ciphers)
        self._newest = ciphers[0]

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Read the master keys from the settings or the data folder; raises :class:`SettingError`, never makes one."""
        path = settings.data_dir / MASTER_KEY_FILE
        source = "IDP_MASTER_KEY" if settings.master_key else str(path)
        text = settings.master_key or _read(path)
        try:
            return cls([part for part in re.split(r"[,\s]+", text) if part])
        except ValueError:
            message = (
                f"{source} must hold one or more master keys separated by commas, the newest first, "
                "each 32 random bytes in URL-safe base64 (44 characters)."
            )
            raise SettingError(message) from None

    def seal(self, value: bytes, purpose: str) -> str:
        """Return ``value`` sealed under the newest master key; ``purpose`` must be given again to unseal it."""
        return self._newest.encrypt(_label(purpose) + value).decode("ascii")

    def unseal(self, sealed: str, purpose: str) -> bytes:
        """Return what was sealed; raises :class:`CannotUnseal` for another master key, another purpose or damage."""
        label = _label(purpose)
        try:
            opened = self._all.decrypt(sealed)
        except (InvalidToken, ValueError):
            raise CannotUnseal from None
        if not hmac.compare_digest(opened[: len(label)], label):
            raise CannotUnseal
        return opened[len(label) :]

    def needs_rewrap(self, sealed: str) -> bool:
        """Say whether a value is sealed under a master key that is not the newest."""
        try:
            self._newest.decrypt(sealed)
        except (InvalidToken, ValueError):
            return True
        return False

    def reseal(self, sealed: str, purpose: str) -> str:
        """Return the same value sealed under the newest master key; raises :class:`CannotUnseal`."""
        return self.seal(self.unseal(sealed, purpose), purpose)

    def check(self, conn: Connection) -> None:
        """Refuse to start under the wrong master key: raises :class:`SettingError`; the first call leaves the proof.

        ``conn`` writes to the control database (``control.writing(envelope.check)``).
        """
        sealed = control_state.get(conn, _CHECK_NAME)
        if sealed is None:
            control_state.put(conn, _CHECK_NAME, self.seal(_CHECK_VALUE, _CHECK_NAME))
            return
        try:
            opened = self.unseal(sealed, _CHECK_NAME)
        except CannotUnseal:
            opened = b""
        if opened != _CHECK_VALUE:
            message = (
                "IDP_MASTER_KEY (or master.key in the data folder) is not the master key that sealed this installation's "
                "secrets: put the former key back, behind the new one if there is one, and run `idp keys rewrap`."
            )
            raise SettingError(message)

    def rewrap_check(self, conn: Connection) -> bool:
        """Seal the proof of :meth:`check` under the newest master key; says whether it had to.

        Call it last, when all tenants are rewrapped: until then a start without the former key is refused.
        """
        sealed = control_state.get(conn, _CHECK_NAME)
        if sealed is not None and not self.needs_rewrap(sealed):
            return False
        control_state.put(conn, _CHECK_NAME, self.seal(_CHECK_VALUE, _CHECK_NAME))
        return True


def create_master_key(settings: Settings) -> bool:
    """Make the data folder's master key unless there is one (there or in the settings); says whether it was made.

    The file appears whole or not at all, readable by its owner only, and is never overwritten.
    """
    path = settings.data_dir / MASTER_KEY_FILE
    if settings.master_key or path.exists():
        return False
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    draft = settings.data_dir / f".{MASTER_KEY_FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was quicker: its key stands
            os.link(draft, path)
            _sync_folder(settings.data_dir)
            return True
        return False
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise SettingError(f"{path} can be read by others than its owner; run `chmod 600 {path}`.")
        return path.read_text("ascii")
    except FileNotFoundError:
        message = f"There is no master key: run `idp init` to make {path}, put a copy of it back there, or set IDP_MASTER_KEY."
        raise SettingError(message) from None
    except (OSError, UnicodeDecodeError):
        raise SettingError(f"{path} cannot be read; check its owner and content.") from None


def _label(purpose: str) -> bytes:
    return purpose.encode("utf-8") + b"\0"
