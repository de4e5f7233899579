"""Which language a request is answered in: hostile headers, languages that nobody has, and cookies with junk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.clock import now
from idp.flow import languages
from idp.flow.languages import Place
from idp.tenancy.languages import best, lookup
from idp.web.http import Headers, Request, Response

OFFERED = ("en", "de", "pt-BR", "zh-Hant")
ACME = Place("acme", "/t/acme", False, ("en", "de"), "en")


def request(path: str = "/t/acme/login", query: str = "", **headers: str) -> Request:
    items = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("GET", "http", "localhost", path, query, Headers.of(items))


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ("de", "de"),
        ("DE-at", "de"),
        ("de-CH-1996", "de"),
        ("pt-br", "pt-BR"),
        ("pt", None),
        ("pt-PT", None),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-Hans", None),
        ("de-x-private", "de"),
        ("de-Latn-x-y-z", "de"),
        ("fr", None),
        ("", None),
        ("-", None),
        ("de_AT", None),
        ("d\u0435", None),
        ("de-" + "x" * 40, None),
        ("<script>", None),
    ],
)
def test_lookup(wish, found):
    """RFC 4647 §3.4: from its end a range is cut until a language is found; what is no range finds none."""
    assert lookup(wish, OFFERED) == found


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.1, de;q=0.9", "de"),
        ("fr, de ; q = 0.3", "de"),
        ("fr, *;q=0.5, de;q=0.1", "en"),
        ("en;q=0, *", "de"),
        ("en;q=0", "de"),
        ("en;q=0,de;q=0,pt-BR;q=0,zh-Hant;q=0", "en"),
        ("de;q=0, de-AT", "en"),
        ("de;q=abc, pt-BR", "pt-BR"),
        ("de;q=2, pt-BR;q=0.1", "pt-BR"),
        ("de;q=-1", "en"),
        ("de;q=1e9", "en"),
        ("de;q=nan", "en"),
        (";;;,,,q=1", "en"),
        ("de;level=1", "en"),
        ("\x00de", "en"),
        ("fr," * 31 + "de", "de"),
        ("fr," * 32 + "de", "en"),
        ("fr-CA," * 2000 + "de", "en"),
        ("x" * 10_240, "en"),
        ("de" + "," * 10_240, "de"),
        ("de, " + "a" * 10_240, "de"),
    ],
)
def test_accept_language(header, found):
    """RFC 9110 §12.5.4: by weight; what cannot be read is passed over, and of endless headers only the beginning is read."""
    assert best(OFFERED, (), header, "en") == found


@given(st.text(max_size=300))
def test_no_header_is_an_error(header):
    """RFC 9110 §12.5.4: whatever the header says, an offered language is found."""
    assert best(OFFERED, (header,), header, "en") in OFFERED


def test_the_order_of_wishes():
    """OpenID Connect Core §3.1.2.1: the application's ui_locales, then the person's choice, the browser's, the tenant's own."""
    asked = request(accept_language="fr, de")
    assert languages.tag_of(ACME, asked) == "de"
    asked = request(accept_language="de", cookie=f"l-acme=en.{now() - 100}")
    assert languages.tag_of(ACME, asked) == "en"
    languages.wish(asked, "fr de-AT")
    assert languages.tag_of(ACME, asked) == "de"
    languages.wish(asked, "fr")
    assert languages.tag_of(ACME, asked) == "en"
    assert languages.tag_of(ACME._replace(default="de"), request()) == "de"


def test_a_choice_on_the_page_comes_before_the_wish_that_led_there():
    """Issue 5, part 6: who switches the language of a sign-in under way sees it, whatever the application asked for before."""
    began = now() - 60
    for chosen_at, found in ((began - 1, "de"), (began + 1, "en")):
        asked = request(cookie=f"l-acme=en.{chosen_at}")
        languages.wish(asked, ["de"], began)
        assert languages.tag_of(ACME, asked) == found


def test_a_hundred_wishes():
    """OpenID Connect Core §3.1.2.1: of endless ui_locales the first are followed."""
    asked = request()
    languages.wish(asked, " ".join(["fr"] * 99 + ["de"]))
    assert len(asked.languages) == languages.MOST_WISHES
    assert languages.tag_of(ACME, asked) == "en"
    languages.wish(asked, "x" * 100_000)
    assert languages.tag_of(ACME, asked) == "en"


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "de",
        "de.",
        ".1",
        "de.x",
        "de.-1",
        "fr.1",
        "de.99999999999999999999",
        "../de.1",
        "%64%65.1",
        '"de.1"',
        "de.1;",
        "de\u0660.1",
        "x" * 4000,
    ],
)
def test_a_cookie_with_junk_counts_for_nothing(junk):
    """Security 'Browser rules': the cookie is anybody's text; what is no choice of ours is no choice."""
    header = f"l-acme={junk.rstrip(';')}"
    found = languages.tag_of(ACME, request(cookie=header, accept_language="de"))
    assert found == "de"
    found = languages.tag_of(ACME, request(cookie=header))
    assert found == ("de" if junk == "de.1;" else "en")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/t/acme/../other/",
        "/t/acme/%2e%2e/other/",
        "/t/acme/.%2E/x",
        "/t/acme//evil.example",
        "/t/acmeevil/",
        "/t/other/",
        "/",
        "t/acme/",
        "javascript:alert(1)",
        "/t/acme/x\r\nset-cookie: a=b",
        "/t/acme/" + "x" * 5000,
        "/t/acme/\u00fc",
        "",
    ],
)
def test_the_switch_leads_nowhere_else(target):
    """RFC 9700 §4.11: no open redirect: an address that is not the tenant's own leads to its start page."""
    from urllib.parse import urlencode

    answer = languages.choose(ACME, request("/t/acme/language", urlencode({"language": "de", "to": target})))
    assert (answer.status, answer.header("location")) == (303, "/t/acme/")


def test_the_switch_leads_back():
    """Issue 5, part 6: the switch keeps the page with its query, without the application's old wish, and sets one cookie."""
    asked = request("/t/acme/login", "interaction=4f&ui_locales=en%20fr&x=a%26b")
    german = next(each for each in languages.switch(ACME, asked) if each["tag"] == "de")
    path, _, query = german["url"].partition("?")
    assert path == "/t/acme/language"
    answer = languages.choose(ACME, request(path, query))
    assert answer.header("location") == "/t/acme/login?interaction=4f&x=a%26b"
    (cookie,) = [value for name, value in answer.headers if name == "set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == "l-acme"
    assert "HttpOnly" in rest
    assert "Max-Age=31536000" in rest
    assert languages.tag_of(ACME, request(cookie=f"{name}={rest.partition(';')[0]}")) == "de"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_chooses_nothing(site):
    """Fetch Metadata §2: another site's link leads to the page and changes no choice."""
    answer = languages.choose(ACME, request("/t/acme/language", "language=de&to=/t/acme/", sec_fetch_site=site))
    assert answer.header("location") == "/t/acme/"
    assert answer.header("set-cookie") is None


@pytest.mark.parametrize("tag", ["fr", "", "DE", "de-AT", "qps", "<script>", "de.1"])
def test_a_language_that_is_not_offered_is_not_remembered(tag):
    """Issue 5, part 6: the cookie holds a language that the tenant offers, or is not set."""
    from urllib.parse import urlencode

    answer = languages.choose(ACME, request("/t/acme/language", urlencode({"language": tag})))
    assert (answer.status, answer.header("set-cookie")) == (303, None)


def test_no_switch_where_there_is_one_language_or_no_way_back():
    """Issue 5, part 6: a page whose address is too long to be carried offers no switch, nor does a tenant with one language."""
    assert languages.switch(ACME._replace(offered=("de",)), request()) == []
    assert languages.switch(ACME, request(query="x=" + "y" * 5000)) == []
    assert languages.tag_of(ACME._replace(offered=("de",)), request(accept_language="en")) == "de"


def test_over_https_the_cookie_is_bound_to_the_host():
    """RFC 6265bis §4.1.3.2: with the prefix of all cookies."""
    answer = languages.choose(ACME._replace(is_secure=True), request("/t/acme/language", "language=de"))
    assert (answer.header("set-cookie") or "").startswith("__Host-l-acme=de.")
    assert "Secure" in (answer.header("set-cookie") or "")


def test_what_an_answer_depends_on_is_added_up():
    """RFC 9110 §12.5.5: each reason is named once, whoever names it first."""
    answer = Response(200)
    languages.tell(answer, "de")
    answer.vary("accept", "cookie")
    assert answer.header("vary") == "accept-language, cookie, accept"
    assert answer.header("content-language") == "de"
