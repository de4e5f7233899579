"""Client profiles: how strict each is, rule by rule. One table; a request never loosens a profile.

``strict`` follows RFC 9700 and OAuth 2.1. ``oidc`` is what certified OpenID behaviour and many existing relying parties need;
a tenant must allow it.
"""

from __future__ import annotations

from dataclasses import dataclass

from idp.oauth.response_types import RESPONSE_TYPES


@dataclass(frozen=True, slots=True)
class Profile:
    """One column of the table."""

    name: str
    # RFC 9700 §2.1.1: PKCE. Public clients must use S256 under every profile; `plain` exists under none.
    requires_pkce_of_confidential_clients: bool
    # Client assertions (RFC 7523 §3): the issuer as one string, or also the endpoint's URL, as string or array.
    accepts_endpoint_as_audience: bool
    response_types: tuple[str, ...]  # of these, those that the tenant's setting `response_types` has
    response_modes: tuple[str, ...]
    signing_algorithms: tuple[str, ...]
    rotates_refresh_tokens: bool
    # RFC 9101 §5.2: request objects by reference. §10.8, §4: request objects without typ, iss, aud, exp and client_id.
    accepts_request_uri: bool
    accepts_bare_request_objects: bool


_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_MODES = ("query", "form_post")

# fmt: off
#                          PKCE (conf.)  aud=URL  response types  modes                  algorithms   rotation  request_uri  bare objects
STRICT = Profile("strict", True,         False,   ("code",),      _MODES,                _ALGORITHMS, True,     False,       False)
OIDC = Profile("oidc",     False,        True,    RESPONSE_TYPES, (*_MODES, "fragment"), _ALGORITHMS, True,     True,        True)
# fmt: on

PROFILES = {profile.name: profile for profile in (STRICT, OIDC)}
