"""Terms: accepted before anything goes on, asked again when there are new ones (issue 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, Browser
from identity_world import BY

from idp.errors import Invalid
from idp.identity import accounts, terms
from idp.identity.terms import Terms

if TYPE_CHECKING:
    from flow_world import EchoServer

FIRST, SECOND = (Terms(version, {"": f"https://acme.example/{version}"}) for version in ("2026-01", "2026-02"))


def test_asked_once_a_version(any_server: EchoServer) -> None:
    """Issue 5: after the sign-in and before consent; what is accepted is not asked again, a new version is."""
    browser = Browser(any_server)
    any_server.terms = FIRST
    page = browser.log_in(browser.authorize())
    assert page.title == "Terms of use"
    assert 'href="https://acme.example/2026-01"' in page.text
    page = browser.post(page, {"action": "accept", "terms": "2026-01"})
    assert browser.allow(page).answer["user"] == "ada@acme.example"
    assert browser.authorize().answer["user"] == "ada@acme.example"
    any_server.terms = SECOND
    page = browser.authorize()
    assert page.title == "Terms of use"
    assert browser.post(page, {"action": "accept", "terms": "2026-02"}).answer["user"] == "ada@acme.example"
    rows = any_server.rows("SELECT * FROM terms_acceptances ORDER BY version")
    assert [(row.version, row.source) for row in rows] == [("2026-01", "192.0.2.1"), ("2026-02", "192.0.2.1")]
    events = any_server.events("terms.accepted")
    assert [event.details for event in events] == [{"version": "2026-01"}, {"version": "2026-02"}]
    with any_server.database.reading() as conn:
        listed = terms.accepted(conn, rows[0].user_id)
    assert {row.version for row in listed} == {"2026-01", "2026-02"}


def test_without_a_tick_nothing_is_accepted(any_server: EchoServer) -> None:
    """Issue 5: a form without the box, or with the box of another version, is asked again and writes nothing."""
    browser = Browser(any_server)
    any_server.terms = FIRST
    page = browser.log_in(browser.authorize())
    for fields in ({"terms": ""}, {"terms": "2025-12"}):
        answer = browser.post(page, {"action": "accept"} | fields)
        assert (answer.status, answer.title) == (400, "Terms of use")
    any_server.terms = SECOND
    # The form promised the former version: it is refused, not taken for the new one.
    assert browser.post(page, {"action": "accept"}).status == 403
    assert any_server.rows("SELECT * FROM terms_acceptances") == []


def test_declined(any_server: EchoServer) -> None:
    """RFC 6749 §4.1.2.1: the application is told access_denied, and the next sign-in asks again."""
    browser = Browser(any_server)
    any_server.terms = FIRST
    page = browser.log_in(browser.authorize(state="s"))
    answer = browser.post(page, {"action": "decline"}).answer
    assert (answer["error"], answer["state"]) == ("access_denied", "s")
    assert any_server.rows("SELECT * FROM terms_acceptances") == []
    assert browser.authorize().title == "Terms of use"


def test_no_page_is_allowed(server: EchoServer, browser: Browser) -> None:
    """OIDC Core §3.1.2.6: prompt=none with terms to accept is interaction_required."""
    browser.sign_in()
    server.terms = FIRST
    assert browser.authorize(prompt="none").answer["error"] == "interaction_required"


def test_no_terms_no_statement(server: EchoServer, browser: Browser) -> None:
    """Architecture §5: where a tenant has no terms the step asks no database."""
    browser.sign_in()
    asked: list[str] = []
    from idp.flow.terms import TERMS

    class Context:
        session = object()
        interaction = None

        class server:  # noqa: N801 - stands for one
            terms = None

            @property
            def database(self) -> object:
                asked.append("database")
                return server.database

    assert TERMS.is_needed(Context()) is False  # type: ignore[arg-type]
    assert asked == []


def test_the_language_of_the_text() -> None:
    """RFC 4647 §3.4: the text in the person's language, in a broader one, in the one for everybody, in English, in any."""
    made = Terms("1", {"de": "https://x/de", "pt-BR": "https://x/br", "": "https://x/all"})
    assert [made.url_for(tag) for tag in ("de", "de-AT", "pt-br", "pt", "fr")] == [
        "https://x/de",
        "https://x/de",
        "https://x/br",
        "https://x/all",
        "https://x/all",
    ]
    assert Terms("1", {"fr": "https://x/fr", "en": "https://x/en"}).url_for("ja") == "https://x/en"
    assert Terms("1", {"fr": "https://x/fr"}).url_for("ja") == "https://x/fr"


@pytest.mark.parametrize(
    ("version", "urls"),
    [
        ("", {"": "https://x.example/"}),
        ("a b", {"": "https://x.example/"}),
        ("x" * 65, {"": "https://x.example/"}),
        ("1", {}),
        ("1", {"": "http://x.example/"}),
        ("1", {"": "javascript:alert(1)"}),
        ("1", {"": "https://"}),
        ("1", {"": "https://u:p@x.example/"}),
        ("1", {"": 'https://x.example/"'}),
        ("1", {"": "https://x.example/\u202e"}),
        ("1", {"not a tag": "https://x.example/"}),
    ],
)
def test_what_cannot_be_terms(server: EchoServer, version: str, urls: dict[str, str]) -> None:
    """Issue 5: a version's name and the addresses of its text have one form; a sentence says what is wrong."""
    with pytest.raises(Invalid) as told:
        server.database.writing(lambda conn: terms.put_in_force(conn, version, urls, BY))
    assert told.value.title.endswith(".")
    assert server.rows("SELECT * FROM terms") == []


def test_one_version_is_in_force(any_server: EchoServer) -> None:
    """Issue 5: a version replaces the one before; a known one may come back; ending them leaves what was accepted."""
    database = any_server.database

    def put(version: str) -> None:
        database.writing(lambda conn: terms.put_in_force(conn, version, {"": f"https://x.example/{version}"}, BY))

    def current() -> str | None:
        with database.reading() as conn:
            found = terms.in_force(conn)
        return found.version if found is not None else None

    assert current() is None
    for version in ("a", "b", "a"):
        put(version)
        assert current() == version
    user = any_server.user("bob@acme.example")
    for _ in range(2):
        database.writing(lambda conn: terms.accept(conn, user, "a", source="::1", correlation_id="C"))
    assert len(any_server.events("terms.accepted")) == 1
    assert database.writing(lambda conn: terms.end(conn, BY)) is True
    assert database.writing(lambda conn: terms.end(conn, BY)) is False
    assert current() is None
    assert len(any_server.rows("SELECT * FROM terms_acceptances")) == 1
    accounts.delete_user(database, user, by=BY)
    assert any_server.rows("SELECT * FROM terms_acceptances") == []


def test_a_bookmark_of_the_page(server: EchoServer, browser: Browser) -> None:
    """Issue, must show: the page without a sign-in under way, or when there is nothing to accept, leads on."""
    assert browser.get(f"{BASE}/terms").title == "Sign in from an application"
    page = browser.authorize()
    assert browser.get(f"{BASE}/terms?interaction={page.interaction}").title == "Sign in"
    assert server.rows("SELECT * FROM terms_acceptances") == []
