"""The profile: what may be changed, what a form becomes, and two changes at once (OpenID Connect Core §5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from account_world import ADA

from idp.identity import profile
from idp.identity.profile_schema import parse
from idp.store.tenant import users

if TYPE_CHECKING:
    from account_world import World
    from house import Answer, Browser

OWN = {
    "attributes": [
        {"name": "name", "label": {"en": "Full name", "de": "Voller Name"}, "required": True},
        {"name": "team", "label": "Team", "type": "choice", "scope": "staff",
         "values": ["red", {"value": "blue", "label": {"en": "Blue", "de": "Blau"}}]},
        {"name": "desk", "label": "Desk", "type": "number", "minimum": 1, "scope": "staff"},
        {"name": "news", "label": "News by mail", "type": "boolean", "scope": "staff"},
        {"name": "birthdate", "label": "Birthday", "type": "date"},
        {"name": "diet", "label": "Diet"},
        {"name": "badge", "label": "Badge", "editable": "admin", "scope": "staff"},
        {"name": "grade", "label": "Grade", "type": "choice", "values": [{"value": "a", "label": "Grade A"}], "editable": "admin"},
        {"name": "sworn", "label": "Sworn in", "type": "boolean", "editable": "admin"},
        {"name": "address", "label": "Home", "editable": "admin"},
    ]
}  # fmt: skip


def fill(browser: Browser, page: Answer, **fields: str) -> Answer:
    """Fill in and send the form of the profile; fields by attribute, ``address.locality`` as ``address__locality``."""
    named = {f"profile_{name.replace('__', '-')}": value for name, value in fields.items()}
    return browser.submit(page, **named)


def store(world: World, **claims: Any) -> None:
    """Store claims of ada's, beside those that are there."""
    user = world.user()
    found = {**user.claims, **claims}
    world.house.database(world.tenant).writing(lambda conn: users.change(conn, user.id, claims=found))


def use(world: World, document: dict[str, Any]) -> None:
    """Give the tenant a schema."""
    installation = world.house.installation
    with installation.feed.announced(world.tenant.id, "config"):
        world.house.database(world.tenant).writing(lambda conn: profile.save(conn, parse(document)))


def test_a_change_is_saved_and_recorded(any_world: World) -> None:
    """OIDC Core §5.1: claims change, the others stay; the event names the claims and none of their values."""
    browser = any_world.signed_in()
    page = any_world.open(browser, "/profile")
    answer = fill(
        browser, page, name="Augusta Ada King", nickname="Ada", address__locality="London", birthdate="1815-12-10"
    )
    assert answer.location == any_world.url("/profile?done=profile")
    assert "Your profile is saved." in browser.follow(answer).text
    claims = any_world.user().claims
    assert claims["name"] == "Augusta Ada King"
    assert claims["address"] == {"country": "GB", "locality": "London"}
    assert claims["given_name"] == "Ada"
    (event,) = any_world.events("user.profile_changed")
    assert event.actor == event.subject == any_world.user().id
    assert event.details == {"claims": ["address", "birthdate", "name", "nickname"]}


def test_nothing_changed_records_nothing(world: World) -> None:
    """Issue 5, account pages: saving what is there already is no change."""
    browser = world.signed_in()
    before = world.user().claims
    browser.submit(world.open(browser, "/profile"))
    assert world.user().claims == before
    assert world.events("user.profile_changed") == []


def test_an_empty_field_takes_the_claim_away(world: World) -> None:
    """OIDC Core §5.3.2: a claim that there is no more is left out, an address without members too."""
    browser = world.signed_in()
    fill(browser, world.open(browser, "/profile"), given_name="", address__country=" ")
    assert "given_name" not in world.user().claims
    assert "address" not in world.user().claims


def test_another_number_is_not_verified(world: World) -> None:
    """OIDC Core §5.1: phone_number_verified is about the number that was verified."""
    store(world, phone_number_verified=True)
    browser = world.signed_in()
    fill(browser, world.open(browser, "/profile"), nickname="A")
    assert world.user().claims["phone_number_verified"] is True
    fill(browser, world.open(browser, "/profile"), phone_number="+49 30 1234567")
    assert world.user().claims["phone_number_verified"] is False


def test_what_is_not_asked_for_cannot_be_set(world: World) -> None:
    """ASVS 5.0 §15.3.3 (mass assignment): fields beyond the list change nothing."""
    browser = world.signed_in()
    forbidden = {
        "email_verified": "true",
        "phone_number_verified": "true",
        "preferred_username": "root",
        "picture": "https://evil.example/x.png",
        "sub": "x",
        "username": "root",
        "email": "eve@example.org",
        "state": "active",
        "address": '{"country": "XX"}',
        "roles": "admin",
    }
    named = {f"profile_{name}": value for name, value in forbidden.items()}
    browser.submit(world.open(browser, "/profile"), profile_nickname="A", **forbidden, **named)
    user = world.user()
    assert user.claims.keys() == {"name", "given_name", "nickname", "phone_number", "address"}
    assert user.claims["address"] == {"country": "GB"}
    assert (user.email, user.username) == (ADA, ADA)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birthdate", "yesterday"),
        ("birthdate", "1815-13-01"),
        ("phone_number", "call me"),
        ("zoneinfo", "../../etc/passwd"),
        ("locale", "<b>"),
        ("name", "a\u202eb"),
        ("name", "x" * 1001),
        ("nickname", "x" * 201),
        ("address-street_address", "\x00"),
        ("address-locality", "x" * 1001),
    ],
)
def test_what_is_wrong_is_said_and_kept(any_world: World, field: str, value: str) -> None:
    """WCAG 2.2 §3.3.1: the sentence stands beside the field, what was typed is still there, nothing is saved."""
    browser = any_world.signed_in()
    before = any_world.user().claims
    page = any_world.open(browser, "/profile")
    answer = fill(browser, page, **{"given_name": "kept", field: value})
    assert answer.status == 400
    assert f'id="profile_{field}-error"' in answer.text
    assert f'href="#profile_{field}"' in answer.text
    assert answer.form[1]["profile_given_name"] == "kept"
    if field != "address-street_address":  # which is a text of several lines
        assert answer.form[1][f"profile_{field}"] == value
    assert any_world.user().claims == before


def test_two_changes_at_once_lose_nothing(any_world: World) -> None:
    """Issue 5, account pages (lost update): the later form is told, keeps what was typed, sees what is saved, and may save again."""
    first, second = any_world.signed_in(), any_world.signed_in()
    pages = [any_world.open(one, "/profile") for one in (first, second)]
    fill(first, pages[0], nickname="first")
    stale = fill(second, pages[1], nickname="second")
    assert stale.status == 409
    assert "changed meanwhile" in stale.text
    assert stale.form[1]["profile_nickname"] == "second"
    assert "Saved now: first" in stale.text
    assert any_world.user().claims["nickname"] == "first"
    assert second.submit(stale).status == 303
    assert any_world.user().claims["nickname"] == "second"


def test_a_field_that_was_not_sent_stays(world: World) -> None:
    """Issue 5, account pages: a page of an older release, which knows fewer fields, empties none."""
    browser = world.signed_in()
    revision = world.open(browser, "/profile").form[1]["revision"]
    world.send(browser, "/profile", revision=revision, profile_nickname="A")
    assert world.user().claims["name"] == "Ada Lovelace"


def test_lines_of_a_street_survive(world: World) -> None:
    """OIDC Core §5.1.1: a street may have lines; a form sends them as CR LF and they are kept as they were."""
    address = {"street_address": "House\nStreet 1", "formatted": "old"}
    store(world, address=address)
    browser = world.signed_in()
    page = world.open(browser, "/profile")
    fill(browser, page, address__street_address="House\r\nStreet 1", nickname="A")
    assert world.user().claims["address"] == address
    fill(browser, world.open(browser, "/profile"), address__street_address="House\r\nStreet 2")
    assert world.user().claims["address"] == {"street_address": "House\nStreet 2"}


def test_the_tenants_own_attributes(any_world: World) -> None:
    """Issue 5, account pages (profile by schema): each in its own form, labelled by the tenant; saved, recorded by name, released by scope."""
    use(any_world, OWN)
    browser = any_world.signed_in()
    page = any_world.open(browser, "/profile")
    for words in ("Full name", "Team", "Desk", "News by mail", "Birthday", "Badge", 'type="date"', ">Blue</option>"):
        assert words in page.text, words
    assert "Nickname" not in page.text
    answer = fill(browser, page, team="blue", desk="17", news="on", birthdate="1815-12-10", diet="none")
    assert answer.location == any_world.url("/profile?done=profile")
    claims = any_world.user().claims
    wanted = {"team": "blue", "desk": 17, "news": True, "birthdate": "1815-12-10", "diet": "none"}
    assert {name: claims[name] for name in wanted} == wanted
    assert claims["phone_number"] == "+44 1 2345", "what is not in the schema stays"
    (event,) = any_world.events("user.profile_changed")
    assert event.details == {"claims": sorted(wanted)}
    page = any_world.open(browser, "/profile")
    assert page.form[1].items() >= {"profile_desk": "17", "profile_news": "on", "profile_diet": "none"}.items()
    assert 'value="blue" selected' in page.text
    del page.form[1]["profile_news"]
    action, fields = page.form
    del fields["profile_news"]
    browser.post(action, {**fields, "profile_team": ""})
    claims = any_world.user().claims
    assert claims["news"] is False
    assert "team" not in claims


def test_they_are_released_by_their_scope(world: World) -> None:
    """OIDC Core §5.4: what a person typed is in userinfo with the scope that the schema names, and without it nowhere."""
    use(world, OWN)
    client = world.house.client(world.tenant, "staffed", scope="openid profile staff")
    browser = world.signed_in()
    fill(browser, world.open(browser, "/profile"), team="red", diet="none", birthdate="1815-12-10")

    def known(scope: str) -> dict[str, Any]:
        tokens = client.redeem(browser.sign_in(client, scope=scope)).json
        return dict(client.userinfo(tokens["access_token"]).json)

    assert known("openid staff")["team"] == "red"
    assert "team" not in known("openid profile")
    assert known("openid profile")["birthdate"] == "1815-12-10"
    assert "diet" not in known("openid profile staff")
    page = world.open(browser, "/applications")
    assert "See: Team, Desk, News by mail" in page.text


def test_what_only_administrators_change(any_world: World) -> None:
    """ASVS 5.0 §15.3.3: it is shown as text that cannot be edited, and a value that is posted all the same changes nothing."""
    use(any_world, OWN)
    home = {"street_address": "House 1", "locality": "London"}
    store(any_world, badge="4711", grade="a", sworn=True, address=home)
    before = any_world.user().claims
    browser = any_world.signed_in()
    page = any_world.open(browser, "/profile")
    for words in ('value="4711"', 'value="Grade A"', 'value="Yes"', "House 1", "Only administrators can change this."):
        assert words in page.text, words
    hidden = {"badge", "grade", "sworn", "address-locality", "address-street_address"}
    assert not {f"profile_{name}" for name in hidden} & page.form[1].keys()
    forged = {"badge": "1", "grade": "", "sworn": "", "address-locality": "Rome", "address": "x", "sub": "root"}
    assert fill(browser, page, **forged).status == 303
    assert any_world.user().claims == before
    assert any_world.events("user.profile_changed") == []


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "  ", "Fill in “Full name”"),
        ("team", "green", "Choose one of the values of “Team”"),
        ("desk", "0", "“Desk” must be at least 1"),
        ("desk", "left", "“Desk” must be a number such as 42"),
        ("birthdate", "1815-02-30", "“Birthday” must be a date such as 1985-12-10"),
        ("diet", "x" * 201, "“Diet” can have at most 200 characters"),
    ],
)
def test_the_schemas_rules_hold(any_world: World, field: str, value: str, told: str) -> None:
    """Issue 5, account pages: what the schema does not allow is said beside its field and in the summary; what was typed is kept."""
    use(any_world, OWN)
    browser = any_world.signed_in()
    before = any_world.user().claims
    answer = fill(browser, any_world.open(browser, "/profile"), **{"news": "on", field: value})
    assert answer.status == 400
    assert answer.text.count(told) == 2
    assert answer.form[1]["profile_news"] == "on"
    if field not in ("team", "name"):
        assert answer.form[1][f"profile_{field}"] == value
    assert any_world.user().claims == before


def test_what_is_older_than_the_rule_stays(any_world: World) -> None:
    """Issue 5, account pages: a stored value that nobody could type today is shown, survives a save, and keeps nobody from one."""
    use(any_world, OWN)
    store(any_world, team="violet", birthdate="1815", diet="x" * 300)
    browser = any_world.signed_in()
    page = any_world.open(browser, "/profile")
    assert 'value="violet" selected' in page.text
    assert page.form[1]["profile_birthdate"] == "1815"
    assert fill(browser, page, team="violet", desk="2").status == 303
    claims = any_world.user().claims
    assert (claims["team"], claims["birthdate"], claims["diet"], claims["desk"]) == ("violet", "1815", "x" * 300, 2)


def test_a_schema_that_changes_meanwhile(world: World) -> None:
    """Issue 5, account pages (lost update): a form that did not have a box does not untick it."""
    use(world, {"attributes": [each for each in OWN["attributes"] if each["name"] != "news"]})
    store(world, news=True)
    browser = world.signed_in()
    page = world.open(browser, "/profile")
    use(world, OWN)
    stale = fill(browser, page, diet="none")
    assert stale.status == 409
    assert "Saved now: Yes" in stale.text
    assert world.user().claims["news"] is True


def test_a_schema_without_anything(world: World) -> None:
    """Issue 5, account pages: where the tenant's profiles have nothing there is no form, and nothing can be set."""
    browser = world.signed_in()
    page = world.open(browser, "/profile")
    use(world, {"attributes": []})
    before = world.user().claims
    fill(browser, page, name="Another")
    assert world.user().claims == before
    assert "There is nothing here" in world.open(browser, "/profile").text


def test_in_german(world: World) -> None:
    """Issue 5, part 6: labels, values and what is wrong are in the language of the page."""
    use(world, OWN)
    store(world, sworn=True)
    browser = world.signed_in()
    browser.get(f"{world.tenant.base_path}/language?language=de&to={world.tenant.base_path}/account")
    page = fill(browser, world.open(browser, "/profile"), name="", desk="0")
    for words in ("Voller Name", ">Blau</option>", 'value="Ja"', "„Voller Name“", "„Desk“"):
        assert words in page.text, words
