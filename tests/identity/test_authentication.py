"""Signing in with a password: ASVS 6.3.8 (no enumeration), architecture §5 (two commits); races with what an administrator does."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from identity_world import BY, NEW_PASSWORD, PASSWORD, Server, new_server

from idp.errors import StorageUnavailable
from idp.identity import accounts, authentication, foreign_hashes, lockout, password_confirmation
from idp.identity.authentication import Attempt, Refused, SignedIn
from idp.store.db import Database
from idp.store.tenant import sessions, users

if TYPE_CHECKING:
    from pathlib import Path


def attempt(password: str = PASSWORD, username: str = "ada@acme.example") -> Attempt:
    """What somebody sends."""
    return Attempt(username, password, "192.0.2.1", "C" * 16, "client-1")


def none(_conn, _user) -> None:
    """No session."""


def test_a_login_is_two_durable_commits(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §5: the attempt is counted, then everything that follows is one transaction."""
    server.user()
    writes = []
    real = Database.writing
    monkeypatch.setattr(Database, "writing", lambda self, work: (writes.append(1), real(self, work))[1])
    assert isinstance(authentication.sign_in(server, attempt(), none), SignedIn)
    assert len(writes) == 2
    writes.clear()
    assert isinstance(authentication.sign_in(server, attempt("wrong"), none), Refused)
    assert len(writes) == 1


def test_what_and_then_writes_is_part_of_the_login(any_server: Server) -> None:
    """RFC 9700 §2, security rule 3: counters, event and what the caller adds stand or fall together."""
    user_id = any_server.user()
    authentication.sign_in(any_server, attempt("wrong"), none)

    def fails(conn, user) -> str:
        sessions.create(
            conn, id="s1", cookie_hash="x", user_id=user.id, auth_time=1, amr=[], acr="", created_at=1,
            last_seen_at=1, idle_expires_at=9, expires_at=9,
        )  # fmt: skip
        raise LookupError

    with pytest.raises(LookupError):
        authentication.sign_in(any_server, attempt(), fails)
    assert any_server.rows("SELECT id FROM sessions") == []
    assert any_server.events("login.succeeded") == []
    done = authentication.sign_in(any_server, attempt(), lambda _conn, _user: "session-7")
    assert isinstance(done, SignedIn)
    assert done.session_id == "session-7"
    (event,) = any_server.events("login.succeeded")
    assert (event.actor, event.subject, event.session_id, event.client_id) == (
        user_id,
        user_id,
        "session-7",
        "client-1",
    )
    assert (event.source, event.correlation_id) == ("192.0.2.1", "C" * 16)


def test_the_hash_is_renewed_at_login(tmp_path: Path, any_server: Server) -> None:
    """ASVS 11.4.2: after the cost was raised, the next login stores a hash of the new cost, and the password stays right."""
    any_server.user()
    dearer = new_server(any_server.database, tmp_path, argon2_memory_kib=8192)
    assert isinstance(authentication.sign_in(dearer, attempt(), none), SignedIn)
    assert "m=8192," in any_server.rows("SELECT password_hash FROM users")[0][0]
    assert isinstance(authentication.sign_in(dearer, attempt(), none), SignedIn)


@pytest.mark.parametrize("meanwhile", ["disabled", "deleted", "new password"])
def test_a_change_during_the_hash_wins(any_server: Server, meanwhile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security rule 3: who is disabled, deleted or given another password while the hash is computed is not signed in."""
    user_id = any_server.user()
    hasher = any_server.services.hasher
    real = hasher.verify

    def slow(stored, password):
        result = real(stored, password)
        monkeypatch.setattr(hasher, "verify", real)
        if meanwhile == "disabled":
            accounts.disable_user(any_server.database, user_id, by=BY)
        elif meanwhile == "deleted":
            accounts.delete_user(any_server.database, user_id, by=BY)
        else:
            user = accounts.find_user(any_server.database, "ada@acme.example")
            accounts.set_password(any_server.database, hasher, any_server.tenant, user, NEW_PASSWORD, by=BY)
        return result

    monkeypatch.setattr(hasher, "verify", slow)
    begun = []
    assert isinstance(authentication.sign_in(any_server, attempt(), lambda _c, _u: begun.append(1)), Refused)
    assert begun == []


def test_disabling_and_signing_in_at_once_leave_no_session(any_server: Server) -> None:
    """S093, security rule 3: of many sign-ins racing with a disabling none leaves a session that enabling would revive."""
    user_id = any_server.user()

    def begin(conn, user) -> str:
        made = f"s{threading.get_ident()}-{time.perf_counter_ns()}"
        far = 2**40
        sessions.create(
            conn, id=made, cookie_hash=made, user_id=user.id, auth_time=1, amr=[], acr="", created_at=1,
            last_seen_at=1, idle_expires_at=far, expires_at=far,
        )  # fmt: skip
        return made

    with ThreadPoolExecutor(9) as pool:
        logins = [pool.submit(authentication.sign_in, any_server, attempt(), begin) for _ in range(16)]
        pool.submit(accounts.disable_user, any_server.database, user_id, by=BY).result()
        assert {type(one.result()) for one in logins} <= {SignedIn, Refused}
    assert any_server.rows("SELECT id FROM sessions WHERE ended_at IS NULL") == []


def test_refusals_take_the_same_time(tmp_path: Path, server: Server) -> None:
    """ASVS 6.3.8, security rule 7: unknown, wrong, disabled and locked account: medians within 25 % of one another."""
    dear = new_server(server.database, tmp_path, argon2_memory_kib=47104).with_settings(source_attempts=100_000)
    dear.user()
    accounts.disable_user(dear.database, dear.user("disabled@acme.example"), by=BY)
    dear.user("locked@acme.example")
    for _ in range(11):
        who = lockout.subjects(accounts.fold("locked@acme.example"), "192.0.2.1")
        dear.database.writing(lambda conn, who=who: lockout.count(conn, who, dear.tenant.settings))
    cases = {
        "wrong_password": attempt("wrong"),
        "unknown_account": attempt(username="nobody@acme.example"),
        "disabled_account": attempt(username="disabled@acme.example"),
        "account_locked": attempt(username="locked@acme.example"),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(7):
        for name, one in cases.items():
            begun = time.thread_time()  # this thread's work: what other processes do meanwhile does not count
            found = authentication.sign_in(dear, one, none)
            times[name].append(time.thread_time() - begun)
            assert isinstance(found, Refused)
            assert found.reason == name
    medians = [statistics.median(found) for found in times.values()]
    assert max(medians) / min(medians) < 1.25


class Counting:
    """argon2id, counted."""

    def __init__(self, real: Any) -> None:
        self.real, self.turns = real, []

    def verify(self, stored: str, password: bytes) -> bool:
        self.turns.append(stored)
        return bool(self.real.verify(stored, password))

    def is_current(self, stored: str) -> bool:
        return bool(self.real.is_current(stored))

    def hash(self, password: bytes) -> str:
        self.turns.append("")
        return str(self.real.hash(password))


def test_a_stolen_session_measures_nothing_through_a_lock(
    tmp_path: Path, any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S089: the same where the password is asked for once more."""
    any_server.user()
    dearer = new_server(any_server.database, tmp_path, argon2_memory_kib=8192).with_settings(account_attempts=3)
    user = accounts.find_user(any_server.database, "ada@acme.example")
    told = {"source": "192.0.2.1", "correlation_id": "C" * 16, "session_id": "s"}
    for _ in range(3):
        assert not password_confirmation.confirm(dearer, user, "wrong", **told)
    counting = Counting(dearer.services.hasher._argon2)
    monkeypatch.setattr(dearer.services.hasher, "_argon2", counting)
    for password in (PASSWORD, "wrong"):
        assert not password_confirmation.confirm(dearer, user, password, **told)
    assert counting.turns == [dearer.services.hasher._dummy] * 2


@pytest.mark.parametrize("why", ["account_locked", "disabled_account"])
@pytest.mark.parametrize("kept", ["due for another cost", "of another system"])
def test_what_is_refused_anyway_is_not_judged(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, why: str, kept: str
) -> None:
    """S089, security rule 7: where a lock or the state refuses, a right password costs the hashes that a wrong one costs."""
    user_id = server.user()
    if kept == "of another system":
        foreign = foreign_hashes.imported(bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())
        server.database.writing(lambda conn: users.change(conn, user_id, password_hash=foreign))
    dearer = new_server(server.database, tmp_path, argon2_memory_kib=8192)
    if why == "disabled_account":
        accounts.disable_user(dearer.database, user_id, by=BY)
    else:
        who = lockout.subjects("ada@acme.example", "192.0.2.1")
        for _ in range(11):
            dearer.database.writing(lambda conn: lockout.count(conn, who, dearer.tenant.settings))
    hashes: list[str] = []
    argon2, judge = dearer.services.hasher._argon2, foreign_hashes.verify
    for name in ("hash", "verify"):
        real = getattr(argon2, name)
        monkeypatch.setattr(argon2, name, lambda *given, real=real, name=name: hashes.append(name) or real(*given))
    monkeypatch.setattr(foreign_hashes, "verify", lambda *given: hashes.append("foreign") or judge(*given))
    work = {}
    for password in (PASSWORD, "wrong"):
        hashes.clear()
        found = authentication.sign_in(dearer, attempt(password), none)
        assert found == Refused(why)  # type: ignore[arg-type]
        work[password] = hashes.copy()
    assert work[PASSWORD] == work["wrong"] == ["verify"]


def test_an_account_without_password_has_none(server: Server) -> None:
    """Security rule 5: a user made without a password cannot sign in with any, the empty one included."""
    server.user("nopass@acme.example", None)
    for password in ("", "x", PASSWORD):
        found = authentication.sign_in(server, attempt(password, "nopass@acme.example"), none)
        assert isinstance(found, Refused)


def test_storage_trouble_is_no_success(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability §3: when the last commit fails nobody is signed in, and nothing of it stays."""
    server.user()
    calls = []
    real = Database.writing

    def second_fails(self, work):
        calls.append(1)
        if len(calls) == 2:
            raise StorageUnavailable
        return real(self, work)

    monkeypatch.setattr(Database, "writing", second_fails)
    with pytest.raises(StorageUnavailable):
        authentication.sign_in(server, attempt(), none)
    assert server.events("login.succeeded") == []


def test_what_was_typed_is_not_in_the_repr() -> None:
    """Security rule 9: an attempt in a traceback shows neither name nor password."""
    assert PASSWORD not in repr(attempt())
    assert "ada" not in repr(attempt())


def test_find_locked_reads_the_row(any_server: Server) -> None:
    """Store: the locking read works on every database and finds what the plain one finds."""
    user_id = any_server.user()
    found = any_server.database.writing(lambda conn: users.find_locked(conn, user_id))
    assert found is not None
    assert found.username == "ada@acme.example"
