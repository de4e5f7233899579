"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): GET or POST, a confirmation unless the hint proves the wish.

Without a hint for the very session that is open, the person is asked: a link on another site ends nobody's session. The
redirect afterwards goes to a URI that the client registered for it, exactly, or nowhere. Of several accounts in one browser the current
one ends, or the one that the hint names; the person may end all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from idp import opaque
from idp.errors import IdpError, refused
from idp.feature import Endpoint, Feature
from idp.flow import account_switch, languages, pages, session
from idp.keys.compact import InvalidToken
from idp.language import N_
from idp.oauth.request import one_of_each
from idp.oidc import frontchannel_logout, id_token_hint
from idp.web import csrf
from idp.web.headers import origin_source
from idp.web.http import Response, redirect

if TYPE_CHECKING:
    from idp.flow.browser_accounts import Held
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection, Row
    from idp.web.http import Request

_PURPOSE = "logout"
_SPEC = "OpenID Connect RP-Initiated Logout §2"
# §2: `logout_hint` is a hint that nothing here needs; like the others it comes once, and is kept.
_PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales")
_CONFIRMED = "action"
_ALL = "logout-all"  # the value of `action` that ends every account of the browser


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A validated request: where to go afterwards, and what the hint says."""

    client: Client | None
    redirect_to: str | None
    hint_user: str | None
    hint_sid: str | None


def handle(server: TenantServer, http: Request) -> Response:
    """Answer a logout request, or the confirmation's form."""
    if http.method == "POST" and any(name == _CONFIRMED for name, _ in http.form):
        return _confirmed(server, http)
    parameters = one_of_each(http.form if http.method == "POST" else http.args, _PARAMETERS)
    if http.method == "POST" and _is_foreign(http):
        # A cross-site POST comes without our cookies on some browsers: answer with a GET (§2 allows both).
        return redirect(303, f"{server.tenant.base_path}/logout?{urlencode(parameters)}")
    languages.wish(http, parameters.get("ui_locales"))
    asked = _validate(server, parameters)
    here = account_switch.here(server, http)
    for account in here:
        if _is_hinted(server, asked, account.session):
            # §2: the hint shows that the application knows this very session; nobody has to be asked again.
            return _finish(server, http, asked, here, [account])
    if not here or (asked.hint_user is not None and _current(server, http, here) is None):
        return _finish(server, http, asked, here, [])  # what the hint names has ended already
    return _ask(server, http, parameters, asked, here)


def _is_hinted(server: TenantServer, asked: LogoutRequest, live: Row[Any]) -> bool:
    sid = live.id if asked.client is None else server.subjects.sid_of(asked.client, live.id)
    return asked.hint_sid == sid or (asked.hint_sid is None and asked.hint_user == live.user_id)


def _current(server: TenantServer, http: Request, here: list[Held]) -> Held | None:
    secret = session.secret_of(server.tenant, http)
    return next((account for account in here if account.secret == secret), None)


def _bound(here: list[Held]) -> str:
    """Return what the form promises: whose sessions it may end."""
    return " ".join(account.session.id for account in here)


def _is_foreign(http: Request) -> bool:
    """Say whether another site's page sent it; a browser without Sec-Fetch-Site sends Origin."""
    site, origin = http.headers.get("sec-fetch-site"), http.headers.get("origin")
    return site not in (None, "same-origin", "none") or (site is None and origin not in (None, http.origin))


def _validate(server: TenantServer, parameters: dict[str, str]) -> LogoutRequest:
    claims = _hint(server, parameters.get("id_token_hint"))
    hinted, named = claims.get("aud"), parameters.get("client_id")
    if claims and named is not None and named != hinted:
        # §2: when both are given, client_id must be the one the hint was issued to.
        raise _refusal(
            "client_id",
            "client_id is not the client that the id_token_hint was issued to",
            "Send the client_id of the hint.",
            named,
        )
    client_id = named or hinted
    client = server.query_client(client_id) if isinstance(client_id, str) else None
    if named is not None and client is None:
        raise _refusal(
            "client_id", "the tenant has no active client by this id", "Check client_id: idp client list TENANT", named
        )
    target = parameters.get("post_logout_redirect_uri")
    if target is not None and (client is None or target not in client.post_logout_redirect_uris):
        # §3: the value must have been registered; without a client there is nothing to compare with.
        raise _refusal(
            "post_logout_redirect_uri",
            "post_logout_redirect_uri is not registered, or neither hint nor client_id says for whom",
            "Register it, and send id_token_hint or client_id: idp client update TENANT CLIENT_ID",
            target,
            tuple(sorted(client.post_logout_redirect_uris)) if client is not None else (),
        )
    if target is not None and "state" in parameters:
        target = f"{target}{'&' if '?' in target else '?'}{urlencode({'state': parameters['state']})}"
    # A pairwise subject is read back by the client it was made for (OpenID Connect Core §8.1).
    user = server.subjects.user_of(client, claims["sub"]) if client is not None and "sub" in claims else None
    return LogoutRequest(client, target, user, claims.get("sid"))


def _hint(server: TenantServer, hint: str | None) -> dict[str, Any]:
    if hint is None:
        return {}
    try:
        # §2: an expired ID token is a good hint.
        return id_token_hint.claims_of(server, hint)
    except InvalidToken as error:
        raise _refusal("id_token_hint", f"id_token_hint: {error.reason}", "Send an ID token of this issuer.") from error


def _ask(
    server: TenantServer, http: Request, parameters: dict[str, str], asked: LogoutRequest, here: list[Held]
) -> Response:
    current = _current(server, http, here)
    browser, new_cookie = _browser(server, http)
    query = urlencode(parameters)
    goal = origin_source(asked.redirect_to) if asked.redirect_to else None
    response = pages.page(
        server,
        http,
        "logout.html",
        form_action=(goal,) if goal else (),
        action=f"{server.tenant.base_path}/logout{'?' + query if query else ''}",
        csrf=csrf.token(server.services.csrf_key, browser, _PURPOSE, _bound(here)),
        account={"name": None, "username": current.session.username} if current is not None else None,
        others=[account.session.username for account in here if account is not current],
        client_name=asked.client.name if asked.client is not None else None,
        stay_url=f"{server.tenant.base_path}/",
    )
    response.headers += new_cookie
    return response


def _confirmed(server: TenantServer, http: Request) -> Response:
    # Also where no session came along: another site's form comes without the cookies that our answer would take away.
    csrf.check_origin(http, http.origin)
    parameters = one_of_each(http.args, _PARAMETERS)
    languages.wish(http, parameters.get("ui_locales"))
    asked = _validate(server, parameters)
    here = account_switch.here(server, http)
    if not here:
        return _finish(server, http, asked, here, [])
    csrf.require(http, server.services.csrf_key, session.browser_of(server.tenant, http), _PURPOSE, _bound(here))
    if any(pair == (_CONFIRMED, _ALL) for pair in http.form):
        return _finish(server, http, asked, here, here)
    current = _current(server, http, here)
    return _finish(server, http, asked, here, [current] if current is not None else [])


def _finish(
    server: TenantServer, http: Request, asked: LogoutRequest, here: list[Held], leaving: list[Held]
) -> Response:
    frames: list[str] = []
    if leaving:

        def work(conn: Connection) -> list[tuple[str, list[tuple[str, str]]]]:
            ended = [each.session for each in leaving if session.end(conn, http, each.session, reason="logout")]
            return [(each.id, frontchannel_logout.registered(conn, server, each.id)) for each in ended]

        with session.ending(server, *(each.session for each in leaving)):
            told = server.write(work)
        frames = [frame for sid, apps in told for frame in frontchannel_logout.frames(server, apps, sid)]
    others = [each.session.username for each in here if each not in leaving]
    if frames or asked.redirect_to is None:
        response = _signed_out(server, http, asked, frames, others)
    else:
        response = redirect(303, asked.redirect_to)
    response.headers += account_switch.after(server, http, here, leaving)
    return response


def _signed_out(
    server: TenantServer, http: Request, asked: LogoutRequest, frames: list[str], others: list[str]
) -> Response:
    client = asked.client
    site = client.metadata.get("client_uri") if client is not None else None
    return frontchannel_logout.page(
        server,
        http,
        frames,
        asked.redirect_to or site,
        client.name if client is not None else None,
        goes_on=asked.redirect_to is not None,
        others=others,
    )


def _browser(server: TenantServer, http: Request) -> tuple[str, list[tuple[str, str]]]:
    found = session.browser_of(server.tenant, http)
    if found is not None:
        return found, []
    made = opaque.new_secret("b")
    return made, [session.browser_cookie(server.tenant, made)]


def _refusal(
    check: str, reason: str, fix: str, received: str | None = None, registered: tuple[str, ...] = ()
) -> IdpError:
    return refused(
        IdpError(N_("The application's request to sign you out cannot be used."), code="invalid_request"),
        check=check,
        spec=_SPEC,
        reason=reason,
        fix=fix,
        received=received[:2000] if received else None,
        registered=registered,
    )


LOGOUT = Feature(
    name="rp_initiated_logout",
    spec="OpenID Connect RP-Initiated Logout 1.0",
    endpoints=(Endpoint("logout", "/logout", ("GET", "POST"), handle, is_hot=True, audience="person"),),
    metadata=lambda server: {"end_session_endpoint": f"{server.tenant.issuer}/logout"},
)
