"""Lockout: how many sign-ins may fail, by account and by source, before both must wait (NIST SP 800-63B-4 §3.2.2).

Attempts are counted before the password is judged, so that parallel guesses cannot pass the limit together, but only when the
hasher's turn has come: so no more attempts than there are processes are counted and not yet judged, and a person who signs in
on many devices at once is not taken for a guesser. A lock ends by
itself with its window and nothing prolongs it: nobody can lock an account for good. A source over its limit is refused
before anything else: it neither uses up the tries of other people's accounts nor occupies the password hasher.
Must not know passwords or pages.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idp import opaque
from idp.store.tenant import attempts

if TYPE_CHECKING:
    from idp.store.rows import Connection
    from idp.tenancy.settings import TenantSettings


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose attempts are counted: digests, because the database need not know who mistyped from where."""

    account: str
    source: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the counters say about one attempt, which they include."""

    account_is_locked: bool
    source_is_locked: bool
    begins: bool  # this attempt is the one that a lock begins with

    @property
    def is_locked(self) -> bool:
        """Whether the attempt is refused whatever the password."""
        return self.account_is_locked or self.source_is_locked


def subjects(username_key: str, address: str) -> Subjects:
    """Return the counters of a folded username and of a client address (IPv6: its /64, which one customer has)."""
    return Subjects(account(username_key), opaque.digest(f"source\n{source_of(address)}"))


def account(username_key: str) -> str:
    """Return the counter of an account's failed sign-ins."""
    return attempts.of_account(username_key)


def source_of(address: str) -> str:
    """Return the address that attempts are counted by; a text that is no address counts as itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def minutes(settings: TenantSettings) -> int:
    """Return the minutes after which a lock has ended for sure."""
    return -(-settings.attempts_window // 60)


def count(conn: Connection, who: Subjects, settings: TenantSettings) -> Verdict:
    """Count one attempt in a write transaction and say whether it may be judged."""
    window = settings.attempts_window
    by_source, _ = attempts.count_one(conn, who.source, window)
    if by_source > settings.source_attempts:
        return Verdict(False, True, by_source == settings.source_attempts + 1)
    by_account, _ = attempts.count_one(conn, who.account, window)
    return Verdict(by_account > settings.account_attempts, False, by_account == settings.account_attempts + 1)


def source_is_over(conn: Connection, who: Subjects, settings: TenantSettings) -> bool:
    """Say whether a source has used its attempts up, without counting another."""
    return attempts.peek(conn, who.source)[0] >= settings.source_attempts


def succeeded(conn: Connection, who: Subjects) -> None:
    """After a right password: forget the account's failures, give the source its attempt back."""
    attempts.give_back(conn, who.source)
    attempts.reset(conn, who.account)
