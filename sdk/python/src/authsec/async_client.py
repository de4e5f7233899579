"""The client whose answers are awaited, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

from authsec import signin
from authsec._generated.async_resources import AsyncNamespaces
from authsec.calls import perform
from authsec.driving import drive_async
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

    def __init__(
        self, base_url: str, tenant: str, token: str | None, retries: Retries, http: httpx.AsyncClient
    ) -> None:
        self.base_url, self.tenant, self.retries, self.http = base_url, tenant, retries, http
        self.session = Session(signin.given_token(token)) if token is not None else None
        self._endpoints: Endpoints | None = None
        self._pending: SignIn | None = None
        self._renewals: dict[int, asyncio.Task[str]] = {}  # by session, which lives as long as its renewal

    async def drive(self, flow: Flow[T]) -> T:
        return await drive_async(flow, self.http, self._token)

    async def _token(self, refused: str | None) -> str | None:
        session = self.session
        if session is None:
            return None
        found = session.usable(refused)
        if found is not None or not session.can_be_renewed:
            return found
        # One renewal for all who wait; it goes on when one of them is cancelled, because its answer is the only one there is.
        task = self._renewals.get(id(session))
        if task is None:
            task = asyncio.ensure_future(self.drive(signin.renew(session, refused, self.base_url, self.retries)))
            self._renewals[id(session)] = task
            task.add_done_callback(lambda done: self._renewed(session, done))
        return await asyncio.shield(task)

    def _renewed(self, session: Session, task: asyncio.Task[str]) -> None:
        del self._renewals[id(session)]
        if not task.cancelled():
            task.exception()  # those who wait are told; where nobody does any more, nobody is

    async def endpoints(self) -> Endpoints:
        if self._endpoints is None:
            self._endpoints = await self.drive(signin.discover(self.base_url, self.tenant, self.retries))
        return self._endpoints

    async def sign_in(self, fields: dict[str, str]) -> None:
        self._pending = SignIn(self.base_url, await self.endpoints(), self.retries)
        await self.go_on(fields)

    async def sign_in_client(self, credentials: Credentials) -> None:
        flow = signin.client_session(self.base_url, await self.endpoints(), credentials, self.retries)
        self.session = await self.drive(flow)

    async def go_on(self, fields: dict[str, str]) -> None:
        if self._pending is None:
            raise SignInError("There is no sign-in to go on with: call login() first.")
        self.session = await self.drive(self._pending.take(fields))
        self._pending = None

    async def sign_out(self) -> None:
        session, self.session, self._pending = self.session, None, None
        if session is None:
            return
        renewal = self._renewals.get(id(session))
        if renewal is not None:
            await asyncio.wait([renewal])
        await self.drive(signin.revoke(session, self.retries))


class _Caller:
    """Calls operations about one tenant."""

    def __init__(self, connection: _Connection, tenant: str) -> None:
        self._connection, self.tenant = connection, tenant

    async def call(self, call: Call) -> httpx.Response:
        return await self._connection.drive(perform(call, self._connection.base_url, self._connection.retries))


class AsyncTenantView(AsyncNamespaces):
    """The operations about another tenant, called by who is signed in at the client."""

    def __init__(self, connection: _Connection, tenant: str) -> None:
        self.tenant = tenant
        self._furnish(_Caller(connection, tenant))


class AsyncAuthSecClient(AsyncNamespaces):
    """The services of an AuthSec server, like :class:`authsec.AuthSecClient`, for asyncio."""

    def __init__(
        self,
        base_url: str,
        *,
        tenant: str = "system",
        access_token: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        """Open nothing yet. A given `http_client` (for proxies, or roots of your own) is not closed with this client."""
        self.base_url, self.tenant = checked_url(base_url, "base_url"), tenant
        self._is_own = http_client is None
        http = http_client or httpx.AsyncClient(timeout=timeout)
        self._connection = _Connection(self.base_url, tenant, access_token, retries or Retries(), http)
        self._furnish(_Caller(self._connection, tenant))

    async def login(self, email: str, password: str) -> None:
        """Sign in. Raises :class:`MfaRequired` or another :class:`StepRequired` where the password does not suffice."""
        await self._connection.sign_in({"username": email, "password": password})

    async def continue_login(self, **fields: str) -> None:
        """Send the fields of the step that the last :class:`StepRequired` named, for instance `code="123456"`."""
        await self._connection.go_on(fields)

    async def login_as_client(self, client_id: str, client_secret: str, *, scope: str = "authsec") -> None:
        """Sign in as an application that acts for itself, with the roles that are bound to it."""
        await self._connection.sign_in_client(Credentials(client_id, client_secret, scope))

    async def logout(self) -> None:
        """Forget the tokens and end the session at the server."""
        await self._connection.sign_out()

    @property
    def is_signed_in(self) -> bool:
        """Whether there are tokens; whether the server still accepts them shows with the next call."""
        return self._connection.session is not None

    def for_tenant(self, tenant: str) -> AsyncTenantView:
        """Return the operations about another tenant, by its slug or its id; the sign-in stays the same."""
        return AsyncTenantView(self._connection, tenant)

    async def aclose(self) -> None:
        """Close the connections. It does not sign out."""
        if self._is_own:
            await self._connection.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
