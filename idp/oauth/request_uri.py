"""Request objects by reference (OpenID Connect Core §6.2; RFC 9101 §5.2): fetched from an address that the client registered.

By the guarded client, with an end to time and size; kept only where the address carries the hash of what is found there, so that
a kept object is never an old one.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from idp.oauth.client_metadata import LONGEST_REQUEST_URI
from idp.oauth.fetchers import Fetchers
from idp.outbound import FetchFailed

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.outbound import Outbound

MAX_LENGTH = 64 * 1024
MOST_KEPT = 200
PATIENCE = 5.0  # seconds until a fetch must have begun
MOST_OF_ONE = 3  # fetches at a time for one client: one that hangs leaves some to the others
MOST_OF_TENANT = 6  # for all clients of one tenant
_SPEC = "OpenID Connect Core §6.2"
_TYPES = "application/oauth-authz-req+jwt, application/jwt, */*;q=0.1"


class NotFetched(Exception):
    """There is no request object at the address; what is said is for the record of the refusal."""

    def __init__(self, reason: str, fix: str, spec: str = _SPEC) -> None:
        """Keep what the record will say."""
        super().__init__(reason)
        self.reason, self.fix, self.spec = reason, fix, spec


class RequestUris:
    """Fetches request objects for one process."""

    def __init__(self, outbound: Outbound) -> None:
        """Take the guarded client."""
        self._outbound = outbound
        self._fetchers = Fetchers("request-uris")
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._under_way: Counter[tuple[str, ...]] = Counter()  # of a tenant, and of a client of it
        self._guard = threading.Lock()

    def fetch(self, tenant_id: str, client: Client, uri: str) -> str:
        """Return what is found at a registered address; raises :class:`NotFetched`."""
        bare, _, fragment = uri.partition("#")
        registered = {each.partition("#")[0] for each in client.metadata.get("request_uris", ())}
        if len(uri) > LONGEST_REQUEST_URI or bare not in registered:
            # Nothing that is not registered is ever fetched: a request must not choose where we go (RFC 9101 §10.4.1).
            raise NotFetched(
                "request_uri is none of the registered ones",
                "Register it exactly, among request_uris; a fragment is not compared.",
                "OpenID Connect Registration §2",
            )
        kept = self._kept.get(uri)
        if kept is not None:
            return kept
        found = self._fetched(tenant_id, client.client_id, bare)
        if fragment:
            if fragment.rstrip("=") != _hash_of(found):
                # §6.2: the fragment is the base64url-encoded SHA-256 hash of what is referenced.
                raise NotFetched(
                    "the fragment of request_uri is not the SHA-256 hash of what is found there",
                    "Put the base64url-encoded SHA-256 hash of the request object into the fragment, or leave it out.",
                )
            with self._guard:
                self._kept[uri] = found.strip()
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return found.strip()

    def _fetched(self, tenant_id: str, client_id: str, uri: str) -> str:
        with self._guard:
            most = {(tenant_id,): MOST_OF_TENANT, (tenant_id, client_id): MOST_OF_ONE}
            if any(self._under_way[whose] >= allowed for whose, allowed in most.items()):
                raise NotFetched(
                    "as many request objects of this client or tenant are being fetched as may be at a time",
                    "Answer at the request_uri more quickly, or send the request object itself.",
                )
            self._under_way.update(most.keys())
        fix = "Serve the request object over https at the registered address, quickly and without redirects."
        try:
            answer = self._fetchers.call(tenant_id, lambda: self._outbound.get(uri, accept=_TYPES), PATIENCE)
        except FetchFailed as error:
            raise NotFetched(f"request_uri cannot be fetched: {error}", fix) from None
        except TimeoutError:
            raise NotFetched("request_uri cannot be fetched: too much is being fetched at the moment", fix) from None
        finally:
            with self._guard:
                self._under_way.subtract(most.keys())
                self._under_way = +self._under_way
        if answer.status != 200:
            raise NotFetched(f"request_uri cannot be fetched: the answer is {answer.status}", fix)
        if len(answer.body) > MAX_LENGTH or not answer.body.isascii():
            raise NotFetched("what is found at request_uri is too large, or no JWT", fix)
        return answer.body.decode("ascii")


def _hash_of(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("ascii")).digest()).rstrip(b"=").decode("ascii")
