"""Languages in a whole sign-in: who asks for which, the tenant's own texts, and nothing left in English on the way."""

from __future__ import annotations

import html
import re
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from flow_world import BASE, HANDLERS, Browser
from house import PASSWORD
from pseudo_language import PSEUDO, bare, offered

from idp import language
from idp.app import Router
from idp.clock import now
from idp.errors import IdpError, Invalid, NotFound
from idp.flow import texts
from idp.identity import accounts
from idp.identity.accounts import By
from idp.installation import Installation

if TYPE_CHECKING:
    from flow_world import EchoServer, Page
    from house import Answer, House

    from idp.tenancy.tenant import Tenant

BY = By("operator")
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
VERIFIER = "v" * 43


def german(answer: Answer) -> str:
    """The text of an answer that says that it is German, and on what that depends."""
    assert '<html lang="de" dir="ltr">' in answer.text
    assert answer.header("content-language") == "de"
    assert {"accept-language", "cookie"} <= set((answer.header("vary") or "").split(", "))
    return html.unescape(re.sub(r"<[^>]+>", "", answer.text))


def heading(page: str) -> str:
    """The first heading of a page."""
    return html.unescape(page.partition("<h1>")[2].partition("</h1>")[0])


def switched(answer: Answer, tag: str) -> str:
    """The address that the footer has for a language."""
    found = re.search(rf'<a lang="{tag}" hreflang="{tag}" href="([^"]+)"', answer.text)
    assert found is not None
    return html.unescape(found[1])


def test_an_error_page_of_ours_is_in_german(house: House) -> None:
    """Issue 5, part 6, and WCAG 2.2 §2.4.2: the heading is German, one sentence without a full stop; what follows it is below."""
    tenant = house.tenant("acme")
    page = house.browser(tenant).get(f"{tenant.base_path}/signup", GERMAN)
    assert page.status == 404
    assert heading(page.text) == "Hier kann sich niemand registrieren"
    assert "Bitten Sie die Betreiber dieses Dienstes um ein Konto. Es wurde nichts geändert." in german(page)


@pytest.mark.parametrize("package", ["errors", "web", "identity", "flow", "account"])
def test_every_error_that_a_page_can_show_is_translated(package: str) -> None:
    """Issue 5, part 6: the title of an error that reaches people is a sentence of the catalogue."""
    waiting, found = list(IdpError.__subclasses__()), [IdpError]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    mine = [each for each in found if each.__module__.startswith(f"idp.{package}")]
    assert mine or package == "account"
    known = language.read_catalogue("de")
    assert [each.__name__ for each in mine if each.title not in known] == []


def test_an_account_that_is_gone_is_said_in_german(house: House) -> None:
    """Issue 5, part 6: what :func:`idp.identity.accounts.locked` raises is read by people too, for instance after a deletion."""
    tenant = house.tenant("acme")
    with pytest.raises(NotFound) as told:
        accounts.delete_user(house.database(tenant), "0" * 32, by=BY)
    with language.spoken(language.load("de")):
        assert language.translated(told.value.title) == "Dieses Konto gibt es nicht."


@pytest.fixture
def acme(house: House) -> Tenant:
    """A tenant with the languages of the product."""
    return house.tenant("acme")


def test_a_sign_in_in_german(house: House, acme: Tenant) -> None:
    """Issue 5, part 6: sign-in, its errors, consent, an error page, the sign-out and its end, in the browser's language."""
    rp, browser = house.client(acme, client_name="Photo Frame"), house.browser(acme)

    def get(url: str) -> Answer:
        answer = browser.get(url, GERMAN)
        return answer if answer.status != 303 or answer.location.startswith("https://rp") else get(answer.location)

    query = urlsplit(browser.authorize(rp, verifier=VERIFIER).location).query
    page = get(f"{acme.base_path}/login?{query}")
    assert "Anmelden" in german(page)
    assert "weiter zu Photo Frame" in german(page)
    action, fields = page.form
    wrong = browser.post(action, {**fields, "username": "ada@example.com", "password": "wrong"}, GERMAN)
    assert "Die E-Mail-Adresse oder das Passwort stimmt nicht" in german(wrong)
    empty = browser.post(action, {**fields, "username": "", "password": ""}, GERMAN)
    assert "Geben Sie Ihr Passwort ein" in german(empty)
    page = get(browser.post(action, {**fields, "username": "ada@example.com", "password": PASSWORD}, GERMAN).location)
    assert "Photo Frame möchte Ihr Konto nutzen" in german(page)
    foreign = browser.post(page.form[0], {"csrf": "x", "action": "approve"}, GERMAN)
    assert "Dieses Formular konnte nicht angenommen werden" in german(foreign)
    assert "code" in browser.post(page.form[0], {**page.form[1], "action": "approve"}, GERMAN).params
    assert "Diese Anmeldung ist schon abgeschlossen" in german(get(f"{acme.base_path}/consent?{query}"))
    assert "Die Anwendung ist hier nicht bekannt" in german(get(f"{acme.base_path}/authorize?client_id=nobody"))
    assert "Der Client ist unbekannt oder deaktiviert." in german(get(f"{acme.base_path}/authorize?client_id=nobody"))
    assert "Sie sind angemeldet" in german(get(f"{acme.base_path}/"))
    page = get(f"{acme.base_path}/logout")
    assert "Von Acme abmelden?" in german(page)
    assert "Sie sind abgemeldet" in german(browser.post(page.form[0], {**page.form[1], "action": "logout"}, GERMAN))
    assert "Anwendungen" in german(get(f"{acme.base_path}/start"))
    assert "Unter dieser Adresse gibt es nichts" in german(get("/nowhere"))
    assert "Ein Anmeldedienst" in german(get("/"))


def test_programs_are_told_in_english(house: House, acme: Tenant) -> None:
    """RFC 6749 §5.2, RFC 9457 §3: what a program reads are constants, whatever its headers say."""
    rp = house.client(acme)
    answer = house.post(acme, "/token", {"grant_type": "nothing"}, headers={**rp.auth, **GERMAN})
    assert answer.json["error_description"] == "This grant type is not supported."
    assert answer.header("content-language") is None
    answer = house.send("GET", "/nowhere", headers={**GERMAN, "accept": "application/json"})
    assert answer.json["detail"] == "There is nothing at this address."
    params = house.browser(acme).authorize(rp, verifier=VERIFIER, prompt="none").params
    assert params["error_description"].startswith("The person must sign in")


def test_ui_locales_the_switch_and_the_cookie(house: House, acme: Tenant) -> None:
    """OpenID Connect Core §3.1.2.1 (ui_locales), issue 5: the application's wish counts, until the person chooses on the page."""
    rp, browser = house.client(acme), house.browser(acme)
    page = browser.follow(browser.authorize(rp, verifier=VERIFIER, ui_locales="xx de-AT en"))
    german(page)
    back = browser.get(switched(page, "en"))
    assert back.status == 303
    assert parse_qs(urlsplit(back.location).query).keys() == {"interaction"}
    assert '<html lang="en"' in browser.get(back.location).text
    # A later wish of an application is newer than the choice.
    browser.cookies["l-acme"] = f"en.{now() - 100}"
    german(browser.follow(browser.authorize(rp, verifier=VERIFIER, ui_locales="de")))
    assert '<html lang="en"' in browser.follow(browser.authorize(rp, verifier=VERIFIER)).text


def test_the_switch_works_where_the_request_itself_has_a_wish(house: House, acme: Tenant) -> None:
    """Issue 5, part 6: on the sign-out's page the switch leads back without the wish in the address; a refusal repeats nothing of it."""
    browser = house.browser(acme)
    page = browser.get(f"{acme.base_path}/logout?ui_locales=de")
    german(page)
    back = browser.get(switched(page, "en"))
    assert back.location == f"{acme.base_path}/logout"
    assert '<html lang="en"' in browser.get(back.location).text
    refused = browser.get(f"{acme.base_path}/authorize?client_id=nobody&ui_locales=de")
    german(refused)
    assert "hreflang" not in refused.text


def test_the_platforms_own_pages_have_the_switch(house: House) -> None:
    """Issue 5, part 6: every page's footer has it, those that belong to no tenant too."""
    page = house.send("GET", "/", headers={"accept": "text/html"})
    answer = house.send("GET", switched(page, "de"))
    assert answer.location == "/"
    cookie = (answer.header("set-cookie") or "").partition(";")[0]
    german(house.send("GET", "/", headers={"accept": "text/html", "cookie": cookie}))
    german(house.send("GET", "/nowhere", headers={"accept": "text/html", "cookie": cookie}))


def test_what_a_tenant_offers(house: House) -> None:
    """OpenID Connect Discovery §3 (ui_locales_supported): the tenant's languages, its default for whoever asks for none."""
    acme = house.tenant("acme", languages="de", default_language="de")
    beta = house.tenant("beta", default_language="de")
    assert house.get(acme, "/.well-known/openid-configuration").json["ui_locales_supported"] == ["de"]
    assert house.get(beta, "/.well-known/openid-configuration").json["ui_locales_supported"] == ["en", "de"]
    page = house.browser(acme).get(f"{acme.base_path}/", {"accept-language": "en"})
    german(page)
    assert 'class="languages"' not in page.text
    german(house.browser(beta).get(f"{beta.base_path}/", {"accept-language": "fr"}))
    with pytest.raises(Invalid):
        house.installation.provisioning.change_settings(acme, {"default_language": "en"})
    with pytest.raises(Invalid):
        house.installation.provisioning.change_settings(acme, {"languages": "de,xx"})


def test_a_client_is_named_in_the_pages_language(house: House, acme: Tenant) -> None:
    """RFC 7591 §2.2: without a wish of the application its name is shown in the language of the page, where it has one in it."""
    rp = house.client(acme, **{"client_name": "Photo Frame", "client_name#de": "Bilderrahmen"})
    browser = house.browser(acme)
    assert "Photo Frame" in browser.follow(browser.authorize(rp, verifier=VERIFIER)).text
    browser.cookies["l-acme"] = f"de.{now()}"
    assert "Bilderrahmen" in browser.follow(browser.authorize(rp, verifier=VERIFIER)).text


@pytest.mark.parametrize(
    "headers",
    [
        {"accept-language": "x" * 10_240},
        {"accept-language": "de;q=abc,\x7f"},
        {"accept-language": "\u00fc\u0661;q=\u0661"},
        {"cookie": "l-acme=" + "x" * 4000},
        {"cookie": "l-acme=de.99999999999999999999999"},
        {"cookie": "l-acme=\u00fc.\u0661"},
    ],
)
def test_hostile_wishes_are_no_error(house: House, acme: Tenant, headers: dict[str, str]) -> None:
    """RFC 9110 §12.5.4: a page is answered whatever is wished for."""
    answer = house.send("GET", f"{acme.base_path}/", headers={"accept": "text/html", **headers})
    assert (answer.status, answer.header("content-language")) == (200, "en")
    rp = house.client(acme)
    for wishes in (" ".join(f"x{number}" for number in range(100)), "de\u00fc", "x" * 5000, " " * 100):
        page = house.browser(acme).follow(house.browser(acme).authorize(rp, verifier=VERIFIER, ui_locales=wishes))
        assert page.status in (200, 400)
        assert '<html lang="en"' in page.text


# -- a tenant's own texts -----------------------------------------------------------------------------------------


def put(house: House, tenant: Tenant, text: str, source: str = "Sign in", tag: str = "de", form: int = 0) -> None:
    texts.put(house.database(tenant), house.installation.feed, tenant.id, tag, source, text, by=BY, form=form)


def test_a_tenants_own_text(any_house: House) -> None:
    """Issue 5, part 6: shown by every worker after the change feed, by this one at once; only there; and taken back again."""
    house = any_house
    acme, beta = house.tenant("acme"), house.tenant("beta")
    worker = Installation(house.settings, "another")
    elsewhere = Router(worker)

    def title(tenant: Tenant) -> str:
        return heading(house.browser(tenant).get(f"{tenant.base_path}/start", GERMAN).text)

    def title_elsewhere() -> str:
        asked = Browser.request_of(
            SimpleNamespace(cookies={}, address=""), "GET", f"{acme.base_path}/start", None, GERMAN
        )  # type: ignore[arg-type]
        return heading(elsewhere.respond(asked).body.decode())

    assert title(acme) == title(beta) == title_elsewhere() == "Anwendungen"
    put(house, acme, "Programme", "Applications")
    assert (title(acme), title(beta), title_elsewhere()) == ("Programme", "Anwendungen", "Anwendungen")
    worker.feed.poll()
    assert title_elsewhere() == "Programme"
    worker.close()
    assert "Applications" in house.browser(acme).get(f"{acme.base_path}/start").text
    put(house, acme, "Apps", "Applications")
    assert title(acme) == "Apps"
    count = texts.reset(house.database(acme), house.installation.feed, acme.id, "de", "Applications", by=BY)
    assert (count, title(acme)) == (1, "Anwendungen")
    with house.database(acme).reading() as conn:
        kinds = [row.kind for row in conn.exec_driver_sql("SELECT kind FROM audit_events ORDER BY seq").all()]
    assert [kind for kind in kinds if kind.startswith("text.")] == ["text.set", "text.set", "text.reset"]


def test_a_tenants_own_text_stays_text(house: House, acme: Tenant) -> None:
    """ASVS 5.0 §1.2.1: a text that looks like HTML is shown as it was written."""
    put(house, acme, "<script>alert(1)</script> & <b>mehr</b>", "Applications")
    page = house.browser(acme).get(f"{acme.base_path}/start", GERMAN)
    assert "<script>alert" not in page.text
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;mehr&lt;/b&gt;</h1>" in page.text


def test_a_text_in_english_and_one_of_a_plural_form(house: House, acme: Tenant) -> None:
    """Issue 5, part 6: English is a language like any other, and each plural form has its own text."""
    put(house, acme, "Your programs", "Applications", "en")
    assert "<h1>Your programs</h1>" in house.browser(acme).get(f"{acme.base_path}/start").text
    source = "The new password is too short; it needs at least %(num)s character"
    put(house, acme, "Bitte %(num)s Zeichen", source, form=1)
    with house.database(acme).reading() as conn:
        assert {(row.form, row.text) for row in texts.texts.list_all(conn)} == {
            (0, "Your programs"),
            (1, "Bitte %(num)s Zeichen"),
        }


@pytest.mark.parametrize(
    ("source", "text", "tag", "form"),
    [
        ("Sign in", "", "de", 0),
        ("Sign in", " \u00a0", "de", 0),
        ("Sign in", "x" * 1001, "de", 0),
        ("Sign in", "%(name)s", "de", 0),
        ("Sign in", "a\x00b", "de", 0),
        ("Sign in", "a\nb", "de", 0),
        ("Sign in", "\u202enamed", "de", 0),
        ("Sign in", "\ud800", "de", 0),
        ("Sign in", "Los", "fr", 0),
        ("Sign in", "Los", "../de", 0),
        ("Sign in", "Los", "de", 1),
        ("Sign in", "Los", "de", -1),
        ("About %(application)s", "Worum es geht", "de", 0),
        ("About %(application)s", "Zu %(client)s", "de", 0),
        ("No sentence of ours", "Los", "de", 0),
        ("", "Los", "de", 0),
    ],
)
def test_a_text_that_cannot_be_shown_is_refused(
    house: House, acme: Tenant, source: str, text: str, tag: str, form: int
) -> None:
    """Issue 5, part 6: a text has the placeholders of its sentence, is bounded, and stands for a sentence there is."""
    with pytest.raises((Invalid, NotFound)):
        put(house, acme, text, source, tag, form)
    with house.database(acme).reading() as conn:
        assert texts.texts.list_all(conn) == []


def test_texts_are_read_once(house: House, acme: Tenant) -> None:
    """Architecture §5: a page with a warm cache reads no texts, and an endpoint for programs never does."""
    house.get(acme, "/.well-known/openid-configuration")
    found = house.installation.resolver.by_slug("acme")
    assert found is not None
    server = house.installation.servers.get(found)
    assert server.languages._texts is None
    house.browser(acme).get(f"{acme.base_path}/start")
    loaded = server.languages._texts
    assert loaded is not None
    house.browser(acme).get(f"{acme.base_path}/start", GERMAN)
    assert house.installation.servers.get(found).languages._texts is loaded


# -- in a language that brackets every sentence -------------------------------------------------------------------


def left_over(page: Page) -> list[str]:
    """The words of a page that nobody has translated: neither names nor addresses nor codes of the test's own."""
    text = re.sub(
        r"<nav class=\"languages\".*?</nav>|<svg.*?</svg>|<code.*?</code>|<bdi[^>]*>.*?</bdi>|<title>.*?</title>|<span class=\"[^\"]*monogram.*?</span>",
        "",
        page.text,
        flags=re.DOTALL,
    )
    spoken = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]+)"', text)
    text = html.unescape(re.sub(r"<[^>]+>", "", text))
    return [word for each in (text, *spoken) for word in bare(each).split() if re.search(r"[^\W\d_]", word)]


def test_a_walk_leaves_no_sentence_in_english(server: EchoServer) -> None:
    """Issue 5, part 6: every page of a sign-in, with every error of its forms, in a language that brackets each sentence."""
    with offered():
        pseudo = server.with_settings(languages=("en", PSEUDO.tag), default_language=PSEUDO.tag)
        pseudo.user("new@acme.example", must_change=True)
        walker = Browser(pseudo)
        pages = [login := walker.authorize(scope="openid profile email other claim:gender claim:birthdate")]
        pages.append(walker.post(login, {"username": "", "password": ""}))
        pages.append(walker.post(login, {"username": "ada@acme.example", "password": "wrong"}))
        pages.append(password := walker.post(login, {"username": "new@acme.example", "password": PASSWORD}))
        for new, again in (
            ("short", "short"),
            ("x" * 20, "x" * 20),
            ("y" * 129, ""),
            ("a long enough sentence", "no"),
            (PASSWORD, PASSWORD),
            ("new@acme.example", ""),
        ):
            pages.append(walker.post(password, {"new_password": new, "confirm_password": again}))
        chosen = {
            "new_password": "a different long enough sentence",
            "confirm_password": "a different long enough sentence",
        }
        pages.append(consent := walker.post(password, chosen))
        pages.append(walker.post(consent, {"action": "approve", "csrf": "x"}))
        walker.post(consent, {"action": "approve"})
        pages += [
            walker.get(consent.url),
            walker.get(f"{BASE}/"),
            walker.get(f"{BASE}/login"),
            walker.get(f"{BASE}/login?interaction=x"),
        ]
        pages.append(walker.authorize(prompt="select_account consent"))
        pages.append(Browser(pseudo, keeps_cookies=False).get(login.url))
        assert [left_over(page) for page in pages] == [[]] * len(pages)
    assert len({page.title for page in pages}) > 6
    assert left_over(Browser(server).authorize())


def test_two_requests_at_once_keep_their_languages(server: EchoServer) -> None:
    """Issue 5, part 6: the language belongs to the request, not to the process."""
    found: dict[str, set[str]] = {"en": set(), "de": set()}

    def ask(tag: str) -> None:
        for _ in range(50):
            response = HANDLERS["GET", "/"](
                server, Browser(server).request_of("GET", f"{BASE}/", None, {"accept-language": tag})
            )
            found[tag] |= set(re.findall(r'lang="(\w+)" dir', response.body.decode())) | {
                response.header("content-language") or ""
            }

    threads = [threading.Thread(target=ask, args=(tag,)) for tag in found for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {"en": {"en"}, "de": {"de"}}
