"""Request objects by reference (OpenID Connect Core §6.2, §6.3; RFC 9101 §5.2): fetched from a registered address, or not at all."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey
from house import CALLBACK, House
from publisher import Publisher, publisher
from refusals import error_page, refused, sent_back
from registering import WEB, register
from request_objects import VERIFIER, ask, signed_object
from serving import together

from idp.oauth import client_metadata, request_uri
from idp.oauth.client_metadata import InvalidClientMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from house import Answer, RelyingParty

__all__ = ["publisher"]


class Lender:
    """A client of profile oidc that lends its requests, at a house that may fetch them."""

    def __init__(self, house: House, publisher: Publisher, key: SigningKey, rp: RelyingParty) -> None:
        self.house, self.publisher, self.key, self.rp = house, publisher, key, rp
        self.uri = f"{publisher.base}/request"

    def lend(self, text: str | None = None, **changes: Any) -> str:
        """Publish an object and return it."""
        made = signed_object(self.rp, self.key, **changes) if text is None else text
        self.publisher.document = made.encode()
        return made

    def ask(self, uri: str | None = None, **params: str | None) -> Answer:
        return ask(self.house.browser(self.rp.tenant), self.rp, request_uri=uri or self.uri, **params)

    def refused(self, answer: Answer, error: str = "invalid_request_uri") -> dict[str, Any]:
        return sent_back(self.house, answer, self.rp.tenant, error, to=CALLBACK, state="s")

    def outside(self, uri: str | None = None) -> Answer:
        """With a redirect URI outside, for the error to go to."""
        return self.ask(uri, redirect_uri=CALLBACK, state="s")


@pytest.fixture
def lender(publisher: Publisher, tmp_path: Path) -> Iterator[Lender]:
    house = House(
        tmp_path / "var", IDP_CA_BUNDLE=str(tmp_path / "ca" / "ca.pem"), IDP_ALLOWED_PRIVATE_HOSTS="localhost"
    )
    tenant = house.tenant("acme", rate_limits="off", allowed_client_profiles="strict,oidc", registration="open")
    key = SigningKey.new("ES256", "the-key")
    rp = house.client(
        tenant, profile="oidc", request_uris=[f"{publisher.base}/request"], jwks={"keys": [key.public_jwk]}
    )
    yield Lender(house, publisher, key, rp)
    house.close()


def is_served(answer: Answer) -> bool:
    return answer.status == 303 and "/login?" in answer.location


def hash_of(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_fetched_each_time(lender: Lender) -> None:
    """OpenID Connect Core §6.2: an address without a hash may give another object each time, so it is never kept."""
    lender.lend()
    assert is_served(lender.ask())
    assert is_served(lender.ask(response_type=None, scope=None)), "RFC 9101 §5: client_id and request_uri suffice"
    lender.lend(prompt="none")
    answer = lender.ask()
    sent_back(lender.house, answer, lender.rp.tenant, "login_required", to=CALLBACK, state="the state inside")
    assert lender.publisher.fetches == 3


def test_kept_by_its_hash(lender: Lender) -> None:
    """OpenID Connect Core §6.2: with the hash of its content in the fragment it is fetched once; another hash is another object."""
    first = lender.lend()
    for _ in range(3):
        assert is_served(lender.ask(f"{lender.uri}#{hash_of(first)}"))
    assert lender.publisher.fetches == 1
    second = lender.lend(prompt="none")
    answer = lender.ask(f"{lender.uri}#{hash_of(second)}")
    sent_back(lender.house, answer, lender.rp.tenant, "login_required", to=CALLBACK, state="the state inside")
    assert lender.publisher.fetches == 2


@pytest.mark.parametrize("fragment", ["x", "A" * 43, "{hash}x", "{upper}", "{hash}#"])
def test_a_wrong_hash(lender: Lender, fragment: str) -> None:
    """OpenID Connect Core §6.2: a fragment is the SHA-256 hash of what is there, or the request is refused; nothing is kept."""
    right = hash_of(lender.lend())
    wrong = fragment.format(hash=right, upper=right.swapcase())
    for _ in range(2):
        lender.refused(lender.outside(f"{lender.uri}#{wrong}"))
    assert lender.publisher.fetches == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda uri: uri + "/",
        lambda uri: uri + "?x=1",
        lambda uri: uri.replace("/request", "/other"),
        lambda uri: uri.replace("/request", "/%72equest"),
        lambda uri: uri.replace("localhost", "LOCALHOST"),
        lambda uri: uri.replace("localhost", "127.0.0.1"),
        lambda uri: uri.replace("https://", "http://"),
        lambda uri: uri.replace("https://", "https://user@"),
        "https://evil.example/request",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "urn:ietf:params:oauth:request_uri:x",
        "x",
        "#x",
        "https://[",
        "https://[#x",
        lambda uri: uri + "#" + "x" * 600,
        lambda uri: uri + "\\@evil.example",
    ],
)
def test_s107_only_registered_addresses_are_fetched(lender: Lender, change: Any) -> None:
    """RFC 9101 §10.4.1, OpenID Registration §2 (request_uris): compared as text; a stranger makes us fetch nothing."""
    lender.lend()
    uri = change if isinstance(change, str) else change(lender.uri)
    record = lender.refused(lender.outside(uri))
    assert record["check"] == "request_uri"
    assert lender.publisher.fetches == 0
    error_page(lender.house, lender.ask(uri))


def test_another_clients_address(lender: Lender) -> None:
    """OpenID Registration §2: an address is registered by one client and of use to no other."""
    lender.lend()
    other = lender.house.client(lender.rp.tenant, "other", profile="oidc", jwks={"keys": [lender.key.public_jwk]})
    answer = ask(lender.house.browser(other.tenant), other, request_uri=lender.uri, redirect_uri=CALLBACK, state="s")
    lender.refused(answer)
    assert lender.publisher.fetches == 0


def test_profile_strict_has_none(lender: Lender) -> None:
    """OpenID Connect Core §3.1.2.6: a client of profile strict is told request_uri_not_supported, and cannot register any."""
    strict = lender.house.client(lender.rp.tenant, "strict", jwks={"keys": [lender.key.public_jwk]})
    answer = lender.house.browser(strict.tenant).authorize(strict, verifier=VERIFIER, request_uri=lender.uri, state="s")
    lender.refused(answer, "request_uri_not_supported")
    assert lender.publisher.fetches == 0
    with pytest.raises(InvalidClientMetadata, match="request_uris"):
        client_metadata.validate({"redirect_uris": [CALLBACK], "request_uris": [lender.uri]}, "strict", ("RS256",))


@pytest.mark.parametrize("status", [203, 301, 302, 404, 500])
def test_no_good_answer(lender: Lender, status: int) -> None:
    """RFC 9101 §5.2.3, §7: anything but 200 gives no object; no redirect is followed."""
    lender.lend()
    lender.publisher.status = status
    record = lender.refused(lender.outside())
    assert str(status) in record["reason"]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"", "invalid_request_object"),
        (b"<html>", "invalid_request_object"),
        (b"\xff\xfe", "invalid_request_uri"),
        (b"x" * 70_000, "invalid_request_uri"),
        (b"x" * 2_000_000, "invalid_request_uri"),
        (b"eyJhbGciOiJub25lIn0.e30.", "request_uri_not_supported"),
        (b"a.b.c", "invalid_request_object"),
    ],
    ids=["empty", "html", "bytes", "large", "very large", "unsigned", "nonsense"],
)
def test_no_good_object(lender: Lender, document: bytes, error: str) -> None:
    """OpenID Connect Core §6.3, §3.1.2.6: what is found is judged as if it had been sent."""
    lender.publisher.document = document
    lender.refused(lender.outside(), error)


def test_what_is_found_is_verified(lender: Lender) -> None:
    """OpenID Connect Core §6.3.2 (conformance oidcc-request-uri-signed): signature, client and audience are checked; a newline is no harm."""
    lender.lend(SigningKey.new("ES256", "the-key").sign({"client_id": "rp"}))
    lender.refused(lender.outside(), "invalid_request_object")
    text = lender.lend(aud="https://other.example", state="s")
    lender.refused(lender.outside(), "invalid_request_object")
    text = lender.lend()
    lender.publisher.document = f"{text}\n".encode()
    assert is_served(lender.ask())


def test_nobody_answers(lender: Lender) -> None:
    """RFC 9101 §5.2.3: an address that does not answer is refused, not waited for."""
    lender.publisher.close()
    record = lender.refused(lender.outside())
    assert "no connection" in record["reason"]


def test_s111_one_slow_client_leaves_room_for_others(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security rule 8, S111: of one client at most so many are fetched at a time; what comes beyond is refused at once."""
    lender.lend()
    going, gate = threading.Semaphore(0), threading.Event()

    def wait(_path: str) -> None:
        going.release()
        gate.wait(10)

    monkeypatch.setattr(lender.publisher, "before", wait)
    found: list[Answer] = []

    def one(number: int) -> None:
        if number < request_uri.MOST_OF_ONE:
            found.append(lender.outside())
            return
        for _ in range(request_uri.MOST_OF_ONE):
            going.acquire()
        try:
            record = lender.refused(lender.outside())
            assert "at a time" in record["reason"]
        finally:
            gate.set()

    together(request_uri.MOST_OF_ONE + 1, one)
    assert [is_served(answer) for answer in found] == [True] * request_uri.MOST_OF_ONE
    assert is_served(lender.outside()), "places are given back"


def test_s111_many_clients_of_one_tenant_leave_room_for_others(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security rule 8, S111: who registers many clients gets no more fetches at a time than a tenant has."""
    house, uri = lender.house, f"{lender.publisher.base}/slow"
    lender.lend()
    going, gate = threading.Semaphore(0), threading.Event()

    def wait(path: str) -> None:
        if path == "/slow":
            going.release()
            gate.wait(10)

    monkeypatch.setattr(lender.publisher, "before", wait)
    slow = [house.client(lender.rp.tenant, f"slow-{n}", profile="oidc", request_uris=[uri]) for n in range(6)]

    def one(number: int) -> None:
        if number < request_uri.MOST_OF_TENANT:
            ask(house.browser(lender.rp.tenant), slow[number], request_uri=uri)
            return
        for _ in range(request_uri.MOST_OF_TENANT):
            going.acquire()
        try:
            assert "at a time" in lender.refused(lender.outside())["reason"]
        finally:
            gate.set()

    together(request_uri.MOST_OF_TENANT + 1, one)
    assert is_served(lender.outside()), "places are given back"


@pytest.mark.parametrize(
    "uris",
    [
        "https://rp.example/x",
        ["http://rp.example/x"],
        ["https://rp.example/" + "x" * 512],
        ["javascript:1"],
        ["https://127.0.0.1/x"],
        ["https://169.254.169.254/x"],
        ["https://u@rp.example/x"],
        [1],
        ["https://rp.example/x"] * 101,
    ],
)
def test_what_can_be_registered(lender: Lender, uris: Any) -> None:
    """OpenID Registration §2 (request_uris), Core §6.2: https addresses of public hosts, of at most 512 characters."""
    answer = register(lender.house, lender.rp.tenant, WEB | {"request_uris": uris})
    refused(lender.house, answer, 400, "invalid_client_metadata")
