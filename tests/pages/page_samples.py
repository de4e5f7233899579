"""What every page is shown with in the tests and in the preview: one ordinary and some difficult contexts a template."""

from __future__ import annotations

from idp.web.branding import Brand

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

START: dict[str, object] = {
    "others": [],
    "sign_in_url": "/t/acme/sign-in?to=start",
    "accounts_url": "/t/acme/accounts",
    "sign_out_url": "/t/acme/logout",
    "applications": [],
    "applications_url": "/t/acme/start",
    "issuer": "https://id.example/t/acme",
}
SWITCH: dict[str, object] = {
    "add_url": "/t/acme/sign-in?to=accounts&another=1",
    "may_add": True,
    "sign_out_url": "/t/acme/logout",
    "start_url": "/t/acme/",
}
PREVIEW: dict[str, object] = {
    "action": "/t/acme/brand/preview",
    "start_url": "/t/acme/",
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
    "login": ("login.html", ACME, {**FORM, "client": CLIENT, "username": None, "errors": [], **UNKNOWN}),
    "login-wrong": (
        "login.html",
        ACME,
        {
            **FORM,
            "client": PLAIN_CLIENT,
            "username": "ada@acme.example",
            "errors": [("password", "The email address or the password is not right")],
            **UNKNOWN,
            "remember": True,
        },
    ),
    "login-throttled": (
        "login.html",
        Brand("Zitronenhof", primary="#ffd400", background="#1d3b2a", base_path="/t/zitrone"),
        {
            **FORM,
            "client": None,
            "username": None,
            "errors": [(None, "Too many attempts. Try again in 5 minutes.")],
            **UNKNOWN,
        },
    ),
    "login-remembered": (
        "login.html",
        LINKED,
        {**FORM, "client": None, "username": "ada@acme.example", "errors": [], "remembered": True, "remember": True},
    ),
    "login-remembered-long": (
        "login.html",
        ACME,
        {**FORM, "client": CLIENT, "username": LONG_USERNAME, "errors": [], "remembered": True, "remember": True},
    ),
    "password": ("password.html", ACME, {**FORM, "username": "ada@acme.example", "min_length": 12, "errors": []}),
    "password-wrong": (
        "password.html",
        ACME,
        {
            **FORM,
            "username": "ada@acme.example",
            "min_length": 12,
            "errors": [
                ("new_password", "The new password is too short; it needs at least 12 characters"),
                ("confirm_password", "The two passwords are not the same"),
            ],
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
            "title": "The application sent you here with an address we do not know",
            "explanation": "For your safety we do not send you back to an address that the application has not registered.",
            "code": "invalid_request",
            "rows": [("Application", "Photo Frame"), ("Address received", "https://photos.example/callback/")],
            "advice": [
                "Go back to the application and try again.",
                "If it happens again, tell the people who run the application.",
            ],
            "continue_url": "https://photos.example/",
            "continue_label": "Back to Photo Frame",
        },
    ),
    "error-plain": (
        "error.html",
        PLATFORM,
        {
            "title": "This page does not exist",
            "explanation": "The address may be misspelt, or the page has moved.",
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
    "tenant": ("tenant.html", ACME, {**START, "account": None}),
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
            "errors": [("colour_primary", "colour_primary must be a colour such as #1f5fd6")],
            "advice": ["The primary colour #ffd400 has a contrast of 1.4 with the page; links are drawn in #7a6600."],
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
}
