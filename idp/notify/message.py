"""A mail as it travels (RFC 5322, RFC 2045 to 2047, RFC 3834): headers, a text part, an HTML part; nothing in it is a surprise.

Every line is short and of seven bits, so that no server on the way rewrites what a DKIM signature covers (RFC 6376 §5.3). The same message has the
same Message-ID at each attempt. It loads nothing when it is read. Names and subjects are one line whatever they came from (CWE-93).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from email_validator import EmailNotValidError, validate_email

from idp.notify.rendering import one_line

if TYPE_CHECKING:
    from idp.notify.rendering import Written

LONGEST_NAME = 100  # characters
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")
_UTF8 = policy.SMTPUTF8


class CannotAddress(ValueError):
    """Mail cannot be sent to an address; trying again is of no use."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a mail is from."""

    address: str
    name: str
    reply_to: str = ""

    @property
    def domain(self) -> str:
        """The domain of the sender's address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Posted:
    """What is handed to a mail server: the envelope, and the message as bytes."""

    sender: str
    recipient: str
    needs_utf8: bool  # RFC 6531: the recipient's name is not ASCII
    message: bytes


def compose(written: Written, origin: Origin, to: str, *, identity: str, at: int, language: str) -> Posted:
    """Return a mail ready to send; ``identity`` is what makes its Message-ID, ``at`` its date. Raises :class:`CannotAddress`."""
    recipient = deliverable(to)
    sender = deliverable(origin.address)
    needs_utf8 = not recipient.isascii()
    made = EmailMessage(policy=_UTF8 if needs_utf8 else _SEVEN_BIT)
    made["From"] = _address(sender, origin.name)
    made["To"] = _address(recipient)
    if origin.reply_to:
        made["Reply-To"] = _address(deliverable(origin.reply_to))
    made["Subject"] = one_line(written.subject)
    made["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    made["Message-ID"] = f"<{hashlib.sha256(identity.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's absence note answers it
    made.set_content(written.text, cte="quoted-printable")
    if written.html is not None:
        made.add_alternative(written.html, subtype="html", cte="quoted-printable")
    made["Content-Language"] = language  # last: making parts moves such headers into the first of them
    return Posted(sender, recipient, needs_utf8, made.as_bytes())


def deliverable(address: str) -> str:
    """Return an address as mail servers take it, its domain in ASCII; raises :class:`CannotAddress`."""
    local, _, domain = address.rpartition("@")
    if domain == "localhost" and local and all(letter.isalnum() or letter in ".+-_" for letter in local):
        return address  # development
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise CannotAddress("it is not an address that mail can be sent to") from None
    return found.ascii_email or f"{found.local_part}@{found.ascii_domain}"


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, for telling recipients apart without naming them; empty when it has none."""
    domain = address.rpartition("@")[2] if "@" in address else ""
    return one_line(domain).lower()


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(one_line(name)[:LONGEST_NAME], local, domain)
