"""Whether a person may make an account here, and where: what the pages that lead to the sign-up need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.flow.services import FlowServer

PATH = "/signup"


def is_offered(server: FlowServer) -> bool:
    """Say whether the tenant lets people sign up."""
    return server.tenant.settings.signup == "on"


def may_sign_up(context: Context) -> bool:
    """Say whether this sign-in can be a sign-up: not where it must be about somebody who is known, nor a second time."""
    state = context.interaction.state
    is_about_somebody = bool(context.interaction.request.get("subject_hint"))
    return is_offered(context.server) and not is_about_somebody and not state.get("signed_up")


def link(context: Context) -> str | None:
    """Return the address of the sign-up within this sign-in, or None where there is none."""
    return context.url_of(PATH) if may_sign_up(context) else None
