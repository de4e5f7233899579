"""`python -m bench.crowded`: one large tenant, and what its administrators and applications ask of it.

10,000 users, 1,000 roles, 500 groups and 100,000 role bindings are written straight into a fresh tenant; then a server with one worker
is asked over one kept connection, one request after the other: decisions by AuthZEN, and pages, filters and searches of the lists.
Figures are milliseconds at the client, HTTP included. Prints a table; the exit status is 1 when a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
from sqlalchemy import insert

from bench.processes import Server
from bench.servers import AuthSec, Cast
from bench.tenants import postgresql
from idp.access.bindings import Bindings, Wanted
from idp.access.granting import Granter
from idp.clock import now
from idp.identity.accounts import By
from idp.installation import Installation
from idp.settings import Settings
from idp.store.tenant import groups, role_bindings, roles, users

if TYPE_CHECKING:
    from collections.abc import Callable

USERS, ROLES, GROUPS, BINDINGS = 10_000, 1_000, 500, 100_000
KINDS, ACTIONS, THINGS = 50, 20, 1_000
DECISION, LIST = 2.0, 20.0  # milliseconds that are promised at the median
PORT = 18_390
_chance = random.Random(7)  # noqa: S311 - the same crowd each time
_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Tony", "Frances", "Ken")
_LAST = ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Perlman", "Hoare", "Allen", "Thompson")


def _permission() -> str:
    return f"type{_chance.randrange(KINDS)}:act{_chance.randrange(ACTIONS)}"


def _rows(people: list[str], teams: list[str]) -> list[dict[str, Any]]:
    """Return distinct bindings: nine of ten for users, half of them for one resource."""
    found: set[tuple[str, str, str, str]] = set()
    while len(found) < BINDINGS:
        resource = f"type{_chance.randrange(KINDS)}:{_chance.randrange(THINGS)}" if _chance.random() < 0.5 else ""
        kind, holders = ("user", people) if _chance.random() < 0.9 else ("group", teams)
        found.add((kind, _chance.choice(holders), f"role{_chance.randrange(ROLES)}", resource))
    made = {"expires_at": None, "conditions": None, "created_at": now(), "created_by": "bench"}
    names = ("holder_type", "holder_id", "role", "resource")
    return [{"id": uuid.uuid4().hex, **dict(zip(names, each, strict=True)), **made} for each in found]


def _people() -> list[dict[str, Any]]:
    made = []
    for number in range(USERS):
        first, last = _chance.choice(_FIRST), _chance.choice(_LAST)
        name = f"{first}.{last}.{number}@people.example".lower()
        made.append(
            {
                "id": uuid.uuid4().hex,
                "username": name,
                "username_key": name,
                "email": name,
                "email_verified": True,
                "claims": {"name": f"{first} {last}", "given_name": first, "family_name": last},
                "password_hash": None,
                "must_change_password": False,
                "state": "active" if number % 20 else "disabled",
                "password_changed_at": None,
                "deleted_at": None,
                "state_before": None,
            }
        )
    return made


def _fill(settings: Settings) -> list[str]:
    """Write the tenant's people, roles, groups and bindings; returns the ids of the people."""
    installation = Installation(settings, "bench")
    try:
        tenant = installation.resolver.by_slug("crowded")
        assert tenant is not None
        database = installation.store.tenant(tenant.id, tenant.database_url)
        rows = _people()
        people, teams = [each["id"] for each in rows], [uuid.uuid4().hex for _ in range(GROUPS)]
        bindings = _rows(people, teams)

        def work(conn: Any) -> None:
            users.create_many(conn, rows)
            for number in range(ROLES):
                roles.create(conn, f"role{number}", "", sorted({_permission() for _ in range(5)}))
            for start in range(0, len(bindings), 5_000):
                conn.execute(insert(role_bindings.role_bindings), bindings[start : start + 5_000])
            for number, team in enumerate(teams):
                groups.create(conn, id=team, name=f"team{number}", name_key=f"team{number}", description="")
                groups.add(conn, team, _chance.sample(people, 40))

        database.writing(work)
        granter = Granter(By("operator"))
        Bindings(database).create(Wanted("client", "asker", "tenant-admin"), granter=granter)
        return people
    finally:
        installation.close()


def _timed(ask: Callable[[], httpx.Response], times: int) -> list[float]:
    taken = []
    for turn in range(times + 10):
        began = time.perf_counter()
        answer = ask()
        if turn >= 10:
            taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{answer.request.url} was answered {answer.status_code}: {answer.text[:300]}")
    return sorted(taken)


def _decide(client: httpx.Client, people: list[str], headers: dict[str, str]) -> httpx.Response:
    kind = f"type{_chance.randrange(KINDS)}"
    asked = {
        "subject": {"type": "user", "id": _chance.choice(people)},
        "action": {"name": f"act{_chance.randrange(ACTIONS)}"},
        "resource": {"type": kind, "id": str(_chance.randrange(THINGS))},
    }
    return client.post("/t/crowded/access/v1/evaluation", json=asked, headers=headers)


# What the lists are asked for; the parameters are those of the documents.
_LISTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("users", "first page", {"limit": "50"}),
    ("users", "page 150", {"limit": "50", "page": "150"}),
    ("users", "by name, descending", {"limit": "50", "sort": "-name"}),
    ("users", "disabled ones", {"limit": "50", "status": "disabled"}),
    ("users", "search `turing.99`", {"limit": "50", "search": "turing.99"}),
    ("users", "name has `hopper`", {"limit": "50", "name": "hopper"}),
    ("users", "search `radia`", {"limit": "50", "search": "radia"}),
    ("users", "search for nobody", {"limit": "50", "search": "zzzzzz"}),
    ("users", "who hold role7", {"limit": "50", "role": "role7"}),
    ("roles", "first page", {"limit": "50"}),
    ("groups", "first page", {"limit": "50"}),
    ("role-bindings", "of role7", {"limit": "50", "role": "role7"}),
)


def _run(
    authsec: AuthSec, environment: dict[str, str], work: Path, turns: int
) -> list[tuple[str, float, float, float]]:
    def idp(*arguments: str, given: str = "") -> str:
        return authsec.idp(*arguments, given=given, environment=environment)

    idp("init", "--json")
    idp("tenant", "create", "crowded", "--name", "Crowded", "--json")
    idp("tenant", "set", "crowded", "rate_limits=off", "--json")
    metadata = {"client_id": "asker", "grant_types": ["client_credentials"], "response_types": []}
    metadata |= {"scope": "authsec", "token_endpoint_auth_method": "client_secret_basic"}
    secret = json.loads(idp("client", "create", "crowded", "--json", given=json.dumps(metadata)))["client_secret"]
    settings = Settings.from_env(environment)
    people = _fill(settings)
    program = str(Path(sys.executable).with_name("idp"))
    command = [program, "serve", "--listen", f"127.0.0.1:{PORT}", "--workers", "1"]
    with Server(command, environment, work / "server.log") as server:
        server.first_answer(("127.0.0.1", PORT), f"127.0.0.1:{PORT}", "/t/crowded/.well-known/openid-configuration")
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client:

            def token(resource: str) -> dict[str, str]:
                form = {"grant_type": "client_credentials", "scope": "authsec"}
                form |= {"resource": resource} if resource else {}
                found = client.post("/t/crowded/token", data=form, auth=("asker", secret)).json()
                return {"authorization": f"Bearer {found['access_token']}"}

            plain, service = token(""), token(f"{settings.public_url}/uflow")
            taken = _timed(lambda: _decide(client, people, plain), turns * 10)
            found = [("decision by AuthZEN", *_figures(taken), DECISION)]
            for thing, what, query in _LISTS:
                url = f"/uflow/tenants/crowded/{thing}?{urlencode(query)}"
                taken = _timed(lambda url=url: client.get(url, headers=service), turns)  # type: ignore[misc]
                found.append((f"{thing}: {what}", *_figures(taken), LIST))
        return found


def _figures(taken: list[float]) -> tuple[float, float]:
    return statistics.median(taken), taken[int(len(taken) * 0.99) - 1]


def main() -> int:
    """Measure on SQLite, or on the server that IDP_BENCH_PG_URL names, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowded", description=__doc__)
    parser.add_argument(
        "--turns", type=int, default=200, help="requests a figure of a list; ten times as many decisions"
    )
    turns = parser.parse_args().turns
    work = Path(tempfile.mkdtemp(prefix="bench-crowded-"))
    authsec = AuthSec(Cast(), work, PORT)
    try:
        if "IDP_BENCH_PG_URL" in os.environ:
            with postgresql(authsec, work) as environment:
                found = _run(authsec, environment, work, turns)
        else:
            found = _run(authsec, authsec.environment(), work, turns)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{'what':<36}{'p50 ms':>9}{'p99 ms':>9}{'promised':>10}")
    for what, median, late, promised in found:
        print(f"{what:<36}{median:>9.2f}{late:>9.2f}{promised:>10.0f}{'' if median <= promised else '  NOT KEPT'}")
    return int(any(median > promised for _, median, _, promised in found))


if __name__ == "__main__":
    sys.exit(main())
