"""`idp tenant`, `idp user` and `idp client`, many in one process (interfaces.md §2)."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from command import PASSWORD

from idp.cli import pictures
from idp.cli.opening import opened_tenant
from idp.identity import lockout
from idp.identity.accounts import fold
from idp.store.tenant import attempts
from idp.store.tenant.outbox import outbox

if TYPE_CHECKING:
    from command import Idp

    from idp.store.rows import Connection

WEB = {"redirect_uris": ["https://acme.example/callback"], "client_name": "Acme web"}


def _events(idp: Idp, tenant: str, kind: str) -> list[tuple[Any, ...]]:
    tenant_id = idp("tenant", "show", tenant, "--json").json["id"]
    connection = sqlite3.connect(idp.folder / "tenants" / f"{tenant_id}.db")
    try:
        return connection.execute(
            "SELECT actor, client_id, subject, details FROM audit_events WHERE kind = ?", (kind,)
        ).fetchall()
    finally:
        connection.close()


def _stored(idp: Idp, tenant: str, query: str) -> list[tuple[Any, ...]]:
    tenant_id = idp("tenant", "show", tenant, "--json").json["id"]
    connection = sqlite3.connect(idp.folder / "tenants" / f"{tenant_id}.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# -- tenants ----------------------------------------------------------------------------------------------------------


def test_a_tenant_is_made_shown_and_listed(idp: Idp) -> None:
    """Interfaces §4: the issuer is a path below the public address, or the tenant's own domain."""
    made = idp("tenant", "create", "globex", "--name", "Globex", "--domain", "login.globex.example", "--json").json
    assert made["issuer"] == "https://login.globex.example"
    assert made["domains"] == ["login.globex.example"]
    assert idp("tenant", "show", "acme", "--json").json["issuer"] == f"{idp.environ['IDP_PUBLIC_URL']}/t/acme"
    shown = idp("tenant", "show", "acme").out
    assert "allowed_client_profiles" in shown
    assert "Life of an authorization code." in shown
    assert "globex" in idp("tenant", "list").out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["create", "acme", "--name", "Again"], "already"),
        (["create", "Not_A_Slug", "--name", "X"], "slug"),
        (["create", "x", "--name", "X", "--domain", "no domain"], "domain"),
        (["create", "x", "--name", " "], "name"),
        (["show", "nope"], "idp tenant list"),
        (["set", "acme", "frob=1"], "frob"),
        (["set", "acme", "access_token_lifetime=ages"], "access_token_lifetime"),
        (["set", "acme", "allowed_client_profiles=oidc"], "default_client_profile"),
        (["suspend", "system"], "system"),
        (["delete", "system", "--yes", "system"], "system"),
        (["delete", "acme", "--yes", "globex"], "nothing was done"),
        (["delete", "acme"], "--yes acme"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_sentence(idp: Idp, arguments: list[str], word: str) -> None:
    """Interfaces §2: exit status 1 and a sentence that says what to do; nothing changes."""
    before = idp("tenant", "list").out
    ran = idp("tenant", *arguments)
    assert ran.status == 1
    assert word in ran.sentence
    assert idp("tenant", "list").out == before


def test_settings_are_changed_and_restored_by_name(idp: Idp) -> None:
    """Interfaces §2, tenant set: several at once, all or none; an empty value is the default."""
    changed = idp(
        "tenant", "set", "acme", "allowed_client_profiles=strict,oidc", "rate_limits=off", "name=Acme Inc", "--json"
    ).json
    assert changed["settings"]["allowed_client_profiles"] == ["strict", "oidc"]
    assert (changed["settings"]["rate_limits"], changed["name"]) == ("off", "Acme Inc")
    assert idp("tenant", "set", "acme", "rate_limits=on", "id_token_lifetime=1").status == 1
    assert idp("tenant", "show", "acme", "--json").json["settings"]["rate_limits"] == "off"
    assert idp("tenant", "set", "acme", "rate_limits=", "--json").json["settings"]["rate_limits"] == "on"


def test_the_issuer_moves_only_after_saying_what_breaks(idp: Idp) -> None:
    """Interfaces §4, set-issuer: lists what breaks, then does it; the way back is `default`."""
    idp.client("acme", client_id="acme-web", **WEB)
    asked = idp("tenant", "set-issuer", "acme", "login.acme.example")
    assert asked.status == 1
    assert "acme-web" in asked.err
    assert "--yes acme" in asked.sentence
    moved = idp("tenant", "set-issuer", "acme", "login.acme.example", "--yes", "acme", "--json").json
    assert moved["issuer"] == "https://login.acme.example"
    assert "another tenant" in idp("tenant", "set-issuer", "demo", "login.acme.example", "--yes", "demo").sentence
    back = idp("tenant", "set-issuer", "acme", "default", "--yes", "acme", "--json").json
    assert back["issuer"].endswith("/t/acme")


def test_what_is_done_to_a_tenant_is_in_its_log(idp: Idp) -> None:
    """Issue 3 Build 7: each operation leaves an event; a deletion leaves it with the platform, for the log goes too."""
    idp("tenant", "set", "acme", "rate_limits=off")
    idp("tenant", "suspend", "acme")
    idp("tenant", "resume", "acme")
    idp("tenant", "set-issuer", "acme", "login.acme.example", "--yes", "acme")
    for kind in ("created", "settings_changed", "suspended", "resumed", "issuer_changed"):
        assert [event[0] for event in _events(idp, "acme", f"tenant.{kind}")] == ["operator"], kind
    idp("tenant", "delete", "acme", "--yes", "acme")
    (event,) = _events(idp, "system", "tenant.deleted")
    assert json.loads(event[3])["slug"] == "acme"


# -- users ------------------------------------------------------------------------------------------------------------


def test_a_user_is_made_with_password_roles_and_claims(idp: Idp) -> None:
    """Interfaces §2, user create: the e-mail counts as verified; what is stored of the password is an argon2id hash."""
    made = idp(
        *("user", "create", "acme", "Ada@Example.com", "--name", "Ada Lovelace", "--password-stdin", "--must-change"),
        *("--role", "tenant-admin", "--role", "auditor", "--claims", '{"given_name": "Ada"}', "--json"),
        given=PASSWORD + "\n",
    ).json
    assert made["email_verified"]
    assert made["must_change_password"]
    assert made["roles"] == ["auditor", "tenant-admin"]
    assert made["claims"] == {"name": "Ada Lovelace", "given_name": "Ada"}
    ((stored,),) = _stored(idp, "acme", "SELECT password_hash FROM users")
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in idp("user", "show", "acme", "ada@example.com").out
    (event,) = _events(idp, "acme", "user.created")
    assert event[0] == "operator"


def test_one_trailing_newline_is_not_part_of_the_password(idp: Idp) -> None:
    """Interfaces §2: exactly one newline is taken off; spaces and further newlines are the person's."""
    from idp.identity.passwords import Hasher
    from idp.settings import Settings

    idp("user", "create", "acme", "a@example.com", "--password-stdin", given=f" {PASSWORD} \n\n")
    ((stored,),) = _stored(idp, "acme", "SELECT password_hash FROM users")
    hasher = Hasher(Settings.from_env(idp.environ))
    assert hasher.verify(stored, f" {PASSWORD} \n")[0]
    assert not hasher.verify(stored, PASSWORD)[0]


@pytest.mark.parametrize(
    ("arguments", "given", "word"),
    [
        (["create", "acme", "not an address"], "", "email"),
        (["create", "acme", "b@example.com", "--password-stdin"], "short\n", "15 characters"),
        (["create", "acme", "b@example.com", "--password-stdin"], "", "15 characters"),
        (["create", "acme", "b@example.com", "--role", "Bad Role"], "", "role"),
        (["create", "acme", "b@example.com", "--claims", "[1]"], "", "--claims"),
        (["create", "acme", "b@example.com", "--claims", '{"iss": "x"}'], "", "iss"),
        (["create", "nope", "b@example.com"], "", "idp tenant list"),
        (["disable", "acme", "nobody@example.com"], "", "no user"),
        (["delete", "acme", "nobody@example.com"], "", "no user"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_user_that_cannot_be_is_refused(idp: Idp, arguments: list[str], given: str, word: str) -> None:
    """Interfaces §2: the password policy and the forms apply to operators too."""
    ran = idp("user", *arguments, given=given)
    assert ran.status == 1
    assert word in ran.sentence
    assert idp("user", "list", "acme", "--json").json == []


def test_users_are_disabled_enabled_and_deleted(idp: Idp) -> None:
    """Interfaces §2: each leaves its event; a user is found by any spelling of the name, or by id."""
    made = idp("user", "create", "acme", "ada@example.com", "--json").json
    assert idp("user", "disable", "acme", "ADA@example.com", "--json").json["state"] == "disabled"
    assert idp("user", "enable", "acme", made["id"], "--json").json["state"] == "active"
    assert idp("user", "set-password", "acme", "ada@example.com", "--password-stdin", given=PASSWORD).status == 0
    assert idp("user", "show", "acme", "ada@example.com", "--json").json["has_password"]
    assert idp("user", "delete", "acme", "ada@example.com").status == 1
    assert idp("user", "delete", "acme", "ada@example.com", "--yes", "ada@example.com").status == 0
    assert idp("user", "list", "acme", "--json").json == []
    for kind in ("user.disabled", "user.enabled", "user.password_changed", "user.deleted"):
        assert [event[0] for event in _events(idp, "acme", kind)] == ["operator"], kind


@pytest.mark.parametrize(
    ("claims", "default", "language"), [({}, "de", "de"), ({"locale": "en-GB"}, "de", "en-GB"), ({}, "en", "en")]
)
def test_a_password_that_an_operator_sets_is_told(
    idp: Idp, claims: dict[str, str], default: str, language: str
) -> None:
    """ASVS 5.0 §6.3.7: the owner is told by mail, in the account's language or the tenant's; who is disabled is told nothing."""
    idp("tenant", "set", "acme", f"default_language={default}")
    idp("user", "create", "acme", "ada@example.com", "--claims", json.dumps(claims))

    def set_password() -> int:
        return idp("user", "set-password", "acme", "ada@example.com", "--password-stdin", given=PASSWORD).status

    assert set_password() == 0
    (mail,) = _mails("acme")
    assert (mail["template"], mail["to"], mail["language"]) == ("notice", "ada@example.com", language)
    assert mail["context"]["what"] == "password_set"
    assert PASSWORD not in str(mail)
    assert idp("user", "set-password", "acme", "ada@example.com", "--password-stdin", given="short").status == 1
    idp("user", "disable", "acme", "ada@example.com")
    assert set_password() == 0
    assert [mail["context"]["what"] for mail in _mails("acme")] == ["password_set", "account_disabled"]


def test_what_an_operator_does_to_an_account_is_told(idp: Idp) -> None:
    """ASVS 5.0 §6.3.7: each move of an account brings its owner one mail, a command that changes nothing brings none."""
    idp("user", "create", "acme", "ada@example.com", "--claims", json.dumps({"locale": "de"}))
    told: list[str] = []
    for what, arguments in (
        ("account_disabled", ("disable", "acme", "ada@example.com")),
        (None, ("disable", "acme", "ada@example.com")),
        ("account_enabled", ("enable", "acme", "ada@example.com")),
        (None, ("enable", "acme", "ada@example.com")),
        (None, ("unlock", "acme", "ada@example.com")),
        ("account_unlocked", ("unlock", "acme", "ada@example.com")),
        ("account_removed", ("delete", "acme", "ada@example.com", "--keep")),
        ("account_restored", ("restore", "acme", "ada@example.com")),
        ("account_disabled", ("disable", "acme", "ada@example.com")),
        ("account_removed", ("delete", "acme", "ada@example.com", "--yes", "ada@example.com")),
    ):
        if what == "account_unlocked":
            _lock("acme", "ada@example.com")
        assert idp("user", *arguments).status == 0, arguments
        told += [what] if what else []
        found = _mails("acme")
        assert [mail["context"]["what"] for mail in found] == told, arguments
    assert {(mail["template"], mail["to"], mail["language"]) for mail in found} == {("notice", "ada@example.com", "de")}
    assert {(mail["context"]["source"], mail["context"]["user_agent"]) for mail in found} == {(None, "")}


def test_a_deletion_is_told_once(idp: Idp) -> None:
    """ASVS 5.0 §6.3.7: who was told when the account was deleted and kept is not told when it is removed, nor who was only invited."""
    idp("user", "create", "acme", "ada@example.com")
    idp("user", "delete", "acme", "ada@example.com", "--keep")
    idp("user", "delete", "acme", "ada@example.com", "--yes", "ada@example.com")
    assert [mail["context"]["what"] for mail in _mails("acme")] == ["account_removed"]
    idp("user", "invite", "acme", "grace@example.com")
    idp("user", "delete", "acme", "grace@example.com", "--yes", "grace@example.com")
    assert [mail["template"] for mail in _mails("acme")] == ["notice", "invitation"]


def _mails(tenant: str) -> list[dict[str, Any]]:
    """What waits to be mailed, the oldest first."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        found = conn.execute(outbox.select().where(outbox.c.kind == "mail").order_by(outbox.c.id)).all()
        return [place.installation.services.mailer.opened(place.tenant, row.payload) for row in found]


def _lock(tenant: str, username: str) -> None:
    with opened_tenant(tenant) as place:
        settings = place.tenant.settings

        def count(conn: Connection) -> None:
            for _ in range(settings.account_attempts):
                attempts.count_one(conn, lockout.account(fold(username)), settings.attempts_window)

        place.database.writing(count)


# -- clients ----------------------------------------------------------------------------------------------------------


def test_a_client_is_registered_as_rfc_7591_says(idp: Idp) -> None:
    """RFC 7591 §3.2.1: all registered metadata, client_id, the secret once, when it was issued and that it does not expire."""
    made = idp.client("acme", **WEB)
    assert made["redirect_uris"] == WEB["redirect_uris"]
    assert made["client_secret"].startswith("cs_")
    assert made["client_secret_expires_at"] == 0
    assert made["client_id_issued_at"] > 1_700_000_000
    assert made["client_profile"] == "strict"
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    shown = idp("client", "show", "acme", made["client_id"], "--json").json
    assert "client_secret" not in shown
    assert made["client_secret"] not in json.dumps(_stored(idp, "acme", "SELECT * FROM clients"))
    assert [event[1] for event in _events(idp, "acme", "client.created")] == [made["client_id"]]


def test_a_given_id_and_secret_are_honoured(idp: Idp) -> None:
    """Interfaces §2, client create: "client_id" and "client_secret" if wanted."""
    secret = "replace-me-with-43-random-characters-0123456"
    made = idp.client("acme", client_id="acme-web", client_secret=secret, **WEB)
    assert (made["client_id"], made["client_secret"]) == ("acme-web", secret)
    again = idp("client", "create", "acme", given=json.dumps({"client_id": "acme-web", **WEB}))
    assert "already" in again.sentence


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"client_id": "0123456789abcdef0123456789ABCDEF"}, "id of a user"),
        ({"client_id": "01234567-89ab-cdef-0123-456789abcdef"}, "id of a user"),
        ({"client_id": "two words"}, "client_id"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "x" * 129}, "client_id"),
        ({"client_id": ["x"]}, "client_id"),
        ({"client_secret": "short"}, "client_secret"),
        ({"client_secret": "with a space in it, but long"}, "client_secret"),
        ({"client_secret": "x" * 40, "token_endpoint_auth_method": "none"}, "client_secret"),
        ({"client_profile": "oidc"}, "idp tenant set acme allowed_client_profiles"),
        ({"client_profile": "lax"}, "client_profile"),
        ({"redirect_uris": ["http://*.example.com/"]}, "redirect_uris"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"grant_types": ["password"]}, "grant_types"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_metadata_that_cannot_be_registered(idp: Idp, metadata: dict[str, Any], word: str) -> None:
    """RFC 7591 §3.2.2, RFC 9700 §4.15 (a client must not pass for a user): one sentence, no client."""
    ran = idp("client", "create", "acme", given=json.dumps({**WEB, **metadata}))
    assert ran.status == 1
    assert word in ran.sentence
    assert idp("client", "list", "acme", "--json").json == []


@pytest.mark.parametrize(
    "given", ["", "no json", "[]", "{", '"text"', '{"a": NaN}', "[" * 5000], ids=lambda text: text[:8]
)
def test_standard_input_that_is_no_metadata(idp: Idp, given: str) -> None:
    """Interfaces §2: hostile or empty input is one sentence."""
    ran = idp("client", "create", "acme", given=given)
    assert ran.status == 1
    assert "JSON object" in ran.sentence


def test_metadata_is_merged(idp: Idp) -> None:
    """Interfaces §2, client update: what is given changes, null removes, the rest stays; the secret stays too."""
    made = idp.client("acme", client_id="acme-web", policy_uri="https://acme.example/privacy", **WEB)
    changes = {"redirect_uris": ["https://acme.example/new"], "policy_uri": None}
    changed = idp("client", "update", "acme", "acme-web", "--json", given=json.dumps(changes)).json
    assert changed["redirect_uris"] == ["https://acme.example/new"]
    assert "policy_uri" not in changed
    assert changed["client_name"] == "Acme web"
    assert "client_secret" not in changed
    (event,) = _events(idp, "acme", "client.updated")
    assert json.loads(event[3]) == {"members": ["policy_uri", "redirect_uris"]}
    before = _stored(idp, "acme", "SELECT secret_hash FROM clients")
    for wrong in ({"client_id": "other"}, {"client_secret": "x" * 40}, {"redirect_uris": ["javascript:alert(1)"]}):
        assert idp("client", "update", "acme", "acme-web", given=json.dumps(wrong)).status == 1
    assert _stored(idp, "acme", "SELECT secret_hash FROM clients") == before
    assert idp("client", "update", "acme", "nope", given="{}").status == 1
    assert made["client_secret"]


def test_a_change_of_method_makes_and_forgets_the_secret(idp: Idp) -> None:
    """RFC 7591 §2: a public client has no secret; one that becomes confidential is given one, once."""
    idp.client("acme", client_id="app", token_endpoint_auth_method="none", **WEB)
    assert _stored(idp, "acme", "SELECT secret_hash FROM clients") == [(None,)]
    assert "secret" in idp("client", "rotate-secret", "acme", "app").sentence
    changed = idp(
        "client", "update", "acme", "app", "--json", given='{"token_endpoint_auth_method": "client_secret_post"}'
    ).json
    assert changed["client_secret"]
    assert changed["client_secret_expires_at"] == 0
    idp("client", "update", "acme", "app", given='{"token_endpoint_auth_method": "none"}')
    assert _stored(idp, "acme", "SELECT secret_hash FROM clients") == [(None,)]


def test_a_profile_that_the_tenant_allows(idp: Idp) -> None:
    """Interfaces §2, `client_profile`: only where the tenant allows it."""
    idp("tenant", "set", "acme", "allowed_client_profiles=strict,oidc")
    assert idp.client("acme", client_profile="oidc", **WEB)["client_profile"] == "oidc"


def test_a_client_is_deleted_for_good(idp: Idp) -> None:
    """Interfaces §2: asked for once more; then there is no such client."""
    idp.client("acme", client_id="acme-web", **WEB)
    assert "--yes acme-web" in idp("client", "delete", "acme", "acme-web").sentence
    assert idp("client", "delete", "acme", "acme-web", "--yes", "acme-web").status == 0
    assert "idp client list acme" in idp("client", "show", "acme", "acme-web").sentence
    assert [event[1] for event in _events(idp, "acme", "client.deleted")] == ["acme-web"]


def test_another_tenants_client_is_not_there(idp: Idp) -> None:
    """Architecture §1: a tenant's clients are in its own database."""
    idp.client("acme", client_id="acme-web", **WEB)
    assert idp("client", "show", "demo", "acme-web").status == 1
    assert idp("client", "disable", "demo", "acme-web").status == 1
    assert idp("client", "show", "acme", "acme-web", "--json").json["state"] == "active"


def test_control_characters_do_not_reach_the_terminal(idp: Idp) -> None:
    """Security §2: what somebody else stored is shown, never obeyed."""
    idp.client("acme", client_id="acme-web", **WEB)
    tenant_id = idp("tenant", "show", "acme", "--json").json["id"]
    with sqlite3.connect(idp.folder / "tenants" / f"{tenant_id}.db") as connection:
        connection.execute("""UPDATE clients SET metadata = json_set(metadata, '$.client_name', char(27) || '[2J')""")
    connection.close()
    assert "\x1b" not in idp("client", "list", "acme").out


# -- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_kept_shown_and_taken_away(idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, idp tenant logo: what stands on standard input is checked, kept and named by its setting; anything else is one sentence."""
    body = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
        + (40).to_bytes(4, "big") * 2
        + b"\x08\x02\x00\x00\x00"
        + bytes(8)
        + b"IDAT"
        + bytes(8)
        + b"IEND\xaeB`\x82"
    )
    monkeypatch.setattr(pictures, "from_input", lambda: body)  # the command takes text on its input here
    kept = idp("tenant", "logo", "acme", "--kind", "favicon", "--json").json
    assert kept["url"].startswith(f"{idp.environ['IDP_PUBLIC_URL']}/t/acme/brand/favicon?v=")
    assert idp("tenant", "show", "acme", "--json").json["settings"]["favicon_url"] in kept["url"]
    assert _stored(idp, "acme", "SELECT kind, media_type, body FROM assets") == [("favicon", "image/png", body)]
    assert len(_events(idp, "acme", "tenant.picture_changed")) == 1
    gone = idp("tenant", "logo", "acme", "--kind", "favicon", "--remove", "--json").json
    assert gone["url"] == ""
    assert _stored(idp, "acme", "SELECT kind FROM assets") == []


def test_what_is_no_picture_is_not_kept(idp: Idp) -> None:
    """ASVS 5.2.2, idp tenant logo: an SVG is refused in a sentence, and nothing is shown."""
    ran = idp("tenant", "logo", "acme", given="<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert ran.status == 1
    assert "PNG, JPEG or WebP" in ran.sentence
    assert idp("tenant", "show", "acme", "--json").json["settings"]["logo_url"] == ""
