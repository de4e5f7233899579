"""`idp mail`: what an operator sees and decides about a tenant's mails (issue 5)."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from certificates import Authority
from cryptography.fernet import Fernet
from mail_server import MailServer

from idp.installation import Installation
from idp.keys.envelope import Envelope
from idp.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from command import Idp

URL = "smtp://relay:planted-password@127.0.0.1:2525"


def events(idp: Idp, kind: str) -> list[Any]:
    """The details of the tenant's events of a kind."""
    installation = Installation(Settings.from_env(idp.environ), "test")
    tenant = installation.provisioning.find("acme")
    installation.close()
    with sqlite3.connect(tenant.database_url.removeprefix("sqlite:///")) as line:
        found = line.execute("SELECT details FROM audit_events WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    line.close()
    return [json.loads(details) for (details,) in found]


def test_listed_and_previewed(idp: Idp) -> None:
    """Issue 5, mail: every mail can be looked at, with sample values, as text and as HTML, on the terminal or in a file."""
    names = [each["name"] for each in idp("mail", "list", "acme", "--json").json]
    assert {"test", "notice"} <= set(names)
    for name in names:
        document = idp("mail", "preview", "acme", name, "--json").json
        assert document["subject"]
        assert document["html"].startswith("<!doctype html>")
        assert document["from"] == "no-reply@localhost"
    shown = idp("mail", "preview", "acme", "notice").out
    assert "Subject: A change to your account at Acme" in shown
    assert idp("mail", "preview", "acme", "notice", "--text").out.startswith("The password")
    file = idp.folder / "notice.html"
    assert idp("mail", "preview", "acme", "notice", "--html", "--out", str(file)).status == 0
    assert file.read_text().startswith("<!doctype html>")
    assert "notice" in idp("mail", "preview", "acme", "nothing").sentence
    assert idp("mail", "preview", "acme", "notice", "--language", "../x").status == 2


def test_worded_and_reset(idp: Idp) -> None:
    """Issue 5, mail: a wording is tried before it is kept, shows in the preview of its language, and can be taken back."""
    assert (
        idp("mail", "set", "acme", "notice", "--part", "text", "--language", "de", given="Hallo {{ source }}").status
        == 0
    )
    assert "Hallo 203.0.113.7" in idp("mail", "preview", "acme", "notice", "--language", "de").out
    assert "Hallo" not in idp("mail", "preview", "acme", "notice").out
    assert idp("mail", "list", "acme", "--json").json[1]["own"] == [{"language": "de", "part": "text"}]
    assert "text (de)" in idp("mail", "list", "acme").out
    for wrong in ("{{ nobody }}", "{% for x in y %}", "", "{{ ''.__class__ }}"):
        assert idp("mail", "set", "acme", "notice", "--part", "text", "--language", "de", given=wrong).sentence
    assert "Hallo 203.0.113.7" in idp("mail", "preview", "acme", "notice", "--language", "de").out
    assert "one line" in idp("mail", "set", "acme", "notice", "--part", "subject", given="a\nb").sentence
    assert idp("mail", "reset", "acme", "notice", "--json").json == {"name": "notice", "forgotten": 1}
    assert "Hallo" not in idp("mail", "preview", "acme", "notice", "--language", "de").out
    assert idp("mail", "reset", "acme", "notice").out == "There was no such wording.\n"
    assert events(idp, "mail.wording_changed") == [{"mail": "notice", "part": "text", "language": "de"}]


def test_the_other_part_is_spoken_of(idp: Idp) -> None:
    """Issue 5, mail: who words one of text and HTML is told that the other says something else."""
    assert "html part still says" in idp("mail", "set", "acme", "notice", "--part", "text", given="Hi").err
    assert "still" not in idp("mail", "set", "acme", "notice", "--part", "html", given="<p>Hi</p>").err


def test_a_server_of_its_own(idp: Idp) -> None:
    """Issue 5, mail; S118: given on standard input, kept sealed, never shown; one inside only where the operator allows it."""
    assert "private" in idp("mail", "smtp", "acme", "--url-stdin", given=URL).sentence
    idp.environ["IDP_ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1"
    import os

    os.environ["IDP_ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1"
    try:
        ran = idp("mail", "smtp", "acme", "--url-stdin", given=URL + "\n")
        assert ran.status == 0
        assert "smtp://127.0.0.1:2525" in ran.out
        shown = idp("mail", "smtp", "acme", "--json")
        assert shown.json == {"server": "smtp://127.0.0.1:2525", "is_own": True}
        kept = b"".join(path.read_bytes() for path in idp.folder.rglob("*") if path.is_file())
        assert b"planted" not in kept
        assert "planted" not in ran.out + ran.err + shown.out
        assert idp("mail", "smtp", "acme", "--remove", "--json").json == {"server": None, "is_own": False}
        assert idp("mail", "smtp", "acme", "--url-stdin", given="http://x").sentence
        assert idp("mail", "smtp", "acme", "--url-stdin", "--remove", given=URL).status == 2
        assert events(idp, "mail.server_changed") == [{"server": "smtp://127.0.0.1:2525"}, {"server": None}]
    finally:
        del os.environ["IDP_ALLOWED_PRIVATE_HOSTS"]


def test_one_is_sent_to_try(idp: Idp) -> None:
    """Issue 5, mail: `idp mail test` goes the way of every mail and says what became of it."""
    ran = idp("mail", "test", "acme", "ada@example.com", "--json")
    assert ran.json["state"] == "delivered"
    assert ran.json["outcome"] == "written to a file"
    (file,) = (idp.folder / "outbox").iterdir()
    assert b"To: ada@example.com" in file.read_bytes()
    assert "not an address" in idp("mail", "test", "acme", "ada").sentence
    idp("tenant", "suspend", "acme")
    assert "resume" in idp("mail", "test", "acme", "ada@example.com").sentence


def test_one_that_does_not_go(idp: Idp, monkeypatch: Any) -> None:
    """Issue 5, mail: exit status 1 and the trouble in one sentence, with where to read more."""
    monkeypatch.setenv("IDP_SMTP_URL", "smtp://127.0.0.1:1")
    sentence = idp("mail", "test", "acme", "ada@example.com").sentence
    assert "no connection to the mail server" in sentence
    assert "tried again" in sentence
    assert "idp outbox show acme" in sentence


def said(idp: Idp, text: str) -> dict[str, Any]:
    """What the doctor finds that has a text in it."""
    found = [each for each in json.loads(idp("doctor", "--json").out) if text in each["what"]]
    assert len(found) == 1, found
    return found[0]


def test_the_doctor_speaks_of_mail(idp: Idp, monkeypatch: Any) -> None:
    """Issue 5, mail: the doctor says where mails go, and in production that there is no server."""
    assert "mails are written to" in idp("doctor").out
    monkeypatch.setenv("IDP_SMTP_URL", "smtp://user@mail.example.com")
    assert "IDP_SMTP_URL cannot be used" in idp("doctor").out
    monkeypatch.setenv("IDP_SMTP_URL", "")
    monkeypatch.setenv("IDP_ENV", "production")
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://login.example.com")
    assert "there is no mail server" in idp("doctor").out


def test_the_doctor_tries_the_mail_server(idp: Idp, monkeypatch: Any) -> None:
    """Issue 5, mail: it is greeted and told who sends, nothing is sent; what keeps it from taking mails is an error with its fix."""
    with MailServer(wants_login=True) as server:
        monkeypatch.setenv("IDP_SMTP_URL", server.url_with_login)
        assert said(idp, f"mails go through {server.url}")["level"] == "ok"
        assert server.logins
        assert idp("doctor").status == 0
        monkeypatch.setenv("IDP_SMTP_URL", server.url.replace("://", "://relay:planted-password@"))
        found = said(idp, "does not accept user and password")
        assert found["level"] == "error"
        assert "IDP_SMTP_URL" in found["fix"]
        ran = idp("doctor")
        assert ran.status == 1
        assert "planted" not in ran.out + ran.err
        assert server.mails == []
        assert server.commands == [], "no sender was named"
    monkeypatch.setenv("IDP_SMTP_URL", server.url)
    assert said(idp, f"mails do not go through {server.url}")["level"] == "error"
    assert idp("doctor").status == 1


def test_the_doctor_tries_the_servers_of_tenants(idp: Idp, monkeypatch: Any, tmp_path: Path) -> None:
    """Issue 5, mail: a tenant's own server too: one that is away, encrypts with a certificate nobody trusts, or may not be reached."""
    monkeypatch.setenv("IDP_ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    assert idp("tenant", "create", "globex", "--name", "Globex").status == 0
    assert "of their own" not in idp("doctor").out

    def use(tenant: str, url: str) -> None:
        assert idp("mail", "smtp", tenant, "--url-stdin", given=url).status == 0

    with MailServer(wants_login=True) as server:
        for tenant in ("acme", "globex"):
            use(tenant, server.url_with_login)
        assert said(idp, "2 tenants have of their own")["level"] == "ok"
        assert len(server.logins) == 1, "one address is asked once"
        assert idp("doctor").status == 0
        use("globex", server.url)  # it is greeted, and would want a login only when a sender is named
        assert said(idp, "2 tenants have of their own")["level"] == "ok"
        monkeypatch.delenv("IDP_ALLOWED_PRIVATE_HOSTS")
        assert "private" in said(idp, f"mails of tenant acme do not go through {server.url}")["what"]
        monkeypatch.setenv("IDP_ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
        assert server.mails == []
    found = said(idp, f"mails of tenant acme do not go through {server.url}")
    assert found["level"] == "error"
    assert "no connection" in found["what"]
    assert found["fix"].startswith("correct it with `idp mail smtp acme --url-stdin`")
    assert said(idp, f"mails of tenant globex do not go through {server.url}")["level"] == "error"
    assert idp("doctor").status == 1
    with MailServer(certificate=Authority(tmp_path).issue("127.0.0.1"), is_implicit=True) as server:
        use("acme", server.url)
        assert "certificate is not trusted" in said(idp, "mails of tenant acme")["what"]
    for tenant in ("acme", "globex"):
        assert idp("mail", "smtp", tenant, "--remove").status == 0
    assert idp("doctor").status == 0


def test_the_doctor_cannot_read_a_server(idp: Idp, monkeypatch: Any) -> None:
    """S118, issue 5: a server that was sealed under another master key is named with both ways out."""
    monkeypatch.setenv("IDP_ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    assert idp("mail", "smtp", "acme", "--url-stdin", given=URL).status == 0
    sealed = json.dumps(Envelope([Fernet.generate_key().decode()]).seal(URL.encode(), "x"))
    for path in (idp.folder / "tenants").glob("*.db"):
        with sqlite3.connect(path) as line:
            line.execute("UPDATE tenant_state SET value = ? WHERE name = 'smtp_url'", (sealed,))
        line.close()
    found = said(idp, "the mail server of tenant acme is sealed under another master key")
    assert found["level"] == "error"
    assert "idp mail smtp acme --url-stdin" in found["fix"]


def test_settings_of_senders(idp: Idp) -> None:
    """Issue 5, mail; CWE-93: sender, name and address for answers are a tenant's settings, each checked."""
    assert (
        idp("tenant", "set", "acme", "mail_from=post@acme.example", "mail_from_name=Acme", "mail_reply_to=").status == 0
    )
    document = idp("mail", "preview", "acme", "test", "--json").json
    assert (document["from"], document["from_name"]) == ("post@acme.example", "Acme")
    for wrong in (
        "mail_from=nobody",
        "mail_from=a@b.example\nBcc: x@y.example",
        "mail_from_name=a\nb",
        "mail_reply_to=x y@z.example",
    ):
        assert idp("tenant", "set", "acme", wrong).sentence.startswith("mail_")
