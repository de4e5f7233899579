"""Which host names are domains, in which form; and the setting that says which name servers are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from idp.errors import Invalid
from idp.settings import SettingError, Settings
from idp.tenancy import domain_names

if TYPE_CHECKING:
    from api_world import World

# -- which names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("Login.ACME.example", "login.acme.example"),
        ("acme.example.", "acme.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("日本語。jp", "xn--wgv71a119e.jp"),
        ("bbc.co.uk", "bbc.co.uk"),
        ("de.com", "de.com"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_names_in_their_one_form(shared: World, typed: str, host: str) -> None:
    """RFC 5891, UTS 46: whatever people type for a name is one name, shown in its own letters again."""
    made = shared.uflow("POST", "/domains", {"domain": typed})
    assert made.status == 201, made.text
    assert made.json["domain"] == host
    assert domain_names.checked(shared.house.settings, made.json["display_name"]) == host


@pytest.mark.parametrize(
    "typed",
    [
        "localhost", "acme", "com", "192.0.2.1", "[2001:db8::1]", "2001:db8::1", "1.2.3", "a.b.localhost", "printer.local",
        "x.onion", "1.0.0.127.in-addr.arpa", "co.uk", "com.au", "ac.jp", "org.za", "acme.example:8443", "https://acme.example",
        "*.acme.example", "_dmarc.acme.example", "acme..example", ".acme.example", "-a.example", "a-.example", "a b.example",
        "a" * 64 + ".example", ".".join(["a" * 60] * 4), "acme.example/x", "ac\x00me.example", "\u202eacme.example", "☃\ufe0f..", "xn--a.example",
        "id.platform.example", "a.id.platform.example", "tenants.example", "acme.tenants.example", " ", "a@acme.example",
    ],
)  # fmt: skip
def test_names_that_are_nobodys_own(typed: str) -> None:
    """Issue 6: no addresses, single labels, registries' names, names outside the DNS, and none of the platform's own hosts."""
    settings = Settings.from_env(
        {"IDP_PUBLIC_URL": "https://id.platform.example", "IDP_TENANT_DOMAIN": "tenants.example"}
    )
    with pytest.raises(Invalid):
        domain_names.checked(settings, typed)


@pytest.mark.parametrize("typed", ["localhost", "192.0.2.1", "co.uk", "\u202eacme.example", "ac\x00me.example"])
def test_a_name_that_is_refused_is_pointed_at(shared: World, typed: str) -> None:
    """Interfaces §5 (422 field errors): the member and a sentence."""
    answer = shared.uflow("POST", "/domains", {"domain": typed})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "#/domain")


# -- the setting --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", (("192.0.2.1", 53),)),
        ("127.0.0.1:5353, 192.0.2.1", (("127.0.0.1", 5353), ("192.0.2.1", 53))),
        ("2001:db8::1", (("2001:db8::1", 53),)),
        ("[2001:db8::1]:5353", (("2001:db8::1", 5353),)),
        ("", ()),
    ],
)
def test_name_servers_of_the_settings(text: str, expected: Any) -> None:
    """Interfaces §3: `IDP_DNS_RESOLVERS`."""
    assert Settings.from_env({"IDP_DNS_RESOLVERS": text}).dns_resolvers == expected


@pytest.mark.parametrize("text", ["ns.example", "192.0.2.1:0x35", "192.0.2.1:70000", "[::1", "udp://192.0.2.1"])
def test_no_name_servers(text: str) -> None:
    """Interfaces §3: one sentence that names the variable."""
    with pytest.raises(SettingError, match="IDP_DNS_RESOLVERS"):
        Settings.from_env({"IDP_DNS_RESOLVERS": text})
