"""The Python SDK in front of the served product: sign-in, operations, lists, changes, errors; waiting and awaiting."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from drawing import png
from sdk_world import ADMIN, PASSWORD

import authsec
from authsec import AsyncAuthSecClient, AuthSecClient, etag_of, request_id_of, was_replayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdk_world import SdkWorld


@pytest.fixture(scope="module")
def admin(world: SdkWorld) -> Iterator[AuthSecClient]:
    """The administrator of acme, signed in."""
    with AuthSecClient(world.url, tenant="acme") as client:
        client.login("admin@acme.example", PASSWORD)
        yield client


def test_sign_in_and_out(world: SdkWorld) -> None:
    """Interfaces §6, First-Party Apps §5.2.1: an address and a password sign in; logout ends the tokens at the server."""
    client = AuthSecClient(base_url=world.url)
    assert not client.is_signed_in
    client.login(ADMIN, PASSWORD)
    assert client.is_signed_in
    assert client.roles.list()["total"] >= 6
    session = client._connection.session
    assert session is not None
    kept = AuthSecClient(world.url, access_token=session.access_token)
    assert kept.roles.list()["items"]
    client.logout()
    with pytest.raises(authsec.NotSignedIn):
        client.roles.list()
    with pytest.raises(authsec.NotAuthenticated) as refused:
        kept.roles.list()
    assert refused.value.code == "invalid_token"


def test_a_wrong_password(world: SdkWorld) -> None:
    """Security rule 7, Interfaces §6: a wrong password and an unknown address are one error; the right one may follow."""
    client = AuthSecClient(world.url, tenant="acme")
    texts = []
    for email in ("admin@acme.example", "nobody@acme.example"):
        with pytest.raises(authsec.AuthenticationFailed) as refused:
            client.login(email, "wrong")
        texts.append(str(refused.value))
    assert texts[0] == texts[1]
    assert not client.is_signed_in
    client.continue_login(username="admin@acme.example", password=PASSWORD)
    assert client.is_signed_in


def test_a_step_is_needed(world: SdkWorld) -> None:
    """First-Party Apps §5.2.2.1, Interfaces §6: who must choose a new password is told so, tries, and is in."""
    world.person("changing@acme.example", must_change=True, roles=["auditor"])
    client = AuthSecClient(world.url, tenant="acme")
    with pytest.raises(authsec.StepRequired) as needed:
        client.login("changing@acme.example", PASSWORD)
    assert (needed.value.step, needed.value.fields) == ("password", ("new_password",))
    assert needed.value.document["password_min_length"]
    with pytest.raises(authsec.StepRequired) as again:
        client.continue_login(new_password="short")
    assert again.value.errors[0]["field"] == "new_password"
    client.continue_login(new_password="plum-kettle-orbit-77")
    assert client.groups.list()["items"] is not None


def test_tokens_renew_themselves(world: SdkWorld) -> None:
    """RFC 6749 §6, RFC 9700 §4.14.2: many callers at once renew an ending token once, and again later; the family lives."""
    client = AuthSecClient(world.url, tenant="acme")
    client.login("admin@acme.example", PASSWORD)
    session = client._connection.session
    assert session is not None
    seen = {session.refresh_token}
    for _ in range(3):
        session.renew_at = 0
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: client.groups.list(), range(8)))
        seen.add(session.refresh_token)
    assert len(seen) == 4
    # A token that is refused is renewed too, without the caller's seeing it.
    session.access_token = "nonsense"
    assert client.groups.list()["items"] is not None


def test_a_session_that_ended(world: SdkWorld) -> None:
    """RFC 6749 §5.2: when the refresh token is no longer good, callers are told to sign in again, each time."""
    client = AuthSecClient(world.url, tenant="acme")
    client.login("admin@acme.example", PASSWORD)
    session = client._connection.session
    assert session is not None
    session.refresh_token, session.renew_at = "nonsense", 0
    for _ in range(2):
        with pytest.raises(authsec.SessionEnded):
            client.groups.list()


def test_a_life_of_a_group(admin: AuthSecClient, world: SdkWorld) -> None:
    """Interfaces §5, §6: create, read, change under an ETag, members, delete."""
    made = admin.groups.create(name="Editors", description="Who writes")
    assert made["name"] == "Editors"
    assert request_id_of(made)
    assert etag_of(admin.groups.get(made["id"])) == etag_of(made)
    changed = admin.groups.update(made["id"], if_match=made, description=None)
    assert changed["description"] == ""
    with pytest.raises(authsec.PreconditionFailed):
        admin.groups.update(made["id"], if_match=made, name="Writers")
    with pytest.raises(authsec.PreconditionFailed):
        admin.groups.delete(made["id"], if_match=etag_of(made))
    member = world.people["somebody@acme.example"]
    assert admin.groups.add_members(made["id"], user_ids=[member])["added"] == 1
    assert [each["user_id"] for each in admin.groups.iterate_members(made["id"])] == [member]
    admin.groups.remove_member(made["id"], member)
    admin.groups.delete(made["id"], if_match=changed)
    with pytest.raises(authsec.NotFound):
        admin.groups.get(made["id"])
    with pytest.raises(ValueError, match="no ETag"):
        admin.groups.update(made["id"], if_match={"name": "x"})


def test_pages(admin: AuthSecClient) -> None:
    """Interfaces §5, §6: one page by number, all by cursor, each thing once and in order."""
    names = [f"page-{number:02}" for number in range(23)]
    made = [admin.groups.create(name=name)["id"] for name in names]
    page = admin.groups.list(page=2, limit=10)
    assert (page["page"], page["limit"], len(page["items"])) == (2, 10, 10)
    assert [each["name"] for each in admin.groups.iterate(limit=5) if each["name"] in names] == names
    backwards = admin.groups.iterate(limit=7, sort="-name")
    assert [each["name"] for each in backwards if each["name"] in names] == names[::-1]
    for group in made:
        admin.groups.delete(group)


def test_a_create_is_done_once(admin: AuthSecClient) -> None:
    """Interfaces §5 (Idempotency-Key): each create has a key by itself; one of the caller's own repeats the first answer."""
    one = admin.groups.create(name="once", idempotency_key="key-1")
    again = admin.groups.create(name="once", idempotency_key="key-1")
    assert (again, was_replayed(one), was_replayed(again)) == (one, False, True)
    with pytest.raises(authsec.Conflict) as refused:
        admin.groups.create(name="once")
    assert refused.value.code == "conflict"
    admin.groups.delete(one["id"])


def test_refusals_carry_the_document(admin: AuthSecClient, world: SdkWorld) -> None:
    """Interfaces §5, §6 (RFC 9457): the class by the status, and code, detail, errors, request id and page of the problem."""
    with pytest.raises(authsec.InvalidFields) as fields:
        admin.roles.create(name="Not A Name", permissions=["nonsense"])
    error = fields.value
    assert (error.status, error.code) == (422, "invalid_fields")
    assert {each["pointer"] for each in error.errors} == {"#/name", "#/permissions/0"}
    assert error.doc_url == f"{world.url}/docs/errors/invalid_fields"
    assert len(error.request_id) == 16
    assert all(part in str(error) for part in (error.detail, error.request_id, "#/name"))
    nobody = AuthSecClient(world.url, tenant="acme")
    nobody.login("somebody@acme.example", PASSWORD)
    with pytest.raises(authsec.PermissionRequired) as lacking:
        nobody.groups.create(name="x")
    assert lacking.value.permission == "groups:write"
    assert isinstance(lacking.value, authsec.ApiError)


def test_a_token_of_the_command_line(world: SdkWorld) -> None:
    """Interfaces §2, §6: what `idp token` prints does instead of a sign-in; without either nothing is sent."""
    client = AuthSecClient(world.url, tenant="acme", access_token=world.token())
    assert client.clients.list()["items"] is not None
    with pytest.raises(authsec.NotSignedIn):
        AuthSecClient(world.url).clients.list()
    assert AuthSecClient(world.url).health.client_management()["status"] == "ready"


def test_names_in_languages(admin: AuthSecClient) -> None:
    """RFC 7591 §2.2, Interfaces §6: members whose names are no names of Python's are given beside."""
    made = admin.clients.create(
        client_name="Orders", redirect_uris=["https://orders.example/callback"], more={"client_name#de": "Bestellungen"}
    )
    assert dict(made)["client_name#de"] == "Bestellungen"
    assert "client_name#de" not in admin.clients.update(made["client_id"], more={"client_name#de": None})
    admin.clients.delete(made["client_id"])


def test_the_audit_log_line_by_line(world: SdkWorld, admin: AuthSecClient) -> None:
    """Interfaces §5 (audit export): events come as they are read, by page or whole; who stops early leaves nothing open."""
    admin.groups.delete(admin.groups.create(name="seen")["id"])
    kinds = [event["kind"] for event in admin.audit.export_events()]
    assert {"group.created", "group.deleted"} <= set(kinds)
    for event in admin.audit.export_events():
        assert event["id"]
        break
    assert "audit.exported" in [event["kind"] for event in admin.audit.iterate_events(limit=50)]
    nobody = AuthSecClient(world.url, tenant="acme")
    nobody.login("somebody@acme.example", PASSWORD)
    with pytest.raises(authsec.PermissionRequired):
        next(nobody.audit.export_events())

    async def walk() -> None:
        async with AsyncAuthSecClient(world.url, tenant="acme", access_token=world.token()) as client:
            assert "group.deleted" in [event["kind"] async for event in client.audit.export_events()]

    asyncio.run(walk())


def test_a_picture(admin: AuthSecClient) -> None:
    """Interfaces §5 (branding): a file is sent as it is, of one of the types that the operation takes."""
    shown = admin.branding.put_picture("logo", png(), media_type="image/png")
    assert shown["logo_url"]
    with pytest.raises(authsec.InvalidFields):
        admin.branding.put_picture("logo", b"no picture", media_type="image/png")
    admin.branding.delete_picture("logo")


def test_an_application_for_itself(world: SdkWorld, admin: AuthSecClient) -> None:
    """RFC 6749 §2.3.1, §4.4, Interfaces §6: an application with a role works for itself, and its tokens renew themselves."""
    made = admin.clients.create(
        client_id="robot:1", client_name="Robot", grant_types=["client_credentials"], response_types=[], scope="authsec"
    )
    admin.role_bindings.create(holder_type="client", holder_id="robot:1", role="auditor")
    robot = AuthSecClient(world.url, tenant="acme")
    with pytest.raises(authsec.SignInRefused) as refused:
        robot.login_as_client("robot:1", "wrong")
    assert refused.value.error == "invalid_client"
    robot.login_as_client("robot:1", made["client_secret"])
    assert robot.groups.list()["items"] is not None
    session = robot._connection.session
    assert session is not None
    first, session.renew_at = session.access_token, 0
    assert robot.groups.list()["items"] is not None
    assert session.access_token != first
    assert made["client_secret"] not in repr(session)
    robot.logout()
    ended = AuthSecClient(world.url, tenant="acme", access_token=session.access_token)
    with pytest.raises(authsec.NotAuthenticated):
        ended.groups.list()

    async def walk() -> None:
        async with AsyncAuthSecClient(world.url, tenant="acme") as client:
            await client.login_as_client("robot:1", made["client_secret"])
            assert (await client.roles.list())["items"]

    asyncio.run(walk())
    admin.clients.delete("robot:1")


def test_another_tenant(world: SdkWorld, admin: AuthSecClient) -> None:
    """Interfaces §5, §6: the platform's administrator works in another tenant; a tenant's own finds nothing there."""
    platform = AuthSecClient(world.url)
    platform.login(ADMIN, PASSWORD)
    acme = platform.for_tenant("acme")
    made = acme.groups.create(name="from above")
    assert admin.groups.get(made["id"])["name"] == "from above"
    acme.groups.delete(made["id"])
    with pytest.raises(authsec.NotAuthenticated):
        admin.for_tenant("system").groups.list()


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_no_value_is_another_address(admin: AuthSecClient, value: str) -> None:
    """RFC 3986 §5.2.4: a value that would make another address of a path is refused before anything is sent."""
    with pytest.raises(ValueError, match="group_id"):
        admin.groups.get(value)


def test_values_stay_in_their_place(admin: AuthSecClient) -> None:
    """RFC 3986 §2.2: slashes, question marks and the like in a value do not leave their segment of the path."""
    for value in ("a/b", "../roles", "x?limit=1", "x#y", "%2e%2e", "ä ö"):
        with pytest.raises(authsec.NotFound):
            admin.groups.get(value)
    made = admin.clients.create(
        client_id="x/activate", client_name="Slashed", redirect_uris=["https://x.example/callback"]
    )
    assert admin.clients.get("x/activate")["client_id"] == made["client_id"]
    assert admin.clients.deactivate("x/activate")["status"] == "disabled"
    admin.clients.delete("x/activate")


@pytest.mark.parametrize(
    "url", ["http://id.example.com", "ftp://localhost", "localhost:8000", "https://a@b.example", ""]
)
def test_only_safe_addresses(url: str) -> None:
    """RFC 6750 §5.3, Interfaces §3: passwords and tokens leave by TLS alone, or to the same machine."""
    with pytest.raises(ValueError, match="https"):
        AuthSecClient(url)


def test_awaiting(world: SdkWorld) -> None:
    """Interfaces §6: the same for asyncio; callers that are cancelled while a token is renewed do not end the session."""

    async def walk() -> None:
        async with AsyncAuthSecClient(base_url=world.url, tenant="acme") as client:
            with pytest.raises(authsec.AuthenticationFailed):
                await client.login("admin@acme.example", "wrong")
            await client.login("admin@acme.example", PASSWORD)
            session = client._connection.session
            assert session is not None
            first = session.refresh_token
            session.renew_at = 0
            tasks = [asyncio.ensure_future(client.groups.list()) for _ in range(8)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done[0], asyncio.CancelledError)
            assert not [each for each in done[1:] if isinstance(each, BaseException)]
            assert session.refresh_token != first
            made = await client.groups.create(name="awaited")
            assert "awaited" in [each["name"] async for each in client.groups.iterate(limit=1)]
            changed = await client.groups.update(made["id"], if_match=made, description="x")
            assert etag_of(changed) != etag_of(made)
            await client.for_tenant("acme").groups.delete(made["id"])
            with pytest.raises(authsec.NotFound):
                await client.groups.get(made["id"])
            await client.logout()
            with pytest.raises(authsec.NotSignedIn):
                await client.groups.list()

    asyncio.run(walk())


def test_threads_share_a_client(admin: AuthSecClient) -> None:
    """Interfaces §6: one client for many threads; each gets its own answer."""
    barrier = threading.Barrier(6)

    def one(number: int) -> str:
        barrier.wait()
        made = admin.groups.create(name=f"thread-{number}")
        found = admin.groups.get(made["id"])["name"]
        admin.groups.delete(made["id"])
        return found

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == [f"thread-{number}" for number in range(6)]
