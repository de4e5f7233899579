"""A name server on loopback, over UDP and TCP: says what a test has put there, and misbehaves where it is told to."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Sequence


class NameServer:
    """Zones by name: `txt` has strings (a record may have several), `cname` leads elsewhere, `trouble` is how a name misbehaves.

    Trouble is `silent`, `garbage`, `wrong id`, or the name of a response code such as SERVFAIL.
    """

    def __init__(self) -> None:
        self.txt: dict[str, list[Sequence[str]]] = {}
        self.cname: dict[str, str] = {}
        self.trouble: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []  # how, and what
        self._udp, self._tcp = _servers(self)
        self.port: int = self._udp.server_address[1]
        for server in (self._udp, self._tcp):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def setting(self) -> str:
        """What IDP_DNS_RESOLVERS is."""
        return f"127.0.0.1:{self.port}"

    def clear(self) -> None:
        """Forget every record."""
        for each in (self.txt, self.cname, self.trouble, self.asked):
            each.clear()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Answer no more."""
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()

    def answer(self, wire: bytes, how: str) -> bytes | None:
        """Return the answer to a question, None for silence."""
        question = dns.message.from_wire(wire)
        name = question.question[0].name.to_text().rstrip(".").lower()
        self.asked.append((how, name))
        trouble = self.trouble.get(name)
        if trouble == "silent":
            return None
        if trouble == "garbage":
            return wire[:2] + b"\xff" * 30
        made = dns.message.make_response(question, recursion_available=True)
        if trouble == "wrong id":
            made.id ^= 1
        elif trouble is not None:
            made.set_rcode(dns.rcode.from_text(trouble))
            return made.to_wire()
        for _ in range(20):
            if name not in self.cname:
                break
            made.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{self.cname[name]}."))
            name = self.cname[name]
        if name not in self.txt:
            made.set_rcode(dns.rcode.NXDOMAIN)
        elif self.txt[name]:
            texts = [" ".join(f'"{part}"' for part in record) for record in self.txt[name]]
            made.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", *texts))
        whole = made.to_wire(max_size=65_535)
        if how == "udp" and len(whole) > max(512, question.payload):
            # RFC 2181 §9: what does not fit is said to be cut, and asked for again by TCP.
            made.answer.clear()
            made.flags |= dns.flags.TC
            return made.to_wire()
        return whole


def _servers(owner: NameServer) -> tuple[Any, Any]:
    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, line = self.request
            found = owner.answer(data, "udp")
            if found is not None:
                line.sendto(found, self.client_address)

    class Stream(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            line: socket.socket = self.request
            length = int.from_bytes(line.recv(2, socket.MSG_WAITALL), "big")
            found = owner.answer(line.recv(length, socket.MSG_WAITALL), "tcp")
            if found is not None:
                line.sendall(len(found).to_bytes(2, "big") + found)

    while True:
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream)
        try:
            udp = socketserver.ThreadingUDPServer(("127.0.0.1", tcp.server_address[1]), Datagram)
        except OSError:  # somebody has the number for datagrams
            tcp.server_close()
            continue
        udp.daemon_threads = tcp.daemon_threads = True
        return udp, tcp
