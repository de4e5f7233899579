"""The pages: names for programs, escaping, accessibility of the markup, and nothing inline (interfaces.md §4, WCAG 2.2, CSP)."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import jinja2
import pytest
from page_samples import ACME, CLIENT, SAMPLES

from idp import templating
from idp.identity.profile import Field
from idp.web import pages
from idp.web.branding import Brand
from idp.web.pages import UnsafeAddressError, href, render

CORRELATION_ID = "7Q2M4ZK9X1VB3NTC"
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
VOID = {"meta", "link", "input", "img", "br", "hr", "path", "rect", "circle"}


@pytest.mark.parametrize(
    ("title", "heading", "below"),
    [
        ("There is nothing at this address.", "There is nothing at this address", "It is gone."),
        ("Too many requests. Please wait.", "Too many requests", "Please wait. It is gone."),
        ("This link is used. Ask for a new one", "This link is used", "Ask for a new one. It is gone."),
        ("Geben Sie z. B. eine Adresse an.", "Geben Sie z. B. eine Adresse an", "It is gone."),
        ("Please wait...", "Please wait...", "It is gone."),
        ("A version 1.2 is too old", "A version 1.2 is too old", "It is gone."),
    ],
)
def test_a_heading_is_one_sentence_without_a_full_stop(title, heading, below):
    """WCAG 2.2 §2.4.2 and §2.4.6: an error's heading and the page's title are no paragraph; nothing of its words is lost."""
    _, brand, context = SAMPLES["error-plain"]
    page = render("error.html", brand, CORRELATION_ID, **(context | {"title": title, "explanation": "It is gone."}))
    assert f"<h1>{heading}</h1>" in page
    assert f'<p class="lead">{below}</p>' in page
    assert f"<title>{heading} " in page


class Document(HTMLParser):
    """The elements of a page as (tag, attributes), its text, and whether every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def by_id(self, wanted: str) -> dict[str, str]:
        (found,) = [attributes for _, attributes in self.elements if attributes.get("id") == wanted]
        return found


def page(sample: str, **changes: object) -> Document:
    template, brand, context = SAMPLES[sample]
    return Document(render(template, brand, CORRELATION_ID, **{**context, **changes}))


def made_hostile(value: object) -> object:
    """Replace each text of a context that a person or an application could have written."""
    match value:
        case str() if value.startswith(("/", "https://")):
            return value
        case str():
            return HOSTILE
        case dict():
            return {key: made_hostile(inner) for key, inner in value.items()}
        case list() | tuple():
            return [made_hostile(inner) for inner in value]
        case Field():
            texts = {
                name: made_hostile(getattr(value, name)) for name in ("label", "value", "hint", "options", "parts")
            }
            return replace(value, **texts)
        case _:
            return value


every_sample = pytest.mark.parametrize("sample", SAMPLES)


def test_every_template_has_a_sample():
    """Interfaces §4: no page is left out of the tests below."""
    names = {name for name in pages._environment().list_templates() if "/" not in name and not name.startswith("_")}
    assert names - {"base.html"} == {template for template, _, _ in SAMPLES.values()}


@every_sample
def test_nothing_is_inline(sample):
    """CSP3 §6.7: under `default-src 'none'; style-src 'self'` an inline style, script or handler would not run."""
    document = page(sample)
    assert not document.all("style")
    for tag, attributes in document.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        assert not any("javascript:" in value for value in attributes.values())
    assert all(script["src"].startswith("/static/") for script in document.all("script"))
    assert bool(document.all("script")) == (sample in ("form_post", "signed_out-goes-on"))


@every_sample
def test_a_page_is_a_document(sample):
    """WCAG 2.2 §2.4.2, §3.1.1, §1.3.1: title, language, landmarks, one first heading, no repeated id."""
    document = page(sample)
    assert document.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert [len(document.all(tag)) for tag in ("title", "header", "main", "h1")] == [1, 1, 1, 1]
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in document.elements:
        for name in ("aria-describedby", "aria-labelledby", "for"):
            assert set(attributes.get(name, "").split()) <= set(ids)
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert all("alt" in image for image in document.all("img"))
    assert len([1 for _, attributes in document.elements if "autofocus" in attributes]) <= 1


@every_sample
def test_every_field_has_its_label(sample):
    """WCAG 2.2 §3.3.2, §1.3.5: a visible label bound to the field, and its purpose for autofill."""
    document = page(sample)
    labelled = {label["for"] for label in document.all("label")}
    for field in document.all("input"):
        if field.get("type") != "hidden" and "hidden" not in field:
            # What cannot be changed is not sent either.
            assert "name" not in field if "readonly" in field else field["id"] == field["name"]
            assert field["id"] in labelled
            assert field["autocomplete"]


@every_sample
def test_hostile_text_stays_text(sample):
    """ASVS 5.0 §1.2.1: whatever a name, a scope or a message holds, it becomes text and never markup."""
    template, brand, context = SAMPLES[sample]
    hostile_brand = Brand(HOSTILE, logo_url=HOSTILE, base_path=brand.base_path)
    html = render(template, hostile_brand, HOSTILE, **made_hostile(context))
    document = Document(html)
    expected = [tag for tag, _ in page(sample).elements if tag == "script"]
    assert [tag for tag, _ in document.elements if tag == "script"] == expected
    assert not [attributes for _, attributes in document.elements if "onerror" in attributes]
    assert "<script>alert" not in html
    assert "49" not in document.text
    assert HOSTILE in " ".join(document.words)


@every_sample
def test_a_missing_name_is_an_error(sample):
    """Architecture §6: a page is told everything it shows; nothing missing is drawn as nothing."""
    template, brand, context = SAMPLES[sample]
    if not context:
        return
    with pytest.raises(jinja2.UndefinedError):
        render(template, brand, CORRELATION_ID)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example/",
        "/\\evil.example/",
        "https://a.example\\@evil.example",
        "https://a.example/ x",
        "",
        None,
    ],
)
def test_an_unsafe_address_becomes_no_link(address):
    """ASVS 5.0 §1.2.2: a client's own links lead to the web, to an application or nowhere."""
    assert href(address) is None
    links = {"logo_url": address, "site_url": address, "policy_url": address, "terms_url": address}
    document = page("consent", client=CLIENT | links)
    assert not document.all("a")
    assert not document.all("img")
    assert not page("signed_out", continue_url=address).all("a")
    if address is not None:
        with pytest.raises(UnsafeAddressError):
            page("form_post", action=address)


@pytest.mark.parametrize(
    "address", ["/", "/t/acme?a=b#c", "https://a.example/ü", "http://127.0.0.1:1/", "com.example.app:/done"]
)
def test_a_safe_address_is_kept(address):
    """RFC 8252 §7.1: a private-use scheme with a dot is an installed application's own."""
    assert href(address) == address


def test_sign_in_names():
    """Interfaces §4: fields `username` and `password`, button `login-submit`; the client's name and links are shown."""
    document = page("login")
    assert document.by_id("username")["autocomplete"] == "username"
    assert document.by_id("password") | {"type": "password", "autocomplete": "current-password"} == document.by_id(
        "password"
    )
    assert document.by_id("login-submit")["type"] == "submit"
    assert {"type": "hidden", "name": "csrf", "value": "c3JmLXRva2Vu"} in document.all("input")
    assert "Sign in to continue to Photo Frame" in document.text
    assert document.by_id("forgotten-password")["href"] == "/t/acme/recover?interaction=4f2a"
    assert document.by_id("signup")["href"] == "/t/acme/signup?i=4f2a"
    links = {link["href"] for link in document.all("a") if link.get("id") not in ("forgotten-password", "signup")}
    assert links == {CLIENT["policy_url"], CLIENT["terms_url"]}
    assert "autofocus" in document.by_id("username")


def test_sign_in_with_a_login_hint():
    """OIDC Core §3.1.2.1: `login_hint` fills the field, and the next empty one has the focus."""
    document = page("login", username="ada@acme.example")
    assert document.by_id("username")["value"] == "ada@acme.example"
    assert "autofocus" in document.by_id("password")
    assert "value" not in document.by_id("password")


def test_an_error_is_beside_its_field_and_summarised():
    """WCAG 2.2 §3.3.1, §2.4.3: said in text, linked from an alert on top, tied to the field, which has the focus."""
    document = page("password-wrong")
    assert document.all("title")
    assert "Error: Choose a new password" in document.text
    (alert,) = [attributes for _, attributes in document.elements if attributes.get("role") == "alert"]
    assert alert["aria-labelledby"] == "problem-title"
    links = [link["href"] for link in document.all("a")]
    assert links == ["#new_password", "#confirm_password"]
    first, second = document.by_id("new_password"), document.by_id("confirm_password")
    assert first["aria-invalid"] == second["aria-invalid"] == "true"
    assert first["aria-describedby"] == "new_password-hint new_password-error new_password-strength"
    assert second["aria-describedby"] == "confirm_password-error"
    assert "autofocus" in first
    assert "autofocus" not in second


def test_an_error_of_no_field_is_summarised_without_a_link():
    """WCAG 2.2 §3.3.1: what concerns the whole form is said on top."""
    document = page("login-throttled")
    assert "There is a problem Too many people" in document.text
    assert [link.get("id") for link in document.all("a")] == ["forgotten-password"]
    assert "aria-invalid" not in document.by_id("username")


def test_new_password_names():
    """Interfaces §4, WCAG 2.2 §3.3.8: fields, button, the minimum length, and the account for password managers."""
    document = page("password")
    assert document.by_id("new_password")["autocomplete"] == "new-password"
    assert document.by_id("confirm_password")["name"] == "confirm_password"
    assert document.by_id("password-submit")["type"] == "submit"
    assert "At least 12 characters." in document.text
    (for_managers,) = [field for field in document.all("input") if field.get("autocomplete") == "username"]
    assert "name" not in for_managers


def test_consent_names():
    """Interfaces §4: `consent-approve` and `consent-deny`; who asks, for what, as whom, and where it leads."""
    document = page("consent")
    assert [(b["id"], b["name"], b["value"]) for b in document.all("button")] == [
        ("consent-switch", "action", "switch"),
        ("consent-approve", "action", "approve"),
        ("consent-deny", "action", "deny"),
    ]
    assert "Photo Frame wants to use your account" in document.text
    assert "You are signed in as Ada Lovelace ada@acme.example" in document.text
    assert "See your email address" in document.text
    assert "After this you go to photos.example" in document.text
    assert [link["href"] for link in document.all("a")] == [
        CLIENT["site_url"],
        CLIENT["policy_url"],
        CLIENT["terms_url"],
    ]
    assert all(link["rel"].startswith("noopener noreferrer") for link in document.all("a"))


def test_logout_names():
    """Interfaces §4: `logout-confirm`, and a way to stay; afterwards the page says "signed out"."""
    document = page("logout")
    assert document.by_id("logout-confirm")["type"] == "submit"
    assert document.by_id("logout-stay")["href"] == "/t/acme"
    assert "signed out" in page("signed_out-plain").text
    after = page("signed_out")
    assert "signed out" in after.text
    assert after.by_id("continue")["href"] == "https://photos.example/"


def test_an_error_page_carries_code_and_correlation_id():
    """Interfaces §4: the OAuth error code and the correlation id as text, and what to do."""
    document = page("error")
    for words in ("invalid_request", CORRELATION_ID, "What you can do", "https://photos.example/callback/"):
        assert words in document.text
    assert document.by_id("continue")["href"] == "https://photos.example/"


@pytest.mark.parametrize("sample", SAMPLES)
def test_only_refusals_carry_the_correlation_id(sample):
    """Issue 3, build 8 and 10: whoever is refused sees the reference; a calm page does without."""
    refuses = sample.startswith(
        ("error", "restart", "login-wrong", "login-throttled", "recover-throttled", "link_gone")
    )
    assert (CORRELATION_ID in page(sample).text) == refuses


@pytest.mark.parametrize("reason", ["expired", "other_tab", "finished", "something new"])
def test_a_sign_in_that_ended_says_how_to_go_on(reason):
    """Issue 3, must show: the sign-in never dead-ends."""
    document = page("restart", reason=reason)
    assert document.by_id("continue")["href"] == "/t/acme/authorize?i=4f2a"
    assert "Continue signing in" in document.text
    assert "sign in from there" in page("restart-lost", reason=reason).text


def test_landing_page_of_a_tenant():
    """Interfaces §4: the tenant's page names the issuer, and who is signed in."""
    signed_in = page("tenant-signed-in")
    assert "ada@acme.example" in signed_in.text
    assert signed_in.by_id("sign-out")["href"] == "/t/acme/logout"
    assert "https://id.example/t/acme" in signed_in.text
    assert "https://id.example/t/acme" in page("tenant").text


def test_form_post():
    """OAuth 2.0 Form Post Response Mode §2: a form that posts each parameter, with a button for those without script."""
    document = page("form_post")
    (form,) = document.all("form")
    assert (form["method"], form["action"]) == ("post", "https://photos.example/callback")
    assert [(field["name"], field["value"]) for field in document.all("input")] == SAMPLES["form_post"][2]["fields"]
    assert "name" not in document.by_id("form-post-submit")
    assert form["id"].encode() in pages.static_file("form_post.js").body


def test_the_tenants_name_logo_and_stylesheet_are_on_the_page():
    """Issue 3, build 10: branded per tenant."""
    template, _, context = SAMPLES["login"]
    branded = Brand("Nordlicht", logo_url="/t/nord/logo", primary="#101820", base_path="/t/nord")
    document = Document(render(template, branded, CORRELATION_ID, **context))
    assert document.all("img")[0]["src"] == "/t/nord/logo"
    assert "Sign in – Nordlicht" in document.text
    sheets = [link["href"] for link in document.all("link") if link["rel"] == "stylesheet"]
    assert sheets[0] == pages.static_url("idp.css")
    assert sheets[1].startswith("/t/nord/brand.css?v=")
    assert sheets[1].rpartition("=")[2] != render(template, ACME, "", **context).partition("brand.css?v=")[2][:12]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Give a colour such as #1f5fd6", "Give a colour such as #1f5fd6"),
        (
            "This is not an email address such as ada@example.org.",
            "This is not an email address such as ada@example.org",
        ),
        ("It is wrong. Please try again", "It is wrong. Please try again."),
        ("It is wrong. Please try again.", "It is wrong. Please try again."),
        ("Is it wrong? Compare it", "Is it wrong? Compare it."),
        ("Use “a. b”", "Use “a. b”"),
        ("", ""),
    ],
)
def test_the_end_of_an_error(given: str, shown: str) -> None:
    """Issue 5 (pages that look cared for): one sentence beside a field has no full stop, several end with one."""
    assert templating.ended(given) == shown
