"""A tenant's settings: what each tenant decides for itself. A field is its type, its default and one sentence.

Stored as JSON in the control database; an unknown key or a wrong value is an error that names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from idp import language
from idp.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE, HOUR, DAY = 60, 3600, 86400
PROFILES = ("strict", "oidc")
RESPONSE_TYPES = ("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token")
ALGORITHMS = ("ES256", "RS256", "EdDSA", "PS256")
ENCRYPTION_ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
IMAGES = ("logo_url", "logo_url_dark", "favicon_url", "background_url")
LINKS = ("support_url", "privacy_url", "imprint_url")
LONGEST_WELCOME = 300
MOST_RESOURCES = 20
_RESOURCE = re.compile(r"[!$-~]+")  # visible, no `#` and no quotation mark
LONGEST_ADDRESS = 1000
# What `idp tenant logo` stored, below the tenant's issuer; the digest makes a new picture a new address.
_UPLOADED = re.compile(r"/brand/[a-z-]{1,20}\?v=[0-9a-f]{16}")


def _setting(
    default: Any,
    help_text: str,
    *,
    low: int = 0,
    high: int = 0,
    choices: tuple[str, ...] = (),
    of_platform: bool = False,
) -> Any:
    rules = {"help": help_text, "low": low, "high": high, "choices": choices, "of_platform": of_platform}
    return field(default=default, metadata=rules)


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """The settings of one tenant, with secure defaults; durations in seconds."""

    allowed_client_profiles: tuple[str, ...] = _setting(
        ("strict",),
        "Client profiles that a client may carry; one that carries another is treated as `strict`.",
        choices=PROFILES,
    )
    default_client_profile: str = _setting("strict", "Profile of a client that names none.", choices=PROFILES)
    registration: str = _setting(
        "off",
        "Who may register clients at /register: nobody, holders of an initial access token, or anybody.",
        choices=("off", "token", "open"),
    )
    registration_client_profile: str = _setting(
        "strict", "Profile of a client that registers itself.", choices=PROFILES
    )
    registration_quota: int = _setting(
        1000, "How many clients may be there that registered themselves.", low=1, high=1_000_000, of_platform=True
    )
    response_types: tuple[str, ...] = _setting(
        RESPONSE_TYPES,
        "Response types that clients of the profile oidc may register; code is always among them.",
        choices=RESPONSE_TYPES,
    )
    authorization_code_lifetime: int = _setting(60, "Life of an authorization code.", low=5, high=60)
    access_token_lifetime: int = _setting(HOUR, "Life of an access token.", low=60, high=DAY)
    resources: str = _setting(
        "",
        "Addresses of the tenant's own APIs, as a list with commas: access tokens for them may be asked for with `resource`.",
    )
    id_token_lifetime: int = _setting(HOUR, "Life of an ID token.", low=60, high=DAY)
    refresh_token_idle_lifetime: int = _setting(
        14 * DAY, "A refresh token that is not used for so long dies.", low=60, high=365 * DAY
    )
    grant_lifetime: int = _setting(
        90 * DAY, "A family of refresh tokens ends after so long, however often it is used.", low=60, high=365 * DAY
    )
    session_idle_lifetime: int = _setting(
        8 * HOUR, "A browser session that is not used for so long ends.", low=60, high=30 * DAY
    )
    session_lifetime: int = _setting(
        7 * DAY, "A browser session ends after so long, however often it is used.", low=60, high=90 * DAY
    )
    accounts_in_browser: int = _setting(
        5,
        "How many accounts may be signed in side by side in one browser; 1: who signs in ends the session before.",
        low=1,
        high=10,
    )
    interaction_lifetime: int = _setting(30 * MINUTE, "Time a person has to finish a sign-in.", low=60, high=DAY)
    signing_algorithms: tuple[str, ...] = _setting(
        ("ES256", "RS256"),
        "Algorithms the tenant keeps keys for; ES256 and RS256 are always among them.",
        choices=ALGORITHMS,
    )
    access_token_signing_alg: str = _setting("ES256", "Algorithm of access tokens.", choices=ALGORITHMS)
    id_token_signing_alg: str = _setting(
        "RS256", "Algorithm of ID tokens of a client that registers none.", choices=ALGORITHMS
    )
    key_rotation_period: int = _setting(
        90 * DAY, "A signing key is replaced after so long.", low=2 * DAY, high=730 * DAY
    )
    password_min_length: int = _setting(
        15, "Shortest password that is accepted (NIST SP 800-63B-4: 15 where it is the only factor).", low=8, high=64
    )
    password_history: int = _setting(
        0, "How many of a person's latest passwords, the present one among them, a new one may not be.", low=0, high=24
    )
    password_max_age: int = _setting(
        0,
        "A password older than this must be replaced at the next sign-in (at least a day); 0: never.",
        high=3650 * DAY,
    )
    account_attempts: int = _setting(
        10, "Failed sign-ins of one account in the window before it must wait.", low=3, high=100
    )
    source_attempts: int = _setting(
        100,
        "Failed sign-ins from one address (IPv6: /64) in the window before it must wait.",
        low=10,
        high=100_000,
        of_platform=True,
    )
    attempts_window: int = _setting(15 * MINUTE, "Length of the window for failed sign-ins.", low=60, high=DAY)
    password_change_ends_sessions: bool = _setting(
        True, "Whether a changed password ends the account's other sessions and tokens."
    )
    recovery_lifetime: int = _setting(
        30 * MINUTE, "Time in which the link to a new password, or out of a lock, works.", low=5 * MINUTE, high=DAY
    )
    recovery_mails: int = _setting(
        3, "Mails that `Forgotten password?` brings one account in the window for failed sign-ins.", low=1, high=20
    )
    invitation_lifetime: int = _setting(
        7 * DAY, "Time in which an invitation can be accepted.", low=HOUR, high=90 * DAY
    )
    deleted_account_retention: int = _setting(
        30 * DAY,
        "A deleted account that is kept can be restored for so long, then it is purged.",
        low=0,
        high=3650 * DAY,
    )
    sensitive_fresh_seconds: int = _setting(
        10 * MINUTE,
        "A person who changes something sensitive on the account pages must have signed in within so long.",
        low=60,
        high=DAY,
    )
    account_self_deletion: bool = _setting(False, "Whether people may delete their own account.")
    signup: str = _setting("off", "Whether people may make an account for themselves.", choices=("off", "on"))
    signup_allowed_domains: str = _setting(
        "",
        "Domains whose addresses may sign up, as a list with commas; *.example.org means those below. Empty means all.",
    )
    signup_blocked_domains: str = _setting("", "Domains whose addresses may not sign up, listed alike.")
    signup_source_limit: int = _setting(
        30,
        "Sign-ups from one address (IPv6: /64) in an hour; raise it where many people share one.",
        low=1,
        high=100_000,
        of_platform=True,
    )
    webhook_delivery_retention: int = _setting(
        30 * DAY, "Deliveries of webhooks are kept for so long.", low=7 * DAY, high=365 * DAY
    )
    rate_limits: str = _setting(
        "on",
        "`off` switches the rate limits of protocol endpoints off (never those that protect accounts).",
        choices=("on", "off"),
        of_platform=True,
    )
    languages: tuple[str, ...] = _setting(
        language.AVAILABLE, "Languages that pages and mails are offered in.", choices=language.AVAILABLE
    )
    default_language: str = _setting(
        language.DEFAULT,
        "Language of whoever asks for none of them; one of `languages`.",
        choices=language.AVAILABLE,
    )
    colour_primary: str = _setting(
        "#1f5fd6", "Colour of buttons and links, as #rrggbb; its contrast is corrected where needed."
    )
    colour_background: str = _setting(
        "#f5f6f8", "Colour of the page behind the card, as #rrggbb; in dark it is nearly black with a breath of it."
    )
    mail_from: str = _setting(
        "", "Address that the tenant's mails come from; empty means that of the installation.", of_platform=True
    )
    mail_from_name: str = _setting("", "Name that the tenant's mails come from; empty means the tenant's name.")
    mail_reply_to: str = _setting(
        "", "Address that answers to the tenant's mails go to; empty means where they came from."
    )
    logo_url: str = _setting("", "Address of the tenant's logo (https, PNG, JPEG or WebP); empty means the name alone.")
    logo_url_dark: str = _setting("", "Address of the logo for dark screens; empty: the other one, on white.")
    favicon_url: str = _setting("", "Address of the icon that browsers show in the tab; empty: the product's.")
    background_url: str = _setting("", "Address of a picture behind the card, shown on wide screens only.")
    welcome_text: str = _setting("", "A sentence or two on the sign-in page, plain text of at most 300 characters.")
    support_url: str = _setting("", "Address of the help page (https), linked on every page.")
    privacy_url: str = _setting("", "Address of the privacy notice (https), linked on every page.")
    imprint_url: str = _setting("", "Address of the imprint (https), linked on every page.")

    @property
    def own_resources(self) -> tuple[str, ...]:
        """The tenant's own APIs (RFC 8707)."""
        return tuple(self.resources.split(",")) if self.resources else ()

    @property
    def key_algorithms(self) -> tuple[str, ...]:
        """What the tenant keeps keys for: signatures, and decryption where the profile ``oidc`` is allowed (OIDC Core §6)."""
        return self.signing_algorithms + (ENCRYPTION_ALGORITHMS if "oidc" in self.allowed_client_profiles else ())

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TenantSettings:
        """Build from the stored JSON; a stored key this release does not know is ignored (a newer release wrote it)."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in stored.items() if key in known
        }
        return cls(**values)


# What guards all tenants from one (docs/decisions/0017-settings-of-the-platform.md): a tenant's own administrators see it only.
OF_PLATFORM = frozenset(each.name for each in fields(TenantSettings) if each.metadata["of_platform"])


def as_text(value: Any) -> str:
    """Return a setting's value as :func:`parse` reads it; None is the default."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def parse(changes: Mapping[str, str], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``stored`` with ``changes`` (text by name, an empty text meaning the default) applied and checked as a whole."""
    known = {f.name: f for f in fields(TenantSettings)}
    result = dict(stored)
    for name, text in changes.items():
        setting = known.get(name)
        if setting is None:
            message = f"{name} is not a tenant setting; `idp tenant show` lists them."
            raise Invalid(message)
        if text == "":
            result.pop(name, None)
        else:
            value = _convert(name, setting, text.strip())
            result[name] = list(value) if isinstance(value, tuple) else value
    _check_together(TenantSettings.from_json(result))
    return result


def _convert(name: str, setting: Any, text: str) -> Any:
    default, rules = setting.default, setting.metadata
    if isinstance(default, bool):
        if text.lower() not in ("true", "on", "yes", "1", "false", "off", "no", "0"):
            raise Invalid(f"{name} must be true or false.")
        return text.lower() in ("true", "on", "yes", "1")
    if isinstance(default, int):
        if not (text.isascii() and text.isdigit() and rules["low"] <= int(text) <= rules["high"]):
            raise Invalid(f"{name} must be a whole number from {rules['low']} to {rules['high']}.")
        return int(text)
    if isinstance(default, tuple):
        values = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        if not values or not set(values) <= set(rules["choices"]):
            raise Invalid(f"{name} must list one or more of {', '.join(rules['choices'])}.")
        return values
    if rules["choices"] and text not in rules["choices"]:
        raise Invalid(f"{name} must be one of {', '.join(rules['choices'])}.")
    if name in ("signup_allowed_domains", "signup_blocked_domains"):
        return ",".join(dict.fromkeys(_domain(name, part) for part in text.split(",") if part.strip()))
    if name == "resources":
        return _resources(text)
    if name in ("mail_from", "mail_reply_to"):
        text = _mail_address(name, text)
    if name == "mail_from_name" and (len(text) > 100 or not text.isprintable()):
        raise Invalid("mail_from_name must be one line of at most 100 characters.")
    if name in ("colour_primary", "colour_background"):
        text = text.lower()
        if not _COLOUR.fullmatch(text):
            raise Invalid(f"{name} must be a colour such as #1f5fd6.")
    if name in IMAGES and _UPLOADED.fullmatch(text):
        return text
    if name in IMAGES or name in LINKS:
        _check_address(name, text)
    if name == "welcome_text" and (len(text) > LONGEST_WELCOME or not text.isprintable()):
        raise Invalid(f"welcome_text must be one line of at most {LONGEST_WELCOME} characters.")
    return text


def _check_address(name: str, text: str) -> None:
    try:
        url = urlsplit(text)
        is_good = url.scheme == "https" and bool(url.hostname) and "@" not in url.netloc and url.port != 0
    except ValueError:
        is_good = False
    if (
        not is_good
        or len(text) > LONGEST_ADDRESS
        or not text.isascii()
        or any(c <= " " or c in "\"';,\\\x7f" for c in text)
    ):
        raise Invalid(f"{name} must be an https:// address.")


def _resources(text: str) -> str:
    """Return a list of resources in its normal form (RFC 8707 §2: absolute, without a fragment)."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if len(found) > MOST_RESOURCES:
        message = f"resources must list at most {MOST_RESOURCES} addresses."
        raise Invalid(message)
    for address in found:
        try:
            url = urlsplit(address)
            is_good = url.scheme in ("https", "http") and bool(url.hostname) and "@" not in url.netloc and url.port != 0
        except ValueError:
            is_good = False
        if not is_good or len(address) > LONGEST_ADDRESS or not _RESOURCE.fullmatch(address):
            raise Invalid("resources must list addresses such as https://api.example.org, without a fragment.")
    return ",".join(found)


def _mail_address(name: str, text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid(f"{name} must be an address such as no-reply@example.com.") from None


def domain_of(address: str) -> str:
    """Return the domain of an e-mail address in its normal form, as the lists of domains have it."""
    return address.rpartition("@")[2]


def _domain(name: str, text: str) -> str:
    """Return a domain of a list in the form that addresses have: lower case, names of other scripts as they are written."""
    wildcard, bare = ("*.", text.strip()[2:]) if text.strip().startswith("*.") else ("", text.strip())
    try:
        found = validate_email(f"a@{bare.removesuffix('.')}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        message = f"{name} must list domains such as example.org or *.example.org."
        raise Invalid(message) from None
    return wildcard + domain_of(found.normalized)


def _check_together(settings: TenantSettings) -> None:
    if settings.default_client_profile not in settings.allowed_client_profiles:
        raise Invalid("default_client_profile must be among allowed_client_profiles.")
    if settings.registration_client_profile not in settings.allowed_client_profiles:
        raise Invalid("registration_client_profile must be among allowed_client_profiles.")
    if settings.default_language not in settings.languages:
        raise Invalid("default_language must be among languages.")
    if "code" not in settings.response_types:
        raise Invalid("response_types must contain code.")
    if not {"ES256", "RS256"} <= set(settings.signing_algorithms):
        raise Invalid("signing_algorithms must contain ES256 and RS256.")
    if 0 < settings.password_max_age < DAY:
        raise Invalid(f"password_max_age must be 0 or at least {DAY}, which is a day.")
    for name in ("access_token_signing_alg", "id_token_signing_alg"):
        if getattr(settings, name) not in settings.signing_algorithms:
            raise Invalid(f"{name} must be among signing_algorithms.")
