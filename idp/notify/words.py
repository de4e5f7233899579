"""Words that mails share: what happened to an account, when, and with which browser. Filters of the templates.

A browser is named from a short list and never quoted: whoever causes a mail chooses what the browser calls itself, and a mail
to somebody else is no place for their text.
"""

from __future__ import annotations

from datetime import UTC, datetime

from idp.browsers import named
from idp.language import N_, gettext, translated

# What a notice tells, by the word that `enqueue(..., "notice", what=...)` is given.
NOTICES = {
    "password_changed": N_("The password of your account was changed."),
    "password_set": N_("The people who run this service have given your account another password."),
    "email_changed": N_("The email address of your account was changed."),
    "sessions_ended": N_("You were signed out in all your browsers."),
    "account_deleted": N_("Your account was deleted."),
    # What the people who run the service do.
    "account_disabled": N_("The people who run this service have disabled your account. You cannot sign in to it now."),
    "account_enabled": N_("The people who run this service have enabled your account again. You can sign in to it."),
    "account_unlocked": N_("The people who run this service have ended the lock of your account."),
    "account_removed": N_("The people who run this service have deleted your account."),
    "account_restored": N_("The people who run this service have brought back your account, which had been deleted."),
}
_OTHER = N_("Something about the security of your account was changed.")


def notice(what: str) -> str:
    """Return the sentence for what happened, in the current language; a word of a newer release gets a general one."""
    return gettext(NOTICES.get(what, _OTHER))


def moment(seconds: int) -> str:
    """Return a time as people of any language read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def browser(user_agent: str) -> str:
    """Return the name of a browser and its system, in the current language."""
    name, system = named(user_agent)
    if name and system:
        return translated(N_("%(browser)s on %(system)s", browser=name, system=system))
    return name or system or gettext("an unknown browser")
