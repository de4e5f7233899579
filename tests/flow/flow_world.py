"""A protocol of a few lines, registered like any other, and a browser that keeps cookies and reads forms."""

from __future__ import annotations

import html
import itertools
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from identity_world import PASSWORD, Server

from idp.flow import dispatcher
from idp.flow.interaction import AlreadyFinished
from idp.flow.own_sign_in import OWN_SIGN_IN
from idp.flow.routes import PAGES
from idp.web.http import FORM_TYPE, Headers, Request, Response, redirect

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context

CLIENT_ORIGIN = "https://rp.example"
ORIGIN = "http://localhost:8000"
BASE = "/t/acme"
_numbers = itertools.count(1)


class Echo:
    """Answers a request by telling the client's address who signed in, once."""

    name = "echo"

    def complete(self, context: Context) -> Response:
        """Redirect with what the session says; the answer's number is spent in the finishing transaction."""

        def work(conn) -> None:
            if not context.finish(conn):
                raise AlreadyFinished
            context.server.answers.append(context.interaction.id)

        context.server.database.writing(work)
        live = context.session
        told = {
            "user": live.username,
            "auth_time": live.auth_time,
            "sid": live.id,
            "state": context.interaction.request["state"],
        }
        return redirect(303, f"{CLIENT_ORIGIN}/cb?{urlencode(told)}")

    def refuse(self, context: Context, error: str, description: str) -> Response:
        """Redirect with the error."""
        told = {"error": error, "error_description": description, "state": context.interaction.request["state"]}
        return redirect(303, f"{CLIENT_ORIGIN}/cb?{urlencode(told)}")


@dataclass
class EchoServer(Server):
    """The server with the entry of the protocol."""

    answers: list[str] = field(default_factory=list)

    def with_settings(self, **changes: Any) -> EchoServer:
        """The same server under other settings of the tenant."""
        tenant = replace(self.tenant, settings=replace(self.tenant.settings, **changes))
        return EchoServer(tenant, self.database, self.services, self.profile, self.terms)


def with_echo(server: Server) -> EchoServer:
    """The server with the protocol in its table."""
    services = replace(server.services, protocols={"echo": Echo(), OWN_SIGN_IN.name: OWN_SIGN_IN})
    return EchoServer(server.tenant, server.database, services, server.profile, server.terms)


def authorize(server: EchoServer, request: Request) -> Response:
    """The protocol's entry: the query is the request."""
    given = dict(request.form if request.method == "POST" else request.args)
    scopes = given.get("scope", "openid").split()
    return dispatcher.begin(
        server,
        request,
        protocol="echo",
        client_id=given.get("client_id", "photos"),
        interaction_request={
            "prompt": given.get("prompt", "").split(),
            "max_age": int(given["max_age"]) if "max_age" in given else None,
            "login_hint": given.get("login_hint"),
            "subject_hint": given.get("subject_hint"),
            "scopes": [] if given.get("trusted") else scopes,
            "client": {
                "name": "Photo Frame",
                "logo_uri": "https://cdn.example/l.png",
                "policy_uri": "https://rp.example/p",
            },
            "return_origin": CLIENT_ORIGIN,
            "return_host": "rp.example",
            "restart": f"/authorize?{urlencode(given)}",
            "state": given.get("state", "0"),
        },
    )


HANDLERS = {(method, path): handle for method, path, handle in PAGES} | {
    ("GET", "/authorize"): authorize,
    ("POST", "/authorize"): authorize,
}


@dataclass
class Page:
    """An answer as a person sees it."""

    response: Response
    url: str
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def text(self) -> str:
        """The page's source."""
        return self.response.body.decode()

    @property
    def title(self) -> str:
        """What the heading says."""
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""

    @property
    def action(self) -> str:
        """Where the form goes."""
        return html.unescape(re.search(r'<form[^>]* action="([^"]*)"', self.text)[1])

    @property
    def fields(self) -> dict[str, str]:
        """The form's fields that have a value."""
        found = {}
        for tag in re.findall(r"<input[^>]*>", self.text):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            is_unticked = attributes.get("type") == "checkbox" and " checked" not in tag
            if "name" in attributes and "value" in attributes and not is_unticked:
                found[attributes["name"]] = html.unescape(attributes["value"])
        return found

    @property
    def onward(self) -> str | None:
        """Where the page's Continue leads."""
        found = re.search(r'id="continue" href="([^"]*)"', self.text)
        return html.unescape(found[1]) if found else None

    @property
    def answer(self) -> dict[str, str]:
        """What the client was told."""
        assert self.url.startswith(f"{CLIENT_ORIGIN}/cb?"), (self.url, self.status, self.title)
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def interaction(self) -> str:
        """The interaction in the address."""
        return parse_qs(urlsplit(self.url).query)["interaction"][0]


@dataclass
class Browser:
    """Keeps cookies and follows redirects as long as they stay here."""

    server: EchoServer
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "192.0.2.1"
    keeps_cookies: bool = True

    def send(self, method: str, url: str, fields: Any = None, headers: dict[str, str] | None = None) -> Response:
        """One request, with the headers of a browser on our own page."""
        request = self.request_of(method, url, fields, headers)
        response = HANDLERS[method, request.path.removeprefix(BASE) or "/"](self.server, request)
        for name, value in response.headers:
            if name == "set-cookie" and self.keeps_cookies:
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return response

    def request_of(self, method: str, url: str, fields: Any = None, headers: dict[str, str] | None = None) -> Request:
        """The request that would be sent."""
        path, _, query = url.partition("?")
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "user-agent": "Test"}
        body = b""
        if method == "POST":
            body = urlencode(fields or {}).encode()
            sent |= {"content-type": FORM_TYPE, "origin": ORIGIN, "sec-fetch-site": "same-origin"}
        sent |= headers or {}
        items = [(name, value) for name, value in sent.items() if value]
        return Request(method, "http", "localhost:8000", path, query, Headers.of(items), body, self.address, "C" * 16)

    def follow(self, response: Response, url: str) -> Page:
        """Go where redirects lead, at most ten times."""
        for _ in range(10):
            if response.status != 303:
                return Page(response, url)
            url = response.header("location")
            if not url.startswith("/"):
                return Page(response, url)
            response = self.send("GET", url)
        raise AssertionError(f"redirected without end: {url}")

    def get(self, url: str) -> Page:
        """Open an address."""
        return self.follow(self.send("GET", url), url)

    def post(self, page: Page, fields: dict[str, str], headers: dict[str, str] | None = None) -> Page:
        """Send a page's form with some fields filled in."""
        return self.follow(self.send("POST", page.action, page.fields | fields, headers), page.action)

    def authorize(self, **given: Any) -> Page:
        """Come from the application."""
        return self.get(f"{BASE}/authorize?{urlencode(given)}")

    def log_in(self, page: Page, username: str = "ada@acme.example", password: str = PASSWORD) -> Page:
        """Fill in the form of the login page."""
        assert page.title == "Sign in", (page.title, page.status, page.url)
        return self.post(page, {"username": username, "password": password})

    def allow(self, page: Page) -> Page:
        """Consent."""
        assert page.title == "Photo Frame wants to use your account", (page.title, page.status, page.url)
        return self.post(page, {"action": "approve"})

    def sign_in(self, **given: Any) -> dict[str, str]:
        """All of it; returns what the client was told."""
        page = self.log_in(self.authorize(**given))
        return (page if page.url.startswith(CLIENT_ORIGIN) else self.allow(page)).answer
