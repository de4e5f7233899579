"""What a tenant's brand says on every page, and the page that tries it (Issue 5, part 8; WCAG 2.2; Security "Browser rules")."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from house import Browser, House

from idp.access.bindings import Bindings, Wanted
from idp.access.granting import Granter
from idp.access.groups import Groups
from idp.errors import Invalid
from idp.identity.accounts import By
from idp.tenancy import settings
from idp.web.branding import contrast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.tenancy.tenant import Tenant

LINKS = {
    "support_url": "https://acme.example/help",
    "privacy_url": "https://acme.example/p",
    "imprint_url": "https://acme.example/i",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation."""
    made = House(tmp_path_factory.mktemp("branding") / "var")
    yield made
    made.close()


@pytest.fixture(scope="module")
def acme(house: House) -> Tenant:
    """A tenant with an administrator and a person."""
    tenant = house.tenant("acme", **LINKS, welcome_text="Use <your> institute's account.")
    house.user(tenant, "root@example.com", roles=["tenant-admin"])
    house.client(tenant)
    return tenant


def signed_in(house: House, tenant: Tenant, username: str) -> Browser:
    """A browser after a sign-in at the tenant's own page."""
    browser = house.browser(tenant)
    page = browser.follow(browser.get(f"{tenant.base_path}/sign-in"))
    browser.follow(browser.submit(page, username=username, password="correct horse battery staple"))
    return browser


def test_links_stand_on_every_page_and_the_welcome_at_the_sign_in(house: House, acme: Tenant) -> None:
    """Issue 5: help, privacy and imprint on sign-in, restart and start page; the tenant's text is text."""
    browser = house.browser(acme)
    for path in ("/sign-in", "/", "/login?interaction=1"):
        page = browser.follow(browser.get(acme.base_path + path))
        for url in LINKS.values():
            assert f'href="{url}"' in page.text, path
    login = browser.follow(browser.get(f"{acme.base_path}/sign-in")).text
    assert "Use &lt;your&gt; institute&#39;s account." in login


@pytest.mark.parametrize("name", [*settings.IMAGES, *settings.LINKS])
@pytest.mark.parametrize(
    "text",
    [
        "http://acme.example/x",
        "//acme.example/x",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "https://",
        "https://user@acme.example/",
        "https://acme.example/x;y",
        "https://acme.example/ü",
        'https://acme.example/"',
        "https://acme.example:99999/",
        "https://[x/",
        "/brand/logo",
        "/brand/../x?v=0123456789abcdef",
        "/evil?v=0123456789abcdef",
        "https://acme.example/" + "x" * 1000,
    ],
)
def test_an_address_that_cannot_be_shown_is_refused(name: str, text: str) -> None:
    """ASVS 1.3.6: https alone, nothing that ends a directive of a policy; one sentence that names the setting."""
    with pytest.raises(Invalid, match=name):
        settings.parse({name: text}, {})


@pytest.mark.parametrize("text", ["x" * 301, "one\ntwo", "a\x00b", "a\x1b[31m", "a\u202eb"])
def test_a_welcome_text_is_one_line(text: str) -> None:
    """Issue 5: plain text of at most 300 characters, nothing invisible that turns it round."""
    with pytest.raises(Invalid, match="welcome_text"):
        settings.parse({"welcome_text": text}, {})
    assert settings.parse({"welcome_text": "ü" * 300}, {})["welcome_text"] == "ü" * 300


@pytest.mark.parametrize("name", ["colour_primary", "colour_background"])
def test_colours_are_colours(name: str) -> None:
    """Security "Browser rules": six hexadecimal digits, or a sentence."""
    assert settings.parse({name: "#ABCDEF"}, {})[name] == "#abcdef"
    with pytest.raises(Invalid, match=name):
        settings.parse({name: "red"}, {})


# -- the preview ----------------------------------------------------------------------------------------------------------


def test_the_preview_is_for_administrators(house: House, acme: Tenant) -> None:
    """Issue 5: nobody, and somebody without the role, gets what a page that does not exist gets."""
    for browser in (house.browser(acme), signed_in(house, acme, "ada@example.com")):
        for path in ("/brand/preview", "/brand/preview.css", "/brand/preview?colour_primary=%23123456"):
            answer = browser.get(acme.base_path + path)
            assert answer.status == 404, path
            assert "Preview" not in answer.text
    assert signed_in(house, acme, "root@example.com").get(f"{acme.base_path}/brand/preview").status == 200


def test_the_preview_draws_what_is_tried_and_stores_nothing(house: House, acme: Tenant) -> None:
    """Issue 5: colours and texts of the query, with the advice about their contrast, readable all the same; the settings stay."""
    browser = signed_in(house, acme, "root@example.com")
    tried = {"colour_primary": "#ffd400", "colour_background": "#102030", "welcome_text": "Hello <you>"}
    page = browser.get(f"{acme.base_path}/brand/preview?{urlencode(tried)}")
    assert "The primary colour #ffd400 has a contrast of" in page.text
    assert "Hello &lt;you&gt;" in page.text
    sheet = page.text.partition("/brand/preview.css?")[2].partition('"')[0].replace("&amp;", "&")
    css = browser.get(f"{acme.base_path}/brand/preview.css?{sheet}")
    assert css.header("content-type") == "text/css; charset=utf-8"
    assert css.header("cache-control") == "private, no-store"
    assert "--page: #102030;" in css.text
    assert "--brand: #ffd400;" in css.text
    link = css.text.partition("--brand-text: ")[2][:7]
    assert contrast(link, "#f5f6f8") >= 4.5
    again = browser.get(f"{acme.base_path}/brand/preview")
    assert "Hello" not in again.text
    assert "#ffd400" not in again.text


@pytest.mark.parametrize(
    "tried",
    [
        {"colour_primary": "red"},
        {"colour_background": "#12345;}*{"},
        {"welcome_text": "x" * 301},
        {"support_url": "javascript:alert(1)"},
        {"privacy_url": '"><script>alert(1)</script>'},
    ],
    ids=lambda tried: next(iter(tried)),
)
def test_what_cannot_be_is_said_and_not_drawn(house: House, acme: Tenant, tried: dict[str, str]) -> None:
    """WCAG 2.2 §3.3.1, §3.3.3: the field says what is wrong with it, what was typed stays, the samples keep the stored value."""
    browser = signed_in(house, acme, "root@example.com")
    page = browser.get(f"{acme.base_path}/brand/preview?{urlencode(tried)}")
    ((name, value),) = tried.items()
    assert page.status == 200
    assert f'id="{name}-error"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "<script>alert" not in page.text
    assert f'href="{value}"' not in page.text
    css = browser.get(f"{acme.base_path}/brand/preview.css?{urlencode(tried)}")
    assert value not in css.text


def test_the_preview_shows_a_mail_as_it_is_sent(house: House, acme: Tenant) -> None:
    """Issue 5: the mail is the renderer's own, in the colours that are tried, in a frame that runs nothing, loads nothing and is nobody's."""
    browser = signed_in(house, acme, "root@example.com")
    page = browser.get(
        f"{acme.base_path}/brand/preview?{urlencode({'colour_primary': '#7b1fa2'})}", {"accept-language": "de"}
    )
    assert "frame-src 'self'" in (page.header("content-security-policy") or "")
    address = page.text.partition('<iframe class="sample-mail" src="')[2].partition('"')[0].replace("&amp;", "&")
    assert 'title="Wählen Sie ein neues Passwort für' in page.text.partition("<iframe")[2]
    mail = browser.get(address, {"accept-language": "de"})
    assert mail.status == 200
    assert "background-color:#7b1fa2" in mail.text
    assert f"{acme.issuer}/recovery?token=sample" in mail.text
    assert "Wählen Sie ein neues Passwort für" in mail.text
    policy = mail.header("content-security-policy") or ""
    assert "sandbox" in policy.split("; ")
    assert "default-src 'none'" in policy
    assert mail.header("cache-control") == "private, no-store"
    for other in (house.browser(acme), signed_in(house, acme, "ada@example.com")):
        assert other.get(address).status == 404


def test_what_the_preview_says_is_in_the_persons_language(house: House, acme: Tenant) -> None:
    """Issue 5, part 6: the advice about the colours, and what cannot be, in German; a number as German writes it."""
    browser = signed_in(house, acme, "root@example.com")
    tried = {"colour_primary": "#ffd400", "welcome_text": "x" * 301, "support_url": "x"}
    text = browser.get(f"{acme.base_path}/brand/preview?{urlencode(tried)}", {"accept-language": "de"}).text
    for words in ("hat zur Seite einen Kontrast von 1,3", "höchstens 300 Zeichen", "die mit https:// beginnt"):
        assert words in text
    assert "must be" not in text


def test_s095_another_sites_link_tries_nothing(house: House, acme: Tenant) -> None:
    """S095: an administrator who follows a link finds the page without the words that the link would have put there."""
    browser = signed_in(house, acme, "root@example.com")
    address = f"{acme.base_path}/brand/preview?{urlencode({'welcome_text': 'Call 0800 1234 now'})}"
    for site, is_shown in (("cross-site", False), ("same-site", False), ("same-origin", True), ("none", True)):
        assert ("0800" in browser.get(address, {"sec-fetch-site": site}).text) is is_shown, site


# -- the start page -------------------------------------------------------------------------------------------------------


def test_the_start_page_lists_reviewed_applications(house: House, acme: Tenant) -> None:
    """OIDC Core §4: the applications that can be opened, by name and with their logos; those nobody reviewed are not on it."""
    house.client(
        acme,
        "photos",
        client_name="Photo <Frame>",
        initiate_login_uri="https://photos.example/login",
        logo_uri="https://cdn.photos.example/logo.png",
    )
    page = house.browser(acme).get(f"{acme.base_path}/")
    assert "Photo &lt;Frame&gt;" in page.text
    assert f"{acme.issuer}/start?client_id=photos" in page.text
    assert "https://cdn.photos.example" in (page.header("content-security-policy") or "")
    assert 'id="sign-in"' in page.text


def test_the_start_page_says_who_is_signed_in(house: House, acme: Tenant) -> None:
    """Issue 5: name and address, the ways to another account and out; a program still gets its JSON."""
    browser = signed_in(house, acme, "ada@example.com")
    page = browser.get(f"{acme.base_path}/")
    for words in ("You are signed in", "Ada Lovelace", "ada@example.com", "/accounts", "/logout"):
        assert words in page.text
    answer = house.get(acme, "/", headers={"accept": "application/json"})
    assert answer.json == {"issuer": acme.issuer, "name": acme.name, "slug": "acme"}
    assert answer.header("access-control-allow-origin") == "*", "scripts on any page may ask who the issuer is"


def test_an_address_of_the_tenant_with_nothing_at_it(house: House, acme: Tenant) -> None:
    """Issue 5: the tenant's look, links and languages there too, and the way to its start page; a program gets a problem document."""
    page = house.browser(acme).get(f"{acme.base_path}/no-such-page", {"accept-language": "de"})
    assert page.status == 404
    for words in (*LINKS.values(), acme.name, f'href="{acme.base_path}/"', "Zur Startseite", 'class="languages"'):
        assert words in page.text, words
    assert page.header("cache-control") == "no-store"
    document = house.get(acme, "/no-such-page")
    assert (document.status, document.header("content-type")) == (404, "application/problem+json")
    platform = house.browser(acme).get("/t/no-such-tenant/x")
    assert platform.status == 404
    assert 'href="/"' in platform.text
    assert acme.name not in platform.text


def test_the_preview_is_for_who_holds_the_permission(house: House, acme: Tenant) -> None:
    """Issue 6 (RBAC): by a group or an auditor's role as well as an administrator's, and no longer than the role is held."""
    database, shell = house.database(acme), Granter(By("operator"))
    user = house.user(acme, "designer@example.com")
    browser = signed_in(house, acme, "designer@example.com")
    preview = f"{acme.base_path}/brand/preview"
    assert browser.get(preview).status == 404
    group = Groups(database).create("Designers", granter=shell)
    Groups(database).add(group.id, [user], granter=shell)
    binding = Bindings(database).create(Wanted("group", group.id, "auditor"), granter=shell)
    assert browser.get(preview).status == 200
    Bindings(database).change(binding.id, given={"networks": ["192.0.2.0/24"]}, granter=shell)
    assert browser.get(preview).status == 404, "the person sits elsewhere"
    Bindings(database).change(binding.id, given={"networks": ["127.0.0.0/8"]}, granter=shell)
    assert browser.get(preview).status == 200
    Groups(database).remove(group.id, user, granter=shell)
    assert browser.get(preview).status == 404
