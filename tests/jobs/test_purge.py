"""Purging what has expired, in small transactions (architecture §4; security.md §3, load: table growth is bounded)."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from idp import clock
from idp.jobs import purge as purge_module
from idp.jobs.purge import CONTROL_RULES, DAY, purge
from idp.store.control import changes, domain_claims
from idp.store.control import idempotency_keys as control_keys
from idp.store.control import refusals as control_refusals
from idp.store.tenant import (
    attempts,
    audit_events,
    authorization_codes,
    grants,
    idempotency_keys,
    interactions,
    one_time_links,
    outbox,
    refresh_tokens,
    refusals,
    replays,
    revoked_tokens,
    role_bindings,
    session_clients,
    sessions,
    signups,
)

REFUSAL = {
    "correlation_id": "C",
    "error_code": "e",
    "check": "c",
    "spec": "s",
    "reason": "r",
    "fix": "f",
    "received": None,
}
REFUSAL |= {"registered": [], "method": "GET", "path": "/", "client_id": None, "source": None}


def grant(conn: Any, grant_id: str, expires_at: int, tokens: int = 1) -> None:
    """A grant with a used code and rotated refresh tokens."""
    at = clock.now()
    values = {
        "client_id": "c",
        "user_id": "u",
        "session_id": None,
        "scope": "openid",
        "auth_time": at,
        "amr": [],
        "acr": "0",
    }
    grants.create(
        conn,
        id=grant_id,
        is_offline=True,
        created_at=at,
        expires_at=expires_at,
        revoked_at=None,
        revoked_reason=None,
        **values,
    )
    code = {"client_id": "c", "redirect_uri": "x", "code_challenge": None, "nonce": None, "request": {}}
    authorization_codes.create(
        conn, code_hash=f"c{grant_id}", grant_id=grant_id, issued_at=at, expires_at=at + 60, used_at=at, **code
    )
    for number in range(tokens):
        refresh_tokens.create(conn, f"r{grant_id}-{number}", grant_id, expires_at)


def session(conn: Any, session_id: str, expires_at: int, ended_at: int | None = None) -> None:
    """A browser session."""
    values = {
        "user_id": "u",
        "auth_time": 1,
        "amr": [],
        "acr": "0",
        "created_at": 1,
        "last_seen_at": 1,
        "idle_expires_at": 1,
    }
    sessions.create(
        conn,
        id=session_id,
        cookie_hash=session_id,
        expires_at=expires_at,
        ended_at=ended_at,
        source=None,
        user_agent=None,
        **values,
    )


def fill(conn: Any) -> None:
    """One of each kind that ends now, and one that does not end for a year."""
    at = clock.now()
    for name, ends in (("old", at), ("new", at + 365 * DAY)):
        grant(conn, name, ends)
        session(conn, name, ends)
        session_clients.note(conn, name, "c")
        replays.consume(conn, "jti", name, ends)
        revoked_tokens.revoke(conn, name, ends)
        interactions.create(
            conn,
            id=name,
            protocol="p",
            browser_hash="b",
            client_id="c",
            request={},
            state={},
            session_id=None,
            created_at=at,
            expires_at=ends,
            finished_at=None,
        )
        refusals.add(conn, [REFUSAL | {"at": ends}])
        link = {"kind": "recovery", "user_id": "u", "address": "a", "payload": {}, "created_by": "u"}
        one_time_links.create(conn, id=name, token_hash=name, expires_at=ends, **link)
        binding = {"holder_type": "user", "holder_id": "u", "resource": "", "conditions": None, "created_by": "u"}
        role_bindings.insert_one(conn, id=name, role=name, expires_at=ends, created_at=at, **binding)
        idempotency_keys.take(conn, caller="c", key=name, digest="d", sealed_answer="s", expires_at=ends)
        signups.create(
            conn,
            id=name,
            interaction_id=name,
            browser_hash="b",
            address="a@b.example",
            password_hash="h",
            claims={},
            code_hash="c",
            code_expires_at=ends,
            expires_at=ends,
        )
    session(conn, "ended", at + 365 * DAY, ended_at=at)
    session_clients.note(conn, "ended", "c")
    outbox.enqueue(conn, "k", ["delivered", "dead", "discarded", "waiting"], {})
    for message in outbox.claim(conn, [row.id for row in outbox.due(conn, each=9, most=9)], lease=30):
        if message.target != "waiting":
            outbox.finish(conn, message.id, message.target)
    attempts.count_one(conn, "subject", 60)
    refresh_tokens.consume(conn, "rnew-0", "sealed")


@pytest.mark.parametrize(
    ("later", "left"),
    [
        (
            30,
            {
                "grants": 2,
                "authorization_codes": 2,
                "refresh_tokens": 2,
                "sessions": 3,
                "session_clients": 3,
                "outbox": 4,
                "outbox_attempts": 4,
                "replays": 2,
                "revoked_tokens": 2,
                "interactions": 2,
                "one_time_links": 2,
                "signups": 2,
                "refusals": 2,
                "attempts": 1,
                "sealed": 1,
            },
        ),
        (70, {"replays": 2, "sealed": 0}),
        (
            600,
            {
                "signups": 1,
                "replays": 1,
                "revoked_tokens": 1,
                "attempts": 0,
                "sessions": 3,
                "interactions": 2,
                "grants": 2,
            },
        ),
        (
            DAY + 10,
            {
                "sessions": 1,
                "session_clients": 1,
                "outbox": 4,
                "interactions": 1,
                "grants": 2,
                "refresh_tokens": 2,
                "refusals": 2,
            },
        ),
        (7 * DAY + 10, {"grants": 1, "authorization_codes": 1, "refresh_tokens": 1, "refusals": 1, "sessions": 1}),
        (7 * DAY + 20, {"outbox": 2, "outbox_attempts": 2}),
        (30 * DAY - 10, {"one_time_links": 2, "role_bindings": 2}),
        (30 * DAY + 10, {"outbox": 1, "outbox_attempts": 1, "one_time_links": 1, "role_bindings": 1}),
    ],
)
def test_each_kind_goes_when_its_time_has_come(house: Any, later: int, left: dict[str, int]) -> None:
    """Architecture §4: expired rows go; what proves a reuse (grant, code, rotated token) stays a week longer."""
    house.tenant("a").writing(fill)
    house.tenant("b").writing(fill)
    with clock.shifted(later):
        purge(house.tenant("a"))
    sealed = left.pop("sealed", None)
    assert {table: house.count("a", table) for table in left} == left
    if sealed is not None:
        assert house.count("a", "refresh_tokens", "sealed_successor IS NOT NULL") == sealed
    assert house.count("b", "sessions") == 3


def test_counts_are_returned_and_a_second_purge_finds_nothing(house: Any) -> None:
    """Architecture §4: a purge says what it deleted."""
    house.tenant("a").writing(fill)
    with clock.shifted(7 * DAY + 10):
        counts = purge(house.tenant("a"))
        assert counts == {
            "sealed successors": 1,
            "replays": 1,
            "attempts": 1,
            "revoked tokens": 1,
            "interactions": 1,
            "one-time links": 0,
            "sign-ups": 1,
            "idempotency keys": 1,
            "initial access tokens": 0,
            "role bindings": 0,
            "sessions": 4,
            "grants": 3,
            "delivered messages": 4,
            "dead messages": 0,
            "refusals": 1,
            "refusals beyond the newest": 0,
        }
        assert set(purge(house.tenant("a")).values()) == {0}


def test_transactions_are_small(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §3, load: no transaction of a purge deletes more than a batch, whatever has piled up."""
    monkeypatch.setattr(purge_module, "BATCH", 50)
    database = house.tenant("a")
    past = clock.now() - 30 * DAY

    def work(conn: Any) -> None:
        grant(conn, "big", past, tokens=330)
        for number in range(120):
            grant(conn, f"g{number}", past)
            session(conn, f"s{number}", past)
            session(conn, f"e{number}", clock.now() + DAY, ended_at=past)
            replays.consume(conn, "jti", str(number), past)

    database.writing(work)
    deleted: list[int] = []
    real = database.writing

    def counting(job: Any) -> Any:
        deleted.append(real(job))
        return deleted[-1]

    monkeypatch.setattr(database, "writing", counting)
    purge(database)
    assert max(deleted) == 50
    for table in ("grants", "authorization_codes", "refresh_tokens", "sessions", "replays"):
        assert house.count("a", table) == 0


def test_others_write_while_it_purges(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §3, load: a purge of many rows never holds the writer for long."""
    monkeypatch.setattr(purge_module, "BATCH", 500)
    database = house.tenant("a")
    past = clock.now() - 30 * DAY
    database.writing(lambda conn: [replays.consume(conn, "jti", str(number), past) for number in range(8000)])
    thread = threading.Thread(target=purge, args=(database,))
    waits = []
    thread.start()
    while thread.is_alive():
        began = time.monotonic()
        database.writing(lambda conn: attempts.count_one(conn, "someone", 60))
        waits.append(time.monotonic() - began)
    thread.join()
    assert len(waits) >= 8
    assert max(waits) < 1
    assert house.count("a", "replays") == 0


def test_the_control_database_is_purged_too(house: Any) -> None:
    """Architecture §4, change feed: rows older than a day, and refusals older than a week, go; and what has ended."""

    def work(conn: Any) -> None:
        changes.announce(conn, "a", "tenant")
        control_refusals.add(conn, [REFUSAL | {"at": clock.now()}])
        domain_claims.create(conn, "a", "acme.example", "challenge", clock.now() + 60)
        key = {"caller": "c", "key": "k", "digest": "d", "sealed_answer": "s", "expires_at": clock.now() + DAY}
        assert control_keys.take(conn, **key)

    house.store.control.writing(work)
    tables = ("changes", "refusals", "domain_claims", "idempotency_keys")
    for later, left in ((DAY - 60, (1, 1, 1, 1)), (DAY + 600, (0, 1, 0, 0)), (7 * DAY + 60, (0, 0, 0, 0))):
        with clock.shifted(later):
            purge(house.store.control, CONTROL_RULES)
        assert tuple(house.count("", table) for table in tables) == left


def test_audit_events_are_kept(house: Any) -> None:
    """Issue Build 7: a purge never touches the audit log."""
    row = dict.fromkeys(
        ("actor", "client_id", "subject", "session_id", "grant_id", "source", "correlation_id", "details")
    )
    house.tenant("a").writing(
        lambda conn: audit_events.add(conn, row | {"id": "1", "at": 1, "kind": "k", "outcome": "success"})
    )
    with clock.shifted(3650 * DAY):
        purge(house.tenant("a"))
    assert house.count("a", "audit_events") == 1
