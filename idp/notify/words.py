"""Words that mails share: what happened to an account, when, and with which browser. Filters of the templates.

A browser is named from a short list and never quoted: whoever causes a mail chooses what the browser calls itself, and a mail
to somebody else is no place for their text.
"""

from __future__ import annotations

from datetime import UTC, datetime

from idp.language import N_, gettext

# What a notice tells, by the word that `enqueue(..., "notice", what=...)` is given.
NOTICES = {
    "password_changed": N_("The password of your account was changed."),
    "password_reset": N_("The password of your account was reset by a link that was mailed to you."),
    "password_removed": N_("The password of your account was removed."),
    "email_changed": N_("The email address of your account was changed."),
    "email_change_requested": N_("Somebody asked to change the email address of your account."),
    "phone_number_changed": N_("The phone number of your account was changed."),
    "username_changed": N_("The name with which you sign in was changed."),
    "profile_changed": N_("The details of your account were changed."),
    "signed_in": N_("Your account was used to sign in from a browser that was not seen before."),
    "session_ended": N_("You were signed out in one of your browsers."),
    "sessions_ended": N_("You were signed out in all your browsers."),
    "application_removed": N_("An application lost its access to your account."),
    "token_reused": N_("An application lost its access to your account, because its key was used twice."),
    "account_locked": N_("Your account was locked, because there were too many failed sign-ins."),
    "account_unlocked": N_("Your account was unlocked."),
    "account_disabled": N_("Your account was disabled."),
    "account_enabled": N_("Your account can be used again."),
    "account_deleted": N_("Your account was deleted."),
    "account_linked": N_("Your account was linked with an account elsewhere."),
    "account_unlinked": N_("Your account is no longer linked with an account elsewhere."),
    "factor_added": N_("A way to sign in was added to your account."),
    "factor_removed": N_("A way to sign in was removed from your account."),
}
_OTHER = N_("Something about the security of your account was changed.")
# The first that is named counts: nearly every browser names others too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def notice(what: str) -> str:
    """Return the sentence for what happened, in the current language; a word of a newer release gets a general one."""
    return gettext(NOTICES.get(what, _OTHER))


def moment(seconds: int) -> str:
    """Return a time as people of any language read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def browser(user_agent: str) -> str:
    """Return the name of a browser and its system, in the current language."""
    name = next((known for mark, known in _BROWSERS if mark in user_agent), None)
    system = next((known for mark, known in _SYSTEMS if mark in user_agent), None)
    if name and system:
        return gettext("%(browser)s on %(system)s") % {"browser": name, "system": system}
    return name or system or gettext("an unknown browser")
