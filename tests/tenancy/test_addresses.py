"""Where a tenant answers: at its issuer and nowhere else, whatever path or host is tried (security rule 6, interfaces §4)."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest
from serving import FEED_SECONDS, Served, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.tenancy.tenant import Tenant

DISCOVERY = "/.well-known/openid-configuration"


class Street:
    """A served installation with tenants `a` and `b` by path and `own` at a domain of its own."""

    def __init__(self, served: Served, **domains: str | None) -> None:
        self.served = served
        self.tenants = {slug: served.tenant(slug, domain) for slug, domain in domains.items()}

    def raw(
        self, target: str, *lines: str, host: str | None = "", method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """A request written byte by byte: nothing normalises its target."""
        head = [
            f"{method} {target} HTTP/1.1",
            *([f"Host: {host or self.public}"] if host is not None else []),
            *lines,
            "Connection: close",
        ]
        with socket.create_connection(("127.0.0.1", self.served.port), timeout=10) as line:
            line.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
            answer = b"".join(iter(lambda: line.recv(65536), b""))
        top, _, body = answer.partition(b"\r\n\r\n")
        status, *fields = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return int(status.split()[1]), headers, body

    @property
    def public(self) -> str:
        return f"localhost:{self.served.port}"

    def issuer_at(self, target: str, *lines: str, host: str | None = "") -> str | int:
        """Whose discovery document an address shows, or its status."""
        status, _, body = self.raw(target, *lines, host=host)
        return str(json.loads(body)["issuer"]) if status == 200 and b'"token_endpoint"' in body else status


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """No proxy is trusted."""
    with Served(tmp_path_factory.mktemp("street")) as served:
        made = Street(served, a=None, b=None, own=f"own.localhost:{served.port}")
        assert made.issuer_at(f"/t/a{DISCOVERY}") == f"http://{made.public}/t/a"
        yield made


@pytest.fixture(scope="module")
def avenue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """Behind a trusted proxy that ends TLS, with a domain under which tenants have hosts of their own."""
    environ = {"IDP_TRUSTED_PROXIES": "127.0.0.1", "IDP_TENANT_DOMAIN": "id.example.test"}
    with Served(tmp_path_factory.mktemp("avenue"), **environ) as served:
        yield Street(served, x=None, y=None, own="login.example.org")


TLS = "X-Forwarded-Proto: https"


# -- paths ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/t/a/../b" + DISCOVERY,
        "/t/a/%2e%2e/b" + DISCOVERY,
        "/t/a/%2E%2E/b" + DISCOVERY,
        "/t/a/..%2fb" + DISCOVERY,
        "/t/a/.%2e/b" + DISCOVERY,
        "/t/a/./../b" + DISCOVERY,
        "/t/a/%252e%252e/b" + DISCOVERY,
        "/t/b/../a" + DISCOVERY,
        "//t/a" + DISCOVERY,
        "/t//a" + DISCOVERY,
        "/t/a/" + DISCOVERY,
        "/./t/a" + DISCOVERY,
        "/t/./a" + DISCOVERY,
        "/T/a" + DISCOVERY,
        "/t/A" + DISCOVERY,
        "/t/a" + DISCOVERY + "/",
        "/t/a" + DISCOVERY.upper(),
        "/t/a" + DISCOVERY + "%00",
        "/t/a%00b" + DISCOVERY,
        "/t/a;b" + DISCOVERY,
        "/t/a" + DISCOVERY + ";a=b",
        "/t/a\\" + DISCOVERY,
        "/t/a%5c..%5cb" + DISCOVERY,
        "/t/a%20" + DISCOVERY,
        "/t/a." + DISCOVERY,
        "/t/\uff41".encode().decode("latin-1") + DISCOVERY,
        "/t/a" + DISCOVERY + "%",
        "/t/a" + DISCOVERY + "%zz",
        "/t/%ff" + DISCOVERY,
        "/t" + DISCOVERY,
        "/t/" + DISCOVERY,
        DISCOVERY,
        "/t/own" + DISCOVERY,
        "/t/system-" + DISCOVERY,
        "/t/a/jwks/..%2f..%2fb%2fjwks",
    ],
)
def test_a_path_that_is_not_the_issuer_s_is_nothing(street: Street, path: str) -> None:
    """Security rule 6: no spelling of a path leads to a tenant but its own; dots, doubled and encoded slashes are not folded."""
    status, _, body = street.raw(path)
    assert status in (400, 404), (status, body[:200])
    assert b'"issuer"' not in body


def test_a_letter_may_be_written_encoded(street: Street) -> None:
    """RFC 3986 §2.3: an encoded character is the same address (a slash too, as WSGI decodes it); the tenant is the path's own."""
    for path in (
        f"/t/%61{DISCOVERY}",
        "/t/a%2f.well-known%2Fopenid-configuration",
        "/%74/a/.well-known/openid%2dconfiguration",
    ):
        assert street.issuer_at(path) == f"http://{street.public}/t/a"


def test_the_inserted_well_known_is_the_same_tenant(street: Street) -> None:
    """RFC 8414 §3.1: the well-known part before the issuer's path names the tenant of that path, and no trick changes it."""
    inserted = "/.well-known/oauth-authorization-server/t/"
    assert street.issuer_at(inserted + "a") == f"http://{street.public}/t/a"
    for rest in ("a/../b", "a/jwks", "A", "own", "a%2f..%2fb", "", "a/"):
        assert street.issuer_at(inserted + rest) in (400, 404), rest


# -- hosts ------------------------------------------------------------------------------------------------------------------


def test_a_tenant_answers_at_its_own_domain_only(street: Street) -> None:
    """Interfaces §4: exactly one issuer; at the tenant's other address protocol endpoints are 404."""
    own = street.tenants["own"]
    assert own.issuer == f"https://own.localhost:{street.served.port}"
    assert street.issuer_at(DISCOVERY, host=f"own.localhost:{street.served.port}") == own.issuer
    for path in (
        DISCOVERY,
        "/jwks",
        "/authorize",
        "/userinfo",
        "/logout",
        "/login",
        "/.well-known/oauth-authorization-server",
    ):
        assert street.raw(f"/t/own{path}")[0] == 404, path
    for path in ("/token", "/introspect", "/revoke"):
        assert street.raw(f"/t/own{path}", "Content-Length: 0", method="POST")[0] == 404, path
    assert street.raw(f"/t/a{DISCOVERY}", host=f"own.localhost:{street.served.port}")[0] == 404


def test_the_public_address_names_the_issuer(street: Street) -> None:
    """Interfaces §4: ``GET {public}/t/{slug}`` as JSON names the issuer, wherever that is."""
    for slug, tenant in street.tenants.items():
        status, headers, body = street.raw(f"/t/{slug}", "Accept: application/json")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body) == {"issuer": tenant.issuer, "name": tenant.name, "slug": slug}
    assert street.raw("/t/nobody", "Accept: application/json")[0] == 404


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("LOCALHOST:{port}", "a"),
        ("localhost:{port}.", 400),
        ("localhost.:{port}", 400),
        ("localhost:{port}, evil.example", 400),
        ("localhost", 404),
        ("localhost:1", 404),
        ("127.0.0.1:{port}", 404),
        ("evil.example", 400),
        ("localhost:{port}@evil.example", 400),
        ("localhost:{port}/t/b", 400),
        ("a.localhost:{port}", 404),
        ("", 400),
        (None, 400),
    ],
)
def test_the_host_decides_strictly(street: Street, host: str | None, found: str | int) -> None:
    """Security rule 6: one configured host, in any case of letters; every other is refused or has nothing."""
    expected = found if isinstance(found, int) else f"http://{street.public}/t/{found}"
    given = host.format(port=street.served.port) if host else host
    if given == "":
        assert street.raw(f"/t/a{DISCOVERY}", "Host:", host=None)[0] == expected
    else:
        assert street.issuer_at(f"/t/a{DISCOVERY}", host=given) == expected


def test_two_hosts_are_none(street: Street) -> None:
    """RFC 9112 §3.2: a second Host line, or a target that names another host, is refused."""
    assert street.raw(f"/t/a{DISCOVERY}", f"Host: {street.public}")[0] == 400
    assert street.raw(f"http://evil.example/t/a{DISCOVERY}")[0] == 400


def test_forwarded_headers_of_strangers_count_nothing(street: Street) -> None:
    """Security rule 6: X-Forwarded-Host and its kin choose no tenant unless the proxy is trusted."""
    own = f"own.localhost:{street.served.port}"
    for name in (
        "X-Forwarded-Host",
        "X-Host",
        "X-Forwarded-Server",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Prefix",
        "Forwarded",
    ):
        value = {
            "Forwarded": f"host={own};proto=https",
            "X-Forwarded-Prefix": "/t/b",
            "X-Original-URL": "/t/b/jwks",
            "X-Rewrite-URL": "/t/b/jwks",
        }.get(name, own)
        assert street.issuer_at(f"/t/a{DISCOVERY}", f"{name}: {value}") == f"http://{street.public}/t/a", name
        assert street.raw(DISCOVERY, f"{name}: {value}")[0] == 404, name


# -- behind a proxy: hosts below the tenant domain ---------------------------------------------------------------------------


def test_a_host_below_the_tenant_domain(avenue: Street) -> None:
    """Interfaces §4: a tenant without a domain of its own is issued at ``{slug}.{IDP_TENANT_DOMAIN}`` and answers there."""
    assert avenue.tenants["x"].issuer == "https://x.id.example.test"
    for slug in ("x", "y"):
        assert avenue.issuer_at(DISCOVERY, TLS, host=f"{slug}.id.example.test") == f"https://{slug}.id.example.test"
    assert (
        avenue.issuer_at(DISCOVERY, TLS, "X-Forwarded-Host: y.id.example.test", host="internal")
        == "https://y.id.example.test"
    )
    assert avenue.issuer_at(DISCOVERY, TLS, host="login.example.org") == "https://login.example.org"


@pytest.mark.parametrize(
    "host",
    [
        "id.example.test",
        "x.y.id.example.test",
        "xid.example.test",
        "x.id.example.test.evil.example",
        "own.id.example.test",
        "nobody.id.example.test",
        "x.id.example.test:8443",
        "x%2eid.example.test",
        ".id.example.test",
    ],
)
def test_other_hosts_have_nothing(avenue: Street, host: str) -> None:
    """Interfaces §4: neither the bare domain, nor deeper names, nor look-alikes; nor the subdomain of a tenant with its own."""
    assert avenue.issuer_at(DISCOVERY, TLS, host=host) in (400, 404)


def test_the_path_of_a_tenant_with_a_host_is_a_signpost(avenue: Street) -> None:
    """Interfaces §4: ``/t/x`` names the issuer, and is no second address of it."""
    status, _, body = avenue.raw("/t/x", "Accept: application/json", TLS, host=avenue.public)
    assert status in (200, 404)
    for slug in ("x", "own"):
        assert avenue.raw(f"/t/{slug}{DISCOVERY}", TLS, host=avenue.public)[0] == 404
        assert avenue.raw(f"/t/{slug}/token", TLS, "Content-Length: 0", host=avenue.public, method="POST")[0] == 404
    if status == 200:
        assert json.loads(body)["issuer"] == "https://x.id.example.test"


# -- suspend, resume, delete: on every worker within a second ----------------------------------------------------------------


def statuses(street: Street, tenant: Tenant) -> set[int]:
    """What ten connections, over both workers, get from the tenant."""
    found = set()
    for _ in range(10):
        for path, method, line in (
            (DISCOVERY, "GET", ""),
            ("/jwks", "GET", ""),
            ("/token", "POST", "Content-Length: 0"),
            ("/authorize", "GET", ""),
        ):
            found.add(street.raw(tenant.base_path + path, *([line] if line else []), method=method)[0])
    return found


def test_a_suspended_tenant_is_gone_everywhere_within_a_second(street: Street) -> None:
    """Architecture §4, issue 3: 404 at every endpoint on every worker within a second; back after resuming; neighbours stay."""
    provisioning = street.served.house.installation.provisioning
    tenant = street.served.tenant("shaky")
    rp = street.served.client(tenant)
    answer = rp.post("/token", {"grant_type": "client_credentials"})
    assert answer.status == 200
    assert statuses(street, tenant) == {200, 400}
    provisioning.suspend(tenant)
    time.sleep(FEED_SECONDS)
    assert statuses(street, tenant) == {404}
    assert rp.post("/introspect", {"token": answer.json["access_token"]}).status == 404
    assert street.issuer_at(f"/t/a{DISCOVERY}") == f"http://{street.public}/t/a"
    provisioning.resume(tenant)
    eventually(lambda: statuses(street, tenant) == {200, 400}, FEED_SECONDS)
    assert rp.introspect(answer.json["access_token"])["active"] is True
    provisioning.delete(tenant)
    time.sleep(FEED_SECONDS)
    assert statuses(street, tenant) == {404}
    assert street.issuer_at(f"/t/b{DISCOVERY}") == f"http://{street.public}/t/b"


def test_a_disabled_client_is_refused_everywhere_within_a_second(street: Street) -> None:
    """Architecture §4: the change feed tells each worker; afterwards a connection to any of them is refused."""
    from idp.store.tenant import clients

    served, tenant = street.served, street.tenants["a"]
    rp = served.client(tenant, "fading")

    def asked() -> set[int]:
        wires = [served.wire() for _ in range(12)]
        found = {
            served.post(tenant, "/token", {"grant_type": "client_credentials"}, headers=rp.auth, wire=wire).status
            for wire in wires
        }
        assert len({served.worker_of(wire) for wire in wires}) == 2
        return found

    assert asked() == {200}
    with served.house.installation.feed.announced(tenant.id, "client", "fading"):
        served.house.database(tenant).writing(lambda conn: clients.change(conn, "fading", state="disabled"))
    time.sleep(FEED_SECONDS)
    assert asked() == {401}
