"""The TypeScript SDK's own tests, in Node: in front of the served product, on failing servers, with every wrong token."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest
from drawing import png
from packages import run, typescript
from sdk_world import ADMIN, PASSWORD

if TYPE_CHECKING:
    from sdk_world import SdkWorld

pytestmark = pytest.mark.slow


def passed(name: str, **environ: str) -> int:
    """Run one file of tests; returns how many passed, none of them skipped."""
    said = run("node", "--test", "--test-reporter=tap", f"test/{name}.test.mjs", cwd=typescript(), **environ)
    counted = dict(re.findall(r"^# (pass|fail|skipped|todo) (\d+)$", said, re.MULTILINE))
    assert (counted["fail"], counted["skipped"], counted["todo"]) == ("0", "0", "0"), said[-4000:]
    return int(counted["pass"])


def test_in_front_of_the_product(world: SdkWorld) -> None:
    """Interfaces §6: the TypeScript client signs in, calls, pages, changes and is refused, in front of the served product."""
    world.person("typing@acme.example", must_change=True, roles=["auditor"])
    given = {
        "baseUrl": world.url,
        "password": PASSWORD,
        "platform": ADMIN,
        "admin": "admin@acme.example",
        "nobody": "somebody@acme.example",
        "changing": "typing@acme.example",
        "member": world.people["somebody@acme.example"],
        "token": world.token(),
        "png": base64.b64encode(png()).decode(),
        "issuer": world.tenants["acme"].issuer,
    }
    assert passed("served", AUTHSEC_TEST=json.dumps(given)) >= 10


@pytest.mark.parametrize("name", ["failures", "tokens", "webhooks"])
def test_by_itself(name: str) -> None:
    """Interfaces §6, RFC 9068 §4, RFC 6750 §3, Standard Webhooks: retries, sign-in steps, tokens, Express, webhooks."""
    assert passed(name) >= 3
