"""Ten thousand users in one tenant: how long the service takes for each filter, order, page and cursor of their list.

The users come in by `idp user import`, the group by the service. Grants, of which one is made by each sign-in, are written into the
SQLite file before the server starts: ten thousand sign-ins would take minutes and change nothing about the list.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.processes import StartError
from bench.wire import Connection, WireError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.servers import AuthSec

TENANT, ADMIN, CLIENT = "bench-users", "admin@bench.example", "bench-app"
PAGE = 25
_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Émile")


@dataclass(slots=True)
class Lists:
    """Milliseconds of one answer, the median, by what was asked for."""

    count: int
    medians: dict[str, float] = field(default_factory=dict)

    @property
    def slowest(self) -> tuple[str, float]:
        """What took longest."""
        return max(self.medians.items(), key=lambda each: each[1])


def lists(authsec: AuthSec, count: int, rounds: int, work: Path) -> Lists:
    """Make the users and ask for their lists, each `rounds` times over one connection to an otherwise idle server."""
    _make(authsec, count, work)
    token = json.loads(authsec.idp("token", TENANT, ADMIN, "--json"))["access_token"]
    found = Lists(count)
    with authsec.running(), Connection(authsec.addresses[0], f"127.0.0.1:{authsec.port}") as connection:
        base = f"/uflow/tenants/{TENANT}"
        headers = f"Authorization: Bearer {token}\r\n"

        def get(query: str) -> Any:
            answer = connection.get(f"{base}/users?limit={PAGE}&{query}", headers)
            if answer.status != 200:
                raise WireError(f"GET users?{query}: {answer.status} {answer.body[:300]!r}")
            return json.loads(answer.body)

        groups = connection.get(f"{base}/groups", headers)
        group = json.loads(groups.body)["items"][0]["id"]
        middle = get(f"page={count // PAGE // 2}")["next"]
        for name, query in _queries(count, group, middle).items():
            get(query)
            took = []
            for _ in range(rounds):
                began = time.perf_counter()
                get(query)
                took.append((time.perf_counter() - began) * 1e3)
            found.medians[name] = statistics.median(took)
    return found


def _queries(count: int, group: str, middle: str) -> dict[str, str]:
    last = count // PAGE
    orders = {f"in the order of {sort}": f"sort={sort}" for sort in ("email", "-email", "name", "-name", "created_at")}
    deep = {f"its last page, by {sort}": f"sort={sort}&page={last}" for sort in ("email", "name", "-created_at")}
    filters = {
        "email": "email=person04711@acme.example",
        "name, of a fifth": f"name={quote('chloé')}",
        "search, of one": "search=number-04711",
        "search, of nobody": "search=nobody%20at%20all",
        "search, of all": "search=person",
        **{f"status {each}": f"status={each}" for each in ("active", "locked", "disabled", "invited", "deleted")},
        "role, of all": "role=reader",
        "group, of four fifths": f"group_id={group}",
        "client, of all": f"client_id={CLIENT}",
        "administrators": "is_administrator=true",
        "all but administrators": "is_administrator=false",
        "created": "created_from=2020-01-01T00:00:00Z&created_before=2100-01-01T00:00:00Z",
    }
    rare = ("status locked", "status disabled", "status invited", "status deleted", "email", "administrators")
    ends = {
        f"{name}, page {last * 3 // 5}": f"{query}&page={last * 3 // 5}"
        for name, query in filters.items()
        if ", of one" not in name and ", of nobody" not in name and "fifth" not in name and name not in rare
    }
    return {"the list": "", "a cursor in its middle": f"after={middle}", **orders, **deep, **filters, **ends}


def _make(authsec: AuthSec, count: int, work: Path) -> None:
    authsec.idp("tenant", "create", TENANT, "--name", "Bench", "--json")
    authsec.idp("tenant", "set", TENANT, "rate_limits=off", "--json")
    authsec.idp("user", "create", TENANT, ADMIN, "--role", "tenant-admin", "--json")
    people = work / "users.jsonl"
    with people.open("w", encoding="utf-8") as file:
        for number in range(count):
            person = {
                "username": f"person{number:05}@acme.example",
                "name": f"{_NAMES[number % len(_NAMES)]} Number-{number:05}",
                "phone_number": "+49 30 1234567",
                "locale": "en",
                "roles": ["reader"],
                "state": "disabled" if number % 10 == 9 else "active",
            }
            file.write(json.dumps(person) + "\n")
    authsec.idp("user", "import", TENANT, str(people), "--json")
    shown = json.loads(authsec.idp("tenant", "show", TENANT, "--json"))
    (database,) = (work / "authsec" / "tenants").glob(f"{shown['id']}.db")
    now = int(time.time())
    # Each INSERT is the table's own columns; a release that changes them is to change this.
    group = "INSERT INTO groups VALUES ('b0', 'Bench', 'bench', '', ?, ?)"
    members = "INSERT INTO group_members SELECT 'b0', id, ? FROM users WHERE substr(username, 11, 1) NOT IN ('4', '9')"
    grants = (
        "INSERT INTO grants (id, client_id, user_id, scope, auth_time, amr, acr, is_offline, created_at, expires_at) "
        "SELECT lower(hex(randomblob(16))), ?, id, 'openid', ?, '[]', '', 0, ?, ? FROM users"
    )
    file = sqlite3.connect(database)
    try:
        with file:
            file.execute(group, (now, now))
            file.execute(members, (now,))
            file.execute(grants, (CLIENT, now, now, now + 86400))
    except sqlite3.Error as error:
        raise StartError(f"the tables have changed; bench/users.py has to follow: {error}") from None
    finally:
        file.close()
