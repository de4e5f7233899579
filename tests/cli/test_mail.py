"""`idp mail`: what an operator sees and decides about a tenant's mails (issue 5)."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from idp.installation import Installation
from idp.settings import Settings

if TYPE_CHECKING:
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


def test_the_doctor_speaks_of_mail(idp: Idp, monkeypatch: Any) -> None:
    """Issue 5, mail: the doctor says where mails go, and in production that there is no server."""
    assert "mails are written to" in idp("doctor").out
    monkeypatch.setenv("IDP_SMTP_URL", "smtp://mail.example.com")
    assert "mails go through smtp://mail.example.com:587" in idp("doctor").out
    monkeypatch.setenv("IDP_SMTP_URL", "smtp://user@mail.example.com")
    assert "IDP_SMTP_URL cannot be used" in idp("doctor").out
    monkeypatch.setenv("IDP_SMTP_URL", "")
    monkeypatch.setenv("IDP_ENV", "production")
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://login.example.com")
    assert "there is no mail server" in idp("doctor").out


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
