"""A mail on its way: headers that nobody can add to, lines that nobody has to rewrite (RFC 5322, RFC 3834, RFC 6376)."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from idp.notify.message import CannotAddress, Origin, compose, deliverable, domain_of
from idp.notify.rendering import Written

ORIGIN = Origin("no-reply@acme.example", "Acme Söhne", "help@acme.example")
WRITTEN = Written(
    "Grüße – ready", "Grüße\n.\n..two dots\nFrom here " + "ä" * 3000 + "\n", "<p>Grüße " + "x" * 3000 + "</p>\n"
)


def composed(written=WRITTEN, origin=ORIGIN, to="ada@example.com", **more):
    values = {"identity": "a 1 2", "at": 1_795_900_000, "language": "de"} | more
    return compose(written, origin, to, **values)


def parsed(mail):
    return message_from_bytes(mail.message, policy=policy.default)


def test_what_a_mail_consists_of():
    """RFC 5322 §3.6, RFC 2046 §5.1.4: sender, recipient, date, subject, text before HTML, each as it was written."""
    found = parsed(composed())
    assert found["From"].addresses[0].display_name == "Acme Söhne"
    assert found["From"].addresses[0].addr_spec == "no-reply@acme.example"
    assert found["To"] == "ada@example.com"
    assert found["Reply-To"] == "help@acme.example"
    assert found["Subject"] == "Grüße – ready"
    assert found["Date"] == "Sat, 28 Nov 2026 21:06:40 +0000"
    assert found["Content-Language"] == "de"
    assert found.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    text, html = (part.get_content() for part in found.iter_parts())
    assert text.replace("\r\n", "\n") == WRITTEN.text
    assert html.replace("\r\n", "\n") == WRITTEN.html


def test_a_text_part_alone():
    """RFC 5322 §3.5: without an HTML part the mail is its text."""
    found = parsed(composed(Written("s", "t\n", None)))
    assert found.get_content_type() == "text/plain"


def test_nobody_has_to_rewrite_it():
    """RFC 6376 §5.3, RFC 5322 §2.1.1: seven bits, CRLF, no line longer than 78, so that a signature of it stays valid."""
    message = composed().message
    assert max(message) < 128
    assert message.count(b"\n") == message.count(b"\r\n")
    assert max(map(len, message.split(b"\r\n"))) <= 78


def test_no_machine_answers_it():
    """RFC 3834 §5: it says that it was generated."""
    assert parsed(composed())["Auto-Submitted"] == "auto-generated"


def test_the_same_message_has_the_same_id():
    """RFC 5322 §3.6.4: a message that is sent again is the same one, and its id is of the sender's domain."""
    first, second, other = composed(), composed(), composed(identity="a 2 2")
    assert parsed(first)["Message-ID"] == parsed(second)["Message-ID"] != parsed(other)["Message-ID"]
    assert parsed(first)["Message-ID"].endswith("@acme.example>")


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: all@example.com",
        "x\nBcc: all@example.com",
        "x\rBcc: a@b.c",
        "x\x0b\x0c\x1c\x85\u2028Bcc: a@b.c",
        "x\x00y",
    ],
)
def test_names_and_subjects_add_no_header(text):
    """CWE-93: whatever stands in a name or a subject, the headers are ours alone."""
    usual = composed()
    made = composed(Written(text, "t\n", "<p>t</p>"), Origin("no-reply@acme.example", text, "help@acme.example"))
    assert parsed(made).keys() == parsed(usual).keys()
    head = made.message.partition(b"\r\n\r\n")[0]
    assert b"\nbcc" not in head.lower()
    assert b"\x00" not in made.message


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nBcc: all@example.com",
        "ada@example.com\nBcc: all@example.com",
        "ada\r\n@example.com",
        "ada@example.com, eve@example.com",
        "<ada@example.com>",
        "Ada <ada@example.com>",
        "ada@example.com> SIZE=1",
        "ada@exam ple.com",
        "@example.com",
        "ada@",
        "ada",
        "",
        "ada@example.com\x00",
    ],
)
def test_an_address_is_one_address(address):
    """CWE-93, RFC 5321 §4.1.2: what is not exactly one address is refused, as recipient, sender and for answers."""
    with pytest.raises(CannotAddress):
        composed(to=address)
    with pytest.raises(CannotAddress):
        composed(origin=Origin(address, "x"))
    if address:
        with pytest.raises(CannotAddress):
            composed(origin=Origin("no-reply@acme.example", "x", address))


def test_addresses_beyond_ascii():
    """RFC 5890 §2.3.2.1, RFC 6531 §3.3: a domain travels in its ASCII form; a name beyond ASCII needs a server that takes it."""
    assert deliverable("ada@bücher.example") == "ada@xn--bcher-kva.example"
    plain, special = composed(to="ada@bücher.example"), composed(to="jürgen@bücher.example")
    assert (plain.recipient, plain.needs_utf8) == ("ada@xn--bcher-kva.example", False)
    assert (special.recipient, special.needs_utf8) == ("jürgen@xn--bcher-kva.example", True)
    assert "jürgen@xn--bcher-kva.example".encode() in special.message


def test_the_domain_stands_for_the_recipient():
    """Issue 5, mail: an outbox names the domain, in one form; the address itself is personal."""
    assert domain_of("Ada@Example.COM") == "example.com"
    assert domain_of("a@b@c.example") == "c.example"
    assert domain_of("no address") == ""
    assert domain_of("ada@x\r\ny") == "x y"
