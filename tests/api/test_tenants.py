"""Tenants by program: made whole or not at all, once however often it is asked, and never out of reach of who may."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from postbox import mails
from serving import scalar, together

from idp import clock
from idp.store.control import idempotency_keys, tenants
from idp.store.tenant import role_bindings, users
from idp.tenancy.provisioning import ABANDONED

if TYPE_CHECKING:
    from api_world import World
    from house import Answer

RACERS = 4


def new(slug: str = "labs", **changes: Any) -> dict[str, Any]:
    """The body of a tenant to be."""
    return {"slug": slug, "name": "Labs", "administrator": {"email": f"first@{slug}.example", "name": "Ada"}, **changes}


def call(world: World, method: str, rest: str = "", body: Any = None, *, who: str = "admin", **more: Any) -> Answer:
    """Call the operations on tenants as one of the platform's people."""
    more.setdefault("token", world.token("system", who))
    return world.call(method, f"/tenants{rest}", body, service="uflow", **more)


def invitations(world: World, slug: str) -> list[Any]:
    """The mails in a tenant's outbox."""
    tenant = world.house.installation.provisioning.find(slug)
    return mails(world.house.installation.services, tenant, world.house.database(tenant))


def count(world: World, slug: str) -> int:
    """How many tenants have that slug."""
    found: int = scalar(world.house.settings.control_url, "SELECT count(*) FROM tenants WHERE slug = ?", slug)
    return found


@pytest.fixture
def any_world(each_database: World) -> Any:
    """A world on each kind of database; tenants that the test made are removed."""
    yield each_database
    provisioning = each_database.house.installation.provisioning
    for each in provisioning.list_all():
        if each.slug not in ("system", "acme", "globex"):
            provisioning.delete(each)
    gone = idempotency_keys.idempotency_keys.delete()
    each_database.house.installation.store.control.writing(lambda conn: conn.execute(gone))


# -- making one ---------------------------------------------------------------------------------------------------------------


def test_a_tenant_is_made_with_its_first_administrator(any_world: World) -> None:
    """Issue 6 (tenants: create with first admin): an invitation by mail; who accepts it signs in and administers the tenant."""
    world = any_world
    answer = call(world, "POST", "", new())
    assert answer.status == 201, answer.text
    made = answer.json
    assert (made["slug"], made["state"], made["issuer"]) == ("labs", "active", "http://localhost:8000/t/labs")
    assert answer.header("location") == "http://localhost:8000/uflow/tenants/labs"
    read = call(world, "GET", "/labs")
    assert (read.json, read.header("etag")) == (made, answer.header("etag"))
    (mail,) = invitations(world, "labs")
    assert mail["to"] == "first@labs.example"
    tenant = world.house.installation.provisioning.find("labs")
    browser = world.house.browser(tenant)
    chosen = "seven horses under a plum tree"
    page = browser.get(re.sub(r"^https?://[^/]+", "", mail["context"]["link"]))
    done = browser.submit(page, new_password=chosen, confirm_password=chosen)
    assert done.status in (200, 302, 303), done.text
    with world.house.database(tenant).reading() as conn:
        user = users.find_by_username(conn, "first@labs.example")
        assert user is not None
        assert user.state == "active"
        assert role_bindings.roles_of(conn, user.id) == ["tenant-admin"]


def test_who_made_it_stands_in_the_new_tenants_log(world: World) -> None:
    """Issue 6: the event lies where the command line puts it, and names the platform's administrator with the request."""
    answer = call(world, "POST", "", new())
    world.tenants["labs"] = world.house.installation.provisioning.find("labs")
    for kind in ("tenant.created", "invitation.sent"):
        (event,) = world.events(kind, "labs")
        assert event.actor == f"system:{world.people['system', 'admin']}"
        assert event.correlation_id == answer.header("x-correlation-id") or event.correlation_id
        assert event.source == "127.0.0.1"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"slug": "Labs"}, "#/slug"),
        ({"slug": "-labs"}, "#/slug"),
        ({"name": "a\x07b"}, "#/name"),
        ({"name": "   "}, "#/name"),
        ({"domain": "no domain"}, "#/domain"),
        ({"domain": "localhost"}, "#/domain"),
        ({"administrator": {"email": "nobody"}}, "#/administrator/email"),
        ({"administrator": {"email": "a@b.example", "roles": ["platform-admin"]}}, "#/administrator/roles"),
        ({"issuer": "https://other.example"}, "#/issuer"),
        ({"database_url": "sqlite:///x"}, "#/database_url"),
        ({"state": "active"}, "#/state"),
        ({"settings": {"rate_limits": "off"}}, "#/settings"),
    ],
)
def test_what_is_wrong_is_said_and_makes_nothing(shared: World, changes: Any, pointer: str) -> None:
    """Interfaces §5 (422 field errors), mass assignment: placement, issuer and state are not the caller's to say."""
    answer = call(shared, "POST", "", new(**changes))
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert count(shared, "labs") == 0


def test_a_slug_is_given_once(world: World) -> None:
    """Issue 6: a second tenant of the slug, and of the domain: 409, and nothing is left of it."""
    assert call(world, "POST", "", new(domain="id.labs.example")).status == 201
    again = call(world, "POST", "", new())
    assert (again.status, again.json["code"]) == (409, "conflict")
    other = call(world, "POST", "", new("other", domain="id.labs.example"))
    assert (other.status, other.json["code"]) == (409, "conflict")
    assert count(world, "other") == 0


def test_an_invitation_that_cannot_be_sent_makes_no_tenant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 6: the tenant and the invitation are both there, or neither; the slug is free for the next."""
    from idp.errors import StorageUnavailable
    from idp.identity import invitations as inviting

    def fail(*_: Any, **__: Any) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(inviting, "send", fail)
        answer = call(world, "POST", "", new(), headers={"idempotency-key": "k"})
        assert (answer.status, answer.json["code"]) == (503, "temporarily_unavailable")
    assert count(world, "labs") == 0
    again = call(world, "POST", "", new(), headers={"idempotency-key": "k"})
    assert (again.status, again.header("idempotency-replayed")) == (201, None)


def test_only_the_platform_makes_tenants(world: World) -> None:
    """Issue 6 (privilege): a tenant's own administrator's token is none here; in `system` it takes all that is given away by it."""
    assert call(world, "POST", "", new(), token=world.token("acme")).status == 401
    assert call(world, "GET", token=world.token("acme")).status == 401
    assert call(world, "GET", who="auditor").status == 200
    assert call(world, "POST", "", new(), who="auditor").status == 403
    narrow = world.token("system", scope="tenants:create")
    answer = call(world, "POST", "", new(), token=narrow)
    assert (answer.status, answer.json["code"]) == (403, "more_than_held")
    # A role for one tenant is no role for the platform, even where the tenant is `system`.
    world.bind_user("system", "nobody", "platform-admin", resource=f"tenant:{world.tenants['system'].id}")
    assert call(world, "POST", "", new(), who="nobody").status == 403
    assert call(world, "GET", who="nobody").status == 403
    assert count(world, "labs") == 0


# -- Idempotency-Key ----------------------------------------------------------------------------------------------------------


def test_a_repeated_creation_makes_nothing(any_world: World) -> None:
    """Issue 6, item 7: the same request with the same key is answered as the first was, and one mail is sent."""
    headers = {"idempotency-key": "one"}
    first = call(any_world, "POST", "", new(), headers=headers)
    again = call(any_world, "POST", "", new(), headers=headers)
    assert (first.status, again.status, again.header("idempotency-replayed")) == (201, 201, "true")
    assert again.json == first.json
    assert again.header("etag") == first.header("etag")
    assert len(invitations(any_world, "labs")) == 1
    reused = call(any_world, "POST", "", new("labs2"), headers=headers)
    assert (reused.status, reused.json["code"]) == (422, "idempotency_key_reused")


def test_of_equal_creations_at_once_one_is_made(any_world: World) -> None:
    """Issue 6, item 7: the others are told to come again, or what the first was told; whoever comes again is told that."""
    world = any_world
    tokens = [world.token("system") for _ in range(RACERS)]
    headers = {"idempotency-key": "race"}
    answers = together(RACERS, lambda number: call(world, "POST", "", new(), headers=headers, token=tokens[number]))
    assert {answer.status for answer in answers} <= {201, 503}, [answer.text for answer in answers]
    made = Counter(answer.header("idempotency-replayed") for answer in answers if answer.status == 201)
    assert made[None] == 1
    assert all(answer.header("retry-after") for answer in answers if answer.status == 503)
    last = call(world, "POST", "", new(), headers=headers)
    assert (last.status, last.header("idempotency-replayed")) == (201, "true")
    assert count(world, "labs") == 1
    assert len(invitations(world, "labs")) == 1


def test_different_creations_of_a_slug_at_once(any_world: World) -> None:
    """Issue 6: of several who want one slug one gets it; the others are refused, and leave nothing."""
    world = any_world
    tokens = [world.token("system") for _ in range(RACERS)]
    answers = together(RACERS, lambda number: call(world, "POST", "", new(name=f"Labs {number}"), token=tokens[number]))
    assert Counter(answer.status for answer in answers)[201] == 1, [answer.text for answer in answers]
    assert {answer.status for answer in answers} <= {201, 409, 503}
    assert count(world, "labs") == 1


KILLED = """
import os, signal, sys
from idp.installation import Installation
from idp.identity.accounts import By
from idp.identity.tenants import FirstAdministrator
from idp.settings import Settings
installation = Installation(Settings.from_env(os.environ), "killed")
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "reserved":
    from idp.tenancy import provisioning
    provisioning.placement.create = die
finish = die if sys.argv[1] == "invited" else None
if sys.argv[1] == "deleting":
    from idp.store import placement
    placement.drop = die
    installation.tenants.delete(installation.provisioning.find("labs"), by=By("operator"))
installation.tenants.create("labs", "Labs", by=By("operator"), administrator=FirstAdministrator("a@labs.example"), finish=finish)
"""


@pytest.mark.parametrize("moment", ["reserved", "invited", "deleting"])
def test_a_killed_creation_gives_the_slug_back(any_world: World, moment: str) -> None:
    """Issue 6, S113: who is killed half-way leaves a slug that is refused for ten minutes at most, and a tenant that nobody sees."""
    world = any_world
    settings = world.house.settings
    if moment == "deleting":
        assert call(world, "POST", "", new()).status == 201
    environ = {
        "IDP_DATA_DIR": str(settings.data_dir),
        "IDP_DATABASE_URL": settings.database_url,
        "IDP_PUBLIC_URL": settings.public_url,
        "IDP_ARGON2_MEMORY_KIB": "7168",
    }
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, moment],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PATH": os.environ["PATH"], **environ},
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert count(world, "labs") == 1
    assert call(world, "GET", "/labs").status == 404
    assert world.house.send("GET", "/t/labs/jwks", host="localhost:8000").status == 404
    soon = call(world, "POST", "", new(), headers={"idempotency-key": "again"})
    assert (soon.status, soon.json["code"]) == (503, "temporarily_unavailable")
    with clock.shifted(ABANDONED + 5):
        later = call(world, "POST", "", new(), headers={"idempotency-key": "again"}, token=world.token("system"))
        assert later.status == 201, later.text
    assert count(world, "labs") == 1
    assert len(invitations(world, "labs")) == 1


# -- reading and changing -----------------------------------------------------------------------------------------------------


def test_lists(world: World) -> None:
    """Issue 6, item 7: filters by name, slug and state, every order by pages and by cursor."""
    for number, name in enumerate(["Ärzte", "beta 100%", "Beta_x", "alpha"]):
        world.house.installation.provisioning.create(f"t{number}", name)
    world.house.installation.provisioning.suspend(world.house.installation.provisioning.find("t3"))
    slugs = lambda query: [each["slug"] for each in call(world, "GET", query).json["items"]]  # noqa: E731
    assert slugs("") == ["acme", "globex", "system", "t0", "t1", "t2", "t3"]
    assert slugs("?sort=-slug&limit=2&page=2") == ["t1", "t0"]
    assert slugs("?name=BETA") == ["t1", "t2"]
    assert slugs("?name=%25") == ["t1"]
    assert slugs("?name=_") == ["t2"]
    assert slugs("?slug=T") == ["system", "t0", "t1", "t2", "t3"]
    assert slugs("?state=suspended") == ["t3"]
    for sort in ("slug", "name", "created_at", "-slug", "-name", "-created_at"):
        whole, after = [], ""
        for _ in range(4):
            page = call(world, "GET", f"?limit=2&sort={sort}{after}").json
            whole += [each["slug"] for each in page["items"]]
            after = f"&after={page.get('next')}"
        assert whole == slugs(f"?sort={sort}&limit=100")
    assert call(world, "GET", "?sort=database_url").status == 422
    assert "sqlite" not in call(world, "GET").text


def test_a_tenants_own_administrator_reads_and_renames_it(world: World) -> None:
    """Issue 6: its own, and no other; If-Match keeps what somebody else has changed."""
    own = world.token("acme")
    read = call(world, "GET", "/acme", token=own)
    assert (read.status, read.json["name"]) == (200, "Acme")
    etag = {"if-match": str(read.header("etag"))}
    renamed = call(world, "PATCH", "/acme", {"name": "Acme  Corp."}, token=own, headers=etag)
    assert (renamed.status, renamed.json["name"]) == (200, "Acme Corp.")
    late = call(world, "PATCH", "/acme", {"name": "Late"}, token=own, headers=etag)
    assert (late.status, late.json["code"]) == (412, "precondition_failed")
    assert call(world, "PATCH", "/acme", {}, token=own).json["name"] == "Acme Corp."
    (event,) = world.events("tenant.settings_changed")
    assert (event.actor, event.details) == (world.people["acme", "admin"], {"changed": {"name": "Acme  Corp."}})
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"})):
        assert call(world, method, "/globex", body, token=own).status == 401
    for wrong in (
        {"name": None},
        {"name": "\x00"},
        {"slug": "other"},
        {"issuer": "https://x.example"},
        {"state": "active"},
    ):
        assert call(world, "PATCH", "/acme", wrong, token=own).status == 422


def test_a_tenant_cannot_touch_its_own_fate(world: World) -> None:
    """Issue 6 (privilege): suspending, resuming and deleting are the platform's, whatever roles a tenant has made itself."""
    from idp.access.granting import Granter
    from idp.access.roles import Roles
    from idp.identity.accounts import By

    roles = Roles(world.database())
    roles.create(
        "overlord", "", ["tenants:suspend", "tenants:delete", "tenants:create"], granter=Granter(By("operator"))
    )
    world.bind_user("acme", "nobody", "overlord")
    for who in ("admin", "nobody"):
        token = world.token("acme", who)
        for method, rest, body in (
            ("POST", "/acme/suspend", None),
            ("POST", "/acme/resume", None),
            ("DELETE", "/acme", {"slug": "acme"}),
        ):
            answer = call(world, method, rest, body, token=token)
            assert (answer.status, answer.json["code"]) == (403, "permission_required"), (who, rest)
    with world.house.installation.store.control.reading() as conn:
        row = tenants.find_by_slug(conn, "acme")
    assert row is not None
    assert row.state == "active"


def test_suspending_and_resuming(world: World) -> None:
    """Issue 6: nothing of a suspended tenant is served, its tokens are refused, the platform sees it; then all is as before."""
    token = world.token("acme")
    answer = call(world, "POST", "/acme/suspend")
    assert (answer.status, answer.json["state"]) == (200, "suspended")
    assert world.house.get(world.tenants["acme"], "/jwks").status == 404
    assert call(world, "GET", "/acme", token=token).status == 401
    assert call(world, "GET", "/acme").json["state"] == "suspended"
    again = call(world, "POST", "/acme/resume", headers={"if-match": str(answer.header("etag"))})
    assert (again.status, again.json["state"]) == (200, "active")
    assert world.house.get(world.tenants["acme"], "/jwks").status == 200
    assert call(world, "GET", "/acme", token=token).status == 200
    for kind in ("tenant.suspended", "tenant.resumed"):
        (event,) = world.events(kind)
        assert event.actor == f"system:{world.people['system', 'admin']}"


def test_deleting_asks_for_the_slug(any_world: World) -> None:
    """Issue 6 (delete asks for the slug): without it nothing goes; with it everything, and `system` has the record."""
    world = any_world
    assert call(world, "POST", "", new()).status == 201
    for body in ({"slug": "acme"}, {"slug": "LABS"}, {}):
        assert call(world, "DELETE", "/labs", body).status == 422
    assert call(world, "DELETE", "/labs").status in (415, 400)
    assert call(world, "GET", "/labs").status == 200
    assert call(world, "DELETE", "/labs", {"slug": "labs"}).status == 204
    assert call(world, "GET", "/labs").status == 404
    assert count(world, "labs") == 0
    event = world.events("tenant.deleted", "system")[-1]
    assert (event.actor, event.details["slug"]) == (world.people["system", "admin"], "labs")


@pytest.mark.parametrize(
    ("method", "rest", "body"), [("POST", "/system/suspend", None), ("DELETE", "/system", {"slug": "system"})]
)
def test_system_stays(shared: World, method: str, rest: str, body: Any) -> None:
    """Issue 6 (self-lock-out): the platform's own tenant is neither suspended nor deleted."""
    answer = call(shared, method, rest, body)
    assert (answer.status, answer.json["code"]) == (409, "built_in_tenant")
    assert call(shared, "GET", "/system").json["state"] == "active"
