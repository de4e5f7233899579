"""Handing over a mail (RFC 5321, RFC 3207, RFC 4954, RFC 8314): to real servers, good, strict, wrong, slow and hostile ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from certificates import Authority
from mail_server import PASSWORD, USER, MailServer, RawServer, free_port

from idp.errors import Invalid
from idp.notify import smtp
from idp.notify.message import Origin, compose
from idp.notify.rendering import Written
from idp.outbound import Outbound
from idp.settings import Settings

if TYPE_CHECKING:
    import socket
    from pathlib import Path

REMOTE = "127.0.0.2"  # not among the names of this machine: as strict rules as for a server elsewhere
MAIL = compose(
    Written("Grüße", "Hello\n.\n.dots\nend\n", "<p>Hello</p>\n"),
    Origin("no-reply@acme.example", "Acme"),
    "ada@example.com",
    identity="x",
    at=1_795_900_000,
    language="en",
)
PLANTED = "planted words of a server"


@pytest.fixture
def outbound(authority: Authority) -> Outbound:
    """The guarded client, which trusts the test's root."""
    return Outbound(replace(Settings(), ca_bundle=str(authority.file)))


def send(url: str, outbound: Outbound, mail: Any = MAIL, *, may_be_private: bool = True) -> smtp.Outcome:
    return smtp.send(smtp.parse(url), mail, outbound, hello="login.acme.example", may_be_private=may_be_private)


def test_plain_on_this_machine(outbound: Outbound) -> None:
    """RFC 5321 §3.3, §4.5.2: sender, recipient and message arrive, dots and all; the words are the server's code."""
    with MailServer() as server:
        found = send(server.url, outbound)
    assert found == smtp.Outcome("delivered", "250 2.0.0", server.url)
    (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ("no-reply@acme.example", ["ada@example.com"])
    assert mail.part("plain").replace("\r\n", "\n") == "Hello\n.\n.dots\nend\n"
    assert mail.content == MAIL.message


def test_starttls_with_login(outbound: Outbound, authority: Authority) -> None:
    """RFC 3207 §4, RFC 4954 §4: elsewhere the connection is encrypted first, then user and password are said."""
    with MailServer(REMOTE, certificate=authority.issue(REMOTE), wants_login=True) as server:
        found = send(server.url_with_login, outbound)
    assert found.verdict == "delivered"
    assert found.address == server.url
    assert server.logins == [(USER, PASSWORD)]
    assert server.mails[0].is_encrypted


def test_tls_from_the_first_byte(outbound: Outbound, authority: Authority) -> None:
    """RFC 8314 §3.3: smtps."""
    with MailServer(REMOTE, certificate=authority.issue(REMOTE), is_implicit=True, wants_login=True) as server:
        assert send(server.url_with_login, outbound).verdict == "delivered"
    assert server.mails[0].is_encrypted


@pytest.mark.parametrize("is_implicit", [False, True])
def test_a_wrong_certificate(outbound: Outbound, authority: Authority, tmp_path: Path, is_implicit: bool) -> None:
    """RFC 8314 §3.3, RFC 7817 §3, ASVS 5.0 §12.3.2: under another root or another name nothing is said, and it is tried again."""
    stranger = Authority(tmp_path / "stranger").issue(REMOTE)
    for certificate in (stranger, authority.issue("127.0.0.9")):
        with MailServer(REMOTE, certificate=certificate, is_implicit=is_implicit, wants_login=True) as server:
            found = send(server.url_with_login, outbound)
        assert found.verdict == "failed"
        assert "certificate is not trusted" in found.words
        assert server.logins == server.mails == []


def test_no_encryption_no_mail(outbound: Outbound) -> None:
    """RFC 3207 §6: where a server elsewhere offers no encryption (or somebody took the offer out), neither password nor mail is sent."""
    with MailServer(REMOTE, wants_login=True) as server:
        found = send(server.url_with_login, outbound)
    assert found.verdict == "failed"
    assert "STARTTLS" in found.words
    assert server.logins == server.mails == []


def test_what_was_said_before_encryption_is_forgotten(outbound: Outbound, authority: Authority) -> None:
    """RFC 3207 §4.2, CVE-2011-0411: replies that were put in before the encryption began are not taken for the server's."""
    heard: list[bytes] = []

    def talk(line: socket.socket) -> None:
        line.sendall(b"220 hello\r\n")
        line.recv(1000)
        line.sendall(b"250-hello\r\n250 STARTTLS\r\n")
        line.recv(1000)
        # The injected replies would let everything succeed without the server.
        line.sendall(b"220 go\r\n" + b"250 ok\r\n" * 3 + b"354 go\r\n250 2.0.0 got it\r\n")
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, authority.issue(REMOTE)))
        with context.wrap_socket(line, server_side=True) as encrypted:
            heard.append(encrypted.recv(1000))
            encrypted.sendall(b"554 no\r\n")

    with RawServer(talk, REMOTE) as server:
        found = send(server.url, outbound)
    assert found.verdict == "failed"
    assert "250" not in found.words


def test_a_wrong_password(outbound: Outbound) -> None:
    """RFC 4954 §6: who is not believed may be once the operator has corrected it: failed, not refused; no password in the words."""
    with MailServer(wants_login=True) as server:
        found = send(server.url_with_login.replace(USER, "other", 1), outbound)
        without = send(server.url, outbound)
    assert (found.verdict, "535" in found.words) == ("failed", True)
    assert (without.verdict, "530" in without.words) == ("failed", True)
    assert "planted" not in found.words
    assert server.mails == []


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("reply", "verdict", "status"),
    [
        ("550 5.1.1 " + PLANTED, "refused", "550 5.1.1"),
        ("554 " + PLANTED, "refused", "554"),
        ("451 4.7.1 " + PLANTED, "failed", "451 4.7.1"),
        ("421 4.3.2 " + PLANTED, "failed", "421 4.3.2"),
        ("530 5.7.0 " + PLANTED, "failed", "530 5.7.0"),
    ],
)
def test_replies_decide(outbound: Outbound, command: str, reply: str, verdict: str, status: str) -> None:
    """RFC 5321 §4.2.1, RFC 3463 §2: 5yz is final, 4yz is tried again; the ledger gets the codes and none of the server's words."""
    with MailServer(replies={command: [reply]}) as server:
        found = send(server.url, outbound)
    assert (found.verdict, server.mails) == (verdict, [])
    assert status in found.words
    assert "planted" not in found.words
    assert "example.com" not in found.words
    assert found.is_alone == (verdict == "failed" and status.startswith("451") and command != "MAIL")


def test_nobody_there(outbound: Outbound) -> None:
    """RFC 5321 §4.5.4.1: a server that is down is tried again."""
    found = send(f"smtp://127.0.0.1:{free_port()}", outbound)
    assert found == smtp.Outcome("failed", "no connection to the mail server (ConnectionRefusedError)", found.address)
    found = send("smtp://mail.invalid", outbound)
    assert (found.verdict, "resolved" in found.words) == ("failed", True)


@pytest.mark.parametrize("stage", range(5))
def test_a_server_that_falls_silent(outbound: Outbound, monkeypatch: pytest.MonkeyPatch, stage: int) -> None:
    """S097, CWE-400: wherever a server stops to answer, the attempt ends within its limits and says where that was."""
    monkeypatch.setattr(smtp, "SECONDS", 0.4)
    says = [b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    release = []

    def talk(line: socket.socket) -> None:
        for words in says[:stage]:
            line.sendall(words)
            line.recv(100_000)
        release[0].wait(20)

    with RawServer(talk) as server:
        release.append(server.release)
        began = time.monotonic()
        found = send(server.url, outbound)
    assert found.verdict == "failed"
    assert "did not answer in time" in found.words
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("piece", [b"220-x\r\n", b"2"])
def test_a_server_that_drips(outbound: Outbound, monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    """S097, CWE-400: a byte now and then keeps nobody for ever."""
    monkeypatch.setattr(smtp, "WHOLE_SECONDS", 1.0)

    def talk(line: socket.socket) -> None:
        while True:
            line.sendall(piece)
            time.sleep(0.1)

    with RawServer(talk) as server:
        began = time.monotonic()
        found = send(server.url, outbound)
    assert found.verdict == "failed"
    assert "was not done within 1 seconds" in found.words
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("flood", [b"220-" + b"x" * 500 + b"\r\n", b"x" * 65536])
def test_a_server_that_talks_without_end(outbound: Outbound, flood: bytes) -> None:
    """CWE-770: what a server says is read up to a bound, however fast it comes."""

    def talk(line: socket.socket) -> None:
        while True:
            line.sendall(flood)

    with RawServer(talk) as server:
        began = time.monotonic()
        found = send(server.url, outbound)
    assert found.verdict == "failed"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff\xfe\r\n", b"220\r\n999 x\r\n", b"220 x\r\n\r\n", b""]
)
def test_no_mail_server_at_all(outbound: Outbound, words: bytes) -> None:
    """CWE-20: what is not SMTP is a failure in words of our own."""

    def talk(line: socket.socket) -> None:
        line.sendall(words)
        line.recv(1000)

    with RawServer(talk) as server:
        found = send(server.url, outbound)
    assert found.verdict == "failed"
    assert "SSH" not in found.words


def test_leave_is_taken_without_waiting(outbound: Outbound) -> None:
    """RFC 5321 §4.1.1.10: once a mail is accepted it is delivered, whatever the server does about QUIT."""
    release = []

    def talk(line: socket.socket) -> None:
        for words in (b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 2.6.0 x\r\n"):
            line.sendall(words)
            line.recv(100_000)
        release[0].wait(20)

    with RawServer(talk) as server:
        release.append(server.release)
        began = time.monotonic()
        assert send(server.url, outbound).words == "250 2.6.0"
        assert time.monotonic() - began < 5


def test_addresses_beyond_ascii_need_a_server_for_them(outbound: Outbound) -> None:
    """RFC 6531 §3.1: without SMTPUTF8 such a mail is refused before it is sent wrongly."""
    mail = replace(MAIL, recipient="jürgen@example.com", needs_utf8=True)
    with MailServer() as server:
        found = send(server.url, outbound, mail)
    assert (found.verdict, server.mails) == ("refused", [])


def test_a_tenant_s_server_is_no_way_inside(outbound: Outbound, authority: Authority) -> None:
    """Security rule 8, ASVS 5.0 §13.2.4: a server that a tenant names is reached at public addresses, or where the operator allows it."""
    heard: list[int] = []

    def talk(_line: socket.socket) -> None:
        heard.append(1)

    with RawServer(talk) as server:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0", "2130706433"):
            found = send(f"smtp://{host}:{server.port}", outbound, may_be_private=False)
            assert found.verdict == "failed"
            assert "private" in found.words, host
    for host in ("10.0.0.1", "169.254.169.254", "192.168.1.1", "[fe80::1]", "[fd00::1]"):
        assert "private" in send(f"smtp://{host}", outbound, may_be_private=False).words
    assert heard == []
    allowed = Outbound(replace(Settings(), ca_bundle=str(authority.file), allowed_private_hosts=(REMOTE,)))
    with MailServer(REMOTE, certificate=authority.issue(REMOTE)) as real:
        assert send(real.url, allowed, may_be_private=False).verdict == "delivered"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://mail.example",
        "smtp://",
        "smtp://:587",
        "smtp://mail.example:0",
        "smtp://mail.example:99999",
        "smtp://mail.example:x",
        "smtp://mail.example/path",
        "smtp://mail.example?x=1",
        "smtp://mail.example#x",
        "smtp://user@mail.example",
        "smtp://:password@mail.example",
        "smtp://us er:p@mail.example",
        "smtp://u:p%0d%0a@mail.example",
        "smtp://u:p%C3%BC@mail.example",
        "smtp://mail.example\r\nX: y",
        "smtp://mail_x.example",
        "smtp://m%61il.example",
        "smtp://[::1",
        "smtp://" + "a" * 2000,
    ],
)
def test_addresses_of_servers_that_make_no_sense(url: str) -> None:
    """CWE-20: a server's address is refused in one sentence, which repeats nothing of it (it may hold a password)."""
    with pytest.raises(Invalid) as refusal:
        smtp.parse(url)
    assert refusal.value.title.endswith(".")
    assert "mail.example" not in refusal.value.title


def test_addresses_of_servers() -> None:
    """RFC 8314 §7.3: the usual ports; what is shown holds neither user nor password."""
    assert smtp.parse("smtp://mail.example") == smtp.Server("smtp", "mail.example", 587, "", "")
    assert smtp.parse("smtps://u%40x:p%3A%2F@Mail.Example.") == smtp.Server("smtps", "mail.example", 465, "u@x", "p:/")
    assert smtp.parse("smtp://u:p@[::1]:25").shown == "smtp://[::1]:25"
    assert [smtp.parse(f"smtp://{host}").may_be_plain for host in ("localhost", "127.0.0.1", "[::1]", REMOTE)] == [
        True,
        True,
        True,
        False,
    ]
    assert not smtp.parse("smtps://localhost").may_be_plain
