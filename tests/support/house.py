"""The whole product in one process, for tests: a real installation, real tenants, and a browser and programs in front of it.

Requests enter at the router, behind the front's checks of the head, and pass through everything a served request passes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ready_made import Furnished, Loan, lay_files

from idp import opaque
from idp.app import Router
from idp.identity.accounts import By, create_user
from idp.keys.envelope import create_master_key
from idp.oauth import client_metadata
from idp.settings import Settings
from idp.store import placement
from idp.store.tenant import clients, users
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    from pathlib import Path

    from idp.store.db import Database
    from idp.tenancy.tenant import Tenant

PASSWORD = "correct horse battery staple"
CALLBACK = "https://rp.example/cb"
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


@dataclass
class Answer:
    """One response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        found = self.header("location")
        assert found is not None, f"no redirect: {self.status} {self.text[:500]}"
        return found

    @property
    def params(self) -> dict[str, str]:
        """The parameters of an authorization response in the query."""
        return dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))

    @property
    def fragment(self) -> dict[str, str]:
        """The parameters of an authorization response in the fragment."""
        return dict(parse_qsl(urlsplit(self.location).fragment, keep_blank_values=True))

    @property
    def form(self) -> tuple[str, dict[str, str]]:
        """The page's (first) form: its action and the inputs that have a value."""
        action = re.search(r'<form\b[^>]*\baction="([^"]+)"', self.text)
        assert action is not None, f"no form: {self.status} {self.text[:300]}"
        found = {}
        for tag in _INPUT.findall(self.text):
            attributes = dict(_ATTRIBUTE.findall(tag))
            is_unticked = attributes.get("type") == "checkbox" and " checked" not in tag
            if "name" in attributes and "value" in attributes and not is_unticked:
                found[html.unescape(attributes["name"])] = html.unescape(attributes["value"])
        return html.unescape(action[1]), found


@dataclass
class RelyingParty:
    """A registered client with what it needs to speak for itself."""

    house: House
    tenant: Tenant
    client_id: str
    secret: str | None
    metadata: dict[str, Any]

    @property
    def auth(self) -> dict[str, str]:
        """The Authorization header of client_secret_basic; empty for a public client."""
        return {} if self.secret is None else basic(self.client_id, self.secret)

    def post(self, path: str, form: dict[str, str], **more: Any) -> Answer:
        """Post a form to an endpoint of the tenant, authenticated the registered way."""
        if self.metadata["token_endpoint_auth_method"] == "client_secret_basic":
            headers = {**self.auth, **more.pop("headers", {})}
        else:
            headers = more.pop("headers", {})
            form = {"client_id": self.client_id, **form}
            if self.secret is not None:
                form = {"client_secret": self.secret, **form}
        return self.house.post(self.tenant, path, form, headers=headers, **more)

    def redeem(self, grant: Grant | dict[str, str], **more: str) -> Answer:
        """Redeem a code at the token endpoint."""
        code, verifier = (
            (grant.code, grant.verifier) if isinstance(grant, Grant) else (grant["code"], grant.get("verifier"))
        )
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        if verifier is not None:
            form["code_verifier"] = verifier
        return self.post("/token", {**form, **more})

    def refresh(self, token: str, **more: str) -> Answer:
        """Use a refresh token."""
        return self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more})

    def introspect(self, token: str, **more: str) -> Any:
        """Introspect a token and return the document."""
        return self.post("/introspect", {"token": token, **more}).json

    def userinfo(self, token: str) -> Answer:
        """Call userinfo."""
        return self.house.get(self.tenant, "/userinfo", headers={"authorization": f"Bearer {token}"})


@dataclass
class Grant:
    """A code with the verifier that belongs to it."""

    code: str
    verifier: str
    answer: Answer


@dataclass
class Browser:
    """A browser: it keeps cookies, and sends Origin with its forms."""

    house: House
    tenant: Tenant
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, url: str, headers: dict[str, str] | None = None) -> Answer:
        """Open an address: absolute, or a path of the tenant's host."""
        return self._send("GET", url, None, {"accept": "text/html", **(headers or {})})

    def post(self, url: str, form: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        """Send a form from a page of the tenant's own."""
        return self._send("POST", url, form, {"accept": "text/html", "origin": self.tenant.origin, **(headers or {})})

    def submit(self, page: Answer, **fields: str) -> Answer:
        """Fill in and send a page's form."""
        action, values = page.form
        return self.post(action, {**values, **fields})

    def authorize(self, client: RelyingParty, *, verifier: str | None = None, **params: str | None) -> Answer:
        """Open the authorization endpoint; a parameter None is left out."""
        wanted: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": "a state",
            "nonce": "a nonce",
        }
        if verifier is not None:
            wanted |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
        wanted |= params
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        return self.get(f"{self.tenant.base_path}/authorize?{query}")

    def follow(self, answer: Answer) -> Answer:
        """Follow redirects as long as they stay at the tenant."""
        while answer.status in (302, 303):
            target = answer.location
            if not (target.startswith(("/", self.tenant.origin + "/"))):
                break
            answer = self.get(target)
        return answer

    def sign_in(
        self, client: RelyingParty, *, username: str = "ada@example.com", password: str = PASSWORD, **params: str | None
    ) -> Grant:
        """Walk a whole sign-in, with whatever pages come, and return the code."""
        verifier = secrets.token_urlsafe(32)
        answer = self.follow(self.authorize(client, verifier=verifier, **params))
        for _ in range(5):
            if answer.status in (302, 303):
                break
            if 'id="login-submit"' in answer.text:
                answer = self.follow(self.submit(answer, username=username, password=password))
            elif 'id="consent-approve"' in answer.text:
                answer = self.follow(self.submit(answer, action="approve"))
            else:
                break
        assert answer.status in (302, 303), f"{answer.status} {answer.text}"
        assert "code" in answer.params, answer.params
        return Grant(answer.params["code"], verifier, answer)

    def _send(self, method: str, url: str, form: dict[str, str] | None, headers: dict[str, str]) -> Answer:
        if self.cookies:
            headers = {**headers, "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        answer = self.house.send(
            method, url, form=form, headers=headers, host=self.tenant.host, scheme=urlsplit(self.tenant.issuer).scheme
        )
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                self.cookies.pop(key, None)
                if content and "Max-Age=0" not in value:
                    self.cookies[key] = content
        return answer


class House:
    """One installation in this process, with helpers to furnish it."""

    def __init__(self, folder: Path, **environ: str) -> None:
        """Make the installation in ``folder``; ``environ`` are further IDP_* variables."""
        self.settings = Settings.from_env(
            {
                "IDP_DATA_DIR": str(folder),
                "IDP_ARGON2_MEMORY_KIB": "7168",
                "IDP_PUBLIC_URL": "http://localhost:8000",
                "IDP_LOG_LEVEL": "error",
                **environ,
            }
        )
        folder.mkdir(parents=True, exist_ok=True)
        create_master_key(self.settings)
        lay_files(self.settings)
        placement.create_control(self.settings).close()
        self._loan = Loan()
        self.installation = Furnished(self.settings, self._loan)
        self.router = Router(self.installation)

    def close(self) -> None:
        self.installation.close()
        self._loan.end()

    def restart(self) -> None:
        """Forget everything that is in memory, as a new process would."""
        self.installation.close()
        self.installation = Furnished(self.settings, self._loan)
        self.router = Router(self.installation)

    def tenant(self, slug: str, domain: str | None = None, **settings: str) -> Tenant:
        """Make a tenant with a user ada@example.com."""
        tenant = self.installation.provisioning.create(slug, slug.title(), domain, settings)
        self.user(tenant)
        return tenant

    def database(self, tenant: Tenant) -> Database:
        return self.installation.store.tenant(tenant.id, tenant.database_url)

    def user(self, tenant: Tenant, email: str = "ada@example.com", password: str = PASSWORD, **more: Any) -> str:
        """Make a user and return the id."""
        claims = more.pop(
            "claims",
            {"name": "Ada Lovelace", "given_name": "Ada", "phone_number": "+44 1 2345", "address": {"country": "GB"}},
        )
        hasher = self.installation.services.hasher
        return create_user(
            self.database(tenant),
            hasher,
            tenant,
            username=email,
            password=password,
            email=email,
            by=By("operator"),
            claims=claims,
            **more,
        )

    def user_id(self, tenant: Tenant, email: str = "ada@example.com") -> str:
        with self.database(tenant).reading() as conn:
            found = users.find_by_username(conn, email)
        assert found is not None
        return str(found.id)

    def client(
        self, tenant: Tenant, client_id: str = "rp", *, profile: str = "strict", **metadata: Any
    ) -> RelyingParty:
        """Register a client; confidential with client_secret_basic unless the metadata say otherwise."""
        given: dict[str, Any] = {
            "client_name": "An application",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["https://rp.example/bye"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "scope": "openid profile email address phone offline_access api",
            **metadata,
        }
        if given.get("token_endpoint_auth_method") == "none":
            given["grant_types"] = [kind for kind in given["grant_types"] if kind != "client_credentials"]
        stored = client_metadata.validate(given, profile, tenant.settings.key_algorithms)
        secret = secrets.token_urlsafe(32) if stored["token_endpoint_auth_method"].startswith("client_secret") else None
        row = {
            "client_id": client_id,
            "client_profile": profile,
            "secret_expires_at": None,
            "metadata": stored,
            "state": "active",
        }
        secret_hash = opaque.digest(secret) if secret else None
        with self.installation.feed.announced(tenant.id, "client", client_id):
            self.database(tenant).writing(lambda conn: clients.create(conn, secret_hash=secret_hash, **row))
        return RelyingParty(self, tenant, client_id, secret, stored)

    def browser(self, tenant: Tenant) -> Browser:
        return Browser(self, tenant)

    def get(self, tenant: Tenant, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Get a path below the tenant's issuer, as a program."""
        return self.send(
            "GET", tenant.base_path + path, headers=headers, host=tenant.host, scheme=urlsplit(tenant.issuer).scheme
        )

    def post(
        self,
        tenant: Tenant,
        path: str,
        form: dict[str, str] | list[tuple[str, str]],
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Post a form to a path below the tenant's issuer, as a program."""
        return self.send(
            "POST",
            tenant.base_path + path,
            form=form,
            headers=headers,
            host=tenant.host,
            scheme=urlsplit(tenant.issuer).scheme,
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        form: dict[str, str] | list[tuple[str, str]] | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        host: str = "localhost:8000",
        scheme: str = "http",
    ) -> Answer:
        """Send any request."""
        parts = urlsplit(url)
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if parts.netloc:
            host, scheme = parts.netloc, parts.scheme
        if form is not None:
            body = urlencode(form).encode()
            pairs.append(("content-type", "application/x-www-form-urlencoded"))
        request = Request(
            method,
            scheme,
            host,
            parts.path,
            parts.query,
            Headers.of([("host", host), *pairs]),
            body or b"",
            "127.0.0.1",
            opaque.new_correlation_id(),
        )
        response = self.router.respond(request)
        body = response.body if response.stream is None else b"".join(response.stream)
        return Answer(response.status, response.headers, body)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic."""
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def challenge(verifier: str) -> str:
    """Return the S256 code challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT, unverified."""
    head, body, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body))  # type: ignore[return-value]
