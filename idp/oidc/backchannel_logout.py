"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): signed logout tokens, POSTed to the applications of an ended session.

Who is told, and when, :mod:`idp.identity.session_end` decides in the transaction that ends the session; here a message becomes
a token and a request. A token is made anew for each attempt, so that it is fresh and its ``jti`` its own.
"""

from __future__ import annotations

import json
import os
import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from idp.clock import now
from idp.errors import refusal_of
from idp.feature import Feature
from idp.jobs.outbox import Sent
from idp.keys.encryption import CannotEncrypt
from idp.oauth.authorizations import id_token_alg
from idp.oauth.response_protection import protected
from idp.outbound import FetchFailed, FetchRefused
from idp.web.http import FORM_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.jobs.schedule import JobContext
    from idp.oauth.client import Client
    from idp.oauth.server import Servers, TenantServer
    from idp.outbound import Fetched, Outbound
    from idp.store.rows import Row

LOGOUT_TOKEN_TYPE = "logout+jwt"
LIFETIME = 120  # seconds; Back-Channel Logout §4 recommends two minutes at most
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_CODE = re.compile(r"[a-z_]{1,64}")


def sender(servers: Servers, outbound: Outbound) -> Callable[[JobContext, Row[Any]], Sent]:
    """Return what sends a message of the outbox: payload ``sid`` and ``user_id``, target the client."""

    def send(context: JobContext, message: Row[Any]) -> Sent:
        server = servers.get(context.tenant)
        client = server.query_client(message.target)
        # One made later is another application, though it has the same name.
        if client is None or client.created_at > message.created_at:
            return Sent("refused", "the client was disabled or deleted meanwhile")
        address = client.metadata.get("backchannel_logout_uri")
        if client.sector is not None and client.updated_at > message.created_at:
            # OpenID Connect Core §8.1: its sector may be another by now, whose subjects are not to be told here.
            address = None
        if address is None:
            return Sent(
                "refused", "the client registered another way meanwhile, without backchannel_logout_uri or as pairwise"
            )
        try:
            token = logout_token(server, client, message.payload["sid"], message.payload["user_id"])
        except CannotEncrypt as error:
            refusal = refusal_of(error)
            return Sent("failed", refusal.reason if refusal is not None else error.title, address)
        return _post(outbound, address, token)

    return send


def logout_token(server: TenantServer, client: Client, session_id: str, user_id: str) -> str:
    """Return a logout token for a client, signed and encrypted as its ID tokens are (§2.4, §2.6); it never has a nonce.

    May fetch the client's keys; raises :class:`~idp.keys.encryption.CannotEncrypt`.
    """
    at = now()
    claims = {
        "iss": server.tenant.issuer,
        "sub": server.subjects.of(client, user_id),
        "aud": client.client_id,
        "iat": at,
        "exp": at + LIFETIME,
        "jti": urlsafe_b64encode(os.urandom(18)).decode(),
        "sid": server.subjects.sid_of(client, session_id),
        "events": {EVENT: {}},
    }
    alg = id_token_alg(server, client, "openid")
    # §2.6 (1): who has its ID tokens encrypted refuses a logout token that is not.
    return protected(server, client, "id_token", claims, alg=alg or "RS256", typ=LOGOUT_TOKEN_TYPE)


def _post(outbound: Outbound, address: str, token: str) -> Sent:
    try:
        answer = outbound.post(address, urlencode({"logout_token": token}).encode(), content_type=FORM_TYPE)
    except FetchRefused as error:
        return Sent("refused", str(error), address)
    except FetchFailed as error:
        return Sent("failed", str(error), address)
    if answer.status in (200, 204):
        # §2.8: 200, which some frameworks turn into 204 where there is no body.
        return Sent("delivered", str(answer.status), address)
    if answer.status == 400:
        # §2.8: the request was invalid or the logout failed; the same again would fare no better.
        return Sent("refused", f"the application refused it: 400{_error_code(answer)}", address)
    return Sent("failed", f"the answer is {answer.status}", address)


def _error_code(answer: Fetched) -> str:
    """Return the ``error`` of a 400 (§2.8), if it is a code: nothing else that was received is kept."""
    try:
        found = json.loads(answer.body) if answer.media_type == "application/json" else None
    except (ValueError, RecursionError):
        found = None
    code = found.get("error") if isinstance(found, dict) else None
    return f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""


BACKCHANNEL_LOGOUT = Feature(
    name="backchannel_logout",
    spec="OpenID Connect Back-Channel Logout 1.0",
    metadata=lambda _server: {
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    },
)
