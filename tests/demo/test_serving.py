"""The demo application as a process of its own: it starts at once, says nothing, and ends when it should."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from demo_world import ROOT, free_port

from idp.demo.relying_party import create_app
from idp.errors import SettingError

PROGRAM = [sys.executable, str(Path(__file__).with_name("serve_demo.py"))]
ISSUER = "http://localhost:9/t/demo"
HOME = "http://localhost:8001"


@contextmanager
def running(port: int, *more: str):
    """The process, once it answers."""
    process = subprocess.Popen(
        [*PROGRAM, ISSUER, f"http://localhost:{port}", f"127.0.0.1:{port}", *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(port, 10)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            requests.get(f"http://localhost:{port}/", timeout=2)
        except requests.ConnectionError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("the demo does not answer")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_and_has_said_nothing(number):
    """Issue 3, Build 9: SIGTERM and Ctrl-C end it in good order; the address of a callback, with its code, is in no log."""
    port = free_port()
    with running(port) as process:
        requests.get(f"http://localhost:{port}/callback?code=planted-code&state=x", timeout=5)
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
        assert time.monotonic() - begun < 15
        assert process.communicate() == (b"", b"")


def test_it_ends_with_its_parent():
    """Issue 3, Build 9: when the server that started it is killed, it does not stay behind on its port."""
    port = free_port()
    shell = f'"{PROGRAM[0]}" "{PROGRAM[1]}" {ISSUER} http://localhost:{port} 127.0.0.1:{port} $$ & wait'
    parent = subprocess.Popen(["/bin/sh", "-c", shell], cwd=ROOT)
    try:
        wait_for(port, 10)
    finally:
        parent.kill()
        parent.wait()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            requests.get(f"http://localhost:{port}/", timeout=1)
        except requests.RequestException:
            return
        time.sleep(0.1)
    pytest.fail("the demo outlived its parent")


def test_a_port_in_use_is_one_sentence():
    """Interfaces §2: errors are one sentence that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*PROGRAM, ISSUER, HOME, f"127.0.0.1:{port}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert ended.returncode == 1
    assert (
        ended.stderr
        == f"The demo cannot listen on 127.0.0.1:{port}: something else listens there; give another address with --listen HOST:PORT.\n"
    )


@pytest.mark.parametrize("listen", ["8001", "localhost:", "localhost:port", "localhost:70000", ":8001"])
def test_what_is_no_address_is_one_sentence(listen):
    """Interfaces §2: an address without host or port is refused by name."""
    ended = subprocess.run(
        [*PROGRAM, ISSUER, HOME, listen], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{listen} is no address to listen on;")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8001",
        "ftp://x",
        "http://",
        "http://x:port",
        "http://x:70000",
        "http://u@x",
        "http://x?y",
        "http://x y",
    ],
)
def test_what_is_no_web_address_is_one_sentence(url):
    """OpenID Connect Discovery §3: an issuer is a URL with a host and without query; so is where the application lives."""
    for issuer, base_url in ((url, HOME), (ISSUER, url)):
        with pytest.raises(SettingError, match=r"cannot be the (issuer|address of the application); give http"):
            create_app(issuer, "demo-rp", "", base_url)


def test_a_silent_connection_holds_nobody_up():
    """Issue 3, Build 9: a thread a request, so a connection that says nothing does not keep others waiting."""
    port = free_port()
    with running(port), socket.create_connection(("127.0.0.1", port)):
        begun = time.monotonic()
        assert requests.get(f"http://localhost:{port}/", timeout=5).ok
        assert time.monotonic() - begun < 15
