"""The guarded HTTP client (security rule 8; ASVS 5.0 §13.2.4, S107): against a real name server, real TLS and hostile answers.

All of it happens in a network of its own, where an address that is public elsewhere belongs to the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
WORLD = Path(__file__).with_name("world.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every fetch of the world ended in."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip (packages util-linux, iproute2)")
    folder = tmp_path_factory.mktemp("world")
    command = ["unshare", "--mount", "--net", sys.executable, str(WORLD), str(folder)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(WORLD.parents[2])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_what_is_public_is_fetched(found: dict[str, Any]) -> None:
    """Security rule 8: an https address whose name is public, with the media type and the body as they were sent."""
    assert found["/good"]["outcome"] == [200, "application/json", '{"good":true}']
    assert found["/chunked"]["outcome"] == [200, "", "[1,2,3]"]
    assert found["good.example"]["outcome"][0] == 200


def test_what_is_sent(found: dict[str, Any]) -> None:
    """RFC 9112 §3.2: one request with the name as Host, without compression, cookies or a referrer."""
    request = json.loads(found["echo"]["outcome"][2])
    head, _, body = request.partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST /echo HTTP/1.1"
    assert body == "a=1"
    sent = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert sent["host"] == "good.example"
    assert sent["accept-encoding"] == "identity"
    assert sent["content-type"] == "application/x-www-form-urlencoded"
    assert not {"cookie", "referer", "authorization"} & sent.keys()


@pytest.mark.parametrize(
    "case",
    [
        "inside.example", "loopback.example", "metadata.example", "both.example", "https://127.0.0.1/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[fec0::1]/", "https://10.1.2.3/", "https://2130706433/", "https://0x7f.1/",
        "https://0/", "https://localhost/", "http://good.example/good", "ftp://good.example/", "https://u:p@good.example/",
        "https://good.example:0/", "https:///good", "https://good.example\\@127.0.0.1/", "file:///etc/passwd",
        "gopher://good.example/", "https://good.example/\r\nX: y",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(found: dict[str, Any], case: str) -> None:
    """Security rule 8, S107: private, loopback, link-local and reserved addresses in every spelling, other schemes, users, no host."""
    assert found[case]["outcome"][0] == "refused", found[case]


def test_no_private_server_was_reached(found: dict[str, Any]) -> None:
    """Security rule 8: only the host that the operator allows was spoken to behind the guard."""
    assert found["allowed.example"]["outcome"][0] == 200
    assert found["a private server was reached"]["outcome"] == ["private"]


def test_a_name_that_rebinds(found: dict[str, Any]) -> None:
    """Security rule 8: a name is looked up once a fetch and the connection goes there; the next look-up is judged anew."""
    assert found["rebinds.example"]["outcome"][0] == 200
    assert found["again"]["outcome"][0] == "refused"
    assert found["questions"]["outcome"] == ["rebinds.example"] * 2


def test_no_redirect_is_followed(found: dict[str, Any]) -> None:
    """Security rule 8: a redirect is an answer like any other, and whoever asked will not take it."""
    assert found["/redirects"]["outcome"][0] == 302


@pytest.mark.parametrize("case", ["/slow-head", "/slow-body", "/silent", "slow.example"])
def test_time_has_an_end(found: dict[str, Any], case: str) -> None:
    """Security rule 8 (5 s; here 2): an answer that drips, a server that says nothing, a name that nobody answers for."""
    assert found[case]["outcome"][0] == "failed"
    assert found[case]["seconds"] < 3, found[case]


@pytest.mark.parametrize("case", ["/endless", "/declared", "/endless-head"])
def test_size_has_an_end(found: dict[str, Any], case: str) -> None:
    """Security rule 8 (1 MB): an endless body or head, or one that is announced as too large, is given up."""
    assert found[case]["outcome"][0] == "failed"
    assert found[case]["seconds"] < 3, found[case]


@pytest.mark.parametrize("case", ["/short", "/zipped", "/no-http", "wrong-name.example", "nowhere.example", "unknown"])
def test_half_answers_and_wrong_certificates(found: dict[str, Any], case: str) -> None:
    """RFC 9112 §8, RFC 9110 §4.3.4: what is incomplete, compressed unasked, no HTTP, or for another name is no answer."""
    assert found[case]["outcome"][0] == "failed", found[case]
