"""A world of its own for the guarded client, run inside network and mount namespaces: `python world.py FOLDER`.

In it there are a DNS server, an address that is public everywhere else, and TLS servers with certificates of a test root. Prints
one JSON object: what each fetch ended in. Nothing here reaches outside: the namespaces have no other network.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from certificates import Authority

from idp.outbound import FetchFailed, FetchRefused, Outbound
from idp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = "93.184.216.34"
INSIDE = "10.1.2.3"
asked: list[str] = []
# What the name server answers, the first question first; the last answer is repeated.
NAMES: dict[str, list[list[str]]] = {
    "good.example": [[PUBLIC]],
    "rebinds.example": [[PUBLIC], ["127.0.0.1"]],
    "inside.example": [[INSIDE]],
    "loopback.example": [["127.0.0.1"]],
    "metadata.example": [["169.254.169.254"]],
    "both.example": [[PUBLIC, "127.0.0.1"]],
    "wrong-name.example": [[PUBLIC]],
    "allowed.example": [["127.0.0.1"]],
    "nowhere.example": [[]],
}
GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 13\r\n\r\n{"good":true}'


def name_server() -> None:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 53))
    while True:
        question, sender = line.recvfrom(512)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += question[at] + 1
        name, kind = ".".join(labels), struct.unpack("!H", question[at + 1 : at + 3])[0]
        if name == "slow.example":
            continue
        found: list[str] = []
        if kind == 1:
            asked.append(name)
            answers = NAMES.get(name, [[]])
            found = answers.pop(0) if len(answers) > 1 else answers[0]
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address) for address in found
        )
        line.sendto(head + question[12 : at + 5] + records, sender)


def drips(line: Any, first: bytes) -> None:
    line.sendall(first)
    while True:
        time.sleep(0.2)
        line.sendall(b"x")


def endless(line: Any) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        line.sendall(b"a" * 65536)


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "/good": lambda line: line.sendall(GOOD),
    "/chunked": lambda line: line.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[1,2,3\r\n1\r\n]\r\n0\r\n\r\n"
    ),
    "/redirects": lambda line: line.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: https://loopback.example/good\r\nContent-Length: 0\r\n\r\n"
    ),
    "/slow-head": lambda line: drips(line, b"HTTP/1.1 200 OK\r\nX-A: "),
    "/slow-body": lambda line: drips(line, b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"),
    "/silent": lambda _line: time.sleep(60),
    "/endless": endless,
    "/declared": lambda line: line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n"),
    "/short": lambda line: line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
    "/zipped": lambda line: line.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    "/no-http": lambda line: line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 10),
    "/endless-head": lambda line: [
        line.sendall(b"HTTP/1.1 200 OK\r\n"),
        *(line.sendall(b"X: y\r\n" * 1000) for _ in range(1000)),
    ],
}


def tls_server(address: str, files: tuple[Path, Path], answer: Callable[[Any, str], Any]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, files))
    server = socket.create_server((address, 443), backlog=64)

    def serve(raw: socket.socket) -> None:
        try:
            with context.wrap_socket(raw, server_side=True) as line:
                request = line.recv(65536).decode("latin-1")
                if request.startswith("POST") and request.endswith("\r\n\r\n"):
                    request += line.recv(65536).decode("latin-1")
                answer(line, request)
        except OSError:
            pass

    def accept() -> None:
        while True:
            raw, _ = server.accept()
            threading.Thread(target=serve, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def main(folder: Path) -> None:
    for command in ("ip link set lo up", f"ip addr add {PUBLIC}/32 dev lo", f"ip addr add {INSIDE}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    for name in ("resolv.conf", "nsswitch.conf"):
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)
    threading.Thread(target=name_server, daemon=True).start()
    root = Authority(folder / "ca")
    names = [name for name in NAMES if name != "wrong-name.example"]
    reached: list[str] = []

    def public(line: Any, request: str) -> None:
        path = request.split(" ")[1]
        if path == "/echo":
            body = json.dumps(request).encode()
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            ANSWERS[path](line)

    def private(line: Any, _request: str) -> None:
        reached.append("private")
        line.sendall(GOOD)

    files = root.issue(*names)
    tls_server(PUBLIC, files, public)
    for address in ("127.0.0.1", INSIDE):
        tls_server(address, files, private)
    settings = Settings.from_env(
        {"IDP_DATA_DIR": str(folder), "IDP_CA_BUNDLE": str(root.file), "IDP_ALLOWED_PRIVATE_HOSTS": "allowed.example"}
    )
    outbound = Outbound(settings, seconds=2.0)
    found: dict[str, Any] = {}

    def fetch(name: str, url: str, **post: Any) -> None:
        began = time.monotonic()
        try:
            answer = outbound.post(url, **post) if post else outbound.get(url, accept="application/json")
            outcome = [answer.status, answer.media_type, answer.body.decode()]
        except FetchRefused as error:
            outcome = ["refused", str(error)]
        except FetchFailed as error:
            outcome = ["failed", str(error)]
        found[name] = {"outcome": outcome, "seconds": time.monotonic() - began}

    for path in ANSWERS:
        fetch(path, f"https://good.example{path}")
    fetch("echo", "https://good.example:443/echo", body=b"a=1", content_type="application/x-www-form-urlencoded")
    for name in NAMES:
        fetch(name, f"https://{name}/good")
    fetch("again", "https://rebinds.example/good")
    fetch("unknown", "https://unknown.example/")
    fetch("slow.example", "https://slow.example/")
    for url in (
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fec0::1]/",
        f"https://{INSIDE}/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0/",
        "https://localhost/",
        "http://good.example/good",
        "ftp://good.example/",
        "https://u:p@good.example/",
        "https://good.example:0/",
        "https:///good",
        "https://good.example\\@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://good.example/",
        "https://good.example/\r\nX: y",
        "https://" + "a" * 3000,
    ):
        fetch(url[:60], url)
    found["a private server was reached"] = {"outcome": reached, "seconds": 0}
    found["questions"] = {"outcome": [name for name in asked if name == "rebinds.example"], "seconds": 0}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
