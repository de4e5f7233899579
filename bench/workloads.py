"""What is measured: one row a workload, with the servers that serve it and the shape a right answer has.

The requests are the same bytes for every server, except for paths, hosts and the tokens the server itself issued.
"""

# Every workload is called alike.
# ruff: noqa: ARG001

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load
from bench.browser import sign_in
from bench.load import Measurement, Request, Run, WrongAnswerError
from bench.servers import AUTHLIB, AUTHSEC, FLASK, NODE
from bench.targets import REFRESH_SCOPE, SIGN_IN_SCOPE
from bench.wire import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Cast
    from bench.targets import Client, Target

TOKENS = 32
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Workload:
    """A row of the table."""

    name: str
    title: str
    servers: tuple[str, ...]
    measure: Callable[[Target, Cast, Run], Measurement]


def _json(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def jose_header(token: object) -> dict[str, object]:
    """Return the header of a JWT, or nothing when it is not one."""
    if not isinstance(token, str) or token.count(".") != 2:
        return {}
    part = token.split(".")[0]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def is_access_jwt(token: object) -> bool:
    """Whether a token is an ES256 access token as RFC 9068 §2.1 has it."""
    header = jose_header(token)
    return header.get("alg") == "ES256" and str(header.get("typ", "")).lower() in {"at+jwt", "application/at+jwt"}


def user_tokens(target: Target, cast: Cast, client: Client, scope: str, count: int) -> list[dict[str, object]]:
    """Sign the user in `count` times, in turn at each process of the server, and return the token responses."""
    found = []
    for number in range(count):
        address = target.addresses[number % len(target.addresses)]
        with Connection(address, target.host) as backend:
            found.append(sign_in(target, client, cast.user, scope, address, backend).tokens)
    return found


def hello(target: Target, cast: Cast, run: Run) -> Measurement:
    """GET a page that says hello."""
    return load.steady(target, [Request("GET", target.path("hello"))], lambda a: a.body == b"Hello, World!", run)


def discovery(target: Target, cast: Cast, run: Run) -> Measurement:
    """GET the discovery document (OpenID Connect Discovery §4)."""
    request = Request("GET", target.path("discovery"))
    return load.steady(target, [request], lambda a: _json(a).get("issuer") == target.issuer, run)


def jwks(target: Target, cast: Cast, run: Run) -> Measurement:
    """GET the keys (RFC 7517 §5)."""
    return load.steady(target, [Request("GET", target.path("jwks_uri"))], lambda a: bool(_json(a).get("keys")), run)


def client_credentials_request(target: Target, client: Client) -> Request:
    """Return the request of RFC 6749 §4.4.2 with client_secret_basic."""
    headers = FORM | {"Authorization": client.basic}
    return Request("POST", target.path("token_endpoint"), headers, "grant_type=client_credentials")


def is_client_token(answer: Answer) -> bool:
    """Whether the answer carries an ES256 access token."""
    return is_access_jwt(_json(answer).get("access_token"))


def client_credentials(target: Target, cast: Cast, run: Run) -> Measurement:
    """POST for a token of the client's own."""
    request = client_credentials_request(target, cast.service)
    return load.steady(target, [request], is_client_token, run)


def refresh(target: Target, cast: Cast, run: Run) -> Measurement:
    """POST a refresh token (RFC 6749 §6), which is rotated; the answer has an ID token too."""

    def seed(count: int) -> list[str]:
        found = user_tokens(target, cast, cast.web, REFRESH_SCOPE, count)
        for tokens in found:
            if not is_access_jwt(tokens["access_token"]) or jose_header(tokens["id_token"]).get("alg") != "ES256":
                raise WrongAnswerError("the tokens of the sign-in are not ES256 JWTs")
        return [str(tokens["refresh_token"]) for tokens in found]

    headers = FORM | {"Authorization": cast.web.basic}
    request = Request("POST", target.path("token_endpoint"), headers, "grant_type=refresh_token&refresh_token=")
    return load.chains(target, request, seed, run)


def introspection(target: Target, cast: Cast, run: Run) -> Measurement:
    """POST a user's access token to be introspected by its own client (RFC 7662 §2)."""
    portal = cast.portal
    headers = FORM | {"Authorization": portal.basic}
    requests = [
        Request(
            "POST", target.path("introspection_endpoint"), headers, f"token={token}", number % len(target.addresses)
        )
        for number, token in enumerate(_access_tokens(target, cast))
    ]
    return load.steady(target, requests, lambda a: _json(a).get("active") is True, run)


def userinfo_requests(target: Target, tokens: list[str]) -> list[Request]:
    """Return the requests of OpenID Connect Core §5.3.1, each for the process that issued its token."""
    return [
        Request(
            "GET",
            target.path("userinfo_endpoint"),
            {"Authorization": f"Bearer {token}"},
            "",
            number % len(target.addresses),
        )
        for number, token in enumerate(tokens)
    ]


def has_claims(answer: Answer) -> bool:
    """Whether the answer names the person."""
    return {"sub", "name", "email"} <= set(_json(answer))


def userinfo(target: Target, cast: Cast, run: Run) -> Measurement:
    """GET the claims of a user's access token."""
    return load.steady(target, userinfo_requests(target, _access_tokens(target, cast)), has_claims, run)


def full_sign_in(target: Target, cast: Cast, run: Run) -> Measurement:
    """Login, consent, code and tokens with a fresh browser."""
    tokens = user_tokens(target, cast, cast.web, SIGN_IN_SCOPE, len(target.addresses))
    if not all(is_access_jwt(found["access_token"]) for found in tokens):
        raise WrongAnswerError("the access token of the sign-in is not an ES256 JWT")
    return load.sign_ins(target, cast.web, cast.user, SIGN_IN_SCOPE, run)


def hybrid_sign_in(target: Target, cast: Cast, run: Run) -> Measurement:
    """Do the same by the hybrid flow: an ID token comes with the code, and another with the tokens."""
    where = target.hybrid or target
    user_tokens(where, cast, cast.hybrid, SIGN_IN_SCOPE, len(where.addresses))
    return load.sign_ins(where, cast.hybrid, cast.user, SIGN_IN_SCOPE, run)


def login(target: Target, cast: Cast, run: Run) -> Measurement:
    """Measure the password login alone, on an idle server."""
    return load.logins(target, cast.web, cast.user, SIGN_IN_SCOPE, run)


def _access_tokens(target: Target, cast: Cast) -> list[str]:
    found = user_tokens(target, cast, cast.portal, SIGN_IN_SCOPE, TOKENS)
    return [str(tokens["access_token"]) for tokens in found]


BOTH = (AUTHSEC, NODE)
WORKLOADS = (
    Workload("hello", "Flask says hello", (FLASK,), hello),
    Workload("discovery", "discovery", BOTH, discovery),
    Workload("jwks", "jwks", BOTH, jwks),
    Workload("client_credentials", "client_credentials", (AUTHSEC, NODE, AUTHLIB), client_credentials),
    Workload("refresh", "refresh", BOTH, refresh),
    Workload("introspection", "introspection", BOTH, introspection),
    Workload("userinfo", "userinfo", BOTH, userinfo),
    Workload("sign_in", "full sign-in", BOTH, full_sign_in),
    Workload("hybrid_sign_in", "full sign-in, hybrid", (AUTHSEC,), hybrid_sign_in),
    Workload("login", "password login, idle", BOTH, login),
)
