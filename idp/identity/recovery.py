"""A new password for who has forgotten theirs: asked for by anybody, sent to the account's address, set by whoever has the mail.

Whoever asks learns nothing (security rule 7): a request counts, leaves an event and puts one message into the outbox, whoever it
names and whether there is such an account. The worker looks whose it is and writes link, mail and event in one transaction.
What is counted here never locks a sign-in. Must not know pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from idp import audit, opaque
from idp.clock import now
from idp.errors import Conflict, TooManyRequests, refused
from idp.identity import invitations, lifecycle, link_use, links, lockout, notices
from idp.identity.accounts import By, fold, is_username, locked, record, write_password
from idp.jobs.outbox import Sent, announced
from idp.language import current
from idp.store.tenant import attempts, outbox, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.identity.accounts import Require
    from idp.identity.link_use import Opened
    from idp.jobs.schedule import JobContext
    from idp.notify.mailer import Mailer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

KIND = lifecycle.RECOVERY
PATH = "/recovery"
PATIENCE = 3600  # seconds after which a request that no worker has seen is given up


class Server(Protocol):
    """The tenant whose password was forgotten."""

    @property
    def tenant(self) -> Tenant:
        """The tenant with its limits."""

    @property
    def database(self) -> Database:
        """The tenant's database."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for and from where; ``interaction`` is the sign-in that they want to go on with."""

    username: str
    source: str
    correlation_id: str
    interaction: str | None = None

    def __repr__(self) -> str:
        """Show nothing that was typed."""
        return f"Request(source={self.source!r}, correlation_id={self.correlation_id!r})"


def ask(server: Server, request: Request) -> None:
    """Take a request; raises :class:`TooManyRequests` for a source that asks too often, whomever for."""
    settings, key = server.tenant.settings, fold(request.username)
    by_source = opaque.digest(f"recovery source\n{lockout.source_of(request.source)}")
    by_account = _counter(key)
    window = settings.attempts_window
    with server.database.reading() as conn:
        count, ends_at = attempts.peek(conn, by_source)
    if count >= settings.source_attempts:
        raise _too_many(ends_at)

    def work(conn: Connection) -> None:
        count, ends_at = attempts.count_one(conn, by_source, window)
        if count > settings.source_attempts:  # of many that came together
            raise _too_many(ends_at)
        asked, _ = attempts.count_one(conn, by_account, window)
        found = users.find_id(conn, key) if is_username(key) else None
        message = {
            "user_id": found or opaque.new_id(),  # nobody's: the row is like any other
            "is_over": asked > settings.recovery_mails,
            "interaction": request.interaction,
            "language": current().tag,
            "source": audit.clean(request.source),
            "correlation_id": request.correlation_id,
        }
        outbox.enqueue(conn, KIND, [KIND], message, lifetime=PATIENCE)
        audit.record(
            conn,
            "recovery.requested",
            outcome="success",
            actor=None,
            source=request.source,
            correlation_id=request.correlation_id,
            details={"username_digest": opaque.digest(key)[:8]},
        )

    with announced(server.database):
        server.database.writing(work)


def _counter(username_key: str) -> str:
    return opaque.digest(f"recovery account\n{username_key}")


def _too_many(ends_at: int) -> TooManyRequests:
    return refused(
        TooManyRequests(retry_after=max(1, ends_at - now())),
        check="recovery",
        spec="OWASP ASVS 6.3.1",
        reason="too many new passwords were asked for from this address",
        fix="Wait for attempts_window seconds, or raise source_attempts where many people share an address.",
    )


def sender(mailer: Mailer) -> Callable[[JobContext, Row[Any]], Sent]:
    """Return what answers a request that waits in the outbox: with a mail, where the account's state brings one."""

    def send(context: JobContext, message: Row[Any]) -> Sent:
        tenant, payload = context.tenant, message.payload

        def work(conn: Connection) -> str:
            user = users.find_locked(conn, payload["user_id"])
            kind = lifecycle.of(user.state).recovery if user is not None else None
            if user is None or kind is None:
                return "no mail: there is no account that may have one"
            if not user.email:
                return "no mail: the account has no address"
            if payload["is_over"]:
                return "no mail: the account has had enough of them"
            if kind == lifecycle.INVITATION:
                invitations.send_again(conn, mailer, tenant, user, interaction=payload["interaction"])
            else:
                _send(conn, mailer, tenant, user, payload)
            by = By(user.id, payload["source"], payload["correlation_id"])
            record(conn, "recovery.mailed", user.id, by, {"mail": kind})
            return f"the mail {kind} was written"

        return Sent("delivered", context.database.writing(work))

    return send


def demand(server: Server, mailer: Mailer, user_id: str, *, by: By, require: Require | None = None) -> None:
    """Mail somebody a link by which to choose another password, as an administrator wants it; the present one has to be changed.

    Nobody but the person gets to know the new one. Raises :class:`NotFound`, :class:`Conflict` for an account that is not to have one,
    and :class:`TooManyRequests` where the account had its mails, whoever asked for them.
    """
    tenant = server.tenant

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        if lifecycle.of(user.state).recovery != KIND:
            raise lifecycle.instead(user.state, "active")
        if not user.email:
            raise Conflict("This account has no address that a mail could go to.")
        asked, ends_at = attempts.count_one(conn, _counter(user.username_key), tenant.settings.attempts_window)
        if asked > tenant.settings.recovery_mails:
            raise TooManyRequests(retry_after=max(1, ends_at - now()))
        if user.password_hash is not None:
            users.change(conn, user.id, must_change_password=True)
        _send(conn, mailer, tenant, user, {"interaction": None, "source": None})
        record(conn, "user.password_reset", user.id, by)

    with announced(server.database):
        server.database.writing(work)


def _send(conn: Connection, mailer: Mailer, tenant: Tenant, user: Row[Any], payload: dict[str, Any]) -> None:
    lifetime = tenant.settings.recovery_lifetime
    kept = {"interaction": payload["interaction"]}
    link = links.make(
        conn, tenant, KIND, PATH, user_id=user.id, address=user.email, lifetime=lifetime, by="recovery", payload=kept
    )
    language = (user.claims or {}).get("locale") or payload.get("language")
    told = {"username": user.username, "minutes": lifetime // 60, "source": payload["source"]}
    mailer.enqueue(conn, tenant, KIND, user.email, language=language, lifetime=lifetime, link=link.url, **told)


def complete(
    server: Server, mailer: Mailer, opened: Opened, password_hash: str, *, by: By, user_agent: str | None
) -> None:
    """Set the new password, which was checked and hashed; raises :class:`~idp.identity.link_use.Gone`.

    The account's failed sign-ins are forgotten, its other links and, as the tenant wants it, its sessions end, and it is told.
    """
    tenant = server.tenant

    def work(conn: Connection) -> None:
        user = link_use.use(conn, opened.link)
        ended = write_password(conn, tenant, user.id, password_hash)
        # Whoever has read the mail has the address.
        users.change(conn, user.id, email_verified=True)
        attempts.reset(conn, lockout.account(user.username_key))
        record(conn, "user.password_changed", user.id, by, {"sessions_ended": ended, "way": KIND})
        if lifecycle.of(user.state).notices:
            origin = notices.Origin(by.source, user_agent)
            locale = (user.claims or {}).get("locale")
            notices.tell(conn, mailer, tenant, "password_changed", user.email, origin, locale)

    with announced(server.database):
        server.database.writing(work)
