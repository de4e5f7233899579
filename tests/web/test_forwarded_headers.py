"""Security.md §1.6, issue 3 §6: forwarded headers are believed from trusted proxies only; HTTPS is required."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import pytest

from idp.web.proxies import BadHost, normal_host, resolve, strip_port

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def ask(peer="10.0.0.1", scheme="http", host="id.example", trusted=TRUSTED, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return resolve(peer, scheme, host, given.get, trusted)


def test_untrusted_peer_is_not_believed():
    """S111: from anybody else every forwarded header is ignored."""
    forged = {"x_forwarded_for": "6.6.6.6", "x_forwarded_proto": "https", "x_forwarded_host": "evil.example"}
    assert ask(peer="203.0.113.9", **forged) == ("http", "id.example", "203.0.113.9")
    assert ask(trusted=(), **forged) == ("http", "id.example", "10.0.0.1")


def test_trusted_peer_is_believed():
    """Issue 3 §6: the proxy says scheme, host and client."""
    facts = ask(x_forwarded_for="203.0.113.9", x_forwarded_proto="https", x_forwarded_host="Acme.Example:443")
    assert facts == ("https", "acme.example", "203.0.113.9")


def test_client_cannot_prepend():
    """RFC 7239 §8.1: entries to the left of the first untrusted address are the client's own words."""
    facts = ask(
        x_forwarded_for="127.0.0.1, 6.6.6.6, 203.0.113.9",
        x_forwarded_proto="https, http",
        x_forwarded_host="evil.example, id.example",
    )
    assert facts == ("http", "id.example", "203.0.113.9")


def test_two_trusted_hops():
    """RFC 7239 §8.1: with two proxies of ours the outer one's word counts."""
    facts = ask(x_forwarded_for="6.6.6.6, 203.0.113.9, 10.0.0.2", x_forwarded_proto="http, https, http")
    assert facts == ("https", "id.example", "203.0.113.9")


@pytest.mark.parametrize(
    ("value", "remote"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", "10.0.0.1"),
        ("6.6.6.6, <script>", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("10.0.0.9", "10.0.0.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_shapes_of_an_address(value, remote):
    """RFC 7239 §6: with or without port; what is no address ends the walk at the last proven hop."""
    assert ask(x_forwarded_for=value)[2] == remote


@pytest.mark.parametrize(
    "headers", [{"x_forwarded_proto": "ftp"}, {"x_forwarded_host": "a b"}, {"x_forwarded_host": "a/b"}]
)
def test_malformed_word_of_a_proxy(headers):
    """RFC 9112 §3.2: a proxy that sends nonsense gets 400, not a guess."""
    with pytest.raises(BadHost):
        ask(**headers)


def test_ipv4_mapped_peer_is_trusted():
    """RFC 4291 §2.5.5.2: a dual-stack socket shows 10.0.0.1 as ::ffff:10.0.0.1."""
    assert ask(peer="::ffff:10.0.0.1", x_forwarded_for="203.0.113.9")[2] == "203.0.113.9"


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("ID.Example", "https", "id.example"),
        ("id.example:443", "https", "id.example"),
        ("id.example:443", "http", "id.example:443"),
        ("localhost:80", "http", "localhost"),
        ("[::1]:8000", "http", "[::1]:8000"),
        ("a_b.example", "https", "a_b.example"),
        ("id.example.", "https", None),
        ("[::1", "https", None),
        ("1:2:3", "https", None),
        ("id.example:0443x", "https", None),
        ("id.example@evil", "https", None),
        ("ıd.example", "https", None),
        ("a" * 254 + ".example", "https", None),
    ],
)
def test_normal_host(host, scheme, expected):
    """RFC 3986 §3.2.2, §6.2.2.1: hosts compare in lower case without the default port."""
    assert normal_host(host, scheme) == expected


def test_strip_port():
    """RFC 3986 §3.2: peers come with ports, IPv6 in brackets."""
    assert [strip_port(text) for text in ("1.2.3.4:5", "1.2.3.4", "[::1]:5", "::1")] == [
        "1.2.3.4",
        "1.2.3.4",
        "::1",
        "::1",
    ]


FORGED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "acme.example"}


def test_server_ignores_them_from_an_untrusted_peer(server):
    """Security.md §1.6: without IDP_TRUSTED_PROXIES nothing forwarded is believed, at both doors."""
    for path in ("/inline", "/page"):
        facts = httpx.get(server.url + path, headers=FORGED).json()
        facts = facts.get("request", facts)
        assert (facts["scheme"], facts["host"], facts["remote_addr"]) == (
            "http",
            f"localhost:{server.port}",
            "127.0.0.1",
        )


@pytest.fixture(scope="module")
def production(serve):
    return serve(IDP_ENV="production", IDP_PUBLIC_URL="https://id.example", IDP_TRUSTED_PROXIES="127.0.0.0/8")


def test_server_believes_its_proxy(production):
    """Issue 3 §6: behind the proxy the request is HTTPS for the forwarded host, and carries HSTS (RFC 6797 §7.1)."""
    for path in ("/inline", "/page"):
        answer = httpx.get(production.url + path, headers=FORGED)
        facts = answer.json().get("request", answer.json())
        assert (facts["scheme"], facts["host"], facts["remote_addr"]) == ("https", "acme.example", "203.0.113.9")
        assert "includeSubDomains" in answer.headers["strict-transport-security"]


def test_https_is_required_in_production(production):
    """Interfaces §3: plain HTTP is 400 `https_required`, also on a loopback host, never a redirect; health answers."""
    for host in ("localhost", "id.example", "127.0.0.1"):
        answer = httpx.get(production.url + "/inline", headers={"Host": host, "X-Forwarded-Proto": "http"})
        assert (answer.status_code, answer.json()["code"]) == (400, "https_required")
        assert "location" not in answer.headers
    assert httpx.get(production.url + "/health/live").status_code == 200
    assert httpx.get(production.url + "/health/ready").status_code == 200


def test_https_is_required_outside_loopback(server):
    """Interfaces §3: in development only loopback hosts may use plain HTTP."""
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("acme.localhost", 200),
        ("id.example", 400),
        ("evil-localhost", 400),
    ):
        assert httpx.get(server.url + "/inline", headers={"Host": host}).status_code == status, host
