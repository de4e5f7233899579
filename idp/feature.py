"""What a feature is: one specification, served by a few endpoints, advertised by a few members of discovery.

The table of features is :mod:`idp.features`; discovery is the union of what its rows say, so that it cannot advertise what is
not served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

# handle(server, request) -> response; the types are those of idp.oauth.server and idp.web.http.
Handler = Callable[[Any, Any], Any]
# What a feature contributes to a tenant's discovery document.
Metadata = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address below a tenant's issuer."""

    name: str
    path: str
    methods: tuple[str, ...]
    handle: Handler
    # Who may read the answer from a script: nobody, pages at the origins of registered redirect URIs, or everybody.
    cors: Literal["none", "registered", "all"] = "none"
    # Whether the RSGI front answers it without Flask, and whether it may do so on the event loop.
    is_hot: bool = False
    inline: Callable[[Any, Any], bool] | None = None
    # Whether the caller is a person's browser, who is shown pages, or a program, which gets JSON.
    audience: Literal["person", "program"] = "program"


@dataclass(frozen=True, slots=True)
class Feature:
    """One specification as this product serves it."""

    name: str
    spec: str
    endpoints: tuple[Endpoint, ...] = ()
    grants: tuple[Any, ...] = field(default=())
    metadata: Metadata | None = None
