"""Claims asked for by name (OpenID Connect Core §5.5), the languages they are wanted in (§5.2), and ``acr`` (§5.5.1.1).

What is asked for here is a part of the grant: userinfo and every ID token of it follow. A claim whose scope the client may not
ask for is left out, as one that nobody knows is (§5.5.1: claims that are not understood are ignored).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from idp.errors import refused
from idp.feature import Feature
from idp.flow.scope_words import CLAIM
from idp.flow.session import ACR_PASSWORD
from idp.identity.standard_claims import is_language_tag
from idp.keys.compact import InvalidToken, json_object
from idp.oidc.authentication_request import NOBODY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

MOST_CLAIMS = 100
MOST_LOCALES = 10
_SPEC = "OpenID Connect Core §5.5"


def check_claims(server: TenantServer, request: TenantRequest) -> None:
    """Decide which claims the request asks for beyond its scopes, and whom it must be about."""
    data, validated = request.payload.data, request.validated
    sent = _parse(data.get("claims"))
    locales = [each for each in data.get("claims_locales", "").split() if is_language_tag(each)][:MOST_LOCALES]
    scope_of = server.profile.release.scope_of
    asked: dict[str, Any] = {target: _names(sent.get(target), request, scope_of) for target in ("userinfo", "id_token")}
    for target in ("id_token", "userinfo"):
        _check_subject(server, request, (sent.get(target) or {}).get("sub"))
    _check_acr(request, (sent.get("id_token") or {}).get("acr"))
    kept = {name: value for name, value in {**asked, "locales": locales}.items() if value}
    validated["claims_request"] = kept or None
    names = {name.partition("#")[0] for target in asked.values() for name in target}
    beyond = sorted(name for name in names if scope_of[name] not in validated["scopes"])
    validated["consent_to"] = [*validated["scopes"], *(f"{CLAIM}{name}" for name in beyond)]


def _parse(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json_object(text.encode("utf-8", "surrogatepass"))
    except InvalidToken as error:
        raise _invalid(f"claims is {error.reason}") from error
    for target in ("userinfo", "id_token"):
        members = found.get(target)
        if members is None:
            continue
        if not isinstance(members, dict):
            raise _invalid(f"the member {target} of claims is no object")
        if len(members) > MOST_CLAIMS:
            raise _invalid(f"the member {target} of claims asks for more than {MOST_CLAIMS} claims")
        for name, wish in members.items():
            # §5.5.1: null, or an object with essential, value and values.
            if wish is not None and not _is_wish(wish):
                raise _invalid(f"what is asked of the claim {name[:50]!r} is neither null nor a request of §5.5.1")
    return found


def _is_wish(wish: Any) -> bool:
    return (
        isinstance(wish, dict)
        and isinstance(wish.get("essential", False), bool)
        and isinstance(wish.get("values", []), list)
    )


def _names(members: dict[str, Any] | None, request: TenantRequest, scope_of: Mapping[str, str]) -> list[str]:
    """Return the claims of one member that may be released to the client."""
    found = []
    for name in members or ():
        claim, _, tag = name.partition("#")
        scope = scope_of.get(claim)
        if scope is not None and scope in request.client.scopes and (claim == name or is_language_tag(tag)):
            found.append(name)
    return found


def _check_subject(server: TenantServer, request: TenantRequest, wish: dict[str, Any] | None) -> None:
    """§5.5.1: a value of ``sub`` says whom the answer must be about, as an id_token_hint does."""
    if wish is None or "value" not in wish:
        return
    value = wish["value"]
    user = server.subjects.user_of(request.client, value) if isinstance(value, str) and len(value) <= 255 else None
    hinted = request.validated["subject_hint"]
    if hinted is not None and hinted != (user or NOBODY):
        raise _invalid("the sub in claims and the one of the hint are not the same person")
    request.validated["subject_hint"] = user or NOBODY


def _check_acr(request: TenantRequest, wish: dict[str, Any] | None) -> None:
    """§5.5.1.1: an essential acr that cannot be met is a failed authentication; a voluntary one is a preference."""
    if wish is None or wish.get("essential") is not True:
        return
    wanted = [*wish.get("values", []), *([wish["value"]] if "value" in wish else [])]
    if wanted and ACR_PASSWORD not in wanted:
        is_silent = "none" in request.validated["prompt"]
        raise refused(
            OAuth2Error(
                "The authentication that is essential to the request cannot be had here.",
                error="interaction_required" if is_silent else "unmet_authentication_requirements",
            ),
            check="acr",
            spec="OpenID Connect Core §5.5.1.1",
            reason="an essential acr is asked for that this tenant cannot give",
            fix="Ask for one of acr_values_supported, or make it voluntary.",
            received=" ".join(map(str, wanted))[:200],
            registered=(ACR_PASSWORD,),
        )


def _invalid(reason: str) -> InvalidRequestError:
    return refused(
        InvalidRequestError("The claims parameter cannot be used."),
        check="claims",
        spec=_SPEC,
        reason=reason,
        fix='Send a JSON object such as {"userinfo": {"email": {"essential": true}}}.',
    )


CLAIMS_PARAMETER = Feature(
    name="claims_parameter", spec=_SPEC, metadata=lambda _server: {"claims_parameter_supported": True}
)
