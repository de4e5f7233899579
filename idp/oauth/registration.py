"""Dynamic client registration (RFC 7591, OpenID Registration §3) and its management by the client (RFC 7592).

Who may register is the tenant's setting: nobody, holders of an initial access token, or anybody, and always at most so many.
A client manages its own registration with a registration access token, which is renewed by each replacement. Secrets and
tokens are stored as digests: they are shown once. What only administrators may decide (the id, the profile, scopes beyond the
standard ones) is not the client's to choose.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp import opaque
from idp.errors import IdpError, refused
from idp.feature import Endpoint, Feature
from idp.identity.accounts import By
from idp.identity.claims import STANDARD_SCOPES
from idp.oauth import errors, initial_access, sectors
from idp.oauth.client_metadata import InvalidClientMetadata, InvalidRedirectUri
from idp.oauth.clients import ClientRegistry, Registered
from idp.oauth.fetchers import Fetchers
from idp.oauth.initial_access import InvalidToken
from idp.oauth.resource_indicators import TOKEN_EXCHANGE
from idp.outbound import FetchRefused
from idp.store.tenant import clients
from idp.web.http import MalformedInput, Response, json_response, parse_json
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection, Row
    from idp.web.http import Request

PATH = "/register"
MOST_BYTES = 64 * 1024
PREFIX = "reg"
# What we fetch from, now or later: an address that never could be is refused at once.
_FETCHED = ("jwks_uri", "sector_identifier_uri")
_FETCHERS = Fetchers("sectors")
# Ignored where a client says it of itself, and not told to it.
_OF_ADMINISTRATORS = ("client_profile", "first_party", "token_exchange_audiences")
# What the response of a registration carries beside the metadata (RFC 7591 §3.2.1, RFC 7592 §3): never a client's to say.
_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
_RATE = Rule("register", 60, 60)


class RegistrationRefused(IdpError):
    """Nobody may register here, or not this way."""

    code, status, title = "access_denied", 403, "This tenant does not let clients register themselves."


class InvalidSoftwareStatement(InvalidClientMetadata):
    """RFC 7591 §3.2.2."""

    code = "invalid_software_statement"


def handle_new(server: TenantServer, http: Request) -> Response:
    """Register a client (RFC 7591 §3.1)."""
    return _answered(server, http, _register)


def handle_one(server: TenantServer, http: Request) -> Response:
    """Read, replace or delete a registration (RFC 7592 §2)."""
    return _answered(server, http, {"GET": _read, "PUT": _replace, "DELETE": _delete}[_method(http)])


def _answered(server: TenantServer, http: Request, act: Any) -> Response:
    try:
        if server.tenant.settings.rate_limits != "off":
            server.limiter.hit(f"{server.tenant.id} {http.remote_addr}", _RATE).require()
        response: Response = act(server, http)
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise refused(
            error,
            check=error.code.removeprefix("invalid_"),
            spec="RFC 7591 §3.2.2",
            reason=error.title,
            fix="Change the metadata; docs/registration.md lists what may be registered.",
        ) from None
    except InvalidToken as error:
        response = errors.unavailable(server, http, error)
        given = ', error="invalid_token"' if _bearer(http) is not None else ""
        response.set("www-authenticate", f'Bearer realm="registration"{given}')
    return response


def _method(http: Request) -> str:
    return "GET" if http.method == "HEAD" else http.method


# -- the four operations ----------------------------------------------------------------------------------------------


def _register(server: TenantServer, http: Request) -> Response:
    settings = server.tenant.settings
    if settings.registration == "off":
        raise refused(
            RegistrationRefused(),
            check="registration",
            spec="RFC 7591 §3",
            reason="the tenant's setting `registration` is off",
            fix=f"Register the client with `idp client create {server.tenant.slug}`, or allow it: "
            f"idp tenant set {server.tenant.slug} registration=token",
        )
    token = _bearer(http)
    if token is not None:
        initial_access.require(server, token)
    elif settings.registration == "token":
        raise refused(
            InvalidToken(),
            check="initial_access_token",
            spec="RFC 7591 §3",
            reason="no initial access token was sent",
            fix=f"Issue one, and send it as a Bearer token: idp registration-token create {server.tenant.slug}",
        )
    wanted = _wanted(server, http)
    fresh = opaque.new_secret(PREFIX)

    def admit(conn: Connection) -> dict[str, Any]:
        # Counted in the transaction that registers: the last place is had by one.
        if clients.count_registered(conn) >= settings.registration_quota:
            raise refused(
                RegistrationRefused("This tenant has as many registered clients as it allows."),
                check="quota",
                spec="RFC 7591 §5",
                reason="the tenant's registration_quota is used up",
                fix="Delete clients that nobody uses, or raise registration_quota with `idp tenant set`.",
                registered=(str(settings.registration_quota),),
            )
        by = "open" if token is None else initial_access.use(conn, token)
        return {"registration_token_hash": opaque.digest(fresh), "registered_by": by}

    made = _registry(server).create(wanted, by=_by(http), profile=settings.registration_client_profile, admit=admit)
    return json_response(201, _document(server, made, fresh))


def _read(server: TenantServer, http: Request) -> Response:
    return json_response(200, _document(server, Registered(_managed(server, http)), _bearer(http)))


def _replace(server: TenantServer, http: Request) -> Response:
    row = _managed(server, http)
    given = _object(http)
    # RFC 7592 §2.2: the id must be sent and be the same; what only we say must not be sent; a secret must be the present one.
    if given.pop("client_id", None) != row.client_id:
        raise InvalidClientMetadata("client_id must be sent, and be the id of this registration.")
    for name in _OURS:
        if name in given:
            raise InvalidClientMetadata(f"{name} is not the client's to say; leave it out.")
    secret = given.pop("client_secret", None)
    if secret is not None and (
        not isinstance(secret, str)
        or row.secret_hash is None
        or not opaque.same(opaque.digest(secret), row.secret_hash)
    ):
        raise InvalidClientMetadata("client_secret must be the present one, or be left out.")
    fresh = opaque.new_secret(PREFIX)
    held = opaque.digest(_bearer(http) or "")

    def admit(conn: Connection) -> dict[str, Any]:
        now_there = clients.find(conn, row.client_id)
        # Of two replacements at once with one token, the second comes too late.
        if now_there is None or not opaque.same(now_there.registration_token_hash or "", held):
            raise InvalidToken
        return {"registration_token_hash": opaque.digest(fresh)}

    made = _registry(server).replace(row.client_id, _judged(server, given), by=_by(http), admit=admit)
    return json_response(200, _document(server, made, fresh))


def _delete(server: TenantServer, http: Request) -> Response:
    _registry(server).delete(_managed(server, http).client_id, by=_by(http))
    return Response(204, [("cache-control", "no-store"), ("pragma", "no-cache")])


# -- what is sent -----------------------------------------------------------------------------------------------------


def _object(http: Request) -> dict[str, Any]:
    """Return the body's JSON object; raises :class:`InvalidClientMetadata`."""
    if http.media_type != "application/json":
        raise InvalidClientMetadata("The body must be a JSON object, sent as application/json (RFC 7591 section 3.1).")
    if len(http.body) > MOST_BYTES:
        raise InvalidClientMetadata(f"The metadata are larger than {MOST_BYTES} bytes.")
    try:
        found = parse_json(http.body)
    except MalformedInput:
        raise InvalidClientMetadata("The body is no JSON object in which each name stands once.") from None
    if not isinstance(found, dict):
        raise InvalidClientMetadata("The body must be a JSON object.")
    return found


def _wanted(server: TenantServer, http: Request) -> dict[str, Any]:
    given = _object(http)
    for name in ("client_id", "client_secret", *_OURS):
        if name in given:
            raise InvalidClientMetadata(f"{name} is chosen by the server; leave it out.")
    return _judged(server, given)


def _judged(server: TenantServer, given: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata a client may decide by itself; raises :class:`InvalidClientMetadata`."""
    if given.get("software_statement") is not None:
        # RFC 7591 §2.3: one that is taken outweighs what is sent beside it, so it is never just ignored.
        raise InvalidSoftwareStatement("This tenant trusts no issuer of software statements; leave it out.")
    judged = {name: value for name, value in given.items() if name not in _OF_ADMINISTRATORS}
    grants = judged.get("grant_types")
    if isinstance(grants, list) and TOKEN_EXCHANGE in grants:
        raise InvalidClientMetadata("An administrator decides who exchanges tokens; leave the grant type out.")
    request_uris = judged.get("request_uris")
    fetched = [(name, judged.get(name)) for name in _FETCHED]
    fetched += [("request_uris", each) for each in (request_uris if isinstance(request_uris, list) else ())]
    for name, uri in fetched:
        if isinstance(uri, str):
            try:
                server.services.outbound.check(uri)
            except FetchRefused as error:
                raise InvalidClientMetadata(f"{name}: {error}.") from None
    scope = judged.get("scope")
    if isinstance(scope, str):
        # RFC 7591 §2: the server may register other scopes than were asked for; those of APIs are given by administrators.
        of_users = {*STANDARD_SCOPES, *server.profile.own_scopes}
        allowed = [value for value in scope.split() if value in of_users]
        if not allowed:
            raise InvalidClientMetadata(f"scope may have {', '.join(sorted(of_users))}.")
        judged["scope"] = " ".join(allowed)
    if judged.get("application_type", "web") == "web":
        _check_web(judged)
    _check_sector(server, judged)
    return judged


def _check_sector(server: TenantServer, given: dict[str, Any]) -> None:
    """OpenID Registration §5: the redirect URIs are those that the sector's own address lists."""
    uri, redirect_uris = given.get("sector_identifier_uri"), given.get("redirect_uris")
    if isinstance(uri, str) and uri.startswith("https://") and _is_texts(redirect_uris):
        try:
            _FETCHERS.call(server.tenant.id, lambda: sectors.verify(server.services.outbound, given))
        except sectors.NotInSector as error:
            raise InvalidClientMetadata(f"{error}.") from None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _check_web(given: dict[str, Any]) -> None:
    """OpenID Registration §2 (application_type): what a web client may redirect to."""
    uris, types = given.get("redirect_uris"), given.get("response_types")
    is_implicit = isinstance(types, list) and any(isinstance(each, str) and each != "code" for each in types)
    for uri in uris if isinstance(uris, list) else ():
        parts = _split(uri)
        if parts is None:
            continue  # judged with the others
        is_loopback = _is_loopback(parts.hostname or "")
        if is_loopback and (parts.scheme == "https" or is_implicit):
            raise InvalidRedirectUri(
                "A web client redirects to no loopback host; an app registers application_type native."
            )


def _split(uri: Any) -> Any:
    try:
        return urlsplit(uri) if isinstance(uri, str) else None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# -- who asks, and what is answered -----------------------------------------------------------------------------------


def _bearer(http: Request) -> str | None:
    """Return the Bearer token of the header; RFC 6750 §2.1 is the only way here."""
    scheme, _, token = (http.headers.get("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _managed(server: TenantServer, http: Request) -> Row[Any]:
    """Return the client whose registration access token was sent; whatever is wrong, the answer is the same."""
    client_id, token = http.path.rpartition("/")[2], _bearer(http)
    row = None
    if 0 < len(client_id) <= 128 and client_id.isprintable():
        with server.database.reading() as conn:
            row = clients.find(conn, client_id)
    held = row.registration_token_hash if row is not None and row.state == "active" else None
    if row is None or token is None or not opaque.same(opaque.digest(token), held or "-" * 64):
        raise refused(
            InvalidToken(),
            check="registration_access_token",
            spec="RFC 7592 §2",
            reason="there is no such client, it did not register itself, or the token is not (or no longer) its own",
            fix="Send the registration_access_token of the newest answer to this client's own registration_client_uri.",
            received=client_id[:128],
        )
    return row


def _document(server: TenantServer, registered: Registered, token: str | None) -> dict[str, Any]:
    """Return the client information response (RFC 7591 §3.2.1, RFC 7592 §3)."""
    document = registered.document()
    for name in (*_OF_ADMINISTRATORS, "state"):
        document.pop(name, None)
    return document | {
        "registration_client_uri": f"{server.tenant.issuer}{PATH}/{registered.row.client_id}",
        "registration_access_token": token,
    }


def _registry(server: TenantServer) -> ClientRegistry:
    return ClientRegistry(server.tenant, server.database, server.services.feed, server.services.outbound)


def _by(http: Request) -> By:
    return By("client", http.remote_addr, http.correlation_id)


def _metadata(server: TenantServer) -> dict[str, Any]:
    if server.tenant.settings.registration == "off":
        return {}
    return {"registration_endpoint": f"{server.tenant.issuer}{PATH}"}


REGISTRATION = Feature(
    name="registration",
    spec="RFC 7591; RFC 7592; OpenID Connect Dynamic Client Registration 1.0",
    # OpenID Registration §3: applications that live in a browser may register; nothing here hangs on a cookie.
    endpoints=(
        Endpoint("register", PATH, ("POST",), handle_new, cors="all", is_hot=True),
        Endpoint("registration", f"{PATH}/{{id}}", ("GET", "PUT", "DELETE"), handle_one, cors="all", is_hot=True),
    ),
    metadata=_metadata,
)
