"""Argon2id (RFC 9106) in memory that is kept: the hash of argon2-cffi without mapping and unmapping 46 MiB each time.

Measured on two cores: of the 53 ms that one argon2-cffi hash of 46 MiB took, half was the kernel handing out 11,777 fresh pages.
In one buffer of huge pages that the process keeps, the same library and the same output take about 25 ms. The library still
wipes the buffer after each hash. Whatever the buffer does not fit (other parameters, a platform without it) goes to
argon2-cffi's ordinary functions. Must be used by one thread at a time; :class:`idp.identity.passwords.Hasher` sees to that.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import mmap
import os
from typing import TYPE_CHECKING, Any

from _argon2_cffi_bindings import ffi, lib  # type: ignore[import-untyped]
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION, Type, core, hash_secret, verify_secret

if TYPE_CHECKING:
    from argon2 import Parameters

_HUGE_PAGE = 2 << 20
_LEAST_KIB = 8  # RFC 9106 §3.1: eight blocks a lane
SALT_BYTES, HASH_BYTES = 16, 32


class KeptMemory:
    """Hashes and verifies with one lane in one kept buffer."""

    def __init__(self, memory_kib: int, time_cost: int) -> None:
        """Map the buffer; pages are handed out on first use."""
        self.memory_kib, self.time_cost = memory_kib, time_cost
        self._size = memory_kib * 1024
        memory = mmap.mmap(-1, self._size + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._buffer = ffi.from_buffer("uint8_t[]", memory)
        # Kept as attributes: the library calls them from C.
        self._allocate = ffi.callback("int(uint8_t **, size_t)", self._lend, error=lib.ARGON2_MEMORY_ALLOCATION_ERROR)
        self._free = ffi.callback("void(uint8_t *, size_t)", _take_back)

    def hash(self, password: bytes) -> str:
        """Return the hash in the PHC string format, with a new salt."""
        salt = os.urandom(SALT_BYTES)
        value = self._raw(password, salt, self.memory_kib, self.time_cost, HASH_BYTES)
        if value is None:
            return hash_secret(password, salt, self.time_cost, self.memory_kib, 1, HASH_BYTES, Type.ID).decode()
        return f"$argon2id$v={ARGON2_VERSION}$m={self.memory_kib},t={self.time_cost},p=1${_encoded(salt)}${_encoded(value)}"

    def verify(self, stored: str, password: bytes) -> bool:
        """Say whether a password belongs to a stored hash; raises InvalidHashError when that is none."""
        parameters = extract_parameters(stored)
        if self._fits(parameters):
            *_, salt, value = stored.split("$")
            try:
                found = self._raw(
                    password, _decoded(salt), parameters.memory_cost, parameters.time_cost, parameters.hash_len
                )
            except binascii.Error:
                raise InvalidHashError from None
            if found is not None:
                return hmac.compare_digest(_encoded(found), value)
        try:
            return verify_secret(stored.encode(), password, parameters.type)
        except VerificationError:
            return False

    def is_current(self, stored: str) -> bool:
        """Say whether a stored hash has today's parameters."""
        found = extract_parameters(stored)
        wanted = (Type.ID, ARGON2_VERSION, self.memory_kib, self.time_cost, 1, HASH_BYTES, SALT_BYTES)
        return (
            found.type,
            found.version,
            found.memory_cost,
            found.time_cost,
            found.parallelism,
            found.hash_len,
            found.salt_len,
        ) == wanted

    def make_up(self, stored: str, password: bytes) -> None:
        """Do the work by which verifying a stored hash falls short of one with today's parameters: memory filled, once a pass."""
        found = extract_parameters(stored)
        missing = self.memory_kib * self.time_cost - found.memory_cost * found.time_cost
        whole, rest = divmod(max(0, missing), self.memory_kib)
        for memory_kib, passes in ((self.memory_kib, whole), (rest, 1)):
            if passes and memory_kib >= _LEAST_KIB:
                self._raw(password, bytes(SALT_BYTES), memory_kib, passes, HASH_BYTES)

    def _fits(self, parameters: Parameters) -> bool:
        return (
            parameters.type is Type.ID
            and parameters.version == ARGON2_VERSION
            and parameters.parallelism == 1
            and parameters.memory_cost * 1024 <= self._size
        )

    def _raw(self, password: bytes, salt: bytes, memory_kib: int, time_cost: int, length: int) -> bytes | None:
        """Return the raw hash, or None when the library would not have it."""
        out, secret, grain = ffi.new("uint8_t[]", length), ffi.new("uint8_t[]", password), ffi.new("uint8_t[]", salt)
        context = ffi.new(
            "argon2_context *",
            {
                "out": out,
                "outlen": length,
                "version": ARGON2_VERSION,
                "pwd": secret,
                "pwdlen": len(password),
                "salt": grain,
                "saltlen": len(salt),
                "secret": ffi.NULL,
                "secretlen": 0,
                "ad": ffi.NULL,
                "adlen": 0,
                "t_cost": time_cost,
                "m_cost": memory_kib,
                "lanes": 1,
                "threads": 1,
                "allocate_cbk": self._allocate,
                "free_cbk": self._free,
                "flags": lib.ARGON2_DEFAULT_FLAGS,
            },
        )
        return bytes(ffi.buffer(out)) if core(context, Type.ID.value) == lib.ARGON2_OK else None

    def _lend(self, place: Any, size: int) -> int:
        if size > self._size:
            return int(lib.ARGON2_MEMORY_ALLOCATION_ERROR)
        place[0] = self._buffer
        return int(lib.ARGON2_OK)


def _take_back(_memory: Any, _size: int) -> None:
    """Keep the buffer."""


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
