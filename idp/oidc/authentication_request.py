"""The authentication request (OpenID Connect Core §3.1.2.1): prompt, max_age, id_token_hint, and what is not served yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from idp.errors import refused
from idp.feature import Feature
from idp.flow.signup_offer import is_offered
from idp.keys.compact import InvalidToken
from idp.oidc import id_token_hint

if TYPE_CHECKING:
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

PROMPTS = ("none", "login", "consent", "select_account")
CREATE = "create"  # Initiating User Registration via OpenID Connect 1.0 §4.1
MAX_AGE_DIGITS = 10
NOBODY = "-"  # the user of a subject that never was one
DISPLAYS = ("page", "popup", "touch", "wap")
_SPEC = "OpenID Connect Core §3.1.2.1"
_NOT_SUPPORTED = {"registration": "registration_not_supported"}


def check_not_supported(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse inline registration with the error of §3.1.2.6, since discovery does not offer it."""
    for name, code in _NOT_SUPPORTED.items():
        if name in request.payload.data:
            raise refused(
                OAuth2Error("This parameter is not supported.", error=code),
                check="registration",
                spec="OpenID Connect Core §3.1.2.6",
                reason=f"the parameter {name} is not served",
                fix="Send the parameters of the request themselves.",
            )


def prompts_of(server: TenantServer) -> tuple[str, ...]:
    """Return the values of ``prompt`` that the tenant serves: ``create`` only where people may sign up."""
    return (*PROMPTS, CREATE) if is_offered(server) else PROMPTS


def check_prompt(server: TenantServer, request: TenantRequest) -> None:
    """Check ``prompt``: known values, and ``none`` and ``create`` alone."""
    prompts = (request.payload.data.get("prompt") or "").split()
    if not set(prompts) <= set(prompts_of(server)):
        # Initiating User Registration §4.1: a value that discovery does not list is invalid_request, naming the parameter.
        raise _invalid(
            "prompt",
            "The prompt parameter has an unknown value.",
            "prompt has a value nobody knows, or create where nobody may sign up",
            f"Use {', '.join(prompts_of(server))}.",
            received=" ".join(prompts)[:200],
        )
    if CREATE in prompts and len(set(prompts)) > 1:
        # Initiating User Registration §4.1: it should stand alone, because what it means beside others is anybody's guess.
        raise _invalid(
            "prompt",
            "The prompt parameter has create beside another value.",
            "prompt=create stands beside another value",
            "Send create alone.",
            received=" ".join(prompts)[:200],
        )
    if "none" in prompts and len(set(prompts)) > 1:
        # §3.1.2.1: none with any other value is an error.
        raise _invalid(
            "prompt",
            "The prompt parameter has none beside another value.",
            "prompt=none stands beside another value",
            "Send none alone.",
            received=" ".join(prompts)[:200],
        )
    request.validated["prompt"] = prompts


def check_display(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``display``: the pages fit all of its values (§3.1.2.1)."""
    display = request.payload.data.get("display")
    if display is not None and display not in DISPLAYS:
        raise _invalid(
            "display",
            "The display parameter has an unknown value.",
            "display has a value nobody knows",
            "Use page, popup, touch or wap, or leave it out.",
            received=display[:100],
        )


def check_max_age(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``max_age``: a whole number of seconds; the client's ``default_max_age`` stands in (Registration §2)."""
    text = request.payload.data.get("max_age")
    if text is None:
        request.validated["max_age"] = request.client.default_max_age
        return
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_AGE_DIGITS):
        raise _invalid(
            "max_age",
            "The max_age parameter is not a number of seconds.",
            "max_age is no whole number of seconds",
            "Send a number such as 3600.",
            received=text[:100],
        )
    request.validated["max_age"] = int(text)


def check_id_token_hint(server: TenantServer, request: TenantRequest) -> None:
    """Check ``id_token_hint``: an ID token of ours, expired or not; the answer must be about its subject."""
    hint = request.payload.data.get("id_token_hint")
    request.validated["subject_hint"] = None
    if hint is None:
        return
    try:
        claims = id_token_hint.claims_of(server, hint)
    except InvalidToken as error:
        raise _invalid(
            "id_token_hint",
            "The id_token_hint is not an ID token of this issuer.",
            f"id_token_hint: {error.reason}",
            "Send an ID token that this issuer has sent to this client.",
        ) from error
    if claims.get("aud") != request.client.client_id:
        raise _invalid(
            "id_token_hint",
            "The id_token_hint is not an ID token of this issuer.",
            "id_token_hint was issued to another client",
            "Send an ID token of this very client.",
        )
    request.validated["subject_hint"] = server.subjects.user_of(request.client, claims["sub"]) or NOBODY


def _invalid(check: str, text: str, reason: str, fix: str, received: str | None = None) -> InvalidRequestError:
    return refused(InvalidRequestError(text), check=check, spec=_SPEC, reason=reason, fix=fix, received=received)


AUTHENTICATION_REQUEST = Feature(
    name="authentication_request",
    spec="OpenID Connect Core §3.1.2.1",
    metadata=lambda server: {
        "prompt_values_supported": list(prompts_of(server)),
        "display_values_supported": list(DISPLAYS),
        "ui_locales_supported": list(server.languages.offered),
    },
)
