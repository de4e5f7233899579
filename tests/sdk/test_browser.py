"""The TypeScript SDK in a browser: a page of another origin signs in and works, as its origin is registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packages import TYPESCRIPT, typescript
from running import need
from scripted import Says, Scripted
from sdk_world import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdk_world import SdkWorld

pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")
WALK = """
async ([baseUrl, email, password]) => {
  const { AuthSecClient, AccessTokenValidator, PreconditionFailed, etagOf } = await import("/dist/index.js");
  const client = new AuthSecClient({ baseUrl, tenant: "acme" });
  const wrong = await client.login(email, "wrong").catch((error) => error.name);
  await client.login(email, password);
  const made = await client.groups.create({ name: "from a page" });
  const changed = await client.groups.update(made.id, { description: "x" }, { ifMatch: made });
  const late = await client.groups.update(made.id, { description: "y" }, { ifMatch: made }).catch((error) => error.name);
  const names = [];
  for await (const each of client.groups.iterate({ limit: 1 })) names.push(each.name);
  await client.groups.delete(made.id);
  await client.logout();
  return { wrong, late, etag: etagOf(changed), names, isSignedIn: client.isSignedIn };
}
"""
VALIDATE = """
async ([issuer, audience, token]) => {
  const { AccessTokenValidator } = await import("/dist/index.js");
  return (await new AccessTokenValidator({ issuer, audience }).validate(token)).clientId;
}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Scripted]:
    """A site with the compiled SDK."""
    typescript()
    with Scripted() as made:
        made.says("/", Says(200, b"<!doctype html><title>x</title>", {"content-type": "text/html"}))
        for path in (TYPESCRIPT / "dist").rglob("*.js"):
            script = Says(200, path.read_bytes(), {"content-type": "text/javascript"})
            made.says(f"/dist/{path.relative_to(TYPESCRIPT / 'dist').as_posix()}", script)
        yield made


@pytest.fixture(scope="module")
def page(site: Scripted) -> Iterator[Any]:
    """A page of the site in Chromium."""
    need("Chromium", "Debian package chromium", is_there=CHROMIUM.exists())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page()
        opened.goto(site.url)
        yield opened
        browser.close()


def test_a_page_works(world: SdkWorld, site: Scripted, page: Any) -> None:
    """Interfaces §6 (browsers), Fetch §3.2: sign-in, changes under an ETag, pages and sign-out from a page of a registered origin."""
    tenant = world.tenants["acme"]
    world.running.client(tenant, "site", client_name="A site", redirect_uris=[f"{site.url}/callback"])
    found = page.evaluate(WALK, [world.url, "admin@acme.example", PASSWORD])
    assert found.pop("etag")
    assert "from a page" in found.pop("names")
    assert found == {
        "wrong": "AuthenticationFailed",
        "late": "PreconditionFailed",
        "isSignedIn": False,
    }, json.dumps(found)
    given = [tenant.issuer, f"{world.url}/uflow", world.token()]
    assert page.evaluate(VALIDATE, given) == "idp-command"
