"""Passwords: one argon2id hash at a time, and what a new password must be (NIST SP 800-63B-4 §3.1.1.2).

Owns normalisation (NFC), the limits (128 characters, nothing is ever cut off, NUL is refused), hashing with a bounded queue,
re-hashing when the parameters changed or another system made the hash, and the dummy hash that makes an unknown account cost what a known one costs.
Must not know accounts or storage.
"""

from __future__ import annotations

import base64
import os
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from argon2.exceptions import InvalidHashError

from idp import waiting
from idp.errors import Invalid, Unavailable
from idp.identity import foreign_hashes, password_rules
from idp.identity.argon2_memory import HASH_BYTES, SALT_BYTES, KeptMemory
from idp.language import N_, NN_

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from idp.settings import Settings
    from idp.tenancy.settings import TenantSettings

T = TypeVar("T")

LONGEST = 128  # characters
LONGEST_BYTES = 1024
LONGEST_WAIT = 5.0  # seconds in the queue before 503


def normalised(password: str) -> str | None:
    """Return the password in NFC, or None when no account can have it: too long, with a NUL, or not Unicode text."""
    if len(password) > LONGEST_BYTES or "\x00" in password:
        return None
    text = unicodedata.normalize("NFC", password)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return None
    return text if len(text) <= LONGEST and size <= LONGEST_BYTES else None


class Hasher:
    """The password hasher of one process: one hash at a time, because each takes a whole core and 46 MiB."""

    def __init__(self, settings: Settings) -> None:
        """Take the cost and the queue's length from the settings."""
        self._argon2 = KeptMemory(settings.argon2_memory_kib, settings.argon2_time_cost)
        self._dummy = _dummy_hash(settings.argon2_memory_kib, settings.argon2_time_cost)
        self._queue = settings.hash_queue
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hasher")
        self._slot = threading.Lock()
        self._guard = threading.Lock()
        self._present = 0  # who is hashing or waits for it

    def hash(self, password: str) -> str:
        """Return the hash to store; raises :class:`Invalid` for a password outside the limits, :class:`Unavailable` when busy."""
        text = normalised(password)
        if text is None:
            raise Invalid(N_("A password has at most %(most)s characters and no NUL character.", most=LONGEST))
        return self._in_turn(lambda: self._argon2.hash(text.encode()))

    def verify(self, stored: str | Callable[[], str | None] | None, password: str) -> tuple[bool, str | None]:
        """Return (is it right, the hash to store instead when the parameters changed).

        Without ``stored`` the answer is False after the same work. ``stored`` may be a function that is called when the turn
        has come, so that what it counts is never more than one attempt a process that is not judged yet. A password outside the limits is wrong at once: how long
        that takes depends on the password alone. Raises :class:`Unavailable` when too many wait.
        """
        text = normalised(password)
        if text is None:
            if callable(stored):
                stored()
            return False, None

        def judge() -> tuple[bool, str | None]:
            known = stored() if callable(stored) else stored
            if known is not None and foreign_hashes.is_foreign(known):
                return self._judge_foreign(known, password, text)
            if not self._matches(known or self._dummy, text) or known is None:
                if known is not None:
                    self._make_up(known, text)
                return False, None
            return True, None if self._argon2.is_current(known) else self._argon2.hash(text.encode())

        return self._in_turn(judge)

    def _judge_foreign(self, stored: str, password: str, text: str) -> tuple[bool, str | None]:
        """Judge by another system's hash; right or wrong, the work of one of ours is done too (it replaces the foreign one)."""
        # The other system may have hashed what was typed without normalising it.
        if foreign_hashes.verify(stored, (text, password)):
            return True, self._argon2.hash(text.encode())
        return self._matches(self._dummy, text) and False, None

    def _matches(self, stored: str, text: str) -> bool:
        try:
            return self._argon2.verify(stored, text.encode())
        except InvalidHashError:
            return stored != self._dummy and self._matches(self._dummy, text) and False

    def _make_up(self, stored: str, text: str) -> None:
        """Let a wrong password take as long with a hash of a lower cost, which an account keeps until its next sign-in."""
        with suppress(InvalidHashError):  # it was taken for the dummy, which has today's cost
            self._argon2.make_up(stored, text.encode())

    def _in_turn(self, work: Callable[[], T]) -> T:
        with self._guard:
            if self._present > self._queue:
                raise Unavailable
            self._present += 1
        deadline = time.monotonic() + LONGEST_WAIT
        try:
            return waiting.elsewhere(self._pool, lambda: self._alone(work, deadline), LONGEST_WAIT)
        except TimeoutError:
            raise Unavailable from None
        finally:
            with self._guard:
                self._present -= 1

    def _alone(self, work: Callable[[], T], deadline: float) -> T:
        if not self._slot.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unavailable
        try:
            return work()
        finally:
            self._slot.release()


def _dummy_hash(memory_kib: int, time_cost: int) -> str:
    """Return a hash that no password is known for, with the parameters of a real one."""
    salt, value = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={memory_kib},t={time_cost},p=1${salt}${value}"


def check_new_password(password: str, settings: TenantSettings, names: Iterable[str | None] = ()) -> list[str]:
    """Return a sentence for each rule a new password breaks; empty when it may be used.

    ``names`` are words that a password may not be or mostly consist of (:func:`idp.identity.password_rules.names_of`). There are no rules about
    kinds of characters (SP 800-63B-4 §3.1.1.2: verifiers SHALL NOT impose composition rules).
    """
    if "\x00" in password:
        return [N_("The new password has a character that cannot be used")]
    text = normalised(password)
    if text is None:
        return [N_("The new password is too long; it can have at most %(most)s characters", most=LONGEST)]
    found = []
    if len(text) < settings.password_min_length:
        found.append(
            NN_(
                "The new password is too short; it needs at least %(num)s character",
                "The new password is too short; it needs at least %(num)s characters",
                settings.password_min_length,
            )
        )
    plain, names = _plain(text), tuple(names)
    if plain in {part for name in names if name for part in _words(name)}:
        found.append(
            N_("The new password must not be your username, your email address or the name of the organisation")
        )
    if len(text) > 1 and len(set(plain)) == 1:
        found.append(N_("The new password must not be one character repeated"))
    return found or password_rules.problems(text, names)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _words(name: str) -> set[str]:
    plain = _plain(name)
    return {plain, plain.partition("@")[0], plain.replace(" ", "")}
