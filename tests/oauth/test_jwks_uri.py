"""A client's published keys (OpenID Registration §2: jwks_uri): fetched over TLS, kept, fetched again for an unknown key, never hammered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import JWT_BEARER, SigningKey, assertion_claims
from house import House
from publisher import Publisher, publisher
from refusals import refused
from registering import WEB, register
from serving import together

from idp import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from house import Answer, RelyingParty

__all__ = ["publisher"]


@pytest.fixture
def keyed(publisher: Publisher, tmp_path: Path) -> Iterator[tuple[House, RelyingParty]]:
    """A client that publishes its keys, at a house that may fetch them."""
    house = House(
        tmp_path / "var", IDP_CA_BUNDLE=str(tmp_path / "ca" / "ca.pem"), IDP_ALLOWED_PRIVATE_HOSTS="localhost"
    )
    tenant = house.tenant("acme", rate_limits="off")
    rp = house.client(tenant, token_endpoint_auth_method="private_key_jwt", jwks_uri=publisher.uri)
    yield house, rp
    house.close()


def call(house: House, rp: RelyingParty, key: SigningKey) -> Answer:
    """Client credentials, authenticated by an assertion."""
    form = {
        "grant_type": "client_credentials",
        "scope": "api",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": key.sign(assertion_claims(rp)),
    }
    return house.post(rp.tenant, "/token", form)


def test_fetched_once_and_again_for_a_new_key(keyed: tuple[House, RelyingParty], publisher: Publisher) -> None:
    """OpenID Core §10.1.1: a key set is kept; a key that is not in it makes us look again, at most once a minute."""
    house, rp = keyed
    old, new, last = (SigningKey.new("ES256", name) for name in ("one", "two", "three"))
    publisher.document = {"keys": [old.public_jwk]}
    for _ in range(3):
        assert call(house, rp, old).status == 200
    assert publisher.fetches == 1
    publisher.document = {"keys": [new.public_jwk]}
    assert call(house, rp, old).status == 200, "not looked at again as long as it knows the key"
    assert call(house, rp, new).status == 200, "looked for at once, however young the set is"
    assert publisher.fetches == 2
    publisher.document = {"keys": [last.public_jwk]}
    for _ in range(3):  # within the same minute nobody makes us fetch once more
        refused(house, call(house, rp, last), 401, "invalid_client")
    assert publisher.fetches == 2
    with clock.shifted(61):
        assert call(house, rp, last).status == 200
        refused(house, call(house, rp, old), 401, "invalid_client")
    assert publisher.fetches == 3


def test_fetched_again_after_an_hour_and_used_on_in_trouble(
    keyed: tuple[House, RelyingParty], publisher: Publisher
) -> None:
    """OpenID Core §10.1.1: an old set is fetched anew; while that fails, the known one serves on for a day."""
    house, rp = keyed
    key = SigningKey.new("ES256", "one")
    publisher.document = {"keys": [key.public_jwk]}
    assert call(house, rp, key).status == 200
    publisher.status = 500
    with clock.shifted(3700):
        assert call(house, rp, key).status == 200
    assert publisher.fetches == 2
    with clock.shifted(90_000):
        record = refused(house, call(house, rp, key), 401, "invalid_client")
    assert "the answer is 500" in record["reason"]


@pytest.mark.parametrize(
    ("said", "seconds", "fetches"),
    [
        ("public, max-age=300", 290, 1),
        ("Max-Age=300", 310, 2),
        ("max-age=0", 50, 1),  # a minute is the least
        ("no-store, max-age=1", 70, 2),
        ("max-age=99999999999999999999", 3700, 2),
        ("max-age=86400", 3700, 2),  # an hour is the most
        ("nonsense", 3500, 1),
    ],
)
def test_kept_as_long_as_the_publisher_says(
    keyed: tuple[House, RelyingParty], publisher: Publisher, said: str, seconds: int, fetches: int
) -> None:
    """OpenID Connect Core §10.2.1: Cache-Control max-age says how long a set is good, between a minute and an hour."""
    house, rp = keyed
    key = SigningKey.new("ES256", "one")
    publisher.document, publisher.cache_control = {"keys": [key.public_jwk]}, said
    assert call(house, rp, key).status == 200
    with clock.shifted(seconds):
        assert call(house, rp, key).status == 200
    assert publisher.fetches == fetches


@pytest.mark.parametrize(
    "document",
    [
        b"<html>",
        b"[]",
        b"{}",
        {"keys": 1},
        {"keys": [{"kty": "oct", "k": "AAAA"}]},
        {"keys": [{}, 1, None]},
        b"[" * 50_000,
        {"keys": [{}] * 101},
    ],
    ids=["html", "array", "empty", "number", "symmetric", "nonsense", "deep", "too many"],
)
def test_what_is_no_key_set(keyed: tuple[House, RelyingParty], publisher: Publisher, document: Any) -> None:
    """RFC 7517 §5, S027: what is published may be anything; the client is then not believed."""
    house, rp = keyed
    publisher.document = document
    refused(house, call(house, rp, SigningKey.new("ES256", "one")), 401, "invalid_client")


def test_a_private_key_that_is_published_is_not_used(keyed: tuple[House, RelyingParty], publisher: Publisher) -> None:
    """RFC 7517 §9.2: a key whose private part everybody has is nobody's."""
    house, rp = keyed
    key = SigningKey.new("ES256", "one")
    publisher.document = {"keys": [key.public_jwk | {"d": "AAAA"}]}
    refused(house, call(house, rp, key), 401, "invalid_client")


def test_many_at_once_fetch_once(keyed: tuple[House, RelyingParty], publisher: Publisher) -> None:
    """S111: however many come before the keys are known, they are fetched once."""
    house, rp = keyed
    key = SigningKey.new("ES256", "one")
    publisher.document = {"keys": [key.public_jwk]}
    assert [answer.status for answer in together(12, lambda _: call(house, rp, key))] == [200] * 12
    assert publisher.fetches == 1


def test_the_guard_stands_before_it(tmp_path: Path, publisher: Publisher) -> None:
    """Security rule 8, S107: without the operator's leave nothing is fetched from a private address, at registration or later."""
    house = House(tmp_path / "guarded", IDP_CA_BUNDLE=str(tmp_path / "ca" / "ca.pem"))
    tenant = house.tenant("acme", registration="open")
    keys = {"token_endpoint_auth_method": "private_key_jwt"}
    for uri in ("https://127.0.0.1/jwks", "https://[::1]/jwks", "https://169.254.169.254/x"):
        refused(house, register(house, tenant, WEB | keys | {"jwks_uri": uri}), 400, "invalid_client_metadata")
    for uri in ("http://rp.example/jwks", "javascript:1", "https://u@rp.example/", 7, ["https://rp.example/"]):
        refused(house, register(house, tenant, WEB | keys | {"jwks_uri": uri}), 400, "invalid_client_metadata")
    both = (
        WEB
        | keys
        | {"jwks_uri": "https://rp.example/jwks", "jwks": {"keys": [SigningKey.new("ES256", "a").public_jwk]}}
    )
    refused(house, register(house, tenant, both), 400, "invalid_client_metadata")
    rp = house.client(tenant, token_endpoint_auth_method="private_key_jwt", jwks_uri=publisher.uri)
    record = refused(house, call(house, rp, SigningKey.new("ES256", "one")), 401, "invalid_client")
    assert "IDP_ALLOWED_PRIVATE_HOSTS" in record["reason"]
    assert publisher.fetches == 0
    house.close()
