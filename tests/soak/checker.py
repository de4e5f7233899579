"""The audit after the soak: invariants as SQL over the databases, read by the drivers; nothing of the product is asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from serving import rows, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each must return no row. `{x}` are the parts that the two dialects spell differently.
INVARIANTS = {
    "a code issued tokens twice": """
        SELECT grant_id, count(*) AS n FROM audit_events WHERE kind = 'token.issued' AND grant_id IS NOT NULL
        GROUP BY grant_id HAVING count(*) > 1""",
    "a code is used, but no tokens were issued in that transaction, or the other way round": """
        SELECT c.code_hash FROM authorization_codes c
        LEFT JOIN audit_events e ON e.grant_id = c.grant_id AND e.kind = 'token.issued'
        WHERE (c.used_at IS NULL) <> (e.id IS NULL)""",
    "a family has two living heads": """
        SELECT r.grant_id FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id
        WHERE r.used_at IS NULL AND g.revoked_at IS NULL GROUP BY r.grant_id HAVING count(*) > 1""",
    "a living family has lost its head": """
        SELECT g.id FROM grants g WHERE g.revoked_at IS NULL
        AND EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id)
        AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id AND r.used_at IS NULL)""",
    "a rotation without its event, or an event without its rotation": """
        SELECT g.id FROM grants g
        JOIN (SELECT grant_id, count(*) AS tokens FROM refresh_tokens GROUP BY grant_id) r ON r.grant_id = g.id
        LEFT JOIN (SELECT grant_id, count(*) AS events FROM audit_events WHERE kind = 'token.refreshed' GROUP BY grant_id) e
        ON e.grant_id = g.id WHERE r.tokens <> coalesce(e.events, 0) + 1""",
    "an orphan refresh token": "SELECT token_hash FROM refresh_tokens WHERE grant_id NOT IN (SELECT id FROM grants)",
    "an orphan code": "SELECT code_hash FROM authorization_codes WHERE grant_id NOT IN (SELECT id FROM grants)",
    "a grant without its code": "SELECT id FROM grants WHERE id NOT IN (SELECT grant_id FROM authorization_codes)",
    "a grant of nobody": "SELECT id FROM grants WHERE user_id NOT IN (SELECT id FROM users)",
    "a grant to nobody": "SELECT id FROM grants WHERE client_id NOT IN (SELECT client_id FROM clients)",
    "a grant of no session": "SELECT id FROM grants WHERE session_id IS NOT NULL AND session_id NOT IN (SELECT id FROM sessions)",
    "an orphan session": "SELECT id FROM sessions WHERE user_id NOT IN (SELECT id FROM users)",
    "a session without its sign-in": """
        SELECT id FROM sessions WHERE id NOT IN
        (SELECT session_id FROM audit_events WHERE kind = 'login.succeeded' AND session_id IS NOT NULL)""",
    "an ended session without its event, or the other way round": """
        SELECT s.id FROM sessions s LEFT JOIN audit_events e ON e.session_id = s.id AND e.kind = 'session.ended'
        WHERE (s.ended_at IS NULL) <> (e.id IS NULL)""",
    "a living grant of an ended session": """
        SELECT g.id FROM grants g JOIN sessions s ON s.id = g.session_id
        WHERE s.ended_at IS NOT NULL AND g.is_offline = {false} AND g.revoked_at IS NULL""",
    "an orphan consent": """
        SELECT user_id FROM consents WHERE user_id NOT IN (SELECT id FROM users)
        OR client_id NOT IN (SELECT client_id FROM clients)""",
    "a finished interaction of no session": """
        SELECT id FROM interactions WHERE finished_at IS NOT NULL AND session_id IS NOT NULL
        AND session_id NOT IN (SELECT id FROM sessions)""",
    "two active keys of one algorithm": """
        SELECT alg FROM signing_keys WHERE state = 'active' GROUP BY alg HAVING count(*) <> 1""",
    "an event that is in the chain twice, or twice in the log": """
        SELECT id FROM audit_events GROUP BY id HAVING count(*) > 1
        UNION ALL SELECT {text} FROM audit_events WHERE chain_seq IS NOT NULL GROUP BY chain_seq HAVING count(*) > 1""",
    "a checkpoint number that is missing": """
        SELECT number FROM audit_checkpoints WHERE number > 1 AND number - 1 NOT IN (SELECT number FROM audit_checkpoints)""",
}


def violations(url: str) -> list[str]:
    """What is wrong in one tenant's database."""
    is_sqlite = url.startswith("sqlite")
    dialect = {"false": "0" if is_sqlite else "false", "text": "CAST(chain_seq AS TEXT)"}
    found = []
    for name, statement in INVARIANTS.items():
        wrong = rows(url, statement.format(**dialect))
        if wrong:
            found.append(f"{name}: {len(wrong)}, such as {wrong[0]}")
    if is_sqlite and str(scalar(url, "PRAGMA integrity_check")) != "ok":
        found.append("the file is damaged")
    return found + chain_gaps(url)


def chain_gaps(url: str) -> list[str]:
    """The chain's numbers are 1 to n without a gap, and end where the newest checkpoint says."""
    chained = rows(
        url,
        "SELECT min(chain_seq) AS low, max(chain_seq) AS high, count(*) AS n FROM audit_events WHERE chain_seq IS NOT NULL",
    )[0]
    newest = rows(url, "SELECT chain_seq FROM audit_checkpoints ORDER BY number DESC LIMIT 1")
    if not chained["n"]:
        return ["nothing was chained"]
    found = []
    if (chained["low"], chained["high"]) != (1, chained["n"]):
        found.append(f"the chain has gaps: {chained}")
    if not newest or newest[0]["chain_seq"] != chained["high"]:
        found.append(f"the newest checkpoint is at {newest}, the chain ends at {chained['high']}")
    return found


def unspent(url: str, client_id: str, jtis: Iterable[str]) -> list[str]:
    """Assertions that were answered with 200, but are not known to be used."""
    known = {
        row["value_hash"] for row in rows(url, "SELECT value_hash FROM replays WHERE namespace = 'client_assertion'")
    }
    return [jti for jti in jtis if hashlib.sha256(f"{client_id} {jti}".encode()).hexdigest() not in known]


def figures(url: str) -> dict[str, Any]:
    """How much there is, for the report."""
    tables = (
        "sessions",
        "grants",
        "authorization_codes",
        "refresh_tokens",
        "replays",
        "audit_events",
        "audit_checkpoints",
    )
    return {table: scalar(url, f"SELECT count(*) FROM {table}") for table in tables}
