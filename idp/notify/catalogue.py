"""The mails there are: each with one sentence about it and sample values, for previews and for trying a tenant's own wording.

A row belongs here as soon as `templates/mail/{name}.txt` is there. ``{issuer}`` in a sample stands for the tenant's issuer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idp.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@dataclass(frozen=True, slots=True)
class Mail:
    """One kind of mail: what it is for, and what ``enqueue`` is given beside the address."""

    name: str
    about: str
    sample: Mapping[str, Any] = field(default_factory=dict)

    def sample_for(self, issuer: str) -> dict[str, Any]:
        """Return the sample values of a tenant."""
        return {
            name: value.replace("{issuer}", issuer) if isinstance(value, str) else value
            for name, value in self.sample.items()
        }


MAILS = (
    Mail("test", "Shows that mail works; sent by `idp mail test`."),
    Mail(
        "notice",
        "Tells somebody that the security of the account changed: what, when, from where, and what to do about it.",
        {
            "what": "password_changed",
            "at": 1_795_900_000,
            "source": "203.0.113.7",
            "user_agent": _BROWSER,
            "link": "{issuer}/account",
        },
    ),
    Mail(
        "invitation",
        "Invites somebody to an account; the link leads to the choice of a password.",
        {
            "name": "Ada Lovelace",
            "inviter": "Grace Hopper",
            "hours": 168,
            "minutes": 168 * 60,
            "link": "{issuer}/invitation?token=sample",
        },
    ),
    Mail(
        "recovery",
        "Leads somebody who has forgotten the password to the choice of another.",
        {
            "username": "ada@example.com",
            "minutes": 30,
            "source": "203.0.113.7",
            "link": "{issuer}/recovery?token=sample",
        },
    ),
    Mail(
        "unlock",
        "Tells somebody that too many sign-ins failed, and leads out of the lock.",
        {"username": "ada@example.com", "minutes": 30, "wait_minutes": 15, "link": "{issuer}/unlock?token=sample"},
    ),
    Mail(
        "email_change",
        "Asks whoever reads a new address to confirm it.",
        {
            "minutes": 60,
            "source": "203.0.113.7",
            "user_agent": _BROWSER,
            "link": "{issuer}/account/email/confirm?token=sample",
        },
    ),
    Mail(
        "email_taken",
        "Tells the owner of an address that another account wanted to use it.",
        {"address": "ada@example.com"},
    ),
    Mail("signup_code", "Has the code that confirms a sign-up.", {"code": "4821 7730", "minutes": 10}),
    Mail(
        "signup_known",
        "Tells the owner of an account that somebody tried to sign up with its address.",
        {"link": "{issuer}/"},
    ),
    Mail(
        "webhook_disabled",
        "Tells administrators that a webhook was disabled, because its address is gone or has failed for days.",
        {
            "host": "hooks.example.com",
            "webhook_id": "8f14e45fceea467a9575e9b1c6f0a1d3",
            "is_gone": False,
            "at": 1_795_900_000,
        },
    ),
)


def get(name: str) -> Mail:
    """Return a mail by its name; raises :class:`NotFound`."""
    found = next((mail for mail in MAILS if mail.name == name), None)
    if found is None:
        raise NotFound(f"There is no mail {name}; there are {', '.join(mail.name for mail in MAILS)}.")
    return found
