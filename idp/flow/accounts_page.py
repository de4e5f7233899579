"""The page of the accounts that are signed in side by side in one browser: go on with another, take one out, add one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp import opaque
from idp.flow import account_switch, browser_state, own_sign_in, pages, session
from idp.web import csrf
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.browser_accounts import Held
    from idp.flow.services import FlowServer
    from idp.web.http import Request, Response

PATH = "/accounts"
_PURPOSE = "accounts"


def show(server: FlowServer, request: Request) -> Response:
    """Answer the page; where nobody is signed in, the start page says so."""
    tenant, here = server.tenant, account_switch.here(server, request)
    if not here:
        return redirect(303, f"{tenant.base_path}/")
    browser, cookies = session.browser_of(tenant, request), []
    if browser is None:
        browser = opaque.new_secret("b")
        cookies = [session.browser_cookie(tenant, browser)]
    answer = pages.page(
        server,
        request,
        "accounts.html",
        action=f"{tenant.base_path}{PATH}",
        csrf=csrf.token(server.services.csrf_key, browser, _PURPOSE, _bound(here)),
        accounts=account_switch.shown(server, here, session.current(server, request)),
        add_url=own_sign_in.address(server, "accounts", another=True),
        may_add=tenant.settings.accounts_in_browser > 1,
        sign_out_url=f"{tenant.base_path}/logout",
        start_url=f"{tenant.base_path}/",
    )
    answer.headers += cookies
    return answer


def submit(server: FlowServer, request: Request) -> Response:
    """Do what was decided about an account that was shown; the page follows."""
    csrf.check_origin(request, request.origin)
    tenant, here = server.tenant, account_switch.here(server, request)
    back = f"{tenant.base_path}{PATH}"
    if not here:
        return redirect(303, back)
    csrf.require(request, server.services.csrf_key, session.browser_of(tenant, request), _PURPOSE, _bound(here))
    given = [value for name, value in request.form if name == "action"]
    decision, _, wanted = (given[0] if len(given) == 1 else "").partition(" ")
    named = next((each for each in here if each.session.id == wanted), None)
    if named is None:
        return redirect(303, back)
    if decision == "remove":
        return redirect(303, back, account_switch.remove(server, request, here, [named]))
    if decision == "use" and named.secret != session.secret_of(tenant, request):
        done = account_switch.choose(server, request, here, named)
        if done is not None:
            (chosen, *others), fields = done
            return redirect(
                303, f"{tenant.base_path}/", [*fields, browser_state.cookie(server, chosen.session, others)]
            )
    return redirect(303, back)


def _bound(here: list[Held]) -> str:
    return " ".join(each.session.id for each in here)
