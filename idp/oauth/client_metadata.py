"""Client metadata: what may be registered (RFC 7591 §2, OpenID Registration §2), checked member by member.

A member nobody knows is ignored, as RFC 7591 §2 has it; one that this release knows but does not serve is refused, so that no
client believes in something that does not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from idp.errors import Invalid
from idp.identity.standard_claims import is_language_tag
from idp.keys.encryption import CONTENT_ALGORITHMS, DEFAULT_CONTENT_ALGORITHM, KEY_ALGORITHMS, CannotEncrypt, choose
from idp.oauth import redirect_uri, response_types, scopes, sectors
from idp.oauth.profiles import PROFILES
from idp.oauth.resource_indicators import TOKEN_EXCHANGE
from idp.web.cors import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
GRANT_TYPES = ("authorization_code", "implicit", "refresh_token", "client_credentials", TOKEN_EXCHANGE)
# RFC 6749 §4.4; RFC 8693 §2.1: whoever hands in somebody's token says who it is itself.
_FOR_CONFIDENTIAL = ("client_credentials", TOKEN_EXCHANGE)
NOT_SERVED = (
    "software_statement",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens",
)
_PURPOSES = ("id_token", "userinfo", "introspection")
_PROTECTION = ("signed_response_alg", "encrypted_response_alg", "encrypted_response_enc")
MAX_TEXT = 2000
# What people read of a client: each may stand there in further languages, as client_name#de.
IN_LANGUAGES = ("client_name", "logo_uri", "policy_uri", "tos_uri", "client_uri")
_MOST_MEMBERS = 200
LONGEST_REQUEST_URI = 512  # OpenID Connect Core §6.2
# RFC 7517 §4, RFC 7518 §6: the members of a public key; RFC 7517 §4: what nobody understands is ignored, and not kept.
_JWK_TEXTS = ("kty", "use", "alg", "kid", "x5u", "x5t", "x5t#S256", "n", "e", "crv", "x", "y")
_JWK_LISTS = ("key_ops", "x5c")
LARGEST_RSA, LARGEST_EXPONENT = 8192, 2**32  # what a stranger may make us reckon with


class InvalidClientMetadata(Invalid):
    """RFC 7591 §3.2.2."""

    code = "invalid_client_metadata"


class InvalidRedirectUri(Invalid):
    """RFC 7591 §3.2.2."""

    code = "invalid_redirect_uri"


def validate(given: Mapping[str, Any], profile: str, algorithms: tuple[str, ...]) -> dict[str, Any]:
    """Return the metadata to store, defaults filled in; raises :class:`Invalid` naming the member.

    ``algorithms`` are those the tenant keeps keys for, to sign and to decrypt.
    """
    for name in NOT_SERVED:
        if given.get(name) not in (None, False, ""):
            raise InvalidClientMetadata(f"{name} is not served here; leave it out.")
    made = validated_alone(given)
    made.setdefault("application_type", "web")
    if "grant_types" not in made:
        # RFC 7591 §2.1: who names response types only gets the grant types that go with them.
        needed = frozenset().union(*map(response_types.grant_types, made.get("response_types", ["code"])))
        made["grant_types"] = sorted(needed) or ["authorization_code"]
    if "response_types" not in made:
        made["response_types"] = ["code"] if "authorization_code" in made["grant_types"] else []
    made.setdefault("token_endpoint_auth_method", "client_secret_basic")
    _check_together(made, profile, algorithms)
    return made


def validated_alone(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known members, each checked by itself; raises :class:`Invalid` naming the member."""
    made: dict[str, Any] = {}
    refused: dict[str, Invalid] = {}
    for name, check in _MEMBERS.items():
        if given.get(name) is not None:
            _keep(made, refused, name, check, given[name])
    for name, value in given.items():
        member, _, tag = name.partition("#")
        if tag and member in IN_LANGUAGES and value is not None:
            # RFC 7591 §2.2, OpenID Registration §2.1: what people read may be registered in several languages.
            if not is_language_tag(tag) or len(made) >= _MOST_MEMBERS:
                refused[name] = InvalidClientMetadata(
                    f"{member} has a language tag that cannot be used, or too many of them."
                )
            else:
                _keep(made, refused, name, _MEMBERS[member], value)
    if refused:
        first = next(iter(refused.values()))
        raise type(first)(first.title, errors={name: error.title for name, error in refused.items()})
    return made


def _keep(
    made: dict[str, Any], refused: dict[str, Invalid], name: str, check: Callable[[str, Any], Any], value: Any
) -> None:
    """Check one member; what is wrong with it is said together with what is wrong with the others."""
    try:
        made[name] = check(name.partition("#")[0], value)
    except Invalid as error:
        refused[name] = error


def _check_together(made: dict[str, Any], profile: str, algorithms: tuple[str, ...]) -> None:
    grants, method = made["grant_types"], made["token_endpoint_auth_method"]
    # RFC 7591 §2.1: grant types and response types go together.
    needed = frozenset().union(*map(response_types.grant_types, made["response_types"]))
    if needed != {"authorization_code", "implicit"} & set(grants):
        raise InvalidClientMetadata(
            "grant_types has authorization_code if and only if a response type has code, and implicit if and only if one "
            "has id_token or token."
        )
    if needed and not made.get("redirect_uris"):
        raise InvalidRedirectUri("redirect_uris is needed for the grant types authorization_code and implicit.")
    for grant in grants:
        if grant in _FOR_CONFIDENTIAL and method == "none":
            raise InvalidClientMetadata(f"The grant type {grant} is for clients that authenticate.")
    if grants == ["refresh_token"]:
        raise InvalidClientMetadata("The grant type refresh_token needs another one that issues the first token.")
    _check_subject(made)
    # RFC 7591 §2: the two must not both be there.
    if "jwks" in made and "jwks_uri" in made:
        raise InvalidClientMetadata("jwks and jwks_uri must not both be there.")
    if method == "private_key_jwt" and not ("jwks" in made or "jwks_uri" in made):
        raise InvalidClientMetadata("private_key_jwt needs the client's public keys, as jwks or jwks_uri.")
    if made["application_type"] == "web" and method != "none":
        for uri in made.get("redirect_uris", ()):
            if not uri.startswith(("https:", "http:")):
                raise InvalidRedirectUri(
                    "A web client redirects to https; for an app's scheme register application_type native."
                )
    if made.get("request_uris") and not PROFILES[profile].accepts_request_uri:
        raise InvalidClientMetadata("request_uris are not for clients of this profile; they send `request`.")
    _check_protection(made, algorithms)
    _check_frontchannel(made)
    for response_type in made["response_types"]:
        if response_type not in PROFILES[profile].response_types:
            raise InvalidClientMetadata("The client's profile does not have this response type.")


def _check_protection(made: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    """How answers are signed and encrypted (OpenID Registration §2, RFC 9701 §6); the default of each `enc` is filled in."""
    opened = [alg for alg in KEY_ALGORITHMS if alg in algorithms]
    if made.get("request_object_encryption_alg", "-") not in ("-", *opened):
        raise InvalidClientMetadata("request_object_encryption_alg needs a tenant that allows the profile oidc.")
    if "request_object_encryption_enc" in made and "request_object_encryption_alg" not in made:
        raise InvalidClientMetadata("request_object_encryption_enc needs request_object_encryption_alg.")
    for purpose in _PURPOSES:
        signed, alg, enc = (f"{purpose}_{each}" for each in _PROTECTION)
        if made.get(signed, algorithms[0]) not in algorithms:
            raise InvalidClientMetadata(f"{signed} must be one of the tenant's signing_algorithms.")
        if enc in made and alg not in made:
            raise InvalidClientMetadata(f"{enc} needs {alg}.")
        if alg not in made:
            continue
        made.setdefault(enc, DEFAULT_CONTENT_ALGORITHM)
        if "jwks" in made:
            keys: list[tuple[str | None, Any]] = [(None, key) for key in KeySet.import_key_set(made["jwks"]).keys]
            found = choose(keys, made[alg], made[enc])
            try:
                usable = found is not None and bool(found.encrypt("-"))
            except CannotEncrypt:
                usable = False
            if not usable:
                raise InvalidClientMetadata(f"{alg} needs a public key among jwks that can be encrypted to.")
        elif "jwks_uri" not in made:
            raise InvalidClientMetadata(f"{alg} needs the client's public keys, as jwks or jwks_uri.")


def _check_frontchannel(made: dict[str, Any]) -> None:
    uri = made.get("frontchannel_logout_uri")
    # Front-Channel Logout §2: domain, port and scheme are those of a registered redirect URI.
    if uri is not None and origin_of(uri) not in {origin_of(each) for each in made.get("redirect_uris", ())}:
        raise InvalidClientMetadata(
            "frontchannel_logout_uri must have the scheme, host and port of one of the redirect_uris "
            "(Front-Channel Logout section 2)."
        )


def _check_subject(made: dict[str, Any]) -> None:
    """OpenID Connect Core §8.1: what a pairwise subject is made for must be one sector."""
    if made.get("subject_type") == "pairwise" and sectors.sector_of(made) is None:
        raise InvalidClientMetadata(
            "A client with pairwise subjects and redirect_uris of several hosts (or of none) needs sector_identifier_uri."
        )


def _redirect_uris(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > 100:
        raise InvalidRedirectUri(f"{name} must be a list of at most 100 addresses.")
    for uri in value:
        problem = redirect_uri.problem_of(uri)
        if problem is not None:
            raise InvalidRedirectUri(f"{name}: {problem}.")
    return list(dict.fromkeys(value))


def _choices(*choices: str) -> Callable[[str, Any], list[str]]:
    def check(name: str, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item in choices for item in value):
            raise InvalidClientMetadata(f"{name} must be a list of {', '.join(choices)}.")
        return list(dict.fromkeys(value))

    return check


def _response_types(name: str, value: Any) -> list[str]:
    sent = value if isinstance(value, list) else [None]
    found = [response_types.canonical(each) if isinstance(each, str) else None for each in sent]
    if None in found:
        raise InvalidClientMetadata(f"{name} must be a list of {', '.join(response_types.RESPONSE_TYPES)}.")
    return list(dict.fromkeys(each for each in found if each is not None))


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidClientMetadata(f"{name} must be one of {', '.join(choices)}.")
        return value

    return check


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
        raise InvalidClientMetadata(f"{name} must be a text of 1 to 200 printable characters.")
    return value


def _web_address(name: str, value: Any) -> str:
    if (
        isinstance(value, str)
        and len(value) <= MAX_TEXT
        and all("!" <= c <= "~" and c not in "\"'<>\\;," for c in value)
    ):
        try:
            parts = urlsplit(value)
            if parts.scheme in ("https", "http") and parts.hostname and "@" not in parts.netloc:
                return value
        except ValueError:
            pass
    raise InvalidClientMetadata(f"{name} must be an https:// address.")


def _texts(name: str, value: Any) -> list[str]:
    # Printable: JSON can say NUL and halves of surrogate pairs, which PostgreSQL cannot read again.
    if (
        not isinstance(value, list)
        or len(value) > 20
        or not all(isinstance(v, str) and 0 < len(v) <= 200 and v.isprintable() for v in value)
    ):
        raise InvalidClientMetadata(f"{name} must be a list of at most 20 printable texts.")
    return value


def _scope(name: str, value: Any) -> str:
    values = value.split() if isinstance(value, str) else []
    if not values or len(values) > scopes.MAX_SCOPES or not all(scopes.is_well_formed(v) for v in values):
        raise InvalidClientMetadata(f"{name} must be scope values separated by spaces.")
    return " ".join(dict.fromkeys(values))


def _jwks(name: str, value: Any) -> dict[str, Any]:
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= 20 or not all(isinstance(key, dict) for key in keys):
        raise InvalidClientMetadata(f"{name} must be a JWK Set with 1 to 20 keys.")
    for key in keys:
        problem = public_key_problem(key)
        if problem is not None:
            raise InvalidClientMetadata(f"{name} {problem}.")
    return {"keys": [{member: key[member] for member in (*_JWK_TEXTS, *_JWK_LISTS) if member in key} for key in keys]}


def public_key_problem(jwk: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a client's key, or None (RFC 7591 §2, RFC 7518 §3.3)."""
    # RFC 7591 §2: public keys; a private or symmetric one is a leak.
    if jwk.get("kty") not in ("RSA", "EC", "OKP") or {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & jwk.keys():
        return "must contain public keys only, of type RSA, EC or OKP"
    lists = [jwk[member] for member in _JWK_LISTS if member in jwk]
    texts = [jwk[member] for member in _JWK_TEXTS if member in jwk]
    for each in lists:
        texts += each if isinstance(each, list) else [None]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        return "contains a key with a member that is no printable text"
    try:
        (key,) = KeySet.import_key_set({"keys": [dict(jwk)]}).keys
    except (JoseError, ValueError, KeyError, TypeError):
        return "contains a key that cannot be read"
    if isinstance(key, RSAKey):
        numbers = key.public_key.public_numbers()
        if not 2048 <= numbers.n.bit_length() <= LARGEST_RSA or numbers.e > LARGEST_EXPONENT:
            return f"must not contain RSA keys below 2048 or above {LARGEST_RSA} bits, or with a huge exponent"
    return None


def _https_address(name: str, value: Any) -> str:
    found = _web_address(name, value)
    if not found.startswith("https://"):
        raise InvalidClientMetadata(f"{name} must be an https:// address.")
    return found


def _login_uri(name: str, value: Any) -> str:
    found = _https_address(name, value)
    # OpenID Connect Core §4: parameters are added to its query, which a fragment would swallow.
    if "#" in found:
        raise InvalidClientMetadata(f"{name} must be an https:// address without a fragment.")
    return found


def _logout_uri(name: str, value: Any) -> str:
    found = _web_address(name, value)
    # Back-Channel Logout §2.2: an absolute URI, perhaps with a query, without a fragment.
    if "#" in found or origin_of(found) is None:
        raise InvalidClientMetadata(f"{name} must be an https:// address without a fragment.")
    return found


def _request_uris(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > 100:
        raise InvalidClientMetadata(f"{name} must be a list of at most 100 addresses.")
    for uri in value:
        if len(_https_address(name, uri)) > LONGEST_REQUEST_URI:
            raise InvalidClientMetadata(f"{name} must be addresses of at most {LONGEST_REQUEST_URI} characters.")
    return list(dict.fromkeys(value))


def _seconds(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
        raise InvalidClientMetadata(f"{name} must be a number of seconds.")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidClientMetadata(f"{name} must be true or false.")
    return value


_MEMBERS: dict[str, Callable[[str, Any], Any]] = {
    "redirect_uris": _redirect_uris,
    "post_logout_redirect_uris": _redirect_uris,
    "application_type": _choice("web", "native"),
    "grant_types": _choices(*GRANT_TYPES),
    "response_types": _response_types,
    "token_endpoint_auth_method": _choice(*AUTH_METHODS),
    "token_endpoint_auth_signing_alg": _choice("RS256", "PS256", "ES256", "EdDSA"),
    **{f"{purpose}_signed_response_alg": _choice("RS256", "PS256", "ES256", "EdDSA") for purpose in _PURPOSES},
    **{f"{purpose}_encrypted_response_alg": _choice(*KEY_ALGORITHMS) for purpose in _PURPOSES},
    **{f"{purpose}_encrypted_response_enc": _choice(*CONTENT_ALGORITHMS) for purpose in _PURPOSES},
    "subject_type": _choice("public", "pairwise"),
    "sector_identifier_uri": _https_address,
    "initiate_login_uri": _login_uri,
    "scope": _scope,
    "client_name": _text,
    "client_uri": _web_address,
    "logo_uri": _web_address,
    "policy_uri": _web_address,
    "tos_uri": _web_address,
    "contacts": _texts,
    "request_uris": _request_uris,
    "request_object_signing_alg": _choice("RS256", "PS256", "ES256", "EdDSA"),
    "request_object_encryption_alg": _choice(*KEY_ALGORITHMS),
    "request_object_encryption_enc": _choice(*CONTENT_ALGORITHMS),
    "require_signed_request_object": _boolean,
    "jwks": _jwks,
    "jwks_uri": _https_address,
    "default_max_age": _seconds,
    "default_acr_values": _texts,
    "require_auth_time": _boolean,
    "backchannel_logout_uri": _logout_uri,
    "backchannel_logout_session_required": _boolean,
    "frontchannel_logout_uri": _logout_uri,
    "frontchannel_logout_session_required": _boolean,
    "token_exchange_audiences": _texts,
    "software_id": _text,
    "software_version": _text,
}
MEMBERS = tuple(_MEMBERS)
