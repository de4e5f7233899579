"""A client's public keys: those it registered, or those it publishes at its ``jwks_uri`` (OpenID Registration §2).

A published set is fetched by the guarded client, kept for an hour (or as long as its publisher says, if that is less), and
fetched again when a key is named that is not in it, at most once a minute whoever asks (a stranger must not make us fetch). When
it cannot be fetched, the set that is known goes on to be used for a day. One process keeps at most so many sets.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp import waiting
from idp.clock import now
from idp.oauth.client_metadata import public_key_problem
from idp.oauth.fetchers import Fetchers
from idp.outbound import FetchFailed

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.outbound import Outbound

FRESH = 3600  # seconds
STALE = 86_400  # seconds that a set is used on while it cannot be fetched
PAUSE = 60  # seconds between two fetches of one address
MOST_SETS = 2_000
MOST_KEYS = 100
_MAX_AGE = re.compile(r"max-age=([0-9]{1,9})(?![0-9])")


class KeysUnavailable(Exception):
    """The client's keys cannot be had; the text says why, for the record of the refusal."""


@dataclass(frozen=True, slots=True)
class Published:
    """A fetched set; keys that we do not serve are left out."""

    keys: tuple[tuple[str | None, Any], ...]
    fetched_at: int
    fresh_for: int = FRESH  # seconds

    @property
    def is_fresh(self) -> bool:
        """Whether it is used without looking again (OpenID Connect Core §10.2.1: as long as its publisher says)."""
        return now() - self.fetched_at < self.fresh_for

    def knows(self, kid: str | None) -> bool:
        """Say whether a key of this name may be among them."""
        return kid is None or any(name in (None, kid) for name, _ in self.keys)


@dataclass(slots=True)
class _Place:
    """What is known of one address."""

    guard: threading.Lock
    found: Published | None = None
    tried_at: int = 0
    looked_at: int = 0  # when a key that was not in a good set was last looked for
    trouble: str = ""


class ClientKeys:
    """The published key sets of one process."""

    def __init__(self, outbound: Outbound) -> None:
        """Take the guarded client."""
        self._outbound = outbound
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._guard = threading.Lock()
        self._fetchers = Fetchers("client-keys")

    def of(self, tenant_id: str, client: Client, kid: str | None) -> list[tuple[str | None, Any]]:
        """Return the keys of a tenant's client with the names they were given; raises :class:`KeysUnavailable`, or MustWait on the loop."""
        uri = client.metadata.get("jwks_uri")
        if uri is None:
            stated = (client.metadata.get("jwks") or {"keys": []})["keys"]
            if not stated:
                return []
            return [(jwk.get("kid"), key) for jwk, key in zip(stated, client.jwks.keys, strict=True)]
        place = self._place(uri)
        known = place.found
        if known is not None and known.is_fresh and known.knows(kid):
            return list(known.keys)
        waiting.refuse_on_loop()
        return list(self._fetchers.call(tenant_id, lambda: self._fetched(uri, place, kid)).keys)

    def _place(self, uri: str) -> _Place:
        with self._guard:
            place = self._places.setdefault(uri, _Place(threading.Lock()))
            self._places.move_to_end(uri)
            while len(self._places) > MOST_SETS:
                self._places.popitem(last=False)
            return place

    def _fetched(self, uri: str, place: _Place, kid: str | None) -> Published:
        with place.guard:  # one fetch at a time; who waited finds what the other fetched
            at, known = now(), place.found
            if known is not None and known.is_fresh and place.tried_at <= known.fetched_at:
                # The set is good as far as it goes: only a key that is not in it is a reason to look again.
                is_due = not known.knows(kid) and at - place.looked_at >= PAUSE
                place.looked_at = at if is_due else place.looked_at
            else:
                is_due = at - place.tried_at >= PAUSE
            if is_due:
                place.tried_at = at
                try:
                    known = place.found = _read(self._outbound, uri, at)
                    place.trouble = ""
                except FetchFailed as error:
                    place.trouble = str(error)
            if known is None or at - known.fetched_at > STALE:
                raise KeysUnavailable(f"the client's jwks_uri gives no keys: {place.trouble or 'not fetched yet'}")
            return known


class TenantClientKeys:
    """The published key sets as one tenant asks for them."""

    def __init__(self, keys: ClientKeys, tenant_id: str) -> None:
        """Take the sets of the process."""
        self._keys, self._tenant_id = keys, tenant_id

    def of(self, client: Client, kid: str | None) -> list[tuple[str | None, Any]]:
        """Return the client's keys, as :meth:`ClientKeys.of`."""
        return self._keys.of(self._tenant_id, client, kid)


def _read(outbound: Outbound, uri: str, at: int) -> Published:
    answer = outbound.get(uri, accept="application/jwk-set+json, application/json")
    if answer.status != 200:
        raise FetchFailed(f"the answer is {answer.status}")
    try:
        keys = json.loads(answer.body)["keys"]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise FetchFailed("the answer is no JWK Set") from None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise FetchFailed(f"the answer is no JWK Set of at most {MOST_KEYS} keys")
    wanted = _MAX_AGE.search(answer.headers.get("cache-control", "").lower())
    fresh_for = min(max(int(wanted[1]), PAUSE), FRESH) if wanted else FRESH
    return Published(tuple(found for found in map(_one, keys) if found is not None), at, fresh_for)


def _one(jwk: Any) -> tuple[str | None, Any] | None:
    """Return one public key with its name; None for what we do not serve (RFC 7517 §5: it is ignored)."""
    if not isinstance(jwk, dict) or public_key_problem(jwk) is not None:
        return None
    try:
        (key,) = KeySet.import_key_set({"keys": [jwk]}).keys
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    kid = jwk.get("kid")
    return (kid if isinstance(kid, str) else None), key
