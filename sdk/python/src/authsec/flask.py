"""For Flask: views that demand an access token, a scope or a permission.

tokens = AccessTokens(AccessTokenValidator(issuer="https://id.example.com/t/acme", audience="https://orders.example.com"))

@app.get("/orders")
@tokens.required(scope="orders:read")
def orders():
    return {"for": current_token.subject}
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from flask import Response, current_app, g, request
from werkzeug.local import LocalProxy

from authsec.bearer import presented, refusal
from authsec.errors import InsufficientScope, InvalidToken, KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from authsec.access_tokens import AccessToken, AccessTokenValidator

P = ParamSpec("P")
R = TypeVar("R")


def _current() -> AccessToken:
    found: AccessToken | None = g.get("authsec_token")
    if found is None:
        raise RuntimeError("current_token is there within views that demand a token")
    return found


current_token = cast("AccessToken", LocalProxy(_current))
"""The token of the request that is being answered."""


class AccessTokens:
    """What decorates views."""

    def __init__(self, validator: AccessTokenValidator, *, realm: str = "api") -> None:
        """Keep the validator; `realm` is what refusals call this API."""
        if not realm.isprintable() or '"' in realm or "\\" in realm:
            raise ValueError("a realm is plain text without quotes")
        self._validator, self._realm = validator, realm

    def required(
        self, *, scope: str | None = None, permission: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R | Response]]:
        """Demand a token, and of it scopes (separated by spaces) or a permission; answers 401 or 403 otherwise."""

        def decorate(view: Callable[P, R]) -> Callable[P, R | Response]:
            @wraps(view)
            def guarded(*given: P.args, **named: P.kwargs) -> R | Response:
                try:
                    token = self._validator.validate(presented(request.headers.getlist("Authorization")))
                    token.require(scope=scope, permission=permission)
                except (InvalidToken, InsufficientScope, KeysUnavailable) as error:
                    current_app.logger.info("access token refused: %s", error)
                    found = refusal(error, self._realm)
                    return Response(found.body, found.status, list(found.headers))
                g.authsec_token = token
                return view(*given, **named)

            return guarded

        return decorate
