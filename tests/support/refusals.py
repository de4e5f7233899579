"""What every refusal owes whoever is refused and whoever runs the tenant: asserted in one place.

No 5xx, no stack trace, no secret sent back; a correlation id that is shown, and under it a record in the worker's spool.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from sqlalchemy import select

from idp.spool import files
from idp.store.tenant.audit_events import audit_events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from house import Answer, House

    from idp.tenancy.tenant import Tenant

# RFC 6749 §5.2: the characters of error and error_description.
_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{16}")
_SHOWN_ID = re.compile(r'id="correlation-id">([^<]*)<')
_TRACES = ("Traceback (most recent call last)", 'File "', "sqlalchemy", "authlib", "psycopg", ".py:")


def spooled(house: House) -> list[dict[str, Any]]:
    """Every record that the house's worker has spooled."""
    found = []
    for path in files(house.settings.data_dir / "spool"):
        found += [json.loads(line) for line in path.read_text().splitlines() if line]
    return found


def record_of(house: House, correlation_id: str) -> dict[str, Any]:
    """The refusal's record under a correlation id; it names check, section, reason and fix."""
    found = [one for one in spooled(house) if one["is"] == "refusal" and one["correlation_id"] == correlation_id]
    assert found, f"no refusal was recorded under {correlation_id}"
    record = found[-1]
    assert all(record[name] for name in ("check", "spec", "reason", "fix")), record
    return record


def events(house: House, tenant: Tenant, kind: str) -> list[Any]:
    """The audit events of a kind in the tenant's database."""
    with house.database(tenant).reading() as conn:
        return list(conn.execute(select(audit_events).where(audit_events.c.kind == kind)).all())


def harmless(answer: Answer, withheld: Iterable[str] = ()) -> None:
    """An answer is no failure of ours and shows neither its making nor a secret."""
    assert answer.status < 500, f"{answer.status} {answer.text[:500]}"
    shown = answer.text + "".join(f"{name}: {unquote_plus(value)}" for name, value in answer.headers)
    for trace in _TRACES:
        assert trace not in shown, trace
    for secret in withheld:
        assert not secret or secret not in shown, "a secret was sent back"


def refused(
    house: House, answer: Answer, status: int, error: str | None, *, withheld: Iterable[str] = ()
) -> dict[str, Any]:
    """A program is refused with the spec's error (RFC 6749 §5.2); returns the record it left."""
    harmless(answer, withheld)
    assert answer.status == status, f"{answer.status} {answer.text}"
    body = answer.json
    assert body.get("error") == error, body
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type") == "application/json"
    assert _DESCRIPTION.fullmatch(body.get("error_description", ""))
    assert _ID.fullmatch(body["correlation_id"]), body
    if error == "invalid_token":
        assert answer.header("www-authenticate"), "RFC 6750 §3: a refused bearer token has a challenge"
    return record_of(house, body["correlation_id"])


def error_page(house: House, answer: Answer, status: int = 400, *, withheld: Iterable[str] = ()) -> dict[str, Any]:
    """A person is shown a page and sent nowhere (RFC 6749 §4.1.2.1); returns the record it left."""
    harmless(answer, withheld)
    assert answer.status == status, f"{answer.status} {answer.header('location')} {answer.text[:300]}"
    assert answer.header("location") is None
    assert (answer.header("content-type") or "").startswith("text/html")
    assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
    assert answer.header("cache-control") == "no-store"
    shown = _SHOWN_ID.search(answer.text)
    assert shown is not None, answer.text
    return record_of(house, shown[1])


def sent_back(
    house: House,
    answer: Answer,
    tenant: Tenant,
    error: str,
    *,
    to: str,
    state: str | None = "a state",
    withheld: Iterable[str] = (),
) -> dict[str, Any]:
    """An error goes to the proven redirect URI with state and iss (RFC 6749 §4.1.2.1, RFC 9207 §2); returns its record."""
    harmless(answer, withheld)
    assert answer.status == 303, f"{answer.status} {answer.text[:300]}"
    target = answer.location
    assert target.startswith(to + ("&" if "?" in to else "?")), target
    fields = dict(parse_qsl(urlsplit(target).query.removeprefix(urlsplit(to).query), keep_blank_values=True))
    return _error_fields(house, fields, tenant, error, state)


def posted_back(
    house: House, answer: Answer, tenant: Tenant, error: str, *, to: str, state: str | None = "a state"
) -> dict[str, Any]:
    """The same by ``response_mode=form_post``."""
    harmless(answer)
    assert answer.status == 200, f"{answer.status} {answer.text[:300]}"
    action, fields = answer.form
    assert action == to
    return _error_fields(house, fields, tenant, error, state)


def _error_fields(
    house: House, fields: dict[str, str], tenant: Tenant, error: str, state: str | None
) -> dict[str, Any]:
    assert fields.get("error") == error, fields
    assert fields.get("state") == state
    assert fields.get("iss") == tenant.issuer
    assert "code" not in fields
    assert _DESCRIPTION.fullmatch(fields["error_description"])
    shown = _ID.search(fields["error_description"])
    assert shown is not None, fields
    return record_of(house, shown[0])


def text_of(answer: Answer) -> str:
    """A page's text as a person reads it."""
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))
