"""Passwords: SP 800-63B-4, ASVS 6.2, OWASP's argon2id parameters; security cases S090 and S111."""

from __future__ import annotations

import asyncio
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from idp import waiting
from idp.errors import Invalid, Unavailable
from idp.identity import passwords
from idp.identity.argon2_memory import KeptMemory
from idp.identity.passwords import Hasher, check_new_password, normalised
from idp.settings import Settings
from idp.tenancy.settings import TenantSettings

if TYPE_CHECKING:
    from pathlib import Path


def cheap(**more) -> Hasher:
    """A hasher that costs a few milliseconds."""
    return Hasher(Settings(**{"argon2_memory_kib": 7168, **more}))


def test_owasp_argon2id_parameters_are_the_default() -> None:
    """OWASP Password Storage: argon2id with 46 MiB, one pass, one lane, is what a default installation stores."""
    stored = Hasher(Settings()).hash("a password that is long enough")
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")


@pytest.mark.parametrize("length", [1, 64, 72, 73, 127, 128])
def test_s090_nothing_is_cut_off(length: int) -> None:
    """SP 800-63B-4 §3.1.1.2, S090: the whole password counts: a twin that differs in its last character is refused."""
    hasher = cheap()
    password = "x" * (length - 1) + "a"
    stored = hasher.hash(password)
    assert hasher.verify(stored, password) == (True, None)
    assert hasher.verify(stored, "x" * (length - 1) + "b") == (False, None)
    assert hasher.verify(stored, password + "a")[0] is False
    assert hasher.verify(stored, password[:-1])[0] is False


@pytest.mark.parametrize("password", ["x" * 129, "x" * 1_000_000, "a\x00b", "\x00" * 20, "\ud800" * 20, "😀" * 129])
def test_s090_what_no_account_can_have_is_refused_at_once(password: str) -> None:
    """S090: too long, NUL or no Unicode text: never hashed, never an error at sign-in, refused when set."""
    hasher = cheap()
    stored = hasher.hash("another password")
    begun = time.perf_counter()
    assert hasher.verify(stored, password) == (False, None)
    assert time.perf_counter() - begun < 2
    with pytest.raises(Invalid):
        hasher.hash(password)


def test_s090_spellings_of_one_text_are_one_password() -> None:
    """SP 800-63B-4 §3.1.1.2: Unicode is normalised (NFC) before hashing; spaces around it count."""
    hasher = cheap()
    text = "größe über alles ändert"
    stored = hasher.hash(unicodedata.normalize("NFD", text))
    assert hasher.verify(stored, unicodedata.normalize("NFC", text))[0]
    assert not hasher.verify(stored, f" {text}")[0]
    assert not hasher.verify(stored, f"{text} ")[0]
    assert normalised("é" * 129) is None
    assert normalised(unicodedata.normalize("NFD", "é") * 128) == "é" * 128


def test_rehash_when_the_parameters_changed() -> None:
    """ASVS 11.4.2: a hash of older parameters still works once and is replaced by one of today's."""
    old, new = cheap(), cheap(argon2_memory_kib=8192)
    stored = old.hash("a long enough password")
    is_right, replacement = new.verify(stored, "a long enough password")
    assert is_right
    assert replacement is not None
    assert replacement.startswith("$argon2id$v=19$m=8192,")
    assert new.verify(replacement, "a long enough password") == (True, None)
    assert new.verify(stored, "wrong") == (False, None)


def test_unknown_account_costs_what_a_known_one_costs() -> None:
    """Security rule 7: without a stored hash the same work is done: medians within 25 %."""
    hasher = Hasher(Settings())
    stored = hasher.hash("a long enough password")
    times: dict[str, list[float]] = {"known": [], "unknown": [], "broken": []}
    for _ in range(9):
        for name, value in (("known", stored), ("unknown", None), ("broken", "not a hash")):
            begun = time.thread_time()  # this thread's work: what other processes do meanwhile does not count
            assert hasher.verify(value, "some wrong password") == (False, None)
            times[name].append(time.thread_time() - begun)
    known, unknown, broken = (sorted(found)[4] for found in times.values())
    assert 0.8 < unknown / known < 1.25
    assert 0.8 < broken / known < 1.25


@pytest.mark.parametrize(("memory_kib", "passes"), [(7168, 1), (19456, 1)])
def test_a_hash_of_a_lower_cost_takes_as_long(memory_kib: int, passes: int) -> None:
    """Security rule 7: after the cost was raised, an account that has not signed in since costs what an unknown one costs."""
    hasher = Hasher(Settings())
    stored = cheap(argon2_memory_kib=memory_kib, argon2_time_cost=passes).hash("a long enough password")
    times: dict[str, list[float]] = {"older": [], "unknown": []}
    for _ in range(9):
        for name, value in (("older", stored), ("unknown", None)):
            begun = time.thread_time()
            assert hasher.verify(value, "some wrong password") == (False, None)
            times[name].append(time.thread_time() - begun)
    older, unknown = (sorted(found)[4] for found in times.values())
    assert 0.6 < older / unknown < 1.3  # without it 0.1 and 0.3


def test_the_dummy_hash_opens_nothing() -> None:
    """Security rule 7: no password, not even the dummy's own text, is right for an account without one."""
    hasher = cheap()
    for password in ("", "dummy", hasher._dummy[:128]):
        assert hasher.verify(None, password) == (False, None)


def test_s111_one_hash_at_a_time_and_a_bounded_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """S111: however many sign in, one hash runs; beyond the queue the answer is 503 with Retry-After, at once."""
    hasher = cheap(hash_queue=3)
    running, most, gate = 0, 0, threading.Event()
    real = hasher._argon2.verify

    def counted(stored: str, text: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        gate.wait(5)
        try:
            return real(stored, text)
        finally:
            running -= 1

    monkeypatch.setattr(hasher, "_argon2", type("Counted", (), {"verify": staticmethod(counted)})())
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(hasher.verify, None, "x") for _ in range(20)]
        refused = []
        for one in asked:
            try:
                one.result(timeout=0.3)
            except Unavailable as error:
                refused.append(error)
            except TimeoutError:
                pass
        assert len(refused) == 20 - 1 - 3
        assert all(error.status == 503 and error.retry_after for error in refused)
        gate.set()
    assert most == 1
    assert sum(1 for one in asked if one.exception() is None) == 4


def test_s111_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """S111: who has waited too long for the hasher gets 503 and frees the place in the queue."""
    monkeypatch.setattr(passwords, "LONGEST_WAIT", 0.05)
    hasher = cheap(hash_queue=1)
    with hasher._slot:
        for _ in range(3):
            with pytest.raises(Unavailable):
                hasher.verify(None, "x")
    assert hasher.verify(None, "x") == (False, None)


def test_s111_a_task_does_not_wait_for_ever_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """S111: on the event loop too who has waited too long for the hasher gets 503, when the time is over and not when its turn comes."""
    monkeypatch.setattr(passwords, "LONGEST_WAIT", 0.2)
    hasher = cheap(hash_queue=10)
    ended: list[float] = []

    def slow() -> None:
        time.sleep(0.6)

    def sign_in() -> object:
        try:
            return hasher.verify(slow, "x")
        finally:
            ended.append(time.monotonic())

    async def main() -> list[object]:
        return list(await asyncio.gather(*(waiting.run(sign_in) for _ in range(4)), return_exceptions=True))

    began = time.monotonic()
    first, *others = asyncio.run(main())
    assert first == (False, None)
    assert [type(one) for one in others] == [Unavailable] * 3
    assert sorted(ended)[2] - began < 0.5
    assert hasher.verify(None, "x") == (False, None)
    assert hasher._present == 0


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short", "too short"),
        ("x" * 14 + "y", None),
        ("a" * 20, "repeated"),
        ("y" * 129, "too long"),
        ("with\x00nul and long enough", "cannot be used"),
        ("ada.lovelace@acme.example", "username"),
        ("ADA.Lovelace@acme.example ", "username"),
        ("ａｄａ.lovelace@acme.example", "username"),
        ("Acme Instruments Ltd", "organisation"),
        ("all lower case words are fine", None),
        ("no digits, no Symbols needed", None),
        ("    fifteen with spaces    ", None),
    ],
)
def test_policy_of_a_new_password(password: str, word: str | None) -> None:
    """SP 800-63B-4 §3.1.1.2: length counts, context words are refused, no rule about kinds of characters."""
    names = ("ada.lovelace@acme.example", None, "Acme Instruments Ltd")
    found = check_new_password(password, TenantSettings(), names)
    assert (found == []) if word is None else (word in " ".join(found))


def test_policy_length_is_the_tenants(tmp_path: Path) -> None:
    """SP 800-63B-4 §3.1.1.2: 15 characters where the password is the only factor; a tenant with a second one may lower it to 8."""
    assert check_new_password("x" * 7 + "abcdefg", TenantSettings())
    assert check_new_password("abcdefgh", TenantSettings(password_min_length=8)) == []


def test_kept_memory_hashes_like_the_library() -> None:
    """RFC 9106 §3: the hash in kept memory is the library's, both ways, and so is the verdict on other parameters."""
    kept, library = KeptMemory(8192, 1), PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    assert library.verify(kept.hash(b"a password"), "a password")
    assert kept.verify(library.hash("a password"), b"a password")
    assert not kept.verify(library.hash("a password"), b"another password")
    for other in (
        PasswordHasher(time_cost=2, memory_cost=4096, parallelism=2),
        PasswordHasher(time_cost=1, memory_cost=16384, parallelism=1),
    ):
        stored = other.hash("a password")
        assert kept.verify(stored, b"a password")
        assert not kept.verify(stored, b"another password")
        assert not kept.is_current(stored)
    assert kept.is_current(kept.hash(b"x"))
