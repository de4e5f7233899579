"""What every page is shown with in the tests and in the preview: one ordinary and some difficult contexts a template."""

from __future__ import annotations

from account_samples import ACCOUNT_SAMPLES

from idp.flow.login import REFUSED
from idp.identity.passwords import check_new_password
from idp.identity.profile import fields_for
from idp.identity.profile_schema import DEFAULT, parse
from idp.language import N_, Sentence
from idp.tenancy.settings import TenantSettings
from idp.web.branding import Brand, check_colours

ACME = Brand("Acme Instruments", base_path="/t/acme")
PLATFORM = Brand("AuthSec")

CLIENT = {
    "name": "Photo Frame",
    "logo_url": "/sample-logo.svg",
    "site_url": "https://photos.example",
    "policy_url": "https://photos.example/privacy",
    "terms_url": "https://photos.example/terms",
}
PLAIN_CLIENT = {
    "name": "Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik (Testsystem)",
    "logo_url": None,
    "site_url": None,
    "policy_url": "https://verbund.example/datenschutz",
    "terms_url": None,
}
ACCOUNT = {"name": "Ada Lovelace", "username": "ada@acme.example"}
FORM = {"action": "/t/acme/login?i=4f2a", "csrf": "c3JmLXRva2Vu"}
SIGNED_OUT: dict[str, object] = {
    "continue_url": None,
    "continue_name": None,
    "frames": [],
    "patience": 5,
    "goes_on": False,
    "others": [],
    "accounts_url": "/t/acme/accounts",
}
GOES_ON: dict[str, object] = {"client": CLIENT, "continue_url": "/t/acme/continue?interaction=4f2a", "goes_on": True}
ENDS_HERE: dict[str, object] = {"client": None, "continue_url": "/t/acme/start", "goes_on": False}
OF_LINK = {"token": "l_c2FtcGxl", "username": "ada@acme.example", "inviter": None, "min_length": 15, "errors": []}
LINK_GONE = {"recover_url": "/t/acme/recover", "applications_url": "/t/acme/start", "wait_minutes": 15}
UNKNOWN: dict[str, object] = {"remembered": False, "remember": False}
LINKED = Brand(
    "Universitätsklinikum Süd-Ostniedersachsen",
    logo_url="/sample-wide.svg",
    primary="#7b1fa2",
    background="#efe7f3",
    base_path="/t/klinik",
    picture_url="/sample-picture.svg",
    welcome_text="Use the account of your institute. New here? Your first sign-in is described in the letter that you got.",
    support_url="https://klinik.example/hilfe",
    privacy_url="https://klinik.example/datenschutz",
    imprint_url="https://klinik.example/impressum",
)
LONG_USERNAME = "maximiliane.von-und-zu-hohenlohe-langenburg@forschungsverbund.example"
ACCOUNTS = [
    {"id": "1" * 32, "name": "Ada Lovelace", "username": "ada@acme.example", "is_current": True},
    {"id": "2" * 32, "name": None, "username": LONG_USERNAME, "is_current": False},
    {"id": "3" * 32, "name": "Grace Hopper", "username": "grace@acme.example", "is_current": False},
]
APPLICATIONS = [
    {"name": "Photo Frame", "logo_uri": "/sample-logo.svg", "start_uri": "/t/acme/start?client_id=photos"},
    {"name": "Travel expenses", "logo_uri": None, "start_uri": "/t/acme/start?client_id=travel"},
]
SCOPES = [
    {"text": "Know who you are and recognise you when you come back", "icon": "user", "detail": None},
    {"text": "See your name and profile", "icon": "id", "detail": "Ada Lovelace"},
    {"text": "See your email address", "icon": "mail", "detail": "ada@acme.example"},
    {"text": "Keep access while you are not there, until you withdraw it", "icon": "clock", "detail": None},
]

LANGUAGES = [
    {"tag": "en", "name": "English", "url": "/t/acme/language?language=en&to=%2Ft%2Facme%2F"},
    {"tag": "de", "name": "Deutsch", "url": "/t/acme/language?language=de&to=%2Ft%2Facme%2F"},
]
TERMS = {"version": "2026-03", "url": "https://acme.example/terms/2026-03"}
OWN = {"data_url": "/t/acme/account/data", "delete_url": "/t/acme/account/delete"}
CODE: dict[str, object] = {
    "address": "ada@acme.example",
    "again_url": "/t/acme/signup?i=4f2a",
    "minutes": 10,
    "digits": 8,
    "is_sent": False,
    "is_over": False,
}
SIGNUP_FIELDS = fields_for(DEFAULT, "signup", "en")
HARD_FIELDS = fields_for(
    parse(
        {
            "attributes": [
                {"name": "name", "label": "Full name", "signup": True, "required": True},
                {
                    "name": "team",
                    "label": "Abteilung oder Forschungsgruppe",
                    "type": "choice",
                    "values": ["Probenlogistik", "Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik"],
                    "signup": True,
                    "required": True,
                },
                {"name": "birthdate", "label": "Date of birth", "type": "date", "signup": True},
                {
                    "name": "agreed",
                    "label": "Ich bin mindestens sechzehn Jahre alt",
                    "type": "boolean",
                    "signup": True,
                    "required": True,
                },
            ]
        }
    ),
    "signup",
    "en",
    {"birthdate": "1985-12-10"},
)

START: dict[str, object] = {
    "others": [],
    "sign_in_url": "/t/acme/sign-in?to=start",
    "accounts_url": "/t/acme/accounts",
    "sign_out_url": "/t/acme/logout",
    "applications": [],
    "applications_url": "/t/acme/start",
    "account_url": "/t/acme/account",
    "signup_url": None,
    "issuer": "https://id.example/t/acme",
}
SWITCH: dict[str, object] = {
    "add_url": "/t/acme/sign-in?to=accounts&another=1",
    "may_add": True,
    "sign_out_url": "/t/acme/logout",
    "start_url": "/t/acme/",
}
PREVIEW: dict[str, object] = {
    "sample": {"name": "Ada Lovelace", "username": "ada@example.org"},
    "action": "/t/acme/brand/preview",
    "start_url": "/t/acme/",
    "mail": {
        "subject": N_("Choose a new password for %(tenant)s", tenant=ACME.name),
        "url": "/t/acme/brand/preview/mail",
    },
    "values": {
        "colour_primary": "#2a56c6",
        "colour_background": "#f5f6f8",
        "welcome_text": "",
        "support_url": "https://acme.example/help",
        "privacy_url": "",
        "imprint_url": "",
    },
}

# name of the sample -> (template, brand, context)
SAMPLES: dict[str, tuple[str, Brand, dict[str, object]]] = {
    "login": (
        "login.html",
        ACME,
        {
            **FORM,
            "recover_url": "/t/acme/recover?interaction=4f2a",
            "signup_url": "/t/acme/signup?i=4f2a",
            "client": CLIENT,
            "username": None,
            "errors": [],
            **UNKNOWN,
        },
    ),
    "login-wrong": (
        "login.html",
        ACME,
        {
            **FORM,
            "recover_url": "/t/acme/recover?interaction=4f2a",
            "client": PLAIN_CLIENT,
            "username": "ada@acme.example",
            "signup_url": "/t/acme/signup?i=4f2a",
            "errors": [("password", REFUSED)],
            **UNKNOWN,
            "remember": True,
        },
    ),
    "login-throttled": (
        "login.html",
        Brand("Zitronenhof", primary="#ffd400", background="#1d3b2a", base_path="/t/zitrone"),
        {
            **FORM,
            "recover_url": "/t/zitrone/recover?interaction=4f2a",
            "signup_url": None,
            "client": None,
            "username": None,
            "errors": [(None, "Too many people are signing in. Please try again in a moment")],
            **UNKNOWN,
        },
    ),
    "login-remembered": (
        "login.html",
        LINKED,
        {
            **FORM,
            "client": None,
            "username": "ada@acme.example",
            "recover_url": "/t/acme/recover?interaction=4f2a",
            "signup_url": None,
            "errors": [],
            "remembered": True,
            "remember": True,
        },
    ),
    "login-remembered-long": (
        "login.html",
        ACME,
        {
            **FORM,
            "client": CLIENT,
            "username": LONG_USERNAME,
            "recover_url": "/t/acme/recover?interaction=4f2a",
            "signup_url": None,
            "errors": [],
            "remembered": True,
            "remember": True,
        },
    ),
    "password": (
        "password.html",
        ACME,
        {**FORM, "username": "ada@acme.example", "min_length": 12, "errors": [], "strength": None, "is_too_old": False},
    ),
    "password-wrong": (
        "password.html",
        ACME,
        {
            **FORM,
            "username": "ada@acme.example",
            "min_length": 12,
            "errors": [
                *(
                    ("new_password", each)
                    for each in check_new_password("short", TenantSettings(password_min_length=12))
                ),
                ("confirm_password", "The two passwords are not the same"),
            ],
            "strength": {
                "word": Sentence("very weak", {}),
                "sentence": "This password would be guessed within minutes: add words.",
            },
            "is_too_old": True,
        },
    ),
    "recover": ("recover.html", ACME, {**FORM, **GOES_ON, "username": None, "errors": []}),
    "recover-wrong": (
        "recover.html",
        ACME,
        {**FORM, **ENDS_HERE, "username": None, "errors": [("username", "Enter your email address")]},
    ),
    "recover-throttled": (
        "recover.html",
        ACME,
        {
            **FORM,
            **ENDS_HERE,
            "username": "ada@acme.example",
            "errors": [
                (None, "New passwords were asked for too often from where you are. Please try again in a few minutes")
            ],
        },
    ),
    "recovery_sent": (
        "recovery_sent.html",
        ACME,
        {**GOES_ON, "minutes": 30, "wait_minutes": 15, "again_url": "/t/acme/recover"},
    ),
    "recovery_sent-plain": (
        "recovery_sent.html",
        ACME,
        {**ENDS_HERE, "minutes": 1440, "wait_minutes": 90, "again_url": "/t/acme/recover"},
    ),
    "new_password": ("new_password.html", ACME, {**FORM, **OF_LINK, "kind": "recovery"}),
    "new_password-wrong": (
        "new_password.html",
        ACME,
        {
            **FORM,
            **OF_LINK,
            "kind": "recovery",
            "errors": [("confirm_password", "The two passwords are not the same")],
        },
    ),
    "invitation": ("new_password.html", ACME, {**FORM, **OF_LINK, "kind": "invitation"}),
    "invitation-long": (
        "new_password.html",
        Brand("Verbundverwaltung für Forschungsdatenmanagement und Probenlogistik", base_path="/t/verbund"),
        {
            **FORM,
            **OF_LINK,
            "kind": "invitation",
            "inviter": "Wolfeschlegelsteinhausenbergerdorff & <Söhne>",
            "username": "wolfeschlegelsteinhausenbergerdorff.senior@forschungsdatenmanagement.example",
        },
    ),
    "link_done": ("link_done.html", ACME, {**GOES_ON, "kind": "recovery"}),
    "link_done-invitation": ("link_done.html", ACME, {**ENDS_HERE, "kind": "invitation"}),
    "link_done-unlock": ("link_done.html", ACME, {**ENDS_HERE, "kind": "unlock"}),
    "link_gone": ("link_gone.html", ACME, {**LINK_GONE, "kind": "recovery"}),
    "link_gone-invitation": ("link_gone.html", ACME, {**LINK_GONE, "kind": "invitation"}),
    "link_gone-unlock": ("link_gone.html", ACME, {**LINK_GONE, "kind": "unlock"}),
    "unlock": ("unlock.html", ACME, {**FORM, "token": "l_c2FtcGxl", "username": "ada@acme.example", "kind": "unlock"}),
    "signup": (
        "signup.html",
        ACME,
        {
            **FORM,
            "client": CLIENT,
            "email": None,
            "fields": SIGNUP_FIELDS,
            "terms": None,
            "has_accepted": False,
            "min_length": 15,
            "errors": [],
        },
    ),
    "signup-wrong": (
        "signup.html",
        Brand("Zitronenhof", primary="#ffd400", background="#1d3b2a", base_path="/t/zitrone"),
        {
            **FORM,
            "client": PLAIN_CLIENT,
            "email": "maximiliane.von-und-zu-hohenlohe-langenburg@forschungsverbund.example",
            "fields": HARD_FIELDS,
            "terms": TERMS,
            "has_accepted": False,
            "min_length": 15,
            "errors": [
                ("email", "Accounts cannot be made with addresses of this domain"),
                ("profile_name", N_("Fill in “%(label)s”", label=Sentence("Full name", {}))),
                (
                    "profile_team",
                    N_("Choose one of the values of “%(label)s”", label="Abteilung oder Forschungsgruppe"),
                ),
                ("profile_agreed", N_("“%(label)s” must be ticked", label="Ich bin mindestens sechzehn Jahre alt")),
                *(("password", each) for each in check_new_password("short", TenantSettings(password_min_length=15))),
                ("terms", "Accept the terms to go on"),
            ],
        },
    ),
    "signup-code": ("signup_code.html", ACME, {**FORM, **CODE, "client": CLIENT, "errors": []}),
    "signup-code-sent": ("signup_code.html", ACME, {**FORM, **CODE, "client": None, "is_sent": True, "errors": []}),
    "signup-code-wrong": (
        "signup_code.html",
        ACME,
        {
            **FORM,
            **CODE,
            "client": CLIENT,
            "address": "maximiliane.von-und-zu-hohenlohe-langenburg@forschungsverbund.example",
            "errors": [
                (
                    "code",
                    N_(
                        "This code is not right. Compare it with the newest mail; you can try %(left)s more times",
                        left=3,
                    ),
                )
            ],
        },
    ),
    "signup-code-over": (
        "signup_code.html",
        ACME,
        {
            **FORM,
            **CODE,
            "client": None,
            "is_over": True,
            "errors": [(None, "This code cannot be used any more. Begin the sign-up again to get a new one")],
        },
    ),
    "terms": ("terms.html", ACME, {**FORM, **OWN, "client": CLIENT, "terms": TERMS, "errors": []}),
    "terms-wrong": (
        "terms.html",
        ACME,
        {
            **FORM,
            **OWN,
            "delete_url": None,
            "client": None,
            "terms": {"version": "2026-03-allgemeine-nutzungsbedingungen-der-verbundverwaltung", "url": TERMS["url"]},
            "errors": [("terms", "Tick that you accept the terms, or choose not to go on")],
        },
    ),
    "consent": (
        "consent.html",
        ACME,
        {**FORM, "client": CLIENT, "account": ACCOUNT, "scopes": SCOPES, "redirect_host": "photos.example"},
    ),
    "consent-long": (
        "consent.html",
        Brand("Nordlicht", logo_url="/sample-logo.svg", primary="#101820", background="#e7eef2", base_path="/t/nord"),
        {
            **FORM,
            "client": PLAIN_CLIENT,
            "account": {
                "name": None,
                "username": "maximiliane.von-und-zu-hohenlohe-langenburg@forschungsverbund.example",
            },
            "scopes": SCOPES,
            "redirect_host": "probenlogistik.forschungsdatenmanagement.verbund.example",
        },
    ),
    "logout": (
        "logout.html",
        ACME,
        {**FORM, "stay_url": "/t/acme", "client_name": "Photo Frame", "account": ACCOUNT, "others": []},
    ),
    "logout-several": (
        "logout.html",
        LINKED,
        {
            **FORM,
            "stay_url": "/t/acme",
            "client_name": None,
            "account": ACCOUNT,
            "others": [LONG_USERNAME, "grace@acme.example"],
        },
    ),
    "logout-others-only": (
        "logout.html",
        ACME,
        {
            **FORM,
            "stay_url": "/t/acme",
            "client_name": "Photo Frame",
            "account": None,
            "others": ["grace@acme.example"],
        },
    ),
    "signed_out-others": (
        "signed_out.html",
        ACME,
        {**SIGNED_OUT, "others": ["grace@acme.example", LONG_USERNAME]},
    ),
    "signed_out": (
        "signed_out.html",
        ACME,
        {**SIGNED_OUT, "continue_url": "https://photos.example/", "continue_name": "Photo Frame"},
    ),
    "signed_out-plain": ("signed_out.html", ACME, SIGNED_OUT),
    "signed_out-frames": (
        "signed_out.html",
        ACME,
        {
            **SIGNED_OUT,
            "frames": ["/t/acme/sample-frame?iss=https%3A%2F%2Fid.example&sid=4f2a", "/t/acme/sample-frame?sid=4f2a"],
        },
    ),
    "signed_out-goes-on": (
        "signed_out.html",
        ACME,
        {
            **SIGNED_OUT,
            "continue_url": "https://photos.example/bye?state=4f2a",
            "continue_name": PLAIN_CLIENT["name"],
            "frames": ["/t/acme/sample-frame?iss=https%3A%2F%2Fid.example&sid=4f2a"],
            "patience": 5,
            "goes_on": True,
        },
    ),
    "error": (
        "error.html",
        ACME,
        {
            "title": "The application sent an address that is not registered",
            "explanation": "You would be sent to an address that the application has not registered, so we stop here.",
            "code": "invalid_request",
            "rows": [("Details", "https://photos.example/callback/")],
            "advice": [
                "Go back to the application and try again.",
                "If it happens again, tell the people who run the application the reference below.",
            ],
            "continue_url": "https://photos.example/",
            "continue_label": "To the start page",
        },
    ),
    "error-plain": (
        "error.html",
        PLATFORM,
        {
            "title": "There is nothing at this address.",
            "explanation": "The address may be misspelt, or what stood here is gone.",
            "code": None,
            "rows": [],
            "advice": [],
            "continue_url": None,
            "continue_label": None,
        },
    ),
    "restart": (
        "restart.html",
        ACME,
        {"reason": "expired", "continue_url": "/t/acme/authorize?i=4f2a", "client": None},
    ),
    "restart-lost": ("restart.html", ACME, {"reason": "finished", "continue_url": None, "client": None}),
    "tenant": ("tenant.html", ACME, {**START, "account": None, "signup_url": "/t/acme/signup"}),
    "tenant-branded": (
        "tenant.html",
        LINKED,
        {**START, "account": None, "others": ["grace@acme.example"], "applications": APPLICATIONS},
    ),
    "tenant-signed-in": ("tenant.html", ACME, {**START, "account": ACCOUNT}),
    "tenant-several": (
        "tenant.html",
        ACME,
        {
            **START,
            "account": {"name": None, "username": LONG_USERNAME},
            "others": ["grace@acme.example", "ada@acme.example"],
            "applications": [
                *APPLICATIONS,
                {"name": PLAIN_CLIENT["name"], "logo_uri": None, "start_uri": "/t/acme/start?client_id=v"},
            ],
        },
    ),
    "accounts": ("accounts.html", ACME, {**FORM, **SWITCH, "accounts": ACCOUNTS}),
    "accounts-one": ("accounts.html", LINKED, {**FORM, **SWITCH, "accounts": ACCOUNTS[:1], "may_add": False}),
    "brand-preview": ("brand_preview.html", ACME, {**PREVIEW, "errors": [], "advice": []}),
    "brand-preview-wrong": (
        "brand_preview.html",
        LINKED,
        {
            **PREVIEW,
            "mail": {
                "subject": N_("Choose a new password for %(tenant)s", tenant=LINKED.name),
                "url": "/t/klinik/brand/preview/mail",
            },
            "errors": [("colour_primary", "Give a colour such as #1f5fd6")],
            "advice": check_colours("#ffd400", "#ffffff"),
        },
    ),
    "applications": (
        "applications.html",
        ACME,
        {
            "others": [
                {"name": "Company portal", "host": "portal.example", "start_uri": "/t/acme/start?client_id=portal"}
            ],
            "reviewed": [
                {
                    "name": "Photo Frame",
                    "logo_uri": "/sample-logo.svg",
                    "start_uri": "/t/acme/start?client_id=photos",
                },
                {"name": "Travel expenses", "logo_uri": None, "start_uri": "/t/acme/start?client_id=travel"},
            ],
        },
    ),
    "applications-none": ("applications.html", ACME, {"reviewed": [], "others": []}),
    "select-account": ("select_account.html", ACME, {**FORM, "client": CLIENT, "accounts": ACCOUNTS[:1]}),
    "select-account-several": ("select_account.html", LINKED, {**FORM, "client": PLAIN_CLIENT, "accounts": ACCOUNTS}),
    "home": ("home.html", PLATFORM, {}),
    "form_post": (
        "form_post.html",
        ACME,
        {
            "action": "https://photos.example/callback",
            "fields": [("code", "ac_4b1x"), ("state", "af0ifjsldkj"), ("iss", "https://id.example/t/acme")],
            "client_name": "Photo Frame",
        },
    ),
    **ACCOUNT_SAMPLES,
}
