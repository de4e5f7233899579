"""What a sign-in by program leaves behind: the reason of every refusal, and who made an application the tenant's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from first_party import ADA, App, first_party, registry
from house import CALLBACK, PASSWORD
from refusals import events, record_of

from idp.identity.accounts import By

if TYPE_CHECKING:
    from cast import Cast
    from house import RelyingParty


@pytest.fixture(scope="module")
def own(cast: Cast) -> RelyingParty:
    return first_party(cast, "own-recorded", token_endpoint_auth_method="none")


def test_every_refused_step_is_on_record(cast: Cast, own: RelyingParty) -> None:
    """Issue 6: `idp explain` says which step refused what, also where the answer says it to the person; never the password."""
    cast.house.user(cast.acme, "recorded@example.com", must_change=True)
    cast.house.user(cast.acme, "other@example.com")
    app = App(cast, own)
    hint = app.redeem(app.ask(ADA)).json["id_token"]
    other = {"username": "other@example.com", "password": PASSWORD}
    auth_session = app.ask({"username": "recorded@example.com", "password": PASSWORD}).json["auth_session"]
    for answer, check, word in (
        (app.ask({}), "login", "still needed"),
        (app.ask({"username": "ada@example.com"}), "login", "Enter your password"),
        (app.ask({"username": "ada@example.com", "password": "wrong"}), "sign_in", "the password is wrong"),
        (app.ask(other, id_token_hint=hint), "login", "another account"),
        (app.go_on(auth_session, new_password="2short"), "password", "too short"),
        (app.go_on(auth_session, new_password=PASSWORD), "password", "the one you have now"),
    ):
        assert answer.status == 403
        record = record_of(cast.house, answer.json["correlation_id"])
        assert (record["check"], record["client_id"]) == (check, "own-recorded")
        assert word in record["reason"]
        assert "2short" not in str(record)
        assert PASSWORD not in str(record)


def test_what_prompt_none_did_not_allow(cast: Cast, own: RelyingParty) -> None:
    """OpenID Connect Core §3.1.2.1: the record names the step that was needed and what to do about it."""
    answer = App(cast, own).ask({}, prompt="none")
    assert (answer.status, answer.json["error"]) == (400, "login_required")
    record = record_of(cast.house, answer.json["correlation_id"])
    assert (record["check"], record["fix"]) == ("login", "Begin without prompt=none.")


def test_an_auth_session_alone_that_is_over(cast: Cast, own: RelyingParty) -> None:
    """First-Party Apps §5.1, §5.2.2.1: a program that lets the auth_session name it is told that it is over, not that it is unknown itself."""
    app = App(cast, own)
    auth_session = app.ask({}).json["auth_session"]
    assert cast.house.post(cast.acme, "/challenge", {"auth_session": auth_session, **ADA}).status == 200
    for over in (auth_session, "as_" + "0" * 75, "x"):
        answer = cast.house.post(cast.acme, "/challenge", {"auth_session": over, **ADA})
        assert (answer.status, answer.json["error"]) == (400, "invalid_session")
        assert record_of(cast.house, answer.json["correlation_id"])["check"] == "auth_session"


def test_who_made_an_application_the_tenants_own(cast: Cast) -> None:
    """ASVS 16.2.1: the mark is in the audit trail, whether it was there from the beginning or came later."""
    registry(cast).create({"client_id": "marked", "redirect_uris": [CALLBACK], "first_party": True}, by=By("operator"))
    registry(cast).update("marked", {"first_party": False}, by=By("operator"))
    (created,) = (each for each in events(cast.house, cast.acme, "client.created") if each.client_id == "marked")
    assert created.details["first_party"] is True
    (updated,) = (each for each in events(cast.house, cast.acme, "client.updated") if each.client_id == "marked")
    assert "first_party" in updated.details["members"]


@pytest.mark.parametrize("name", ["password", "new_password", "client_secret"])
def test_a_secret_is_one_only_where_it_is_asked_for(cast: Cast, own: RelyingParty, name: str) -> None:
    """RFC 6749 Appendix A: the authorization endpoint, which keeps what it is sent, takes no endless value or control character of any name."""
    for value in ("x" * 20_000, "a\x00b"):
        answer = cast.house.post(cast.acme, "/authorize", {"client_id": own.client_id, name: value})
        assert answer.status == 400
        assert "invalid_request" in answer.text
    answer = cast.house.post(cast.acme, "/challenge", {"client_id": own.client_id, "password": "a\x00b"})
    assert "PKCE" in answer.json["error_description"], "it came further than to its characters"
