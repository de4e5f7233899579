"""Request objects (RFC 9101; OpenID Connect Core §6): the parameters of an authorization request, signed by the client.

By value (`request`) or by reference (`request_uri`). What is signed replaces what is sent beside it (RFC 9101 §6.3): nobody who
can change the address in the browser changes the request. Only an object as OpenID Connect Core has it, of a client whose profile
takes those, is put together with what stands outside and not inside (Core §6.3.3). Unsigned objects are refused whatever a client registered.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from idp.clock import now
from idp.errors import refused
from idp.feature import Feature
from idp.keys.compact import InvalidToken, decode, json_object
from idp.keys.encryption import CONTENT_ALGORITHMS
from idp.keys.signer import normal_typ
from idp.language import N_
from idp.oauth import authorization_request, client_jws, request_checks
from idp.oauth.client_jws import REQUEST_OBJECT_TYPE, NotVerified, is_moment
from idp.oauth.profiles import PROFILES
from idp.oauth.request import Parameters
from idp.oauth.request_uri import NotFetched
from idp.oauth.resource_indicators import PARAMETER as RESOURCE
from idp.oauth.response_types import canonical
from idp.oauth.token import signing_algorithms

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.oauth.client_jws import Signed
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

LEEWAY = 60  # seconds that clocks may differ
MAX_LENGTH = 64 * 1024
LARGEST = 10**15  # of a number among the parameters
_SPEC = "RFC 9101 §6"
_JWT_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
_OUTSIDE_ONLY = ("request", "request_uri")
# Parameters whose values are text, or numbers that are written as text; what nobody knows is ignored (RFC 6749 §3.1).
_TEXTS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "display"),
        *("prompt", "max_age", "ui_locales", "claims_locales", "id_token_hint", "login_hint", "acr_values"),
        *("code_challenge", "code_challenge_method", "registration"),
    }
)


def check_request_object(server: TenantServer, request: TenantRequest) -> None:
    """Replace the parameters by those of the request object, if there is one."""
    data, client = request.payload.data, request.client
    try:
        if "request" in data or "request_uri" in data:
            request_checks.check_no_repeats(server, request)
            _replace(server, request, _text(server, client, data))
        elif client.metadata.get("require_signed_request_object"):
            raise refused(
                InvalidRequestError(N_("The client's requests are sent as signed request objects.")),
                check="request_object",
                spec="RFC 9101 §10.5",
                reason="the client registered require_signed_request_object, and the request has no request object",
                fix="Send the parameters as a signed request object in `request`.",
            )
    except OAuth2Error:
        _prove_redirect_uri(server, request)
        raise


def _text(server: TenantServer, client: Client, data: dict[str, str]) -> str:
    """Return the request object as it was sent or as it is found at the address."""
    by_value, uri = data.get("request"), data.get("request_uri")
    if uri is None:
        return by_value or ""
    if by_value is not None:
        # OpenID Connect Core §6.1, §6.2: the two must not be used together.
        raise refused(
            InvalidRequestError(N_("The parameters request and request_uri are both there.")),
            check="request_object",
            spec="OpenID Connect Core §6.2",
            reason="request and request_uri are both there",
            fix="Send one of them.",
        )
    if not client.profile.accepts_request_uri:
        raise refused(
            OAuth2Error(N_("This parameter is not supported."), error="request_uri_not_supported"),
            check="request_uri",
            spec="OpenID Connect Core §3.1.2.6",
            reason=f"clients of the profile {client.profile.name} send no request object by reference",
            fix="Send the request object itself, in `request`.",
        )
    try:
        return server.request_uris.fetch(server.tenant.id, client, uri)
    except NotFetched as error:
        raise refused(
            OAuth2Error(N_("The request_uri gives no request object."), error="invalid_request_uri"),
            check="request_uri",
            spec=error.spec,
            reason=error.reason,
            fix=error.fix,
            received=uri[:600],
            registered=tuple(client.metadata.get("request_uris", ())),
        ) from None


def _replace(server: TenantServer, request: TenantRequest, text: str) -> None:
    client, outside = request.client, request.payload
    signed = _verified(server, client, text, by_reference="request_uri" in outside.data)
    # From here on an error, too, goes where the object says.
    request.payload = Parameters(_pairs(client, signed, outside))
    _check_claims(server, client, signed.claims)
    _check_outside(signed.claims, outside)
    request_checks.check_characters(server, request)


def _verified(server: TenantServer, client: Client, text: str, *, by_reference: bool) -> Signed:
    fix = "Send a compact JWS of the parameters, signed with a registered key that is named by kid only."
    try:
        if text.count(".") == 4:
            # RFC 9101 §6.1: decrypted first; what is inside is signed, or it is nothing.
            text = server.keys.decryption.decrypt(text, max_length=MAX_LENGTH)
        signed = client_jws.read(text, max_length=MAX_LENGTH)
    except InvalidToken as error:
        if _is_unsigned(text):
            raise _unsigned(client, fix, by_reference=by_reference) from None
        raise _invalid(error.reason, fix) from None
    typ = signed.header.get("typ")
    accepted = ["JWT", REQUEST_OBJECT_TYPE] if client.profile.accepts_bare_request_objects else [REQUEST_OBJECT_TYPE]
    is_bare = typ is None and client.profile.accepts_bare_request_objects
    if not is_bare and (not isinstance(typ, str) or normal_typ(typ) not in map(normal_typ, accepted)):
        # RFC 8725 §3.11, RFC 9101 §10.8: no other kind of JWT passes for a request.
        raise _invalid(
            "typ says that this is another kind of JWT, or nothing",
            f"Set typ to {REQUEST_OBJECT_TYPE}.",
            spec="RFC 9101 §10.8",
            received=str(typ)[:100],
            registered=tuple(accepted),
        )
    allowed = client_jws.allowed_algorithms(client, "request_object_signing_alg")
    try:
        client_jws.verify(signed, client, server.client_keys, allowed, spec="RFC 9101 §6.2")
    except NotVerified as error:
        raise _invalid(
            error.reason, error.fix, spec=error.spec, received=error.received, registered=error.registered
        ) from None
    return signed


def _is_unsigned(text: str) -> bool:
    """Say whether this is an unsecured JWT (RFC 7519 §6): it says so itself, and has no signature."""
    head, _, rest = text.partition(".")
    try:
        return rest.count(".") == 1 and rest.endswith(".") and json_object(decode(head)).get("alg") == "none"
    except InvalidToken:
        return False


def _unsigned(client: Client, fix: str, *, by_reference: bool) -> OAuth2Error:
    """Return the error for an object that nobody signed: never used, whatever was registered (RFC 9101 §10.5, RFC 8725 §3.2).

    OpenID Connect Core §6.1 has such objects. To who follows it and has registered no algorithm the kind of request is what is not
    supported; of all others the object is invalid.
    """
    if not client.profile.accepts_bare_request_objects or "request_object_signing_alg" in client.metadata:
        return _invalid("the request object is not signed", fix)
    code = "request_uri_not_supported" if by_reference else "request_not_supported"
    error: OAuth2Error = refused(
        OAuth2Error(N_("Unsigned request objects are not supported."), error=code),
        check="request_object",
        spec="OpenID Connect Core §3.1.2.6",
        reason="the request object is not signed",
        fix=fix,
    )
    return error


def _pairs(client: Client, signed: Signed, outside: Parameters) -> list[tuple[str, str]]:
    """Return the parameters of the object as an authorization request sends them."""
    pairs, claims, typ = [], signed.claims, signed.header.get("typ")
    for name, value in claims.items():
        if name in _OUTSIDE_ONLY:
            # RFC 9101 §4: request and request_uri must not be included.
            raise _invalid("the request object contains another one", f"Leave {name} out.", spec="RFC 9101 §4")
        if name == "claims" and isinstance(value, dict):
            pairs.append((name, json.dumps(value)))
        elif name == RESOURCE and isinstance(value, list) and all(isinstance(each, str) for each in value):
            pairs += [(name, each) for each in value]  # RFC 8707 §2: several are a JSON array
        elif isinstance(value, str):
            if name not in _JWT_CLAIMS:
                pairs.append((name, value))
        elif type(value) is int and abs(value) < LARGEST:
            if name not in _JWT_CLAIMS:
                pairs.append((name, str(value)))
        elif name in _TEXTS or name == "claims":
            raise _invalid(
                f"the parameter {name} has a value of the wrong JSON type",
                "Texts are JSON strings, numbers are JSON numbers.",
                spec="RFC 9101 §4",
            )
    if client.profile.accepts_bare_request_objects:
        # RFC 9101 §6.3: where the object is one of that specification, nothing outside is used but what Core §6.1 puts there
        # always. Core §6.3.3: any other is put together with the parameters outside; what is inside counts. Who registered that
        # its requests are signed (RFC 9101 §10.5) gets nothing from outside, whatever the object calls itself.
        is_jar = isinstance(typ, str) and normal_typ(typ) == normal_typ(REQUEST_OBJECT_TYPE)
        is_jar = is_jar or bool(client.metadata.get("require_signed_request_object"))
        wanted = ("client_id", "response_type") if is_jar else tuple(outside.data)
        for name in wanted:
            if name not in claims and name in outside.data and name not in _OUTSIDE_ONLY:
                values = outside.datalist[name] if name == RESOURCE else [outside.data[name]]
                pairs += [(name, value) for value in values]
    return pairs


def _check_claims(server: TenantServer, client: Client, claims: dict[str, Any]) -> None:
    """Check what makes the object one of this client, for this server, for now (RFC 9101 §4; RFC 7519 §4.1)."""
    at, issuer = now(), server.tenant.issuer
    if not client.profile.accepts_bare_request_objects:
        missing = [name for name in ("iss", "aud", "exp", "client_id") if name not in claims]
        if missing:
            raise _invalid(
                f"the request object lacks {', '.join(missing)}",
                "State iss (the client_id), aud (the issuer), exp and client_id.",
                spec="RFC 9101 §4",
            )
    for name in ("iss", "client_id"):
        if claims.get(name, client.client_id) != client.client_id:
            # RFC 9101 §5: client_id inside and outside must be identical.
            raise _invalid(
                f"{name} inside the request object is not the client_id of the request",
                "Set both to the client_id.",
                spec="RFC 9101 §5",
                received=str(claims[name])[:200],
                registered=(client.client_id,),
            )
    audience = claims.get("aud", issuer)
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise _invalid(
            "aud does not name this server",
            "Set aud to the issuer.",
            received=str(audience)[:300],
            registered=(issuer,),
        )
    if claims.get("sub") == client.client_id:
        # RFC 9101 §10.8: the object would be taken for the client's assertion by a server that asks for no typ.
        raise _invalid("sub is the client_id, as in a client assertion", "Leave sub out.", spec="RFC 9101 §10.8")
    for name in ("exp", "nbf", "iat"):
        moment = claims.get(name, at)
        if not is_moment(moment) or (moment + LEEWAY <= at if name == "exp" else moment > at + LEEWAY):
            raise _invalid(
                f"{name} is no moment, or the request object is not valid at this one",
                "Make a fresh request object; check the client's clock.",
                received=f"{name} {str(moment)[:30]}, now {at}",
            )


def _check_outside(claims: dict[str, Any], outside: Parameters) -> None:
    """OpenID Connect Core §6.1: response_type outside must match that inside; everything else outside is ignored."""
    sent = outside.data.get("response_type")
    if sent is not None and canonical(str(claims.get("response_type", sent))) != canonical(sent):
        raise _invalid(
            "response_type inside the request object is not that of the request",
            "Send the same value, or leave it out beside the request object.",
            spec="OpenID Connect Core §6.1",
            received=sent[:100],
            registered=(str(claims["response_type"])[:100],),
        )


def _prove_redirect_uri(server: TenantServer, request: TenantRequest) -> None:
    """Let the error go to the redirect URI if one is named and registered (OpenID Connect Core §3.1.2.6)."""
    if "redirect_uri" in request.payload.data:
        with suppress(OAuth2Error):
            authorization_request.check_redirect_uri(server, request)
            authorization_request.check_response_mode(server, request)


def _invalid(
    reason: str, fix: str, *, spec: str = _SPEC, received: str | None = None, registered: tuple[str, ...] = ()
) -> OAuth2Error:
    error: OAuth2Error = refused(
        OAuth2Error(N_("The request object is not valid."), error="invalid_request_object"),
        check="request_object",
        spec=spec,
        reason=reason,
        fix=fix,
        received=received,
        registered=registered,
    )
    return error


def _metadata(server: TenantServer) -> dict[str, Any]:
    opened = server.keys.decryption.algorithms
    by_reference = any(PROFILES[name].accepts_request_uri for name in server.tenant.settings.allowed_client_profiles)
    return {
        "request_parameter_supported": True,
        "request_uri_parameter_supported": by_reference,
        **({"require_request_uri_registration": True} if by_reference else {}),
        "require_signed_request_object": False,  # each client registers it for itself
        "request_object_signing_alg_values_supported": signing_algorithms(server),
        **(
            {}
            if not opened
            else {
                "request_object_encryption_alg_values_supported": list(opened),
                "request_object_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
            }
        ),
    }


REQUEST_OBJECT = Feature(name="request_object", spec="RFC 9101; OpenID Connect Core §6", metadata=_metadata)
