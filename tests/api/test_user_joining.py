"""How people come by an account through User Flow: invitations and sign-ups; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from serving import together
from user_world import (
    allow_sign_up,
    done,
    grow_old,
    mails,
    mails_to,
    new_user,
    pointers,
    refused,
    row_of,
)

from idp.identity import signup, terms
from idp.identity.accounts import By
from idp.store.db import db
from idp.store.tenant import one_time_links

if TYPE_CHECKING:
    from api_world import World
    from house import Answer

PASSWORD = "nineteen wet otters"
SIGN_UP = {"email": "dorothy@example.org", "password": PASSWORD, "claims": {"name": "Dorothy Vaughan"}}


def invite(world: World, email: str = "kat@example.org", **more: Any) -> Any:
    return done(world.uflow("POST", "/invitations", {"email": email, **more}), 201)


def accept(world: World, address: str, mail: int = -1) -> Answer:
    """Open the link of a mail and choose a password."""
    browser = world.house.browser(world.tenants["acme"])
    page = browser.get(mails_to(world, address)[mail]["context"]["link"])
    if page.status != 200:
        return page
    return browser.submit(page, new_password=PASSWORD, confirm_password=PASSWORD)


def statuses(world: World, query: str = "") -> dict[str, str]:
    return {
        each["email"]: each["status"] for each in done(world.uflow("GET", f"/invitations?limit=100{query}"))["items"]
    }


def test_from_an_invitation_to_an_account(town: World) -> None:
    """Issue 6 (invite, resend, cancel): one mail leads to the account, with the roles; the mail that was sent again ends the older."""
    world = town
    made = invite(world, claims={"name": "Katherine"}, roles=["auditor"], days=2)
    assert (made["status"], made["email"], made["invited_by"]) == (
        "waiting",
        "kat@example.org",
        world.people["acme", "admin"],
    )
    (mail,) = mails_to(world, "kat@example.org")
    assert (mail["template"], mail["context"]["hours"], mail["context"]["inviter"]) == (
        "invitation",
        48,
        "Ada Lovelace",
    )
    user = done(world.uflow("GET", f"/users/{made['user_id']}"))
    assert (user["status"], user["roles"], user["has_password"]) == ("invited", ["auditor"], False)
    again = done(world.uflow("POST", f"/invitations/{made['user_id']}/resend"))
    assert again["status"] == "waiting"
    assert statuses(world) == {"kat@example.org": "waiting"}
    assert 'name="new_password"' not in accept(world, "kat@example.org", 0).text
    assert row_of(world, made["user_id"]).state == "invited"
    assert accept(world, "kat@example.org").status in (200, 303)
    user = done(world.uflow("GET", f"/users/{made['user_id']}"))
    assert (user["status"], user["email_verified"], user["has_password"]) == ("active", True, True)
    assert statuses(world) == {"kat@example.org": "accepted"}
    assert statuses(world, "&status=waiting") == {}
    for method, rest in (("POST", "/resend"), ("DELETE", "")):
        detail = refused(world.uflow(method, f"/invitations/{made['user_id']}{rest}"), 409, "conflict")["detail"]
        assert "idp user" not in detail
    kinds = [each.kind for kind in ("invitation.sent", "invitation.accepted") for each in world.events(kind)]
    assert kinds == ["invitation.sent", "invitation.sent", "invitation.accepted"]


def test_an_invitation_is_taken_back(town: World) -> None:
    """Issue 6 (cancel): the link is worth nothing, the address is free; another user is no invitation."""
    world = town
    made = invite(world)
    link = mails_to(world, "kat@example.org")[0]["context"]["link"]
    assert world.uflow("DELETE", f"/invitations/{made['user_id']}").status == 204
    assert world.uflow("DELETE", f"/invitations/{made['user_id']}").status == 404
    assert world.uflow("POST", f"/invitations/{made['user_id']}/resend").status == 404
    assert 'name="new_password"' not in world.house.browser(world.tenants["acme"]).get(link).text
    assert statuses(world) == {}
    assert invite(world)["user_id"] != made["user_id"]
    refused(world.uflow("DELETE", f"/invitations/{world.people['acme', 'nobody']}"), 409, "conflict")
    refused(world.uflow("DELETE", f"/users/{invite(world, 'b@example.org')['user_id']}"), 409, "conflict")


def test_the_list_of_invitations(town: World) -> None:
    """Issue 6 (lists): each person once, by the newest link, in every state and order, by pages and by cursor."""
    world = town
    ids = {each: invite(world, f"p{each}@example.org")["user_id"] for each in range(7)}
    links = one_time_links.one_time_links

    def change(user_id: str, **values: Any) -> None:
        world.database().writing(
            lambda conn: conn.execute(links.update().where(links.c.user_id == user_id).values(**values))
        )

    for number, user_id in ids.items():
        change(user_id, created_at=1_700_000_000 + number // 2)
    change(ids[0], expires_at=1_700_000_100)
    change(ids[1], expires_at=1_700_000_100)
    done(world.uflow("POST", f"/invitations/{ids[1]}/resend"))  # the one before had expired and is not revoked
    change(ids[2], used_at=1_700_000_200)
    assert statuses(world, "&status=expired") == {"p0@example.org": "expired"}
    assert statuses(world, "&status=accepted") == {"p2@example.org": "accepted"}
    assert len(statuses(world, "&status=waiting")) == 5
    for sort in ("created_at", "-created_at", "expires_at", "-expires_at"):
        found: list[str] = []
        after = ""
        for _ in range(8):
            page = done(world.uflow("GET", f"/invitations?limit=2&sort={sort}{after}"))
            found += [each["email"] for each in page["items"]]
            assert page["total"] == 7
            if "next" not in page:
                break
            after = f"&after={page['next']}"
        assert sorted(found) == [f"p{number}@example.org" for number in range(7)]
    assert pointers(world.uflow("GET", "/invitations?status=gone")) == ["status"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"email": "nobody"}, "#/email"),
        ({"days": 0}, "#/days"),
        ({"days": 91}, "#/days"),
        ({"inviter": "Your bank"}, "#/inviter"),
        ({"claims": {"email_verified": True}}, "#/claims/email_verified"),
        ({"claims": {"unknown": 1}}, "#/claims/unknown"),
        ({"roles": ["nothing"]}, "#/roles"),
        ({"password": PASSWORD}, "#/password"),
    ],
)
def test_invitations_that_cannot_be_accepted(town: World, body: dict[str, Any], where: str) -> None:
    """Issue 6 (errors): 422 that points at the member; nobody is invited, nothing is mailed. The inviter is who calls."""
    before = town.dump()
    assert where in pointers(town.uflow("POST", "/invitations", {"email": "kat@example.org", **body}))
    assert town.dump() == before


# -- sign-ups ---------------------------------------------------------------------------------------------------------


def begin(world: World, **changes: Any) -> Any:
    return done(world.uflow("POST", "/sign-ups", SIGN_UP | changes), 201)


def code_for(world: World, address: str = "dorothy@example.org") -> str:
    code: str = mails_to(world, address)[-1]["context"]["code"]
    return code


@pytest.fixture
def open_town(town: World) -> World:
    allow_sign_up(town)
    return town


def test_from_a_sign_up_to_an_account(open_town: World) -> None:
    """Issue 6 (register with code by mail, verify, resend): the code that only the owner gets makes the account, verified, once."""
    world = open_town
    begun = begin(world, email="Dorothy@EXAMPLE.org", language="de")
    address = "Dorothy@example.org"
    assert begun["email"] == address
    path = f"/sign-ups/{begun['id']}"
    refused(world.uflow("POST", f"{path}/resend"), 429, "too_many_requests")
    grow_old(world, begun["id"])
    first = code_for(world, address)
    answer = world.uflow("POST", f"{path}/resend")
    assert (answer.status, answer.text) == (204, "")
    code = code_for(world, address)
    if first != code:
        assert pointers(world.uflow("POST", f"{path}/verify", {"code": first})) == ["#/code"]
    made = world.uflow("POST", f"{path}/verify", {"code": code}, headers={"idempotency-key": "v"})
    user = done(made, 201)
    assert (user["email"], user["email_verified"], user["status"], user["claims"]) == (
        address,
        True,
        "active",
        SIGN_UP["claims"],
    )
    again = world.uflow("POST", f"{path}/verify", {"code": code}, headers={"idempotency-key": "v"})
    assert (done(again, 201), again.header("idempotency-replayed")) == (user, "true")
    assert world.uflow("POST", f"{path}/verify", {"code": code}).status == 404
    assert world.uflow("POST", f"{path}/resend").status == 404
    assert [each["language"] for each in mails(world)] == ["de", "de"]
    (event,) = world.events("user.signed_up")
    assert (event.subject, event.client_id) == (user["id"], "console")
    rp = world.house.client(world.tenants["acme"], f"rp-{user['id']}")
    assert (
        world.house.browser(world.tenants["acme"]).sign_in(rp, username="dorothy@example.org", password=PASSWORD).code
    )


def test_a_known_address_is_answered_alike(open_town: World) -> None:
    """Security rule 7: beginning, guessing and sending again tell nobody that there is an account; its owner is told by mail."""
    world = open_town
    new_user(world, "known@example.org")
    answers: dict[str, list[Any]] = {}
    for address in ("known@example.org", "fresh@example.org"):
        first = world.uflow("POST", "/sign-ups", SIGN_UP | {"email": address})
        begun = done(first, 201)
        grow_old(world, begun["id"])
        path = f"/sign-ups/{begun['id']}"
        seen = [first, world.uflow("POST", f"{path}/resend")]
        code = "00000000" if address.startswith("known") or code_for(world, address) != "0000 0000" else "00000001"
        seen += [world.uflow("POST", f"{path}/verify", {"code": code}) for _ in range(signup.GUESSES + 1)]
        seen.append(world.uflow("POST", f"{path}/resend"))
        hidden = ("id", "email", "request_id", "code_expires_at", "expires_at")
        answers[address] = [
            (
                each.status,
                {n: v for n, v in (each.json if each.text else {}).items() if n not in hidden},
                sorted(n for n, _ in each.headers),
            )
            for each in seen
        ]
    known, fresh = answers.values()
    assert known == fresh
    assert [status for status, _, _ in fresh] == [201, 204, *[422] * 4, 409, 409, 429]
    assert {each["template"] for each in mails_to(world, "known@example.org")} == {"signup_known"}


def test_a_sign_up_is_its_callers(open_town: World) -> None:
    """Who has not begun it neither guesses nor sends codes, whatever the permission; nor can the pages' own be ended here."""
    world = open_town
    begun = begin(world)
    grow_old(world, begun["id"])
    code = code_for(world)
    world.house.client(world.tenants["acme"], "another")
    for token in (world.token("system"), world.token(client_id="another")):
        refused(world.uflow("POST", f"/sign-ups/{begun['id']}/verify", {"code": code}, token=token), 404, "not_found")
        refused(world.uflow("POST", f"/sign-ups/{begun['id']}/resend", token=token), 404, "not_found")
    table = db.metadatas["tenant"].tables["signups"]
    world.database().writing(lambda conn: conn.execute(table.update().values(interaction_id="0" * 32)))
    refused(world.uflow("POST", f"/sign-ups/{begun['id']}/verify", {"code": code}), 404, "not_found")


def test_one_account_of_many_codes_at_once(open_town: World) -> None:
    """Issue 6: the right code sent many times at once makes one account; wrong ones at once have five guesses together."""
    world = open_town
    begun, token = begin(world), world.token()
    code, path = code_for(world), f"/sign-ups/{begun['id']}/verify"
    answers = together(5, lambda _: world.uflow("POST", path, {"code": code}, token=token))
    assert [answer.status for answer in answers].count(201) == 1
    other = begin(world, email="other@example.org")
    wrong = "0000 0000" if code_for(world, "other@example.org") != "0000 0000" else "0000 0001"
    path = f"/sign-ups/{other['id']}/verify"
    answers = together(8, lambda _: world.uflow("POST", path, {"code": wrong}, token=token))
    assert sorted(answer.status for answer in answers) == [409] * 4 + [422] * 4
    assert world.uflow("POST", path, {"code": code_for(world, "other@example.org")}).status == 409


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"email": "nobody"}, "#/email"),
        ({"email": "somebody@blocked.example"}, "#/email"),
        ({"password": "password"}, "#/password"),
        ({"password": "Dorothy Vaughan 1"}, "#/password"),
        ({"claims": {}}, "#/claims/name"),
        ({"claims": {"name": "D", "email_verified": True}}, "#/claims/email_verified"),
        ({"claims": {"name": "D", "phone_number_verified": True}}, "#/claims/phone_number_verified"),
        ({"claims": {"name": ["D"]}}, "#/claims/name"),
        ({"terms_version": "2026"}, "#/terms_version"),
        ({"language": "german!"}, "#/language"),
        ({"roles": ["auditor"]}, "#/roles"),
        ({"email_verified": True}, "#/email_verified"),
        ({"id": "0" * 32}, "#/id"),
    ],
)
def test_sign_ups_that_cannot_be_accepted(open_town: World, body: dict[str, Any], where: str) -> None:
    """Issue 6 (mass assignment, errors): by the rules of the pages, 422 that points at the member, nothing kept and nothing mailed."""
    world = open_town
    world.house.installation.provisioning.change_settings(
        world.tenants["acme"], {"signup_blocked_domains": "blocked.example"}
    )
    before = world.dump()
    assert where in pointers(world.uflow("POST", "/sign-ups", SIGN_UP | body))
    assert world.dump() == before


def test_terms_limits_and_the_switch(open_town: World) -> None:
    """Issue 6: the terms in force are accepted by their version; a source has its limit; where nobody may sign up nothing is done."""
    world = open_town
    provisioning, acme = world.house.installation.provisioning, world.tenants["acme"]
    world.database().writing(
        lambda conn: terms.put_in_force(conn, "2026-11", {"": "https://acme.example/terms"}, By("operator"))
    )
    provisioning.change_settings(acme, {"signup_source_limit": "3"})
    try:
        assert pointers(world.uflow("POST", "/sign-ups", SIGN_UP)) == ["#/terms_version"]
        begun = begin(world, terms_version="2026-11")
        user = done(world.uflow("POST", f"/sign-ups/{begun['id']}/verify", {"code": code_for(world)}), 201)
        (event,) = [each for each in world.events("user.signed_up") if each.subject == user["id"]]
        assert event.details == {"terms": "2026-11"}
        for number in range(2):
            begin(world, terms_version="2026-11", email=f"p{number}@example.org")
        over = world.uflow("POST", "/sign-ups", SIGN_UP | {"terms_version": "2026-11", "email": "p9@example.org"})
        refused(over, 429, "too_many_requests")
        provisioning.change_settings(acme, {"signup": "off"})
        before = world.dump()
        refused(world.uflow("POST", "/sign-ups", SIGN_UP), 409, "signup_off")
        refused(world.uflow("POST", f"/sign-ups/{begun['id']}/verify", {"code": "12345678"}), 409, "signup_off")
        refused(world.uflow("POST", f"/sign-ups/{begun['id']}/resend"), 409, "signup_off")
        assert world.dump() == before
    finally:
        table = db.metadatas["tenant"].tables["terms"]
        world.database().writing(lambda conn: conn.execute(table.delete()))
        provisioning.change_settings(acme, {"signup_source_limit": "30"})
