"""A way out of a lock: the owner of an account that is locked gets a mail, at most one in the window, whose link ends the lock.

The first sign-in that a lock refuses puts a message into the outbox, whether there is such an account or not, so that nobody
learns it (security rule 7). Nobody can fill a letter box by guessing passwords. Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.identity import lifecycle, link_use, links, lockout
from idp.identity.accounts import By, locked, record
from idp.jobs.outbox import Sent, announced
from idp.language import current
from idp.store.tenant import attempts, one_time_links, outbox, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.identity.accounts import Require
    from idp.identity.link_use import Opened
    from idp.identity.notices import Tell
    from idp.jobs.schedule import JobContext
    from idp.notify.mailer import Mailer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.settings import TenantSettings

KIND = lifecycle.UNLOCK
PATH = "/unlock"
PATIENCE = 600  # seconds after which it is too late


def offer(database: Database, user_id: str | None, source: str, correlation_id: str) -> None:
    """Note that a lock has begun to refuse sign-ins to an account, or to none; the page's language is that of the mail to whoever named none."""
    message = {
        "user_id": user_id or opaque.new_id(),
        "language": current().tag,
        "source": source,
        "correlation_id": correlation_id,
    }
    with announced(database):
        database.writing(lambda conn: outbox.enqueue(conn, KIND, [KIND], message, lifetime=PATIENCE))


def sender(mailer: Mailer) -> Callable[[JobContext, Row[Any]], Sent]:
    """Return what answers a lock that waits in the outbox: with a mail, where there is somebody to tell."""

    def send(context: JobContext, message: Row[Any]) -> Sent:
        tenant, payload = context.tenant, message.payload
        settings = tenant.settings

        def work(conn: Connection) -> str:
            user = users.find_locked(conn, payload["user_id"])
            if user is None or not user.email:
                return "no mail: there is nobody to tell"
            if not lifecycle.of(lifecycle.state_of(conn, user, settings)).unlock:
                return "no mail: the account is not locked"
            counter = opaque.digest(f"unlock mail\n{user.username_key}")
            if attempts.count_one(conn, counter, settings.attempts_window)[0] > 1:
                return "no mail: there was one in this window"
            lifetime = settings.recovery_lifetime
            link = links.make(
                conn, tenant, KIND, PATH, user_id=user.id, address=user.email, lifetime=lifetime, by="lockout"
            )
            told = {
                "username": user.username,
                "minutes": lifetime // 60,
                "wait_minutes": lockout.minutes(settings),
            }
            language = (user.claims or {}).get("locale") or payload.get("language")
            mailer.enqueue(conn, tenant, KIND, user.email, language=language, lifetime=lifetime, link=link.url, **told)
            by = By("worker", payload["source"], payload["correlation_id"])
            record(conn, "unlock.mailed", user.id, by)
            return "the mail unlock was written"

        return Sent("delivered", context.database.writing(work))

    return send


def complete(database: Database, opened: Opened, *, by: By) -> None:
    """End a lock by its link; raises :class:`~idp.identity.link_use.Gone`."""

    def work(conn: Connection) -> None:
        _unlock(conn, link_use.use(conn, opened.link), by)

    database.writing(work)


def unlock(
    database: Database,
    settings: TenantSettings,
    user_id: str,
    *,
    by: By,
    tell: Tell | None = None,
    require: Require | None = None,
) -> None:
    """End a lock without a link, and ``tell`` whose account was locked; raises :class:`~idp.errors.NotFound`."""

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        one_time_links.revoke_of_user(conn, user_id, KIND)
        if tell is not None and lifecycle.state_of(conn, user, settings) == "locked":
            tell(conn, user)
        _unlock(conn, user, by)

    with announced(database):
        database.writing(work)


def _unlock(conn: Connection, user: Row[Any], by: By) -> None:
    attempts.reset(conn, lockout.account(user.username_key))
    record(conn, "user.unlocked", user.id, by)
