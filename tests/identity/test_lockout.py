"""Throttling of sign-ins: SP 800-63B-4 §3.2.2, ASVS 6.3.1; security case S089."""

from __future__ import annotations

import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from identity_world import PASSWORD, Server, new_server, spooled

from idp.clock import shifted
from idp.errors import Unavailable
from idp.identity import authentication, lockout
from idp.identity.authentication import Attempt, Refused, SignedIn

if TYPE_CHECKING:
    from pathlib import Path


def attempt(server: Server, password: str, username: str = "ada@acme.example", source: str = "192.0.2.1"):
    """One sign-in without a session."""
    return authentication.sign_in(server, Attempt(username, password, source, "C" * 16), lambda _conn, _user: None)


def reasons(server: Server, count: int, password: str = "wrong", **more) -> list[str]:
    """What so many attempts came to."""
    found = [attempt(server, password, **more) for _ in range(count)]
    return [one.reason if isinstance(one, Refused) else "signed_in" for one in found]


def test_s089_an_account_is_locked_after_its_attempts_and_frees_itself(any_server: Server) -> None:
    """SP 800-63B-4 §3.2.2: the limit holds against the right password too, for the window and no longer."""
    any_server.user()
    assert reasons(any_server, 10) == ["wrong_password"] * 10
    assert reasons(any_server, 2, PASSWORD) == ["account_locked"] * 2
    # From elsewhere as well: the account is locked, not the address.
    assert reasons(any_server, 1, PASSWORD, source="198.51.100.7") == ["account_locked"]
    with shifted(15 * 60 - 2):
        assert reasons(any_server, 1, PASSWORD) == ["account_locked"]
    with shifted(15 * 60 + 2):
        assert reasons(any_server, 1, PASSWORD) == ["signed_in"]


def test_s089_trying_during_a_lock_does_not_prolong_it(server: Server) -> None:
    """S089: nobody can keep an account locked by knocking: the window ends when it was to end."""
    server.user()
    reasons(server, 11)
    with shifted(14 * 60):
        reasons(server, 20)
    with shifted(15 * 60 + 2):
        assert reasons(server, 1, PASSWORD) == ["signed_in"]


def test_s089_a_lock_survives_a_restart(server: Server, tmp_path: Path) -> None:
    """S089: the counters are rows: another worker, or the same after a restart, goes on counting."""
    server.user()
    reasons(server, 10)
    again = new_server(server.database, tmp_path / "second")
    assert reasons(again, 1, PASSWORD) == ["account_locked"]


@pytest.mark.parametrize("count", [200])
def test_s089_parallel_guesses_never_pass_the_limit(
    any_server: Server, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S089: 200 guesses at once from as many addresses: exactly as many as the limit are judged."""
    any_server.user()
    judged = []
    real = authentication._reason

    def counted(user, is_right, verdict):
        if not verdict.is_locked:
            judged.append(is_right)
        return real(user, is_right, verdict)

    monkeypatch.setattr(authentication, "_reason", counted)
    start = threading.Barrier(count)
    outcomes: list[object] = []

    def guess(number: int) -> None:
        start.wait()
        try:
            outcomes.append(attempt(any_server, f"wrong {number}", source=f"10.0.{number // 250}.{number % 250}"))
        except Unavailable as busy:  # a guess that was not judged
            outcomes.append(busy)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == count
    assert len(judged) <= 10
    assert not any(isinstance(one, SignedIn) for one in outcomes)
    if not any(isinstance(one, Unavailable) for one in outcomes):
        assert len(judged) == 10
    assert isinstance(attempt(any_server, PASSWORD), Refused)


def test_control_without_counting_first_parallel_guesses_pass(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """S089, control: with the count taken out, more than the limit are judged, so the test above can fail."""
    server.user()
    monkeypatch.setattr(lockout, "count", lambda *_: lockout.Verdict(False, False, False))
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda number: attempt(server, f"wrong {number}"), range(30)))
    assert [one.reason for one in found] == ["wrong_password"] * 30


def test_s089_one_source_tries_many_accounts(any_server: Server) -> None:
    """S089: 10,000 users with one password each: the source is stopped, whatever the names, and other sources are not."""
    server = any_server.with_settings(source_attempts=20)
    server.user()
    found = [attempt(server, "wrong", username=f"user{number}@acme.example") for number in range(30)]
    assert [one.reason for one in found] == ["unknown_account"] * 20 + ["source_locked"] * 10
    assert reasons(server, 1, PASSWORD) == ["source_locked"]
    assert reasons(server, 1, PASSWORD, source="192.0.2.2") == ["signed_in"]


def test_s089_a_stopped_source_cannot_lock_accounts(server: Server) -> None:
    """S089, no lockout as a weapon: attempts of a source over its limit do not count against accounts."""
    limited = server.with_settings(source_attempts=10)
    limited.user()
    reasons(limited, 10, username="somebody@acme.example")
    reasons(limited, 50)
    assert reasons(limited, 1, PASSWORD, source="192.0.2.99") == ["signed_in"]


def test_s089_ipv6_counts_by_64(server: Server) -> None:
    """S089: addresses spread over one /64 are one source; the next /64 is another; a mapped IPv4 is the IPv4."""
    limited = server.with_settings(source_attempts=10)
    for number in range(10):
        attempt(limited, "wrong", username=f"u{number}", source=f"2001:db8:0:1::{number:x}")
    assert reasons(limited, 1, username="v", source="2001:db8:0:1:ffff::1") == ["source_locked"]
    assert reasons(limited, 1, username="v", source="2001:db8:0:2::1") == ["unknown_account"]
    assert lockout.source_of("::ffff:192.0.2.1") == "192.0.2.1" == lockout.source_of("192.0.2.1")
    assert lockout.source_of("fe80::1%eth0") == "fe80::/64"
    assert lockout.source_of("unix socket") == "unix socket"


@pytest.mark.parametrize(
    "spelling",
    [
        "ADA@ACME.EXAMPLE",
        "  ada@acme.example ",
        "Ada@Acme.Example",
        "ａｄａ@acme.example",
        "\tada@acme.example\n",
        "ada@acme.example\u00a0",
    ],
)
def test_s089_spellings_of_a_name_are_one_account_and_one_counter(server: Server, spelling: str) -> None:
    """S089: case, width and spaces make no second account, and no second set of tries."""
    server.user()
    assert isinstance(attempt(server, PASSWORD, username=spelling), SignedIn)
    reasons(server, 5)
    assert reasons(server, 5, username=spelling) == ["wrong_password"] * 5
    assert reasons(server, 1, PASSWORD) == ["account_locked"]


def test_s089_unicode_forms_of_a_name_are_one_account(server: Server) -> None:
    """S089: composed, decomposed, sharp s and capital: one account."""
    server.user("größe", email=None)
    for spelling in (unicodedata.normalize("NFD", "größe"), "GRÖSSE", "Grösse"):
        assert isinstance(attempt(server, PASSWORD, username=spelling), SignedIn)


@pytest.mark.parametrize(
    "name", ["", " ", "\x00", "ada@acme.example\x00", "x" * 100_000, "\u200b", "ada\u202egro", "😀" * 300, "\ud800"]
)
def test_hostile_names_are_unknown_accounts(any_server: Server, name: str) -> None:
    """Security rule 10: whatever is typed as a name is an unknown account, on every database, never an error."""
    any_server.user()
    assert reasons(any_server, 1, PASSWORD, username=name) == ["unknown_account"]


def test_success_gives_the_source_its_attempt_back_and_frees_the_account(server: Server) -> None:
    """SP 800-63B-4 §3.2.2: a right password resets the account's count; an office behind one address is not stopped by success."""
    limited = server.with_settings(source_attempts=10)
    limited.user()
    for _ in range(3):
        assert reasons(limited, 2) == ["wrong_password"] * 2
        assert reasons(limited, 1, PASSWORD) == ["signed_in"]
    assert reasons(limited, 12, PASSWORD) == ["signed_in"] * 12
    assert reasons(limited, 9)[-1] == "source_locked"


def test_busy_service_does_not_use_up_attempts(server: Server) -> None:
    """S111: an attempt that was never judged, because the queue was full or its turn did not come, is taken back."""
    server.user()
    hasher = server.services.hasher
    queue, hasher._queue = hasher._queue, 14
    with hasher._slot, ThreadPoolExecutor(30) as people:  # fifteen find the queue full at once, fifteen wait in vain
        tried = [people.submit(attempt, server, PASSWORD) for _ in range(30)]
        assert {type(one.exception()) for one in tried} == {Unavailable}
    hasher._queue = queue
    assert reasons(server, 1, PASSWORD) == ["signed_in"]


def test_failures_are_recorded_without_what_was_typed(server: Server) -> None:
    """Security rule 9: the audit trail knows the account if there is one, and of what was typed a short digest only."""
    user_id = server.user()
    attempt(server, "a wrong password that is secret")
    attempt(server, "x", username="my password typed into the wrong field")
    known, unknown = spooled(server, "login.failed")
    assert (known["subject"], known["outcome"], known["source"]) == (user_id, "failure", "192.0.2.1")
    assert unknown.get("subject") is None
    assert set(unknown["details"]) == {"reason", "username_digest"}
    text = str((known, unknown))
    assert "secret" not in text
    assert "typed into" not in text
    assert "ada@" not in text


def test_a_source_lock_is_recorded_once(server: Server) -> None:
    """S089: a flood from one address does not become a flood in the audit trail."""
    limited = server.with_settings(source_attempts=10)
    reasons(limited, 40, username="nobody")
    assert [one["details"]["reason"] for one in spooled(limited, "login.failed")].count("source_locked") == 1
