"""What the operations on users need to be there: an invited person, a session, a sign-up with its code, something allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from idp import opaque
from idp.clock import now
from idp.store.db import db
from idp.store.tenant import consents, sessions, signups, users
from idp.store.tenant.outbox import outbox

if TYPE_CHECKING:
    from api_world import World
    from house import Answer


def mails(world: World, slug: str = "acme") -> list[dict[str, Any]]:
    """The mails that wait in a tenant's outbox, opened, the oldest first."""
    mailer = world.house.installation.services.mailer
    with world.database(slug).reading() as conn:
        rows = conn.execute(outbox.select().where(outbox.c.kind == "mail").order_by(outbox.c.created_at)).all()
    return [mailer.opened(world.tenants[slug], row.payload) for row in rows]


def mails_to(world: World, address: str, slug: str = "acme") -> list[dict[str, Any]]:
    return [each for each in mails(world, slug) if each["to"] == address]


def session_of(world: World, slug: str, who: str, **changes: Any) -> str:
    """A browser session of a person; returns its id."""
    session_id, at = opaque.new_id(), now()
    values: dict[str, Any] = {
        "id": session_id,
        "cookie_hash": opaque.new_id(),
        "user_id": world.people[slug, who],
        "auth_time": at,
        "amr": ["pwd"],
        "acr": "1",
        "created_at": at,
        "last_seen_at": at,
        "idle_expires_at": at + 3600,
        "expires_at": at + 7200,
        "ended_at": None,
        "source": "192.0.2.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        **changes,
    }
    world.database(slug).writing(lambda conn: sessions.create(conn, **values))
    return session_id


def allow_sign_up(world: World, slug: str = "acme") -> None:
    world.house.installation.provisioning.change_settings(world.tenants[slug], {"signup": "on"})


def grow_old(world: World, sign_up_id: str, slug: str = "acme", seconds: int = 61) -> None:
    """Let a sign-up's code have been sent a while ago."""
    table = signups.signups
    sent = table.update().where(table.c.id == sign_up_id).values(sent_at=table.c.sent_at - seconds)
    world.database(slug).writing(lambda conn: conn.execute(sent))


def user_things(world: World, slug: str, prefix: str, client_id: str) -> dict[str, str]:
    """Make one thing of each kind about the tenant's `nobody`; returns what stands for each parameter of a path, and the code."""
    allow_sign_up(world, slug)
    # In the matrix globex is administered from `system`; a sign-up is its caller's.
    token = world.token("system" if slug == "globex" else slug)

    def make(path: str, body: Any) -> Any:
        answer = world.uflow("POST", path, body, slug, token=token)
        assert answer.status == 201, answer.text
        return answer.json

    person = world.people[slug, "nobody"]
    made = {"invited_id": make("/invitations", {"email": f"{prefix}-invited@{slug}.example"})["user_id"]}
    address = f"{prefix}-new@{slug}.example"
    made["sign_up_id"] = make(
        "/sign-ups", {"email": address, "password": "seventeen wet otters", "claims": {"name": "N"}}
    )["id"]
    grow_old(world, made["sign_up_id"], slug)
    made["code"] = mails_to(world, address, slug)[-1]["context"]["code"]
    made["session_id"] = session_of(world, slug, "nobody")
    world.database(slug).writing(lambda conn: consents.add(conn, person, client_id, frozenset({"openid"})))
    return made


def done(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.text
    return answer.json if answer.text else None


def refused(answer: Answer, status: int, code: str) -> Any:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    return answer.json


def pointers(answer: Answer) -> list[str]:
    """What a refusal for wrong values points at."""
    return [each.get("pointer", each.get("parameter")) for each in refused(answer, 422, "invalid_fields")["errors"]]


def new_user(world: World, email: str = "grace@example.org", **more: Any) -> Any:
    """A user that is made by the service; returns it as shown."""
    return done(world.uflow("POST", "/users", {"email": email, **more}), 201)


def row_of(world: World, user_id: str, slug: str = "acme") -> Any:
    with world.database(slug).reading() as conn:
        return users.find(conn, user_id)


def tidy_users(world: World) -> None:
    """Take away the users that a test made in acme, and what is theirs."""
    tables = db.metadatas["tenant"].tables
    made = tables["users"].c.id.not_in(list(world.people.values())) & (tables["users"].c.username != "ada@example.com")
    names = ("sessions", "consents", "one_time_links", "outbox", "signups", "attempts")
    gone = [tables[name].delete() for name in names]
    ids = select(tables["users"].c.id).where(made)
    gone.append(tables["role_bindings"].delete().where(tables["role_bindings"].c.holder_id.in_(ids)))
    gone.append(tables["users"].delete().where(made))
    for statement in gone:
        world.database().writing(lambda conn, statement=statement: conn.execute(statement))
