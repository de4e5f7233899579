"""The OAuth request: our HTTP request in the shape Authlib's grants read, without a framework.

At the token endpoint and its like the parameters are those of the body only; at the authorization endpoint those of the query
(GET) or of the body (POST). What Authlib's own request checks (secure transport) has been checked by the front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request

from idp.errors import Invalid
from idp.language import N_

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.web.http import Request


class Parameters(OAuth2Payload):
    """The parameters of a request; of repeated ones the first, the check for repeats has the list."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Take the pairs in order; a parameter without a value is as if omitted (RFC 6749 §3.1)."""
        self.pairs = pairs
        # RFC 6749 §3.1, §3.2: parameters sent without a value must be treated as if they were omitted.
        self._data = {name: value for name, value in reversed(pairs) if value}

    @property
    def data(self) -> dict[str, str]:
        """The parameters by name."""
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Every value of every parameter."""
        found: dict[str, list[str]] = {}
        for name, value in self.pairs:
            found.setdefault(name, []).append(value)
        return found


class TenantRequest(OAuth2Request):
    """One OAuth request at one tenant."""

    client: Client  # once it is authenticated, or named by an authorization request
    payload: Parameters

    def __init__(self, http: Request, endpoint: str, pairs: list[tuple[str, str]]) -> None:  # skips super: see module
        """Wrap ``http``; ``endpoint`` is the name the checks table knows it by."""
        self.http = http
        self.endpoint = endpoint
        self.method = http.method
        self.uri = http.path
        authorization = http.headers.get("authorization")
        self.headers = {} if authorization is None else {"Authorization": authorization}
        self.payload = Parameters(pairs)
        self.sent = pairs  # as they came; a request object replaces the payload
        self.client = None  # type: ignore[assignment]  # see above
        self.named_client_id: str | None = None
        self.auth_method: str | None = None
        self.user: Any = None
        self.authorization_code: Any = None
        self.refresh_token: Any = None
        self.credential: Any = None
        self.proven_redirect_uri: str | None = None  # once it is proven; errors may be sent there from then on
        self.response_mode = "query"
        self.resources: list[str] = []  # once they are proven (RFC 8707)
        self.validated: dict[str, Any] = {}  # what the checks of the authorization endpoint have made of the parameters
        self._scope: str | None = None
        self._body = None

    @property
    def form(self) -> dict[str, str]:
        """The body's parameters by name."""
        return self.payload.data

    @property
    def args(self) -> dict[str, str]:
        """The parameters by name; Authlib reads the authorization request here."""
        return self.payload.data


def from_body(http: Request, endpoint: str) -> TenantRequest:
    """Build a request whose parameters are the body's; raises MalformedInput when it is no form."""
    return TenantRequest(http, endpoint, http.form)


def fields_without_assertion(server: TenantServer, http: Request) -> list[tuple[str, str]] | None:
    """Return a form's fields if answering it surely writes nothing: no assertion is spent, no limit is counted elsewhere.

    Read as it will be answered, never by searching the bytes: another spelling of a name must not pass for another name.
    """
    if server.limiter.blocking or "origin" in http.headers:
        return None
    try:
        sent = http.form
    except Invalid:
        return None
    return None if any(name == "client_assertion" for name, _ in sent) else sent


def from_query_or_body(http: Request, endpoint: str) -> TenantRequest:
    """Build a request from the query (GET) or the body (POST), as OpenID Connect Core §3.1.2.1 has it."""
    return TenantRequest(http, endpoint, http.form if http.method == "POST" else http.args)


def one_of_each(pairs: list[tuple[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    """Return the named parameters that have a value; raises :class:`Invalid` for one that is repeated or has control characters."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in names or not value:
            continue
        if name in found or not all(" " <= character != "\x7f" for character in value):
            raise Invalid(N_("A parameter is repeated or has illegal characters."))
        found[name] = value
    return found
