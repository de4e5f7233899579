"""Whatever is wrong with a request is a problem document: status, code, page, id; nothing of ours is shown, nothing is lost."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from api_world import HOST, PUBLIC, World, client_of
from refusals import harmless, record_of

from idp.api import guard
from idp.api.codes import CODES
from idp.api.errors import pointer
from idp.api.reading import MOST_BYTES
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from house import Answer


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """RFC 9457 §3: the members that every problem document has."""
    assert answer.status == status, answer.text
    harmless(answer)
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    document: dict[str, Any] = answer.json
    address = f"{PUBLIC}/docs/errors/{code}"
    assert {name: document[name] for name in ("type", "doc_url", "status", "code", "title")} == {
        "type": address,
        "doc_url": address,
        "status": status,
        "code": code,
        "title": CODES[code].title,
    }
    assert document["detail"]
    assert len(document["request_id"]) == 16
    return document


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"client_name": "a", "client_name": "b"}',
        b'{"redirect_uris": [], "jwks": {"keys": [], "keys": []}}',
        b'{"default_max_age": NaN}',
        b'{"default_max_age": Infinity}',
        b'{"client_name": "\xff"}',
        "{}".encode("utf-16"),
        b"[" * 20_000,
        b'{"a": ' * 5_000 + b"1" + b"}" * 5_000,
        b'{"default_max_age": ' + b"9" * 5_000 + b"}",
        b"{} {}",
        b"\xef\xbb\xbf{}",
    ],
    ids=[
        "nothing",
        "half",
        "nonsense",
        "twice",
        "twice below",
        "nan",
        "infinity",
        "no utf-8",
        "utf-16",
        "deep",
        "deep objects",
        "long number",
        "two",
        "bom",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_that_cannot_be_read(shared: World, method: str, raw: bytes) -> None:
    """RFC 8259 §2, §4, RFC 8725 §2.4 (one text, one meaning): 400, whatever the bytes."""
    before = shared.dump()
    answer = shared.clients(method, "" if method == "POST" else "/console", raw=raw)
    problem(answer, 400, "invalid_request")
    assert shared.dump() == before


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"5", b"null", b"true"])
def test_a_body_that_is_no_object(shared: World, raw: bytes) -> None:
    """Interfaces §5: JSON of another kind is a 422 that points at the whole."""
    document = problem(shared.clients("POST", "", raw=raw), 422, "invalid_fields")
    assert document["errors"] == [{"pointer": "#", "detail": "must be an object"}]


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/merge-patch+json",
        "application/json; charset=latin-1",
        "application/jsonx",
        "*/*",
        "",
    ],
)
def test_a_body_of_another_type(shared: World, media_type: str) -> None:
    """RFC 9110 §15.5.16: 415, and Accept says what is read; a form that another site could send opens nothing (S095)."""
    before = shared.dump()
    answer = shared.clients("POST", "", raw=json.dumps(client_of()).encode(), media_type=media_type)
    problem(answer, 415, "unsupported_media_type")
    assert answer.header("accept") == "application/json"
    assert shared.dump() == before


def test_a_patch_of_another_type(shared: World) -> None:
    """RFC 5789 §2.2: 415 with Accept-Patch; a JSON patch (RFC 6902) is not read as a merge patch."""
    answer = shared.clients("PATCH", "/console", raw=b"[]", media_type="application/json-patch+json")
    problem(answer, 415, "unsupported_media_type")
    assert answer.header("accept-patch") == "application/merge-patch+json, application/json"


def test_a_large_body(shared: World) -> None:
    """Interfaces §5: more than an operation reads is a 413."""
    raw = json.dumps(client_of(client_name="x" * MOST_BYTES)).encode()
    problem(shared.clients("POST", "", raw=raw), 413, "body_too_large")


def test_what_is_wrong_with_the_caller_comes_first(shared: World) -> None:
    """OWASP API1: who may not call is not told what is wrong with the request."""
    nobody = shared.token("acme", "nobody")
    problem(shared.clients("POST", "", raw=b"{", token=""), 401, "token_missing")
    problem(shared.clients("POST", "", raw=b"{", token=nobody), 403, "permission_required")
    problem(shared.clients("POST", "", raw=b"{", media_type="text/plain", token=nobody), 403, "permission_required")


def test_a_broken_query(shared: World) -> None:
    """WHATWG URL §5.1: a broken escape is a 400."""
    for query in ("?name=%zz", "?name=%ff", "?" + "&".join(["a=1"] * 1001)):
        problem(shared.clients("GET", query), 400, "invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/nothing",
        "/tenants",
        "/tenants/",
        "/tenants/acme",
        "/tenants//clients",
        "/tenants/acme/clients/",
        "/tenants/acme/clients/%00",
        "/tenants/acme/clients/a b",
        "/tenants/acme/clients/ä",
        "/tenants/acme/clients/" + "x" * 129,
        "/tenants/acme/clients/-x",
        "/tenants/acme/clients/../clients",
        "/tenants/acme;x/clients",
        "/TENANTS/acme/clients",
        "//tenants/acme/clients",
    ],
)
def test_what_is_no_address(shared: World, path: str) -> None:
    """Interfaces §5: 404, with and without a token."""
    for token in ("", None):
        problem(shared.call("GET", path, token=token), 404, "not_found")


def test_a_tenant_by_its_id(shared: World) -> None:
    """Interfaces §5: a tenant is named by slug or id; neither has two spellings of the slug."""
    tenant_id = shared.tenants["acme"].id
    dashed = str(uuid.UUID(tenant_id))
    good = (tenant_id, dashed, dashed.upper(), "acme")
    for slug, status in (
        *((each, 200) for each in good),
        *((each, 401) for each in ("ACME", "acme-", "x" * 63, f"{tenant_id}-", dashed[:-1])),
    ):
        assert shared.clients("GET", slug=slug).status == status, slug


def test_too_many_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces §5: 429 with Retry-After and the RateLimit fields; each caller and each address has its own count."""
    monkeypatch.setattr(guard, "RATE_OF_CALLER", Rule("api-caller", 3, 60))
    first = world.clients("GET")
    assert {name: first.header(f"ratelimit-{name}") for name in ("limit", "remaining")} == {
        "limit": "3",
        "remaining": "2",
    }
    assert first.header("ratelimit-reset")
    for _ in range(2):
        assert world.clients("GET").status == 200
    answer = world.clients("GET")
    problem(answer, 429, "too_many_requests")
    assert int(answer.header("retry-after") or 0) >= 1
    assert (answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")) == ("3", "0")
    assert world.clients("GET", token=world.token("acme", "auditor")).status == 200
    monkeypatch.setattr(guard, "RATE_OF_ADDRESS", Rule("api", 1, 60))
    assert world.clients("GET", token="nonsense").status == 401
    problem(world.clients("GET", token="nonsense"), 429, "too_many_requests")
    world.house.installation.provisioning.change_settings(world.tenants["acme"], {"rate_limits": "off"})
    assert world.clients("GET").status == 200


def test_a_defect_of_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security rule 10: a defect is a 500 that shows nothing but its id; an answer that does not fit the document never leaves."""
    from idp.api.client_management import clients

    def broken(_registered: Any) -> dict[str, Any]:
        return {"client_id": 5, "leaked": "a secret of the inside"}

    monkeypatch.setattr(clients, "shown_client", broken)
    answer = world.clients("GET", "/console")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "inside" not in answer.text
    assert answer.json["request_id"]


def test_a_lost_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S113: what cannot be written is 503 with Retry-After, and nothing is half made."""
    from idp.errors import StorageUnavailable

    def lost(_work: Any) -> Any:
        raise StorageUnavailable

    before = world.dump()
    token = world.token()
    database = world.database()
    monkeypatch.setattr(type(database), "writing", lambda _self, work: lost(work))
    answer = world.clients("POST", "", client_of(), token=token)
    monkeypatch.undo()
    assert (answer.status, answer.json["code"]) == (503, "temporarily_unavailable")
    assert answer.header("retry-after")
    assert world.dump() == before


def test_every_refusal_is_kept(shared: World) -> None:
    """Interfaces §2 (`idp explain`): a record with check, section, reason and fix under the request_id, without the token."""
    token = shared.token()
    for answer in (
        shared.clients("GET", "/nothing", token=token),
        shared.clients("POST", "", {"client_name": 5}, token=token),
        shared.clients("GET", token="ey" + token),
        shared.clients("GET", token=shared.token("acme", "nobody")),
        shared.clients("POST", "", raw=b"{", token=token),
    ):
        record = record_of(shared.house, answer.json["request_id"])
        assert record["path"].startswith("/clientms/tenants/acme/clients")
        assert record["tenant"] == shared.tenants["acme"].id
        assert token not in json.dumps(record)


def test_head_is_get_without_a_body(shared: World) -> None:
    """RFC 9110 §9.3.2: HEAD is answered as GET; who sends it needs the same permission."""
    for token, status in ((None, 200), ("", 401)):
        assert shared.clients("HEAD", "/console", token=token).status == status


# -- scripts ------------------------------------------------------------------------------------------------------------------


def test_scripts_of_the_tenants_applications_may_call(shared: World) -> None:
    """Fetch §3.2, S095: origins of registered redirect URIs of the tenant or the platform, without credentials; no others."""
    shared.house.client(shared.tenants["acme"], "spa", redirect_uris=["https://spa.example/cb"])
    preflight = {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization,if-match"}
    url = "/clientms/tenants/acme/clients/console"
    allowed = shared.house.send("OPTIONS", url, headers={"origin": "https://spa.example", **preflight}, host=HOST)
    assert (allowed.status, allowed.header("access-control-allow-origin")) == (204, "https://spa.example")
    assert {"GET", "PUT", "PATCH", "DELETE"} <= set((allowed.header("access-control-allow-methods") or "").split(", "))
    assert {"authorization", "if-match", "idempotency-key"} <= set(
        (allowed.header("access-control-allow-headers") or "").split(", ")
    )
    for origin in ("https://evil.example", "null", "https://spa.example.evil.example"):
        refused = shared.house.send("OPTIONS", url, headers={"origin": origin, **preflight}, host=HOST)
        assert refused.header("access-control-allow-origin") is None
    # An application of another tenant is no application of this one.
    shared.house.client(shared.tenants["globex"], "spa", redirect_uris=["https://globex-spa.example/cb"])
    other = shared.house.send("OPTIONS", url, headers={"origin": "https://globex-spa.example", **preflight}, host=HOST)
    assert other.header("access-control-allow-origin") is None
    answer = shared.clients("GET", "/console", headers={"origin": "https://spa.example"})
    assert answer.header("access-control-allow-origin") == "https://spa.example"
    assert {"etag", "location", "retry-after", "x-correlation-id"} <= set(
        (answer.header("access-control-expose-headers") or "").split(", ")
    )
    assert answer.header("access-control-allow-credentials") is None
    refused = shared.clients("GET", "/console", token="", headers={"origin": "https://spa.example"})
    assert (refused.status, refused.header("access-control-allow-origin")) == (401, "https://spa.example")


def test_a_cookie_opens_nothing(world: World) -> None:
    """S095: a signed-in browser has no rights here; only a token does, so there is nothing to forge."""
    acme = world.tenants["acme"]
    browser = world.house.browser(acme)
    browser.sign_in(world.house.client(acme, "app"), username="admin@acme.example")
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert world.clients("GET", token="", headers={"cookie": cookies}).status == 401


def test_pointers() -> None:
    """RFC 6901 §3, §6: tilde and slash are escaped, and then what a URI fragment may not have."""
    assert pointer() == "#"
    assert pointer("a", 0, "b") == "#/a/0/b"
    assert pointer("a/b~c") == "#/a~1b~0c"
    assert pointer("client_name#de") == "#/client_name%23de"
    assert pointer("ä b") == "#/%C3%A4%20b"
