"""Client metadata (RFC 7591 §2, OpenID Registration §2): what an operator may register, and what is refused by its name."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, segment
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.errors import Invalid
from idp.oauth.client_metadata import NOT_SERVED, InvalidClientMetadata, InvalidRedirectUri, validate

if TYPE_CHECKING:
    from house import House

    from idp.tenancy.tenant import Tenant

ALGORITHMS = ("ES256", "RS256")
GOOD: dict[str, Any] = {"redirect_uris": ["https://rp.example/cb"]}


def register(**metadata: Any) -> dict[str, Any]:
    """Validate metadata for profile strict."""
    return validate({**GOOD, **metadata}, "strict", ALGORITHMS)


def test_defaults() -> None:
    """RFC 7591 §2: authorization_code, code and client_secret_basic where nothing is said."""
    assert register() == {
        "redirect_uris": ["https://rp.example/cb"],
        "application_type": "web",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


def test_everything_that_is_served() -> None:
    """RFC 7591 §2, OpenID Registration §2: each member that this release serves is kept as it was given."""
    given = {
        "redirect_uris": ["https://rp.example/cb", "https://rp.example:8443/cb?a=b"],
        "post_logout_redirect_uris": ["https://rp.example/bye"],
        "application_type": "web",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "id_token_signed_response_alg": "ES256",
        "subject_type": "public",
        "scope": "openid profile api",
        "client_name": "Büro 2",
        "client_uri": "https://rp.example/",
        "logo_uri": "https://rp.example/logo.png",
        "policy_uri": "https://rp.example/policy",
        "tos_uri": "https://rp.example/tos",
        "contacts": ["ops@rp.example"],
        "jwks": {"keys": [SigningKey.new(alg).public_jwk for alg in ("ES256", "RS256", "EdDSA")]},
        "default_max_age": 3600,
        "require_auth_time": True,
        "software_id": "x",
        "software_version": "1",
    }
    assert validate(given, "strict", ALGORITHMS) == given


def test_unknown_members_are_ignored() -> None:
    """RFC 7591 §2: the server ignores what it does not know."""
    assert "favourite_colour" not in register(favourite_colour="blue", client_id_issued_at=1)


@pytest.mark.parametrize("name", NOT_SERVED)
def test_what_is_not_served_is_said(name: str) -> None:
    """RFC 7591 §3.2.2: a member that is known but not served is refused by its name, not silently dropped."""
    with pytest.raises(InvalidClientMetadata, match=name):
        register(**{name: "https://rp.example/x"})


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": []},
        {"redirect_uris": None},
        {"redirect_uris": "https://rp.example/cb"},
        {"redirect_uris": {"a": 1}},
        {"redirect_uris": [None]},
        {"redirect_uris": [""]},
        {"redirect_uris": [["https://rp.example/cb"]]},
        {"redirect_uris": ["https://rp.example/cb"] * 101},
        {"redirect_uris": ["https://rp.example/cb#fragment"]},
        {"redirect_uris": ["https://rp.example/*"]},
        {"redirect_uris": ["https://*.rp.example/cb"]},
        {"redirect_uris": ["https://user@rp.example/cb"]},
        {"redirect_uris": ["https://"]},
        {"redirect_uris": ["https:///cb"]},
        {"redirect_uris": ["https://rp.example:99999/cb"]},
        {"redirect_uris": ["https://[::1/cb"]},
        {"redirect_uris": ["http://rp.example/cb"]},
        {"redirect_uris": ["https://rp.example/ü"]},
        {"redirect_uris": ["https://rp.example/a b"]},
        {"redirect_uris": ["https://rp.example/\n"]},
        {"redirect_uris": ["/cb"]},
        {"redirect_uris": ["//rp.example/cb"]},
        {"redirect_uris": ["https://rp.example/" + "x" * 2000]},
        {"redirect_uris": ["com.example.app:/cb"]},
        {"post_logout_redirect_uris": ["javascript:alert(1)"]},
        {"post_logout_redirect_uris": ["https://rp.example/bye#x"]},
    ],
)
def test_redirect_uris(metadata: dict[str, Any]) -> None:
    """RFC 7591 §3.2.2, RFC 9700 §2.1: invalid_redirect_uri."""
    with pytest.raises(InvalidRedirectUri) as raised:
        register(**metadata)
    assert raised.value.code == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "metadata",
    [
        {"grant_types": ["password"]},
        {"grant_types": ["implicit"]},
        {"grant_types": "authorization_code"},
        {"grant_types": ["refresh_token"], "response_types": []},
        {"grant_types": ["client_credentials"], "response_types": ["code"]},
        {"grant_types": ["authorization_code"], "response_types": []},
        {"response_types": ["token"]},
        {"response_types": ["id_token"]},
        {"response_types": ["code token"]},
        {"token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "client_credentials"]},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": ["none"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"token_endpoint_auth_signing_alg": "none"},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": "HS256"},
        {"id_token_signed_response_alg": "EdDSA"},
        {"subject_type": "ephemeral"},
        {"subject_type": "pairwise", "redirect_uris": ["https://a.example/cb", "https://b.example/cb"]},
        {"sector_identifier_uri": "http://rp.example/sector"},
        {"initiate_login_uri": "javascript:alert(1)"},
        {"default_acr_values": "urn:x"},
        {"application_type": "desktop"},
        {"scope": ""},
        {"scope": 'openid "'},
        {"scope": ["openid"]},
        {"scope": " ".join(f"s{n}" for n in range(101))},
        {"client_name": ""},
        {"client_name": " "},
        {"client_name": "x" * 201},
        {"client_name": "a\nb"},
        {"client_name": "a\u202eb"},
        {"client_name": 7},
        {"logo_uri": "javascript:alert(1)"},
        {"logo_uri": "data:image/png;base64,x"},
        {"logo_uri": "https://user@rp.example/logo.png"},
        {"logo_uri": "https://rp.example/'; script-src *"},
        {"client_uri": "//rp.example"},
        {"policy_uri": "https://"},
        {"tos_uri": ["https://rp.example"]},
        {"contacts": "ops@rp.example"},
        {"contacts": [7]},
        {"contacts": ["a\x00b"]},
        {"contacts": ["\ud800"]},
        {"default_acr_values": ["\x00"]},
        {"default_max_age": -1},
        {"default_max_age": True},
        {"default_max_age": "3600"},
        {"default_max_age": 1.5},
        {"default_max_age": 10**12},
        {"require_auth_time": "yes"},
        {"jwks": []},
        {"jwks": {"keys": "x"}},
        {"jwks": {"keys": [{}]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [{"kty": "RSA"}]}},
        {"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}},
        {"jwks": {"keys": [{"kty": ["RSA"]}]}},
        {"jwks": {"keys": [{"kty": "EC", "crv": [], "x": 1, "y": None}]}},
        {"jwks": {"keys": [SigningKey.new("ES256").public_jwk] * 21}},
        {"jwks": {"keys": [{**SigningKey.new("ES256").public_jwk, "kid": "a\x00"}]}},
        {"jwks": {"keys": [{**SigningKey.new("ES256").public_jwk, "kid": "\ud800"}]}},
        {"jwks": {"keys": [{**SigningKey.new("ES256").public_jwk, "n": float("inf")}]}},
    ],
)
def test_other_members(metadata: dict[str, Any]) -> None:
    """RFC 7591 §3.2.2: invalid_client_metadata, with a sentence that names the member; nothing that was sent is repeated."""
    with pytest.raises(InvalidClientMetadata) as raised:
        register(**metadata)
    assert raised.value.code == "invalid_client_metadata"
    assert "alert(1)" not in raised.value.title


@pytest.mark.parametrize("member", ["d", "p", "q", "k"])
def test_a_private_key_is_a_leak(member: str) -> None:
    """RFC 7591 §2: jwks holds public keys; a private part is refused and not stored."""
    jwk = {**SigningKey.new("RS256").public_jwk, member: "AAAA"}
    with pytest.raises(InvalidClientMetadata, match="public keys only") as raised:
        register(jwks={"keys": [jwk]})
    assert "AAAA" not in raised.value.title


def test_a_weak_key() -> None:
    """RFC 7518 §3.3: an RSA key has 2048 bits or more."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from joserfc.jwk import RSAKey

    weak = RSAKey.import_key(rsa.generate_private_key(65537, 1024)).as_dict(private=False)  # noqa: S505
    with pytest.raises(InvalidClientMetadata, match="2048"):
        register(jwks={"keys": [weak]})


def rsa_jwk(bits: int, exponent: int) -> dict[str, str]:
    """What looks like a public RSA key of a size."""
    numbers = (secrets.randbits(bits) | 1 << (bits - 1) | 1, exponent)
    n, e = (segment(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in numbers)
    return {"kty": "RSA", "n": n, "e": e}


@pytest.mark.parametrize(("bits", "exponent"), [(3072, 2**3000 + 1), (2048, 2**33 + 1), (16_384, 65_537)])
def test_a_key_that_is_slow_to_use(bits: int, exponent: int) -> None:
    """RFC 8725 §3.5, S111: whoever registers a key does not choose how long we reckon with it."""
    with pytest.raises(InvalidClientMetadata, match="huge exponent"):
        register(jwks={"keys": [rsa_jwk(bits, exponent)]})
    register(jwks={"keys": [rsa_jwk(4096, 65_537)]})


def test_members_of_a_key_that_nobody_knows() -> None:
    """RFC 7517 §4: members that are not understood are ignored, and not kept: whatever they are, nothing has to read them again."""
    key = SigningKey.new("ES256").public_jwk
    strange = {"note": "\x00", "weight": float("inf"), "ext": True, "nest": [[[{}]]]}
    assert register(jwks={"keys": [{**key, **strange}]})["jwks"] == {"keys": [key]}


def test_response_types_of_the_profile() -> None:
    """RFC 7591 §2: what the profile does not have cannot be registered."""
    assert validate({**GOOD, "response_types": ["code"]}, "oidc", ALGORITHMS)["response_types"] == ["code"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["keys", "kty", "crv", "x", "y", "n", "e", "kid"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
_NAMES = st.sampled_from(
    [
        "redirect_uris",
        "post_logout_redirect_uris",
        "application_type",
        "grant_types",
        "response_types",
        "token_endpoint_auth_method",
        "scope",
        "client_name",
        "client_uri",
        "contacts",
        "jwks",
        "default_max_age",
        "require_auth_time",
        "software_statement",
        "jwks_uri",
        "x",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_NAMES, _JSON, max_size=5))
def test_any_json(metadata: dict[str, Any]) -> None:
    """RFC 7591 §3.2.2: any JSON object is accepted or refused with its error, never anything else."""
    made, code = None, None
    try:
        made = validate(metadata, "strict", ALGORITHMS)
    except Invalid as error:
        code = error.code
    assert made is not None or code in ("invalid_client_metadata", "invalid_redirect_uri")


# -- languages ---------------------------------------------------------------------------------------------------------


def test_what_people_read_in_their_language(house: House, acme: Tenant) -> None:
    """RFC 7591 §2.2, OIDC Core §3.1.2.1 (ui_locales): the first language that the client is registered in, else the plain value."""
    german = {"client_name#de": "Bilderrahmen", "policy_uri#de": "https://rp.example/datenschutz"}
    rp = house.client(acme, client_name="Photo Frame", policy_uri="https://rp.example/privacy", **german)
    browser = house.browser(acme)
    for locales, name, policy in (
        (None, "Photo Frame", "privacy"),
        ("fr-CA se", "Photo Frame", "privacy"),
        ("fr de-AT en", "Bilderrahmen", "datenschutz"),
        ("x" * 300, "Photo Frame", "privacy"),
    ):
        page = browser.follow(browser.authorize(rp, verifier="v" * 43, ui_locales=locales))
        assert name in page.text
        assert f"https://rp.example/{policy}" in page.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"client_name#": ""},
        {"client_name#not a tag": "x"},
        {"client_name#de": ""},
        {"logo_uri#de": "javascript:alert(1)"},
        {f"client_name#de-{n}": "x" for n in range(300)},
    ],
)
def test_languages_that_cannot_be_registered(metadata: dict[str, Any]) -> None:
    """RFC 7591 §2.2: the tag is a language tag, and the value is judged as the untagged one is."""
    if metadata == {"client_name#": ""}:
        assert "client_name#" not in register(**metadata)
        return
    with pytest.raises(InvalidClientMetadata):
        register(**metadata)
