"""What the account pages are shown with: for each an ordinary and a difficult context."""

from __future__ import annotations

from typing import Any

from idp.identity.profile import fields_for
from idp.identity.profile_schema import DEFAULT, parse
from idp.language import N_, Sentence
from idp.web.branding import Brand

ACME = Brand("Acme Instruments", base_path="/t/acme")
NORD = Brand("Nordlicht", logo_url="/sample-logo.svg", primary="#101820", background="#e7eef2", base_path="/t/nord")
LONG = "maximiliane.von-und-zu-hohenlohe-langenburg@forschungsverbund.example"
PAGES = (
    ("", "Overview"),
    ("/profile", "Profile"),
    ("/email", "Email address"),
    ("/password", "Password"),
    ("/sessions", "Signed-in devices"),
    ("/applications", "Applications"),
    ("/history", "Activity"),
    ("/data", "Your data"),
    ("/delete", "Delete account"),
)
SCOPES = [
    {"text": "See your name and profile", "icon": "id", "detail": "Ada Lovelace"},
    {"text": "Keep access while you are not there, until you withdraw it", "icon": "clock", "detail": None},
]

CHANGED = (
    "Your profile was changed meanwhile, in another window or by an administrator. What you typed is still here; where it differs, "
    "the page says what is saved now. Save again to keep yours"
)


def at(text: str) -> dict[str, str]:
    """A time as a page shows it."""
    return {"iso": f"{text.replace(' ', 'T')}:00Z", "text": f"{text} UTC"}


def frame(path: str, done: str | None = None) -> dict[str, Any]:
    """What every account page is told."""
    return {
        "navigation": [
            {"url": f"/t/acme/account{each}", "words": words, "is_current": each == path} for each, words in PAGES
        ],
        "sign_out_url": "/t/acme/logout",
        "done": done,
        "action": f"/t/acme/account{path}",
        "csrf": "c3JmLXRva2Vu",
    }


ADA: dict[str, Any] = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "birthdate": "1815-12-10",
    "phone_number": "+44 20 7946 0018",
    "zoneinfo": "Europe/London",
    "address": {
        "street_address": "12 St James’s Square",
        "postal_code": "SW1Y 4JH",
        "locality": "London",
        "country": "United Kingdom",
    },
}
PROFILE = {
    **frame("/profile"),
    "fields": fields_for(DEFAULT, "user", "en", ADA),
    "saved_now": {},
    "revision": "4f2a",
    "errors": [],
}
OWN = parse(
    {
        "attributes": [
            {"name": "name", "label": "Full name", "required": True},
            {"name": "birthdate", "label": "Date of birth", "type": "date"},
            {
                "name": "team",
                "label": "Abteilung oder Forschungsgruppe",
                "type": "choice",
                "values": ["Probenlogistik", "Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik"],
                "required": True,
                "scope": "staff",
            },
            {"name": "desk", "label": "Number of the desk", "type": "number", "scope": "staff"},
            {"name": "news", "label": "Rundschreiben des Verbundes per E-Mail", "type": "boolean", "scope": "staff"},
            {"name": "badge", "label": "Number of the badge", "editable": "admin"},
            {
                "name": "grade",
                "label": "Grade",
                "type": "choice",
                "values": ["A 13"],
                "editable": "admin",
                "scope": "hr",
            },
            {"name": "sworn", "label": "Auf das Datengeheimnis verpflichtet", "type": "boolean", "editable": "admin"},
            {"name": "diet", "label": "Diet", "max_length": 100},
            {"name": "address", "label": "Postal address", "editable": "admin"},
        ]
    }
)
HIRED: dict[str, Any] = {
    "name": "Maximiliane von und zu Hohenlohe-Langenburg",
    "birthdate": "1985",
    "team": "Forschungsgruppe, die es nicht mehr gibt",
    "desk": 17,
    "badge": "0815-4711",
    "grade": "A 13",
    "sworn": True,
    "address": {"street_address": "Haus Nord\nAm Alten Hafen 7", "locality": "Bremerhaven"},
}
SESSION = {
    "id": "4f2a",
    "device": Sentence("%(browser)s on %(system)s", {"browser": "Firefox", "system": "Linux"}),
    "source": "192.0.2.17",
    "signed_in": at("2026-11-29 07:05"),
    "last_seen": at("2026-11-29 07:31"),
    "applications": ["Photo Frame", "Travel expenses"],
    "more": 0,
    "is_this": True,
}

ACCOUNT_SAMPLES: dict[str, tuple[str, Brand, dict[str, object]]] = {
    "account": (
        "account.html",
        ACME,
        {
            **frame("", "Your profile is saved."),
            "account": {"name": "Ada Lovelace", "username": "ada@acme.example"},
            "email": "ada@acme.example",
            "is_verified": True,
            "attention": [],
            "signed_in": at("2026-11-29 07:05"),
            "password_changed": at("2026-03-01 12:40"),
            "created": at("2025-01-07 09:12"),
            "terms": [],
        },
    ),
    "account-attention": (
        "account.html",
        NORD,
        {
            **frame(""),
            "account": {"name": None, "username": LONG},
            "email": LONG,
            "is_verified": False,
            "attention": [
                {
                    "text": "Your email address has not been confirmed.",
                    "url": "/t/acme/account/email",
                    "words": "Confirm your address",
                },
                {
                    "text": Sentence(
                        "Your account is signed in on %(count)s other device.",
                        {"count": 3},
                        "Your account is signed in on %(count)s other devices.",
                        3,
                    ),
                    "url": "/t/acme/account/sessions",
                    "words": "Look at the devices",
                },
            ],
            "signed_in": at("2026-11-29 07:05"),
            "password_changed": None,
            "created": at("2025-01-07 09:12"),
            "terms": [
                {"version": "2026-03", "at": at("2026-03-01 12:40")},
                {"version": "Allgemeine-Nutzungsbedingungen-des-Verbundes-vom-1.1.2025", "at": at("2025-01-07 09:12")},
            ],
        },
    ),
    "account-profile": ("account_profile.html", ACME, PROFILE),
    "account-profile-stale": (
        "account_profile.html",
        NORD,
        {
            **PROFILE,
            "fields": fields_for(DEFAULT, "user", "en", {**ADA, "name": "", "birthdate": "yesterday"}),
            "saved_now": {
                "profile_name": LONG,
                "profile_nickname": Sentence("nothing", {}),
                "profile_address-locality": "Ockham",
            },
            "errors": [
                (None, CHANGED),
                ("profile_name", N_("Fill in “%(label)s”", label=Sentence("Full name", {}))),
                (
                    "profile_birthdate",
                    N_("“%(label)s” must be a date such as 1985-12-10", label=Sentence("Date of birth", {})),
                ),
                (
                    "profile_address-street_address",
                    N_("“%(label)s” has characters that cannot be used", label=Sentence("Street and number", {})),
                ),
            ],
        },
    ),
    "account-profile-own": (
        "account_profile.html",
        ACME,
        {**PROFILE, "fields": fields_for(OWN, "user", "en", HIRED, HIRED)},
    ),
    "account-profile-nothing": ("account_profile.html", ACME, {**PROFILE, "fields": []}),
    "account-email": (
        "account_email.html",
        ACME,
        {**frame("/email"), "email": "ada@acme.example", "is_verified": True, "value": None, "errors": []},
    ),
    "account-email-wrong": (
        "account_email.html",
        NORD,
        {
            **frame("/email"),
            "email": LONG,
            "is_verified": False,
            "value": "ada",
            "errors": [("email", "This is not an email address such as ada@example.org.")],
        },
    ),
    "account-email-sent": (
        "account_email_sent.html",
        ACME,
        {**frame("/email"), "address": LONG, "minutes": 60, "another_url": "/t/acme/account/email"},
    ),
    "account-email-confirm": (
        "account_email_confirm.html",
        ACME,
        {
            "action": "/t/acme/account/email/confirm",
            "csrf": "c3JmLXRva2Vu",
            "token": "l_4f2a",
            "old": "ada@acme.example",
            "new": LONG,
            "is_username": True,
        },
    ),
    "account-password": (
        "account_password.html",
        ACME,
        {**frame("/password"), "username": "ada@acme.example", "min_length": 15, "ends_others": True, "errors": []},
    ),
    "account-password-wrong": (
        "account_password.html",
        NORD,
        {
            **frame("/password"),
            "username": "ada@acme.example",
            "min_length": 15,
            "ends_others": False,
            "errors": [
                (
                    "current_password",
                    "The password is not right, or there were too many attempts. Check it, or wait a few minutes and try again",
                ),
                ("confirm_password", "The two passwords are not the same"),
            ],
        },
    ),
    "account-sessions": (
        "account_sessions.html",
        ACME,
        {
            **frame("/sessions"),
            "has_others": True,
            "sessions": [
                SESSION,
                {
                    **SESSION,
                    "id": "5b3c",
                    "device": Sentence("%(browser)s on %(system)s", {"browser": "Safari", "system": "iPhone"}),
                    "source": "2001:db8:1234:5678:9abc:def0:1234:5678",
                    "applications": ["Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik"],
                    "more": 12,
                    "is_this": False,
                },
                {
                    **SESSION,
                    "id": "6c4d",
                    "device": "SomeVeryLongProgramNameWithoutAnySpaces/1.2.3",
                    "source": None,
                    "applications": [],
                    "is_this": False,
                },
            ],
        },
    ),
    "account-sessions-one": (
        "account_sessions.html",
        NORD,
        {**frame("/sessions", "All other devices are signed out."), "has_others": False, "sessions": [SESSION]},
    ),
    "account-applications": (
        "account_applications.html",
        ACME,
        {
            **frame("/applications"),
            "applications": [
                {
                    "client_id": "photos",
                    "name": "Photo Frame",
                    "scopes": SCOPES,
                    "since": at("2026-05-02 10:00"),
                    "used": at("2026-11-28 18:22"),
                },
                {
                    "client_id": "verbund",
                    "name": "Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik (Testsystem)",
                    "scopes": [],
                    "since": at("2026-05-02 10:00"),
                    "used": None,
                },
            ],
        },
    ),
    "account-applications-none": (
        "account_applications.html",
        NORD,
        {**frame("/applications", "The application no longer has access to your account."), "applications": []},
    ),
    "account-history": (
        "account_history.html",
        ACME,
        {
            **frame("/history"),
            "events": [
                {
                    "text": "Signed in",
                    "kind": None,
                    "reason": None,
                    "is_failure": False,
                    "at": at("2026-11-29 07:05"),
                    "source": "192.0.2.17",
                    "application": "Photo Frame",
                    "by": None,
                },
                {
                    "text": "A sign-in failed",
                    "kind": None,
                    "reason": "The password was wrong",
                    "is_failure": True,
                    "at": at("2026-11-29 07:04"),
                    "source": "2001:db8:1234:5678:9abc:def0:1234:5678",
                    "application": None,
                    "by": None,
                },
                {
                    "text": "Something else was recorded",
                    "kind": "user.something_new",
                    "reason": None,
                    "is_failure": False,
                    "at": at("2026-11-20 15:00"),
                    "source": None,
                    "application": None,
                    "by": "By an administrator",
                },
            ],
            "older_url": "/t/acme/account/history?before=1-1",
            "newest_url": "/t/acme/account/history",
        },
    ),
    "account-history-none": (
        "account_history.html",
        NORD,
        {**frame("/history"), "events": [], "older_url": None, "newest_url": None},
    ),
    "account-data": ("account_data.html", ACME, {**frame("/data"), "errors": []}),
    "account-data-often": (
        "account_data.html",
        NORD,
        {
            **frame("/data"),
            "errors": [(None, "You have downloaded this several times. Please wait an hour and try again")],
        },
    ),
    "account-delete": (
        "account_delete.html",
        ACME,
        {**frame("/delete"), "username": "ada@acme.example", "value": None, "errors": []},
    ),
    "account-delete-wrong": (
        "account_delete.html",
        NORD,
        {
            **frame("/delete"),
            "username": LONG,
            "value": "ada",
            "errors": [("username", "Type the name of your account exactly as it is shown")],
        },
    ),
    "account-deleted": ("account_deleted.html", ACME, {}),
}
