"""From the outbox to the reader: nothing lost, nothing in clear, nobody held up by somebody else (architecture §4; S097, S118)."""

from __future__ import annotations

import re
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
from command import until
from house import House
from mail_server import PASSWORD, MailServer, RawServer
from serving import rows

from idp import clock
from idp.jobs.outbox import Sent, announced
from idp.keys import sealed_state
from idp.keys.envelope import Envelope
from idp.store.tenant import audit_events, mail_templates, outbox

if TYPE_CHECKING:
    from pathlib import Path

    from certificates import Authority

LINK = "https://login.acme.example/account/recover?token=l_planted-planted-planted-planted-planted-planta"
NOTICE = {"what": "password_changed", "at": 1_795_900_000, "source": "203.0.113.7", "user_agent": None, "link": LINK}


def test_a_mail_is_delivered(any_post: Any) -> None:
    """Architecture §4, Issue 5: what a transaction put into the outbox reaches its reader; the ledger has the codes."""
    tenant = any_post.house.tenant("acme", mail_reply_to="help@acme.example", mail_from_name="Acme, Inc.")
    with any_post.server() as server:
        any_post.put(tenant, "Ada@Example.com", "notice", **NOTICE)
        any_post.run()
    (mail,) = server.mails
    assert mail.recipients == ["Ada@example.com"]
    assert mail.message["From"] == '"Acme, Inc." <no-reply@platform.example>'
    assert mail.message["Reply-To"] == "help@acme.example"
    assert LINK in mail.part("plain")
    assert LINK in mail.part("html")
    (message,) = any_post.messages(tenant)
    assert (message.state, message.attempts) == ("delivered", 1)
    (attempt,) = any_post.ledger(tenant, message)
    assert (attempt.outcome, attempt.address) == ("250 2.0.0", server.url)


def test_s118_a_waiting_mail_is_sealed(any_post: Any) -> None:
    """S118: neither the recipient's address nor what the mail says can be read in the database; its domain can."""
    tenant = any_post.house.tenant("acme")
    any_post.put(tenant, "ada.private@example.com", "notice", **NOTICE)
    any_post.run()  # there is no server: it fails, and the ledger is written
    found = [
        str(row)
        for table in ("outbox", "outbox_attempts", "audit_events")
        for row in rows(tenant.database_url, f"SELECT * FROM {table}")
    ]
    assert [text for text in found if "planted" in text or "ada.private" in text or "password_changed" in text] == []
    (message,) = any_post.messages(tenant)
    assert (message.target, message.attempts) == ("example.com", 1)
    assert message.payload.keys() == {"sealed"}


def test_a_mail_that_is_put_off_is_delivered_later(any_post: Any) -> None:
    """RFC 5321 §4.2.1, §4.5.4.1: 4yz is tried again after a pause, as the same message."""
    tenant = any_post.house.tenant("acme")
    with any_post.server(replies={"RCPT": ["450 4.2.0 greylisted"], "DATA": ["452 4.3.1 full"]}) as server:
        any_post.put(tenant, "ada@example.com")
        any_post.run()
        assert [(each.state, each.attempts) for each in any_post.messages(tenant)] == [("waiting", 1)]
        any_post.run()
        assert any_post.messages(tenant)[0].attempts == 1
        for seconds in (60, 600):
            with clock.shifted(seconds):
                any_post.run()
    (message,) = any_post.messages(tenant)
    assert (message.state, message.attempts) == ("delivered", 3)
    outcomes = [each.outcome for each in any_post.ledger(tenant, message)]
    assert outcomes == [
        "the mail server does not take the recipient now: 450 4.2.0",
        "the mail server does not take the message now: 452 4.3.1",
        "250 2.0.0",
    ]
    assert len(server.mails) == 1


def test_a_mail_that_is_refused_is_seen(any_post: Any) -> None:
    """RFC 5321 §4.2.1, Issue 5: 5yz is final: a dead letter with the code in the ledger and an event; nothing personal in it."""
    tenant = any_post.house.tenant("acme")
    with any_post.server(by_recipient={"gone@example.com": "550 5.1.1 gone@example.com is unknown"}) as server:
        any_post.put(tenant, "gone@example.com")
        any_post.put(tenant, "ada@example.com")
        any_post.run()
    dead, delivered = any_post.messages(tenant)
    assert (dead.state, dead.last_error) == ("dead", "the mail server refused the recipient: 550 5.1.1")
    assert delivered.state == "delivered"
    assert [mail.recipients for mail in server.mails] == [["ada@example.com"]]
    with any_post.house.database(tenant).reading() as conn:
        found = [row for row in conn.execute(audit_events.audit_events.select()).all() if row.kind == "outbox.dead"]
    assert [row.details["target"] for row in found] == ["example.com"]
    assert "gone" not in str(found[0].details)


def test_while_the_server_is_down_nothing_is_lost(any_post: Any) -> None:
    """RFC 5321 §4.5.4.1, Issue 5: mails of an outage of two hours all arrive, once, when the server is back."""
    tenant = any_post.house.tenant("acme")
    names = [f"user{number}@example{number % 3}.com" for number in range(12)]
    for name in names:
        any_post.put(tenant, name)
    for passed in range(0, 7200, 900):
        with clock.shifted(passed):
            any_post.run()
    assert {each.state for each in any_post.messages(tenant)} == {"waiting"}
    with any_post.server() as server:
        for passed in (7200, 8000, 11000):
            with clock.shifted(passed):
                any_post.run()
    assert sorted(mail.recipients[0] for mail in server.mails) == sorted(names)
    assert {each.state for each in any_post.messages(tenant)} == {"delivered"}
    assert len({mail.message["Message-ID"] for mail in server.mails}) == len(names)


def test_s097_one_bad_recipient_delays_no_other(post: Any) -> None:
    """S097: full mailboxes at a domain are their own trouble: whoever else has a mailbox there gets the mail at once."""
    tenant = post.house.tenant("acme")
    bad = {f"full{number}@example.com": "452 4.2.2 full" for number in range(8)}
    with post.server(by_recipient=bad) as server:
        for name in [*bad, *(f"user{number}@example.com" for number in range(8))]:
            post.put(tenant, name)
        post.run()
        assert len(server.mails) == 8
        waiting = [each for each in post.messages(tenant) if each.state == "waiting"]
        assert {each.attempts for each in waiting} == {1}


def test_s097_a_server_that_hangs_delays_nobody_else(post: Any) -> None:
    """S097: while one tenant's own server hangs, others' mails go, and so do its own messages of another kind."""
    slow, quick = post.house.tenant("slow"), post.house.tenant("quick")
    told: list[str] = []

    def tell(_context: Any, message: Any) -> Sent:
        told.append(message.target)
        return Sent("delivered", "200")

    release: list[threading.Event] = []
    with (
        RawServer(lambda _line: release[0].wait(30) and None, "127.0.0.3") as hanging,
        post.server() as server,
    ):
        release.append(hanging.release)
        post.use_own_server(slow, hanging.url)
        for number in range(100):
            post.put(slow, f"user@example{number}.com")
        worker = post.worker(logout=tell)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            assert until(lambda: hanging.heard >= 20)
            for number in range(10):
                post.put(quick, f"user{number}@example.com")
            database = post.house.database(slow)
            with announced(database):
                database.mark_work("outbox", 0)
                database.writing(lambda conn: outbox.enqueue(conn, "logout", ["app"], {}))
            assert until(lambda: len(server.mails) == 10 and told == ["app"], 5)
            assert not hanging.release.is_set()
        finally:
            hanging.release.set()
            worker.stop()
            thread.join(15)
    assert not thread.is_alive()


def test_a_mail_that_comes_too_late_is_not_sent(post: Any) -> None:
    """Issue 5, mail: a link that has expired is not mailed any more."""
    tenant = post.house.tenant("acme")
    post.put(tenant, "ada@example.com", "notice", lifetime=600, **NOTICE)
    with post.server() as server, clock.shifted(601):
        post.run()
    (message,) = post.messages(tenant)
    assert (message.state, server.mails) == ("dead", [])
    assert "not sent in time" in message.last_error


def test_a_mail_of_a_newer_release_waits(post: Any) -> None:
    """Architecture §4: while releases are mixed, what this one does not know is left to the other."""
    tenant = post.house.tenant("acme")
    with post.server() as server:
        post.put(tenant, "ada@example.com", "of-tomorrow")
        post.run()
    assert [(each.state, server.mails) for each in post.messages(tenant)] == [("waiting", [])]


@pytest.mark.parametrize(
    "address", ["ada@example.com\r\nBcc: all@example.com", "no address", "ada@example.com\nX: y", ""]
)
def test_what_is_no_address_is_refused(post: Any, address: str) -> None:
    """CWE-93: a recipient that is no single address is refused for good, and no header comes of it."""
    tenant = post.house.tenant("acme")
    with post.server() as server:
        post.put(tenant, address)
        post.run()
    (message,) = post.messages(tenant)
    assert (message.state, server.mails) == ("dead", [])
    assert "\n" not in message.target


def test_names_of_tenants_add_no_header(post: Any) -> None:
    """CWE-93: a tenant's name with line ends in it (from an older database) is a name and nothing else."""
    tenant = post.house.tenant("acme")
    rows(post.house.settings.control_url, "UPDATE tenants SET name = ?", "Acme\r\nBcc: all@example.com")
    with post.server() as server:
        post.house.restart()
        tenant = post.house.installation.provisioning.find("acme")
        post.put(tenant, "ada@example.com")
        post.run()
    (mail,) = server.mails
    assert mail.recipients == ["ada@example.com"]
    assert "Bcc" not in mail.message
    assert mail.message["From"].addresses[0].display_name == "Acme Bcc: all@example.com"


def test_a_tenant_s_own_server(any_post: Any, authority: Authority) -> None:
    """Issue 5, mail; S118: its server with STARTTLS and login is used instead of the installation's, its address is kept sealed."""
    tenant, other = any_post.house.tenant("acme", mail_from="post@acme.example"), any_post.house.tenant("other")
    own = MailServer("127.0.0.3", certificate=authority.issue("127.0.0.3"), wants_login=True)
    with any_post.server() as server, own:
        any_post.use_own_server(tenant, own.url_with_login)
        any_post.put(tenant, "ada@example.com")
        any_post.put(other, "eve@example.com")
        any_post.run()
    assert [(mail.sender, mail.is_encrypted) for mail in own.mails] == [("post@acme.example", True)]
    assert [mail.recipients for mail in server.mails] == [["eve@example.com"]]
    found = [str(row) for row in rows(tenant.database_url, "SELECT * FROM tenant_state")]
    found += [str(row) for row in rows(tenant.database_url, "SELECT * FROM outbox_attempts")]
    assert [text for text in found if PASSWORD in text or "planted" in text] == []
    assert own.url in str(found)


def test_a_tenant_s_own_server_inside_is_not_reached(post: Any) -> None:
    """Security rule 8: a tenant's server may not be inside, though the installation's may."""
    tenant = post.house.tenant("acme")
    with post.server() as server:
        post.use_own_server(tenant, server.url)
        post.put(tenant, "ada@example.com")
        post.run()
    (message,) = post.messages(tenant)
    assert (message.state, server.mails) == ("waiting", [])
    assert "private" in message.last_error


def test_the_sealed_address_is_rewrapped(post: Any) -> None:
    """ASVS 5.0 §11.2.2: the address of a tenant's server moves to the newest master key with everything else."""
    from cryptography.fernet import Fernet

    tenant = post.house.tenant("acme")
    post.use_own_server(tenant, "smtp://u:p@mail.acme.example")
    old = (post.house.settings.data_dir / "master.key").read_text().strip()
    new = Fernet.generate_key().decode()
    database = post.house.database(tenant)
    assert sealed_state.rewrap(database, Envelope([new, old]), tenant.id) == 1
    found = sealed_state.get(database, Envelope([new]), tenant.id, sealed_state.SMTP_URL)
    assert found == b"smtp://u:p@mail.acme.example"


def test_the_tenant_s_own_wording(any_post: Any) -> None:
    """Issue 5, mail: what a tenant worded for the reader's language is sent, and another tenant's never."""
    tenant, other = any_post.house.tenant("acme"), any_post.house.tenant("other")

    def work(conn: Any) -> None:
        mail_templates.put(conn, "notice", "", "subject", "General")
        mail_templates.put(conn, "notice", "de", "subject", "Neues von {{ tenant_name }}")
        mail_templates.put(conn, "notice", "de", "text", "Hallo {{ source }}")
        mail_templates.put(conn, "notice", "de", "text", "Hallo, {{ source }}!")

    any_post.house.database(tenant).writing(work)
    with any_post.server() as server:
        for who, language in ((tenant, "de-AT"), (tenant, None), (other, "de")):
            any_post.put(who, "ada@example.com", "notice", language=language, **NOTICE)
            any_post.run()
    assert [mail.message["Subject"] for mail in server.mails] == [
        "Neues von Acme",
        "General",
        "Eine Änderung an Ihrem Konto bei Other",
    ]
    assert server.mails[0].part("plain").startswith("Hallo, 203.0.113.7!")
    assert server.mails[1].part("plain").startswith("The password of your account was changed.")


def test_without_a_server_development_writes_files(
    tmp_path: Path, post_of: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Interfaces §3: files that sort by time and only their owner reads, and a line that tells recipient, subject and link."""
    house = House(tmp_path / "var")
    post, tenant = post_of(house), house.tenant("acme")
    for number in range(3):
        post.put(tenant, f"ada{number}@example.com", "notice", **NOTICE)
        post.run()
    folder = tmp_path / "var" / "outbox"
    found = sorted(folder.iterdir())
    assert [path.suffix for path in found] == [".eml"] * 3
    assert [re.search(rb"^To: (.*)\r$", path.read_bytes(), re.MULTILINE)[1] for path in found] == [  # type: ignore[index]
        b"ada0@example.com",
        b"ada1@example.com",
        b"ada2@example.com",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Mail to ")]
    assert said[0] == f"Mail to ada0@example.com: A change to your account at Acme → {LINK} ({found[0]})"
    assert {each.state for each in post.messages(tenant)} == {"delivered"}
    house.close()


def test_without_a_server_production_says_so(tmp_path: Path, post_of: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Interfaces §3, Issue 5: in production a mail waits for a server; nothing is written in clear, and the ledger says what to set."""
    house = House(tmp_path / "var", IDP_ENV="production", IDP_PUBLIC_URL="https://login.example.com")
    post, tenant = post_of(house), house.tenant("acme")
    post.put(tenant, "ada@example.com", "notice", **NOTICE)
    post.run()
    (message,) = post.messages(tenant)
    assert message.state == "waiting"
    assert "IDP_SMTP_URL" in message.last_error
    assert "idp mail smtp acme" in message.last_error
    assert not (tmp_path / "var" / "outbox").exists()
    assert "planted" not in capfd.readouterr().err
    house.close()
