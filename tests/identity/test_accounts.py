"""Accounts: what may be stored (OIDC Core §5.1), and what disabling, deleting and a new password end (ASVS 7.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from identity_world import BY, NEW_PASSWORD, PASSWORD, Server

from idp.errors import Conflict, Invalid, NotFound
from idp.identity import accounts, standard_claims
from idp.identity.authentication import Attempt, Refused, SignedIn, sign_in
from idp.store.tenant import consents, grants, role_bindings, sessions

FAR = 2**40


def with_session_and_grant(server: Server, user_id: str, name: str = "1") -> None:
    """A live session with an online and an offline grant."""

    def work(conn) -> None:
        sessions.create(
            conn, id=f"s{name}", cookie_hash=f"h{name}", user_id=user_id, auth_time=1, amr=["pwd"], acr="x", created_at=1,
            last_seen_at=1, idle_expires_at=FAR, expires_at=FAR,
        )  # fmt: skip
        for kind in (True, False):
            grants.create(
                conn, id=f"g{name}{kind}", client_id="c", user_id=user_id, session_id=f"s{name}", scope="openid", auth_time=1,
                amr=["pwd"], acr="x", is_offline=kind, created_at=1, expires_at=FAR,
            )  # fmt: skip
        consents.add(conn, user_id, f"c{name}", frozenset({"openid"}))

    server.database.writing(work)


def live(server: Server) -> tuple[list[str], list[str]]:
    """Ids of live sessions and of grants that stand."""
    found = server.rows("SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY id")
    stand = server.rows("SELECT id FROM grants WHERE revoked_at IS NULL ORDER BY id")
    return [row.id for row in found], [row.id for row in stand]


def signs_in(server: Server, password: str = PASSWORD, username: str = "ada@acme.example") -> bool:
    """Whether the password opens the account."""
    found = sign_in(server, Attempt(username, password, "192.0.2.1", "C" * 16), lambda _c, _u: None)
    assert isinstance(found, SignedIn | Refused)
    return isinstance(found, SignedIn)


def test_a_user_is_made_with_claims_roles_and_event(any_server: Server) -> None:
    """OIDC Core §5.1: standard claims, the address object and the verified flags come back as they were given."""
    claims: dict[str, Any] = {
        "given_name": "Ada",
        "family_name": "Lovelace",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "website": "https://ada.example/",
        "phone_number": "+44 20 7946 0000",
        "phone_number_verified": False,
        "address": {"formatted": "12 St James's Square\nLondon", "country": "GB"},
        "nickname": None,
    }
    user_id = any_server.user("Ada@ACME.example", claims={**claims, "email_verified": True}, roles=["admin", "admin"])
    user = accounts.find_user(any_server.database, " ada@acme.EXAMPLE")
    assert user.id == user_id
    assert user.username == "Ada@ACME.example"
    assert (user.email, user.email_verified) == ("Ada@acme.example", True)
    assert user.claims == {name: value for name, value in claims.items() if value is not None}
    with any_server.database.reading() as conn:
        assert role_bindings.roles_of(conn, user_id) == ["admin"]
    (event,) = any_server.events("user.created")
    assert (event.actor, event.subject) == ("operator", user_id)
    assert PASSWORD not in str(event)


@pytest.mark.parametrize(
    "spelling", ["ada@acme.example", "ADA@acme.example", " ada@ACME.example ", "ａda@acme.example"]
)
def test_a_spelling_of_a_taken_name_is_taken(any_server: Server, spelling: str) -> None:
    """S089: no second account under another spelling."""
    any_server.user()
    with pytest.raises(Conflict):
        any_server.user(spelling, email=None)
    assert len(any_server.rows("SELECT id FROM users")) == 1


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "a\u200bb", "a\u202eb", "x" * 255, "a\nb\x07", "\ud800"])
def test_names_that_would_deceive_are_refused(server: Server, name: str) -> None:
    """S089: invisible, control and direction characters make no name."""
    with pytest.raises(Invalid):
        server.user(name, email=None)


@pytest.mark.parametrize(
    "email", ["ada", "ada@", "@acme.example", "a b@acme.example", "ada@acme.example\x00", "ada@acme", "<x@y.example>"]
)
def test_an_address_must_be_one(server: Server, email: str) -> None:
    """OIDC Core §5.1 email: RFC 5322 addr-spec; nothing is asked of a name server."""
    with pytest.raises(Invalid):
        server.user("ada", email=email)


@pytest.mark.parametrize("name", sorted(standard_claims.RESERVED))
def test_reserved_claims_cannot_be_set(name: str) -> None:
    """OIDC Core §2, RFC 7519 §4.1: nobody's stored claims can speak for the token or the subject."""
    with pytest.raises(Invalid, match="cannot be set"):
        standard_claims.check({name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 7),
        ("name", ""),
        ("name", "x" * 1001),
        ("name", "a\x00b"),
        ("name", json.loads('"\\ud800"')),
        ("given_nmae", "Ada"),
        ("email_verified", "true"),
        ("phone_number_verified", 1),
        ("address", "12 St James's Square"),
        ("address", {}),
        ("address", {"street": "x"}),
        ("address", {"country": 1}),
        ("birthdate", "10.12.1815"),
        ("birthdate", "1815-13-01"),
        ("birthdate", "1815-12-10\n"),
        ("picture", "javascript:alert(1)"),
        ("website", "https://"),
        ("website", "https://user@evil.example/"),
        ("website", "https://[broken"),
        ("profile", "//evil.example"),
        ("zoneinfo", "Europe/../x y"),
        ("locale", "english please"),
        ("phone_number", "call me"),
        ("updated_at", 1),
    ],
)
def test_claims_of_another_form_are_refused_by_name(name: str, value: Any) -> None:
    """OIDC Core §5.1, §5.1.1: a value of the wrong type or form is refused, and the refusal names the claim."""
    with pytest.raises(Invalid, match=name):
        standard_claims.check({name: value})


@pytest.mark.parametrize("claims", [[], "x", 7, [["name", "x"]]])
def test_claims_are_an_object(claims: Any) -> None:
    """OIDC Core §5.1: claims are members of a JSON object."""
    with pytest.raises(Invalid):
        standard_claims.check(claims)


@pytest.mark.parametrize("role", ["Admin", "", "a b", "x" * 64, "../x"])
def test_a_role_has_a_plain_name(server: Server, role: str) -> None:
    """Access: a role's name is a small word; nothing is stored when one is not."""
    with pytest.raises(Invalid):
        server.user(roles=["admin", role])
    assert server.rows("SELECT id FROM users") == []


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_disabled_and_deleted_users_lose_sessions_and_grants_at_once(any_server: Server, change: str) -> None:
    """ASVS 7.4.2: sessions end, every grant is revoked, offline ones too; rows of grants stay for reuse detection."""
    user_id, other = any_server.user(), any_server.user("bob@acme.example")
    with_session_and_grant(any_server, user_id)
    with_session_and_grant(any_server, other, "2")
    getattr(accounts, f"{change}_user")(any_server.database, user_id, by=BY)
    assert live(any_server) == (["s2"], ["g2False", "g2True"])
    assert len(any_server.rows("SELECT id FROM grants")) == 4
    with any_server.database.reading() as conn:
        assert sessions.find_live(conn, "h1") is None
        assert sessions.find_live(conn, "h2") is not None
    assert not signs_in(any_server)
    (event,) = any_server.events(f"user.{change}d")
    assert (event.subject, event.details) == (user_id, {"sessions_ended": 1})


def test_enabling_lets_in_again_and_revives_nothing(any_server: Server) -> None:
    """ASVS 7.4.2: what was ended by disabling stays ended."""
    user_id = any_server.user()
    with_session_and_grant(any_server, user_id)
    accounts.disable_user(any_server.database, user_id, by=BY)
    accounts.enable_user(any_server.database, user_id, by=BY)
    assert live(any_server) == ([], [])
    assert signs_in(any_server)


def test_deleting_takes_consents_and_roles_along(server: Server) -> None:
    """A name used again is a new person: nothing of the old one is left to inherit."""
    user_id = server.user(roles=["admin"])
    with_session_and_grant(server, user_id)
    accounts.delete_user(server.database, user_id, by=BY)
    assert server.rows("SELECT * FROM consents") == []
    assert server.rows("SELECT * FROM role_bindings") == []
    assert server.user() != user_id


@pytest.mark.parametrize("ends", [True, False])
def test_a_new_password_ends_the_other_sessions_by_policy(any_server: Server, ends: bool) -> None:
    """ASVS 7.4.3: with the default the person's own session goes on, others and their grants end; a tenant may choose not to."""
    server = any_server.with_settings(password_change_ends_sessions=ends)
    user_id = server.user(must_change=True)
    with_session_and_grant(server, user_id)
    with_session_and_grant(server, user_id, "2")
    user = accounts.find_user(server.database, "ada@acme.example")
    accounts.set_password(
        server.database, server.services.hasher, server.tenant, user, NEW_PASSWORD, by=BY, keep_session="s1"
    )
    assert live(server)[0] == (["s1"] if ends else ["s1", "s2"])
    assert live(server)[1] == (["g1False", "g1True"] if ends else ["g1False", "g1True", "g2False", "g2True"])
    assert not accounts.find_user(server.database, "ada@acme.example").must_change_password
    assert not signs_in(server, PASSWORD)
    assert signs_in(server, NEW_PASSWORD)
    assert NEW_PASSWORD not in str(server.rows("SELECT * FROM audit_events"))


def test_a_password_against_the_rules_changes_nothing(server: Server) -> None:
    """SP 800-63B-4 §3.1.1.2: a short password, or one that is the name, is refused when set by anybody."""
    with pytest.raises(Invalid):
        server.user(password="short")
    server.user()
    user = accounts.find_user(server.database, "ada@acme.example")
    for bad in ("short", "ada@acme.example", "x" * 129, "z" * 20):
        with pytest.raises(Invalid):
            accounts.set_password(server.database, server.services.hasher, server.tenant, user, bad, by=BY)
    assert signs_in(server)


def test_changes_to_nobody_are_not_found(any_server: Server) -> None:
    """A user that does not exist, or another tenant's: not found, and no event."""
    for change in (accounts.disable_user, accounts.enable_user, accounts.delete_user):
        with pytest.raises(NotFound):
            change(any_server.database, "f" * 32, by=BY)
    for name in ("nobody", "", "\x00", "x" * 10_000):
        with pytest.raises(NotFound):
            accounts.find_user(any_server.database, name)
    assert any_server.rows("SELECT * FROM audit_events") == []
