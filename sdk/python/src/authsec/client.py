"""The client that waits for its answers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

from authsec import signin
from authsec._generated.resources import Namespaces
from authsec.calls import perform
from authsec.driving import drive
from authsec.errors import SignInError
from authsec.flow import checked_url
from authsec.retries import Retries
from authsec.signin import Credentials, Endpoints, Session, SignIn

if TYPE_CHECKING:
    from authsec.calls import Call
    from authsec.flow import Flow

T = TypeVar("T")


class _Connection:
    """What a client and its views of other tenants share: the HTTP client and who is signed in."""

    def __init__(self, base_url: str, tenant: str, token: str | None, retries: Retries, http: httpx.Client) -> None:
        self.base_url, self.tenant, self.retries, self.http = base_url, tenant, retries, http
        self.session = Session(signin.given_token(token)) if token is not None else None
        self._endpoints: Endpoints | None = None
        self._pending: SignIn | None = None
        self._renewing = threading.Lock()

    def drive(self, flow: Flow[T]) -> T:
        return drive(flow, self.http, self._token)

    def _token(self, refused: str | None) -> str | None:
        session = self.session
        if session is None:
            return None
        found = session.usable(refused)
        if found is not None or not session.can_be_renewed:
            return found
        with self._renewing:  # whoever comes second finds the token that the first has got
            return session.usable(refused) or self.drive(signin.renew(session, refused, self.base_url, self.retries))

    def endpoints(self) -> Endpoints:
        if self._endpoints is None:
            self._endpoints = self.drive(signin.discover(self.base_url, self.tenant, self.retries))
        return self._endpoints

    def sign_in(self, fields: dict[str, str]) -> None:
        self._pending = SignIn(self.base_url, self.endpoints(), self.retries)
        self.go_on(fields)

    def sign_in_client(self, credentials: Credentials) -> None:
        flow = signin.client_session(self.base_url, self.endpoints(), credentials, self.retries)
        self.session = self.drive(flow)

    def go_on(self, fields: dict[str, str]) -> None:
        if self._pending is None:
            raise SignInError("There is no sign-in to go on with: call login() first.")
        self.session = self.drive(self._pending.take(fields))
        self._pending = None

    def sign_out(self) -> None:
        session, self.session, self._pending = self.session, None, None
        if session is not None:
            with self._renewing:
                self.drive(signin.revoke(session, self.retries))


class _Caller:
    """Calls operations about one tenant."""

    def __init__(self, connection: _Connection, tenant: str) -> None:
        self._connection, self.tenant = connection, tenant

    def call(self, call: Call) -> httpx.Response:
        return self._connection.drive(perform(call, self._connection.base_url, self._connection.retries))


class TenantView(Namespaces):
    """The operations about another tenant, called by who is signed in at the client."""

    def __init__(self, connection: _Connection, tenant: str) -> None:
        self.tenant = tenant
        self._furnish(_Caller(connection, tenant))


class AuthSecClient(Namespaces):
    """The services of an AuthSec server.

    `base_url` is the server's public address. `tenant` is where people sign in and what operations are about; the default is the
    platform's own. Give an `access_token` instead of signing in where there is one. The client may be used by several threads.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tenant: str = "system",
        access_token: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        http_client: httpx.Client | None = None,
    ) -> None:
        """Open nothing yet. A given `http_client` (for proxies, or roots of your own) is not closed with this client."""
        self.base_url, self.tenant = checked_url(base_url, "base_url"), tenant
        self._is_own = http_client is None
        http = http_client or httpx.Client(timeout=timeout)
        self._connection = _Connection(self.base_url, tenant, access_token, retries or Retries(), http)
        self._furnish(_Caller(self._connection, tenant))

    def login(self, email: str, password: str) -> None:
        """Sign in. Raises :class:`MfaRequired` or another :class:`StepRequired` where the password does not suffice."""
        self._connection.sign_in({"username": email, "password": password})

    def continue_login(self, **fields: str) -> None:
        """Send the fields of the step that the last :class:`StepRequired` named, for instance `code="123456"`."""
        self._connection.go_on(fields)

    def login_as_client(self, client_id: str, client_secret: str, *, scope: str = "authsec") -> None:
        """Sign in as an application that acts for itself, with the roles that are bound to it."""
        self._connection.sign_in_client(Credentials(client_id, client_secret, scope))

    def logout(self) -> None:
        """Forget the tokens and end the session at the server."""
        self._connection.sign_out()

    @property
    def is_signed_in(self) -> bool:
        """Whether there are tokens; whether the server still accepts them shows with the next call."""
        return self._connection.session is not None

    def for_tenant(self, tenant: str) -> TenantView:
        """Return the operations about another tenant, by its slug or its id; the sign-in stays the same."""
        return TenantView(self._connection, tenant)

    def close(self) -> None:
        """Close the connections. It does not sign out."""
        if self._is_own:
            self._connection.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
