"""The table of the account pages: path, page, form, and whether it asks for a fresh sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.account import applications, deletion, email, export, history, overview, password, profile, sessions
from idp.account.protocol import ROOT
from idp.account.visit import guarded
from idp.feature import Endpoint, Feature
from idp.flow.step_pages import answered

if TYPE_CHECKING:
    from idp.account.visit import Page
    from idp.feature import Handler

# (path below /account, page, form or None, is_sensitive)
_PAGES: tuple[tuple[str, Page, Page | None, bool], ...] = (
    ("", overview.show, None, False),
    ("/profile", profile.show, profile.submit, False),
    ("/email", email.show, email.submit, True),
    ("/email/sent", email.show_sent, None, False),
    ("/password", password.show, password.submit, True),
    ("/sessions", sessions.show, sessions.submit, False),
    ("/applications", applications.show, applications.submit, False),
    ("/history", history.show, None, False),
    ("/data", export.show, export.submit, True),
    ("/delete", deletion.show, deletion.submit, True),
)


def _endpoint(path: str, methods: tuple[str, ...], handle: Handler) -> Endpoint:
    if path in (deletion.PATH, deletion.DONE_PATH):
        handle = deletion.where_allowed(handle)
    return Endpoint("account", path, methods, answered(handle), is_hot=True, audience="person")


def _endpoints() -> tuple[Endpoint, ...]:
    found = [
        _endpoint(
            ROOT + path,
            ("GET", "POST") if submit is not None else ("GET",),
            guarded(ROOT + path, show, submit, is_sensitive=is_sensitive),
        )
        for path, show, submit, is_sensitive in _PAGES
    ]
    return (
        *found,
        _endpoint(deletion.DONE_PATH, ("GET",), deletion.done),
        _endpoint(email.CONFIRM_PATH, ("GET",), email.show_link),
        _endpoint(email.CONFIRM_PATH, ("POST",), email.submit_link),
    )


ACCOUNT = Feature(name="account", spec="the account pages", endpoints=_endpoints())
