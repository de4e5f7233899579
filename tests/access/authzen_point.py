"""A tenant as an AuthZEN policy decision point, with the policy of the working group's certification scenario, and what asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from access_world import OPERATOR

from idp.access.bindings import Wanted
from idp.identity import accounts
from idp.identity.accounts import By

if TYPE_CHECKING:
    from access_world import World
    from house import Answer

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECTS, RESOURCES, ACTIONS = (f"/access/v1/search/{name}" for name in ("subject", "resource", "action"))
ALICE, BOB = {"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}
ADMIN = BOB | {"properties": {"role": "admin"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
FIRST, SECOND = {"type": "record", "id": "record-1"}, {"type": "record", "id": "record-2"}
ARCHIVED = SECOND | {"properties": {"status": "archived"}}


class Point:
    """The tenant as a policy decision point, with the scenario's policy, and an application that may ask it."""

    def __init__(self, world: World) -> None:
        self.world = world
        for name in ("alice", "bob"):
            world.people[name] = accounts.create_user(
                world.database,
                world.house.installation.services.hasher,
                world.tenant,
                username=name,
                password=None,
                email=None,
                by=By("operator"),
            )
        world.role("reader", "record:read")
        world.role("writer", "record:write")
        world.role("remover", "record:delete")
        for name in ("alice", "bob"):
            world.give(name, "reader")
        world.give("alice", "writer", conditions={"properties": {"resource.status": {"not_in": ["archived"]}}})
        world.give(
            "bob",
            "writer",
            conditions={"properties": {"subject.role": {"in": ["admin"]}, "resource.status": {"in": ["archived"]}}},
        )
        world.give("bob", "writer", resource="record:record-2")
        world.give("alice", "remover", conditions={"properties": {"action.soft": {"in": [True]}}})
        self.rp = world.house.client(world.tenant, "pep", scope="openid policy:check")
        world.role("asker")
        world.roles.change("asker", granted=["policy:check"], granter=OPERATOR)
        self.binding = world.bindings.create(Wanted("client", "pep", "asker"), granter=OPERATOR).id
        self.token = self.rp.post("/token", {"grant_type": "client_credentials"}).json["access_token"]

    def send(self, path: str, body: Any, *, token: str | None = None, **headers: str) -> Answer:
        """Post a body (bytes as they are) with the application's token."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", "authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        tenant = self.world.tenant
        url = f"{tenant.base_path}{path}"
        return self.world.house.send("POST", url, body=raw, headers=sent, host=tenant.host)

    def ask(self, subject: Any, action: Any, resource: Any, **more: Any) -> bool:
        """The decision about one."""
        answer = self.send(EVALUATION, {"subject": subject, "action": action, "resource": resource, **more})
        assert answer.status == 200, answer.text
        assert answer.header("content-type") == "application/json"
        assert isinstance(answer.json["decision"], bool)
        assert isinstance(answer.json.get("context", {}), dict)
        decision: bool = answer.json["decision"]
        return decision

    def decisions(self, body: dict[str, Any]) -> list[bool]:
        """The decisions about several."""
        answer = self.send(EVALUATIONS, body)
        assert answer.status == 200, answer.text
        assert "decision" not in answer.json
        return [each["decision"] for each in answer.json["evaluations"]]

    def search(self, path: str, **body: Any) -> list[Any]:
        """The results of a search, page by page."""
        found: list[Any] = []
        for _ in range(50):
            answer = self.send(path, body)
            assert answer.status == 200, answer.text
            found += answer.json["results"]
            assert answer.json["page"]["count"] == len(answer.json["results"])
            token = answer.json["page"]["next_token"]
            if not token:
                return found
            body = {**body, "page": {**body.get("page", {}), "token": token}}
        raise AssertionError("the pages do not end")
