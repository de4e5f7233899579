"""Sectors: which clients may know a user by the same pairwise subject (OpenID Connect Core §8.1, Registration §5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp.outbound import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.outbound import Outbound


class NotInSector(Exception):
    """A client does not belong to the sector it names; the text says why."""


def sector_of(metadata: Mapping[str, Any]) -> str | None:
    """Return the sector identifier: the host of the sector_identifier_uri, else the one host of all redirect URIs.

    None when there is none, or when several hosts make it ambiguous.
    """
    uri = metadata.get("sector_identifier_uri")
    hosts = {urlsplit(each).hostname for each in ([uri] if uri else metadata.get("redirect_uris", ()))}
    return next(iter(hosts)) if len(hosts) == 1 else None


def verify(outbound: Outbound, metadata: Mapping[str, Any]) -> None:
    """Fetch the sector_identifier_uri and find every redirect URI in it (Registration §5); raises :class:`NotInSector`."""
    uri = metadata.get("sector_identifier_uri")
    if uri is None:
        return
    try:
        answer = outbound.get(uri, accept="application/json")
    except FetchFailed as error:
        raise NotInSector(f"sector_identifier_uri cannot be fetched: {error}") from None
    if answer.status != 200:
        raise NotInSector(f"sector_identifier_uri cannot be fetched: the answer is {answer.status}")
    try:
        listed = json.loads(answer.body)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise NotInSector("sector_identifier_uri must give a JSON array of redirect URIs")
    if not set(metadata.get("redirect_uris", ())) <= set(listed):
        # Registration §5: the values of redirect_uris must be included in the array.
        raise NotInSector("sector_identifier_uri does not list every one of the redirect_uris")
