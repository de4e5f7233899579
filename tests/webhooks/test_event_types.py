"""The table of event types: every kind of audit event is told or named as not told, and nothing leaves that it does not list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema_rs
import pytest
from recorded import Recorded, sources

from idp import audit
from idp.access.permissions import PERMISSIONS
from idp.webhooks import event_types
from idp.webhooks.event_types import BY_KIND, BY_NAME, EVENT_TYPES, NOT_SENT

if TYPE_CHECKING:
    from hooks_world import World

ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_of_event_is_told_or_named_as_not_told() -> None:
    """Decision 14: each kind that the code records is in the table, or stands with its reason among those that are not sent."""
    recorded = Recorded(sources()).every_kind()
    assert recorded - BY_KIND.keys() - NOT_SENT.keys() == set()
    assert (BY_KIND.keys() | NOT_SENT.keys()) - recorded == set(), "kinds that nobody records"
    assert not BY_KIND.keys() & NOT_SENT.keys()


def test_the_table_is_whole() -> None:
    """Decision 14: one type a kind, names of a family, a permission that there is; examples fit the schemas."""
    assert len(BY_NAME) == len(BY_KIND) == len(EVENT_TYPES)
    for each in EVENT_TYPES:
        assert each.permission in PERMISSIONS
        assert each.permission.endswith(":read")
        assert each.details.keys() & audit.SECRET_NAMES == set()
        jsonschema_rs.Draft202012Validator(each.schema, validate_formats=True).validate(each.example)
    assert {"user", "session", "client", "role", "security"} <= set(event_types.FAMILIES)


def test_the_documentation_lists_the_table() -> None:
    """Documentation: each event type stands in docs/webhooks.md with its permission and what it says, and no other does."""
    text = (ROOT / "docs" / "webhooks.md").read_text("utf-8").partition("## Event types")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        [f"`{each.name}`", f"`{each.permission}`", each.about, ", ".join(f"`{name}`" for name in each.details)]
        for each in EVENT_TYPES
    ]


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        (["*"], "user.created", True),
        (["user.*"], "user.created", True),
        (["user.*"], "session.started", False),
        (["user.created"], "user.created", True),
        (["user.created"], "user.deleted", False),
        (["client.*", "user.deleted"], "user.deleted", True),
        ([], "user.created", False),
    ],
)
def test_patterns(patterns: list[str], name: str, expected: bool) -> None:
    """docs/webhooks.md: names, `family.*` and `*`."""
    assert event_types.matches(patterns, name) is expected


@pytest.mark.parametrize(
    "text", ["", "user", "user.", ".*", "user.**", "*.created", "nothing.*", "user.nothing", "**", "webhook.test"]
)
def test_what_is_no_pattern(text: str) -> None:
    """docs/webhooks.md: a pattern that is about nothing is refused rather than silent."""
    assert not event_types.is_pattern(text)


def test_what_the_table_does_not_list_is_not_told(world: World) -> None:
    """Security rule 3: a detail that somebody adds to the trail does not leave by the way; nor does a kind that it does not have."""
    world.hook("user.*")
    world.database.writing(
        lambda conn: audit.record(
            conn, "user.updated_by_nobody", outcome="success", actor=None, details={"note": "private"}
        )
    )
    world.database.writing(
        lambda conn: audit.record(
            conn,
            "user.disabled",
            outcome="success",
            actor="x",
            subject="u",
            details={"note": "private", "sessions_ended": 2},
        )
    )
    world.run()
    (told,) = world.receiver.of()
    assert told.message["data"]["details"] == {"sessions_ended": 2}
    assert b"private" not in told.body
