"""Artefacts of logout: what a session signed in to, what waits in the outbox, the state that an application watches."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from browser_state import status
from house import CALLBACK, decoded
from serving import scalar

if TYPE_CHECKING:
    from artefacts import Side
    from house import Browser

ORIGIN = "https://rp.example"


def _passwords() -> dict[str, str]:
    from artefacts import PASSWORDS  # which imports this module

    return PASSWORDS


def applications(a: Side, b: Side) -> Browser:
    """A browser that is signed in at both tenants, at A's to an application that wants a frame."""
    client = a.house.client(a.tenant, f"framed-{secrets.token_hex(4)}", frontchannel_logout_uri=f"{ORIGIN}/of-a")
    browser = a.browser()
    browser.sign_in(client, password=_passwords()["acme"])
    browser.tenant = b.tenant
    browser.sign_in(b.rp, password=_passwords()["globex"])
    return browser


def _signed_out(side: Side, browser: Browser) -> str:
    browser.tenant = side.tenant
    return browser.submit(browser.get(f"{side.tenant.base_path}/logout"), action="logout").text


def applications_refused(b: Side, browser: Browser) -> None:
    """Signing out at B reaches no application of A's session."""
    page = _signed_out(b, browser)
    assert "signed out" in page
    assert "<iframe" not in page


def applications_work(a: Side, browser: Browser) -> None:
    """Signing out at A does."""
    page = _signed_out(a, browser)
    assert f'<iframe src="{ORIGIN}/of-a?iss=' in page


def message(a: Side, _b: Side) -> str:
    """The sid of a session of A whose end waits to be told."""
    client = a.house.client(a.tenant, f"told-{secrets.token_hex(4)}", backchannel_logout_uri=f"{ORIGIN}/bcl")
    browser = a.browser()
    token = client.redeem(browser.sign_in(client, password=_passwords()["acme"])).json["id_token"]
    _signed_out(a, browser)
    return str(decoded(token)[1]["sid"])


def _waiting(side: Side, sid: str) -> int:
    statement = "SELECT count(*) FROM outbox WHERE CAST(payload AS VARCHAR) LIKE ?"
    return int(scalar(side.tenant.database_url, statement, f"%{sid}%"))


def message_refused(b: Side, sid: str) -> None:
    """B's outbox knows nothing of it."""
    assert _waiting(b, sid) == 0


def message_works(a: Side, sid: str) -> None:
    """A's has it."""
    assert _waiting(a, sid) == 1


def state(a: Side, _b: Side) -> tuple[Browser, str]:
    """A browser that is signed in at A, and the session_state that an application was told."""
    browser = a.signed_in()
    return browser, browser.authorize(a.rp, verifier="v" * 43, prompt="none").params["session_state"]


def _watched(side: Side, made: tuple[Browser, str]) -> str:
    """What the tenant's frame says in that browser."""
    cookie = made[0].cookies.get(side.cookie("o"), "")
    return status(made[1], "rp", CALLBACK.rpartition("/")[0], cookie)


def state_refused(b: Side, made: tuple[Browser, str]) -> None:
    """B's frame knows another state, signed in or not; and the state is no session."""
    assert _watched(b, made) == "changed"
    made[0].tenant = b.tenant
    made[0].sign_in(b.rp, password=_passwords()["globex"])
    assert _watched(b, made) == "changed"


def state_works(a: Side, made: tuple[Browser, str]) -> None:
    """A's frame knows it, whatever happened at B."""
    assert _watched(a, made) == "unchanged"
