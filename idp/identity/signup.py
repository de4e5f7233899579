"""Signing up: from what a person typed to an account, by a code that only the owner of the address gets.

An address that has an account already is answered exactly like any other: the same rows, mails, commits and work. Its owner gets
a mail that says so instead of a code, and no code is ever right. Guesses, mails and sign-ups are counted before anything is
judged (NIST SP 800-63B-4 §3.1.3.2, §3.2.2). Must not know pages or cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from idp import audit, opaque
from idp.clock import now
from idp.errors import Invalid
from idp.identity import accounts, lockout, terms
from idp.identity.password_rules import names_of
from idp.identity.passwords import check_new_password
from idp.language import N_, gettext
from idp.store.tenant import attempts, signups, users
from idp.tenancy.settings import domain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from idp.notify.mailer import Mailer
    from idp.store.rows import Connection, Row
    from idp.tenancy.settings import TenantSettings
    from idp.tenancy.tenant import Tenant

DIGITS = 8
CODE_LIFETIME = 600  # seconds
LIFETIME = 3600  # seconds for which a sign-up waits
GUESSES = 5  # of one sign-up, however many codes it is sent
SENDINGS = 4  # of codes for one sign-up: the first, and three again
PAUSE = 60  # seconds between two of them
WINDOW = 3600  # seconds in which sign-ups and mails are counted
ADDRESS_MAILS = 6  # to one mailbox in the window, whoever asks for them

NOT_AN_ADDRESS = N_("Enter an email address such as ada@example.org")
FOREIGN_DOMAIN = N_("Accounts cannot be made with addresses of this domain")

Guess = Literal["right", "wrong", "over", "taken"]


class SignUpServices(Protocol):
    """What of the process a sign-up needs."""

    @property
    def mailer(self) -> Mailer:
        """Puts mails into the outbox."""

    @property
    def csrf_key(self) -> bytes:
        """The installation's key, without which a stored code is worth nothing."""


class SignUpServer(Protocol):
    """The tenant that somebody signs up at."""

    @property
    def tenant(self) -> Tenant:
        """The tenant with its rules."""

    @property
    def services(self) -> SignUpServices:
        """The process's services."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody typed, checked and hashed; ``id`` names the sign-up."""

    id: str
    interaction_id: str
    browser_hash: str
    address: str
    password_hash: str
    claims: Mapping[str, Any]
    terms_version: str | None
    language: str | None
    source: str
    correlation_id: str
    client_id: str | None


def check_address(email: str, settings: TenantSettings) -> tuple[str, str | None]:
    """Return (the address in its normal form, what is wrong with it); domains of the tenant's lists only, blocked ones never."""
    try:
        address = accounts.check_email(email)
    except Invalid:
        return "", gettext(NOT_AN_ADDRESS)
    domain = domain_of(address)
    allowed, blocked = settings.signup_allowed_domains.split(","), settings.signup_blocked_domains.split(",")
    is_allowed = allowed == [""] or any(_covers(pattern, domain) for pattern in allowed)
    if not accounts.is_username(accounts.fold(address)):
        return "", gettext(NOT_AN_ADDRESS)
    if not is_allowed or any(_covers(pattern, domain) for pattern in blocked):
        return address, gettext(FOREIGN_DOMAIN)
    return address, None


def check_password(password: str, tenant: Tenant, address: str, claims: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a password for an account to be: nothing of the profile may be most of it."""
    names = names_of(tenant.name, address, address, claims)
    return check_new_password(password, tenant.settings, (*names, *_texts(claims.values())))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield what of a profile a password may not consist of; of an address its parts."""
    for value in values:
        if isinstance(value, dict):
            yield from _texts(value.values())
        elif value:
            yield str(value)


def count(conn: Connection, address: str, source: str, settings: TenantSettings) -> bool:
    """Count one sign-up of a source for an address; False when either has had too many. A source over its limit uses up no address's."""
    by_source, _ = attempts.count_one(conn, _subject("source", lockout.source_of(source)), WINDOW)
    return by_source <= settings.signup_source_limit and count_mail(conn, address)


def count_mail(conn: Connection, address: str) -> bool:
    """Count one mail to an address's mailbox; False when it has had too many."""
    return attempts.count_one(conn, _subject("mailbox", accounts.mailbox_of(address)), WINDOW)[0] <= ADDRESS_MAILS


def begin(conn: Connection, server: SignUpServer, wanted: Wanted) -> None:
    """Store a sign-up and enqueue its mail, in a transaction that is wrapped in :func:`idp.jobs.outbox.announced`."""
    owner = users.find_with_address(conn, accounts.fold(wanted.address), wanted.address)
    code = _new_code()
    signups.create(
        conn,
        id=wanted.id,
        interaction_id=wanted.interaction_id,
        browser_hash=wanted.browser_hash,
        address=wanted.address,
        password_hash=wanted.password_hash,
        claims=dict(wanted.claims),
        terms_version=wanted.terms_version,
        language=wanted.language,
        code_hash=_stored(server, wanted.id, code, is_known=owner is not None),
        code_expires_at=now() + CODE_LIFETIME,
        expires_at=now() + LIFETIME,
    )
    _send(conn, server, wanted.address, wanted.language, code, owner)
    _record(conn, "signup.requested", wanted, owner.id if owner is not None else None)


def send_again(conn: Connection, server: SignUpServer, row: Row[Any]) -> bool:
    """Send another code; False when it is too early, was sent too often, or no guess is left. Guesses stay counted."""
    if row.sendings >= SENDINGS or row.sent_at > now() - PAUSE or not count_mail(conn, row.address):
        return False  # before another code: the one that was sent stays good
    owner = users.find_with_address(conn, accounts.fold(row.address), row.address)
    code = _new_code()
    stored = _stored(server, row.id, code, is_known=owner is not None)
    is_sent = signups.send_again(
        conn, row.id, stored, lifetime=CODE_LIFETIME, most=SENDINGS, pause=PAUSE, most_guesses=GUESSES
    )
    if not is_sent:
        return False
    _send(conn, server, row.address, row.language, code, owner)
    return True


def guess(
    conn: Connection,
    server: SignUpServer,
    signup_id: str,
    code: str,
    *,
    source: str,
    correlation_id: str,
    client_id: str | None,
    and_then: Callable[[Connection, str], str | None],
) -> tuple[Guess, int]:
    """Judge a code; returns (verdict, guesses left). The right one makes the account, in this very transaction.

    ``and_then(conn, user_id)`` begins the session and returns its id, None where there is none. ``taken`` means that the address got an account meanwhile.
    """
    row = signups.guess(conn, signup_id, GUESSES)
    if row is None:
        return "over", 0
    if not opaque.same(row.code_hash, _hash(server, row.id, code)):
        return "wrong", GUESSES - row.guesses
    if not signups.consume(conn, row.id):
        return "over", 0
    user_id = opaque.new_id()
    key = accounts.fold(row.address)
    is_new = users.find_owner(conn, key, row.address) is None and users.create_new(
        conn,
        id=user_id,
        username=row.address,
        username_key=key,
        email=row.address,
        email_verified=True,
        claims=row.claims,
        password_hash=row.password_hash,
        must_change_password=False,
        state="active",
        password_changed_at=now(),
    )
    if not is_new:
        return "taken", 0
    session_id = and_then(conn, user_id)
    audit.record(
        conn,
        "user.signed_up",
        outcome="success",
        actor=user_id,
        client_id=client_id,
        subject=user_id,
        session_id=session_id,
        source=source,
        correlation_id=correlation_id,
        details={"terms": row.terms_version},
    )
    if row.terms_version is not None:
        terms.accept(conn, user_id, row.terms_version, source=source, correlation_id=correlation_id)
    return "right", 0


def typed_code(text: str) -> str | None:
    """Return the digits of a code as people type it (spaces and hyphens between), None when it cannot be one."""
    digits = "".join(char for char in text[:64] if char not in " -\u00a0\u2009\u202f")
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else None


def _new_code() -> str:
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def _stored(server: SignUpServer, signup_id: str, code: str, *, is_known: bool) -> str:
    """Return what a code is compared with: its hash, or for an address that has an account what no code hashes to."""
    hashed, nothing = _hash(server, signup_id, code), secrets.token_hex(32)
    return nothing if is_known else hashed


def _hash(server: SignUpServer, signup_id: str, code: str) -> str:
    # Keyed: there are too few codes for a bare hash to keep one from whoever reads the table.
    message = f"sign-up\n{server.tenant.id}\n{signup_id}\n{code}".encode()
    return hmac.digest(server.services.csrf_key, message, hashlib.sha256).hex()


def _send(
    conn: Connection, server: SignUpServer, address: str, language: str | None, code: str, owner: Row[Any] | None
) -> None:
    template, lifetime = ("signup_known", LIFETIME) if owner is not None else ("signup_code", CODE_LIFETIME)
    # Whoever signs up may be somebody else than the owner of the account.
    language = ((owner.claims or {}).get("locale") if owner is not None else None) or language
    context: dict[str, Any] = (
        {"link": f"{server.tenant.issuer}/"}
        if owner is not None
        else {"code": f"{code[: DIGITS // 2]} {code[DIGITS // 2 :]}", "minutes": CODE_LIFETIME // 60}
    )
    server.services.mailer.enqueue(
        conn, server.tenant, template, address, language=language, lifetime=lifetime, **context
    )


def _covers(pattern: str, domain: str) -> bool:
    if pattern.startswith("*."):
        return domain.endswith(pattern[1:])
    return domain == pattern


def _subject(kind: str, value: str) -> str:
    return opaque.digest(f"sign-up {kind}\n{value}")


def _record(conn: Connection, kind: str, wanted: Wanted, subject: str | None) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=None,
        client_id=wanted.client_id,
        subject=subject,
        source=wanted.source,
        correlation_id=wanted.correlation_id,
    )
