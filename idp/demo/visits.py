"""What the demo remembers of a browser, in memory: the pending sign-in, the tokens and the record of the flow.

The browser holds an opaque cookie and nothing else; state, nonce and PKCE verifier, which Authlib puts into Flask's session,
stay here as well. Everything is forgotten when the process ends. Must not know the protocol or pages.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from flask import session
from flask.sessions import SessionInterface, SessionMixin

from idp import opaque
from idp.demo.exchanges import Trace

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from idp.demo.problems import Problem

MOST = 1000  # visits that are kept
IDLE = 8 * 3600.0  # seconds until one is forgotten


@dataclass
class Tokens:
    """What a sign-in brought."""

    access_token: str
    id_token: str
    claims: dict[str, Any]  # of the ID token, validated
    scope: str
    refresh_token: str | None = None
    keys: dict[str, Any] = field(default_factory=dict)  # the issuer's, as a JWK set
    userinfo: dict[str, Any] | None = None
    introspected: dict[str, dict[str, Any]] = field(default_factory=dict)  # by kind of token
    revoked: set[str] = field(default_factory=set)  # kinds of token


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence about what was just done."""

    text: str
    exchange: int | None = None  # where to read it


class Visit(dict[str, Any], SessionMixin):
    """One browser's memory; the dictionary is Flask's session."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.id = opaque.new_secret("visit")
        self.seen_at = time.monotonic()
        self.trace = Trace()
        self.client: Any = None  # Authlib's client of the latest sign-in
        self.tokens: Tokens | None = None
        self.problem: Problem | None = None
        self.notice: Notice | None = None

    @property
    def is_worth_keeping(self) -> bool:
        """Whether anything has happened."""
        return bool(self or self.tokens or self.problem or self.trace.exchanges)

    def renew(self) -> None:
        """Take a new id: what an earlier cookie names is nothing any more."""
        self.id = opaque.new_secret("visit")


def current() -> Visit:
    """Return the visit of the request."""
    return cast("Visit", session)


class Visits(SessionInterface):
    """Flask's session interface on a table in memory."""

    def __init__(self, cookie: str, *, is_secure: bool) -> None:
        """Name the cookie. Cookies know no ports: another demo on the same host needs another name."""
        self._cookie, self._is_secure = cookie, is_secure
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._lock = Lock()

    def open_session(self, app: Flask, request: Request) -> Visit:  # noqa: ARG002 - Flask's signature
        """Return the visit that the cookie names, or a new one."""
        with self._lock:
            visit = self._visits.get(request.cookies.get(self._cookie, ""))
            if visit is None or time.monotonic() - visit.seen_at > IDLE:
                return Visit()
            visit.seen_at = time.monotonic()
            self._visits.move_to_end(visit.id)
            return visit

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002 - Flask's signature
        """Keep the visit under its id, and give the browser the cookie when the id is new to it."""
        visit = cast("Visit", session)
        with self._lock:
            known = self._visits.get(visit.id) is visit
            if known or not visit.is_worth_keeping:
                return
            for earlier in [key for key, kept in self._visits.items() if kept is visit]:
                del self._visits[earlier]
            self._visits[visit.id] = visit
            while len(self._visits) > MOST:
                self._visits.popitem(last=False)
        response.set_cookie(self._cookie, visit.id, httponly=True, samesite="Lax", secure=self._is_secure)
