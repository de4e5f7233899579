"""Every page in every language: nothing is left in English, translations are text, and the layout knows no left and right."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from page_samples import ACME, LANGUAGES, SAMPLES
from pseudo_language import PSEUDO, PSEUDO_RTL, bare, known
from test_pages import CORRELATION_ID, VOID, Document

from idp import language
from idp.identity.profile import Field
from idp.language import N_, NN_, Language, Overridden, Sentence
from idp.web import pages
from idp.web.branding import Brand
from idp.web.pages import render

ROOT = Path(__file__).resolve().parents[2]
SPOKEN = ("aria-label", "title", "alt", "placeholder")


class Texts(HTMLParser):
    """What a page says: the text of its elements and the attributes that are read out, without what is hidden from everybody."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[str] = []
        self.text = ""  # as a whole: a sentence goes on behind the name in it
        self.silent: list[bool] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.attributes += [attributes[name] for name in SPOKEN if attributes.get(name)]
        if tag not in VOID:
            is_silent = attributes.get("aria-hidden") == "true" or tag in ("style", "script")
            self.silent.append(is_silent or ("lang" in attributes and tag != "html"))

    def handle_startendtag(self, tag, attrs):
        """Pass over a shape of an icon."""

    def handle_endtag(self, _tag):
        self.silent.pop()

    def handle_data(self, data):
        if not any(self.silent):
            self.text += data


# Pages whose handlers hand over sentences that are translated already; tests/account and tests/flow prove that they are.
TRANSLATED_BEFORE = ("account", "signup", "brand-preview", "password-wrong")
# What they hand over as plain text although a value is filled in.
PLAIN_TEXT = ("attention", "mail", "sessions")


def as_data(value: object, *, is_said: bool = False) -> object:
    """Mark what a page is told and is no sentence of ours: names, addresses, ids. ``is_said``: the sentences are translated already."""
    match value:
        case Sentence():
            return value
        case str() if value.startswith(("/", "https://")) or (value in known() and not is_said):
            return value
        case str():
            return f"‹{value}›"
        case dict():
            return {key: as_data(inner, is_said=is_said) for key, inner in value.items()}
        case Field():
            words = tuple((key, f"‹{label}›") for key, label in value.options)
            texts = {
                name: text and f"‹{text}›"
                for name in ("label", "value", "hint")
                if (text := getattr(value, name)) is not None
            }
            return replace(value, **texts, options=words, parts=tuple(map(as_data, value.parts)))
        case list() | tuple():
            return [as_data(inner, is_said=is_said) for inner in value]
        case _:
            return value


def left_over(html: str) -> list[str]:
    """The words of a page that are neither translated nor data."""
    found = Texts(html)
    words = [word for text in (*found.attributes, found.text) for word in bare(text).split()]
    return [word for word in words if re.search(r"[^\W\d_]", word) and not word.startswith("https://")]


def rendered(spoken: Language, sample: str, **more: object) -> str:
    template, brand, context = SAMPLES[sample]
    is_said = sample.startswith(TRANSLATED_BEFORE)
    told = {key: json.loads(json.dumps(value)) if key in PLAIN_TEXT else value for key, value in context.items()}
    data = {key: value if key in ("icon", "reason") else as_data(value, is_said=is_said) for key, value in told.items()}
    if "scopes" in data:
        data["scopes"] = [{**each, "icon": "user"} for each in data["scopes"]]
    with language.spoken(spoken):
        return render(template, Brand("‹Acme›", base_path=brand.base_path), "‹id›", **data, **more)


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_sentence_is_left_in_english(sample):
    """Issue 5, part 6: in a language that brackets every sentence no text without brackets is left, in no element and no attribute."""
    assert left_over(rendered(PSEUDO, sample)) == []


def test_control_a_sentence_that_is_not_marked_is_found():
    """Issue 5, negative control: plain English in a template or in an attribute is seen."""
    html = '<p>⟦Sign in⟧ ‹Ada›: </p><p aria-label="Close">Hello ‹Ada›</p>'
    assert left_over(html) == ["Close", "Hello"]
    assert left_over(rendered(language.load("en"), "login"))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("spoken", [language.load("de"), PSEUDO_RTL], ids=["de", "rtl"])
def test_a_page_says_its_language_and_direction(sample, spoken):
    """WCAG 2.2 §3.1.1, HTML §3.2.6: the root element carries the language's tag and its direction."""
    document = Document(rendered(spoken, sample, page_languages=LANGUAGES))
    assert document.all("html") == [{"lang": spoken.tag, "dir": spoken.direction}]
    switch = [link for link in document.all("a") if "hreflang" in link]
    assert [link["lang"] for link in switch] == ["en", "de"]
    assert [link["lang"] for link in switch if "aria-current" in link] == [
        tag for tag in ("en", "de") if tag == spoken.tag
    ]
    if spoken.direction == "rtl":
        assert all(field["dir"] == "ltr" for field in document.all("input") if field.get("type") == "email")


@pytest.mark.parametrize(
    ("tag", "direction"), [("ar", "rtl"), ("he", "rtl"), ("fa", "rtl"), ("ur", "rtl"), ("de-AT", "ltr"), ("xx", "ltr")]
)
def test_the_direction_is_the_languages(tag, direction):
    """HTML §3.2.6: Arabic, Hebrew, Persian and Urdu are written from right to left."""
    assert language._locale(tag).text_direction == direction


def test_the_stylesheet_knows_no_left_and_right():
    """CSS Logical Properties §1: everything that has a side has it by the direction of writing."""
    css = re.sub(r"/\*.*?\*/", "", (ROOT / "static" / "idp.css").read_text("utf-8"), flags=re.DOTALL)
    sided = r"(?:(?:margin|padding|border)-(?:left|right)[\w-]*|(?<![-\w])(?:left|right))\s*:|(?:text-align|float|clear):\s*(?:left|right)"
    assert re.findall(sided, css) == []


def german(texts: dict[tuple[str, int], str]) -> Language:
    """German with a tenant's own texts."""
    plain = language.load("de")
    return Language("de", Overridden(plain.catalogue, lambda: texts), "ltr", "Deutsch")


def test_a_tenants_text_is_text():
    """ASVS 5.0 §1.2.1: what a tenant writes into a sentence becomes text, in content and in attributes; what is filled in too."""
    hostile = '"><script>alert(1)</script><b>%(application)s</b>'
    with language.spoken(german({("About %(application)s", 0): hostile, ("About the application", 0): hostile})):
        _, _, context = SAMPLES["consent"]
        client = {**context["client"], "name": "<i>Photo & Frame</i>"}
        html = render("consent.html", ACME, CORRELATION_ID, **{**context, "client": client})
    document = Document(html)
    assert not document.all("script")
    assert not document.all("b")
    assert not document.all("i")
    assert "<b><i>Photo & Frame</i></b>" in document.text
    (label,) = [nav["aria-label"] for nav in document.all("nav")]
    assert label == hostile


def test_a_text_with_a_per_cent_sign_is_shown_as_it_is():
    """Issue 5: nothing that a tenant writes stops a page from being drawn."""
    for text in ("100 %", "%s %d %(", "%(unknown)s", "%%"):
        with language.spoken(german({("Applications", 0): text})):
            html = render("applications.html", ACME, CORRELATION_ID, **SAMPLES["applications-none"][2])
        assert f"<h1>{text.replace('%%', '%')}</h1>" in html


def test_only_constants_are_translated_in_templates():
    """ASVS 5.0 §1.2.1: `_()` takes a sentence of the template's own, whose tags it keeps; what comes from elsewhere goes through `translated`."""
    environment = pages._environment()
    seen = 0
    for name in environment.list_templates(
        filter_func=lambda name: name.endswith((".html", ".txt")) and "demo/" not in name
    ):
        tree = environment.parse((ROOT / "templates" / name).read_text("utf-8"))
        for call in tree.find_all(jinja2.nodes.Call):
            if isinstance(call.node, jinja2.nodes.Name) and call.node.name in ("_", "gettext", "ngettext"):
                seen += 1
                assert isinstance(call.args[0], jinja2.nodes.Const), (name, call.lineno)
    assert seen > 50


def test_no_sentence_is_put_together_in_python():
    """Issue 5, part 6: a marked sentence is a constant: its placeholders are carried beside it."""
    for path in (ROOT / "idp").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("N_", "NN_"):
                assert isinstance(call.args[0], ast.Constant), (path, call.lineno)


def test_no_sentence_is_filled_in_by_python():
    """ASVS 5.0 §1.3.10 (format strings): a sentence may be the tenant's text, so its per cent signs are no format."""
    marked = {"gettext", "ngettext", "translated", "N_"}
    for path in (ROOT / "idp").rglob("*.py"):
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mod):
                names = {name.id for name in ast.walk(each.left) if isinstance(name, ast.Name)}
                assert not names & marked, (path, each.lineno)


def test_a_sentence_is_english_to_a_program():
    """Issue 5, part 6: a program is told the English text; a person reads the same sentence in the language at hand."""
    short = NN_(
        "The new password is too short; it needs at least %(num)s character",
        "The new password is too short; it needs at least %(num)s characters",
        15,
    )
    listed = N_("See your %(claims)s", claims=("name", "date of birth", "gender"))
    assert short == "The new password is too short; it needs at least 15 characters"
    assert listed == "See your name, date of birth and gender"
    with language.spoken(language.load("de")):
        assert language.translated(short) == "Das neue Passwort ist zu kurz; es braucht mindestens 15 Zeichen"
        assert language.translated(listed) == "Diese Angaben sehen: Name, Geburtsdatum und Geschlecht"
        assert language.translated("") == ""
        assert language.translated("a text of nobody") == "a text of nobody"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", ("29 November 2026, 07:03 UTC", "29 November 2026", "1,234.5", "a, b and c")),
        ("de", ("29. November 2026, 07:03 UTC", "29. November 2026", "1.234,5", "a, b und c")),
    ],
)
def test_dates_numbers_and_lists(tag, expected):
    """Issue 5, part 6: dates, numbers and lists as the language writes them, the time zone named."""
    with language.spoken(language.load(tag)):
        found = (
            language.format_datetime(1795935780),
            language.format_date(1795935780),
            language.format_number(1234.5),
            language.format_list("abc"),
        )
    assert found == expected


def test_plural_forms_of_a_tenants_own_text():
    """Issue 5, part 6: a tenant's text stands for one plural form."""
    one, many = "At least %(num)s character.", "At least %(num)s characters."
    with language.spoken(german({(one, 1): "viele: %(num)s"})):
        assert language.ngettext(one, many, 1) == one
        assert language.ngettext(one, many, 2) == "viele: %(num)s"
