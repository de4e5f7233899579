"""`idp user invite` and its kin, `delete --keep`, `restore` and `unlock` (interfaces.md §2; Issue 5)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from command import PASSWORD

if TYPE_CHECKING:
    from command import Idp

ADA = "ada@example.org"


def stored(idp: Idp, query: str) -> list[tuple[Any, ...]]:
    tenant_id = idp("tenant", "show", "acme", "--json").json["id"]
    connection = sqlite3.connect(idp.folder / "tenants" / f"{tenant_id}.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_somebody_is_invited_again_and_not_any_more(idp: Idp) -> None:
    """Issue 5, invitations: invite, list, resend, cancel; each says what it did, no password and no link is shown."""
    made = idp("user", "invite", "acme", ADA, "--name", "Ada", "--role", "editor", "--days", "3", "--json").json
    assert (made["state"], made["email"]) == ("invited", ADA)
    shown = idp("user", "show", "acme", ADA, "--json").json
    assert (shown["state"], shown["has_password"], shown["roles"]) == ("invited", False, ["editor"])
    (listed,) = idp("user", "invitations", "acme", "--json").json
    assert (listed["state"], listed["invited_by"], listed["expires_at"] - listed["sent_at"]) == (
        "waiting",
        "operator",
        3 * 86400,
    )
    assert ADA in idp("user", "invitations", "acme").out
    assert "on its way" in idp("user", "resend-invitation", "acme", ADA).out
    assert [row[0] for row in stored(idp, "SELECT kind FROM outbox")] == ["mail", "mail"]
    assert [row[0] is None for row in stored(idp, "SELECT revoked_at FROM one_time_links ORDER BY revoked_at")].count(
        True
    ) == 1
    assert "not invited any more" in idp("user", "cancel-invitation", "acme", ADA).out
    assert idp("user", "invitations", "acme", "--json").json == []
    assert "idp user invite" in idp("user", "invitations", "acme").out
    assert stored(idp, "SELECT id FROM users") == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["invite", "acme", "Taken@example.org"], "account already"),
        (["invite", "acme", "invited@example.org"], "invited already"),
        (["invite", "acme", "kept@example.org"], "restore"),
        (["invite", "acme", "no address"], "email"),
        (["invite", "acme", "x@example.org", "--claims", "[]"], "--claims"),
        (["invite", "acme", "x@example.org", "--claims", '{"sub": "1"}'], "sub"),
        (["invite", "acme", "x@example.org", "--role", "Not A Role"], "role"),
        (["invite", "nope", "x@example.org"], "idp tenant list"),
        (["resend-invitation", "acme", "taken@example.org"], "not invited"),
        (["resend-invitation", "acme", "nobody@example.org"], "no user"),
        (["cancel-invitation", "acme", "taken@example.org"], "not invited"),
        (["disable", "acme", "invited@example.org"], "cancel-invitation"),
        (["enable", "acme", "invited@example.org"], "resend-invitation"),
        (["delete", "acme", "invited@example.org", "--keep"], "cancel-invitation"),
        (["delete", "acme", "kept@example.org", "--keep"], "already"),
        (["enable", "acme", "kept@example.org"], "restore"),
        (["restore", "acme", "taken@example.org"], "nothing to restore"),
        (["unlock", "acme", "nobody@example.org"], "no user"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_sentence(idp: Idp, arguments: list[str], word: str) -> None:
    """Interfaces §2: exit status 1 and a sentence that says what to do; nothing changes and nothing is mailed."""
    for name in ("taken", "kept"):
        assert idp("user", "create", "acme", f"{name}@example.org").status == 0
    assert idp("user", "delete", "acme", "kept@example.org", "--keep").status == 0
    assert idp("user", "invite", "acme", "invited@example.org").status == 0
    before = [stored(idp, f"SELECT * FROM {table}") for table in ("users", "outbox", "one_time_links")]
    ran = idp("user", *arguments)
    assert ran.status == 1
    assert word in ran.sentence
    assert [stored(idp, f"SELECT * FROM {table}") for table in ("users", "outbox", "one_time_links")] == before


@pytest.mark.parametrize("days", ["0", "91", "soon"])
def test_days_are_a_number_that_is_sensible(idp: Idp, days: str) -> None:
    """Interfaces §2: exit status 2 for bad usage."""
    assert idp("user", "invite", "acme", ADA, "--days", days).status == 2


def test_a_user_is_deleted_kept_and_restored(idp: Idp) -> None:
    """Issue 5, soft delete: --keep asks nothing, for it can be undone; without it the row is gone for good."""
    assert idp("user", "create", "acme", ADA, "--password-stdin", given=PASSWORD).status == 0
    kept = idp("user", "delete", "acme", ADA, "--keep")
    assert "idp user restore acme" in kept.out
    shown = idp("user", "show", "acme", ADA, "--json").json
    assert (shown["state"], shown["has_password"]) == ("deleted", True)
    assert idp("user", "create", "acme", ADA).status == 1, "the name is taken"
    assert "restored and active" in idp("user", "restore", "acme", ADA).out
    assert idp("user", "show", "acme", ADA, "--json").json["state"] == "active"
    assert idp("user", "delete", "acme", ADA, "--yes", ADA).status == 0
    assert stored(idp, "SELECT id FROM users") == []


def test_a_lock_is_shown_and_ended(idp: Idp) -> None:
    """S089: an operator sees that an account is locked, and ends it."""
    assert idp("user", "create", "acme", ADA).status == 0
    assert idp("user", "show", "acme", ADA, "--json").json["is_locked"] is False
    assert "not locked" in idp("user", "unlock", "acme", ADA).out
    assert stored(idp, "SELECT actor FROM audit_events WHERE kind = 'user.unlocked'") == [("operator",)]
