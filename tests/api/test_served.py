"""The services through the front, as they are served: real processes, real HTTP, and a browser in front of the documents."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from api_world import World, client_of
from serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import Answer

pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")


class Front:
    """A server of two processes, and what is needed to call it."""

    def __init__(self, served: Served) -> None:
        self.served, self.world = served, World(served.house)
        self.address = f"http://localhost:{served.port}"
        self.token = self.world.token(aud=f"{self.address}/clientms")

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {
            "authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if body is not None:
            sent.setdefault("content-type", "application/json")
        raw = json.dumps(body).encode() if body is not None else None
        answer: Answer = self.served.send(method, f"{self.address}/clientms{path}", headers=sent, body=raw)
        return answer


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield Front(served)


def test_a_client_s_life_over_http(front: Front) -> None:
    """Architecture §3 (two doors): through the front every operation answers as in the process, headers and all."""
    path = "/tenants/acme/clients"
    made = front.call("POST", path, client_of(client_id="orders"), idempotency_key="k")
    assert made.status == 201, made.text
    again = front.call("POST", path, client_of(client_id="orders"), idempotency_key="k")
    assert (again.status, again.json, again.header("idempotency-replayed")) == (201, made.json, "true")
    tag = str(made.header("etag"))
    assert front.call("GET", f"{path}/orders", if_none_match=tag).status == 304
    patched = front.call(
        "PATCH", f"{path}/orders", {"client_name": "New"}, if_match=tag, content_type="application/merge-patch+json"
    )
    assert patched.json["client_name"] == "New"
    assert front.call("PUT", f"{path}/orders", client_of(), if_match=tag).status == 412
    assert front.call("POST", f"{path}/orders/rotate-secret").json["client_secret"] != made.json["client_secret"]
    assert front.call("GET", f"{path}?name=new&sort=-name").json["total"] == 1
    assert patched.header("x-correlation-id")
    head = front.call("HEAD", f"{path}/orders")
    assert (head.status, head.body) == (200, b"")
    assert front.call("DELETE", f"{path}/orders").status == 204
    assert front.call("GET", f"{path}/orders").status == 404


def test_an_id_with_a_slash_over_http(front: Front) -> None:
    """RFC 3986 §2.2, docs/api.md: the front unescapes once, so a slash that was escaped twice belongs to the id."""
    path = "/tenants/acme/clients"
    assert front.call("POST", path, client_of(client_id="x/activate")).status == 201
    assert front.call("GET", f"{path}/x%252Factivate").json["client_id"] == "x/activate"
    assert front.call("GET", f"{path}/x%2Factivate").status == 405


def test_another_worker_knows_at_once(front: Front) -> None:
    """Interfaces §5 (lost update): whichever process answers, a change is judged by what is in the database."""
    path = "/tenants/acme/clients"
    tag = str(front.call("POST", path, client_of(client_id="raced")).header("etag"))
    answers, ends = front.served.race(
        20,
        lambda wire, number: front.served.send(
            "PATCH",
            f"{front.address}/clientms{path}/raced",
            headers={
                "authorization": f"Bearer {front.token}",
                "content-type": "application/json",
                "if-match": tag,
            },
            body=json.dumps({"client_name": f"n{number}"}).encode(),
            wire=wire,
        ),
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 19
    assert len(ends) == 2, ends


def test_what_the_front_refuses_has_its_page(front: Front) -> None:
    """Interfaces §5: a refusal of the front is a problem document like any other, with the code's page."""
    answer = front.call("POST", "/tenants/acme/clients", {"client_name": "x" * 300_000})
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
    assert answer.json["doc_url"] == f"{front.address}/docs/errors/body_too_large"
    assert front.served.once("GET", "/clientms/health").json["status"] == "ready"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium: Debian package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


def opened(browser: Any, address: str) -> tuple[Any, list[str], list[str]]:
    """A page, what its console says, and what it asked of others."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    foreign: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    origin = "/".join(address.split("/")[:3])
    page.on(
        "requestfinished",
        lambda request: None if request.url.startswith((origin, "blob:", "data:")) else foreign.append(request.url),
    )
    page.goto(address)
    return page, said, foreign


def test_swagger_ui_draws_and_calls(front: Front, browser: Any) -> None:
    """Issue 6, item 5, CSP3 §6.7: Swagger UI runs under its policy, asks nobody else, and sends a request with the token it is given."""
    page, said, foreign = opened(browser, f"{front.address}/clientms/swagger")
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(front.token)
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()
    operation = page.locator("#operations-Clients-get_client")
    operation.click()
    operation.locator("button.try-out__btn").click()
    operation.locator("tr[data-param-name=tenant_id] input").fill("acme")
    operation.locator("tr[data-param-name=client_id] input").fill("console")
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table tbody .response-col_status")
    answer.wait_for(timeout=10_000)
    assert answer.inner_text().startswith("200")
    assert said == []
    assert foreign == []


def test_redoc_draws(front: Front, browser: Any) -> None:
    """Issue 6, item 5: ReDoc draws every operation; the one picture it wants from its maker is stopped by the policy."""
    page, said, foreign = opened(browser, f"{front.address}/clientms/redoc")
    page.get_by_role("heading", name="Register a client", exact=False).first.wait_for(timeout=20_000)
    assert all("cdn.redoc.ly" in each for each in said), said
    assert foreign == []


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_of_errors_fit(front: Front, browser: Any, width: int) -> None:
    """WCAG 2.2 §1.4.10: the pages of the error codes fit at 320 px, and nothing in them is blocked."""
    for path in ("/docs/errors", "/docs/errors/invalid_client_metadata"):
        page, said, foreign = opened(browser, f"{front.address}{path}")
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == foreign == []
