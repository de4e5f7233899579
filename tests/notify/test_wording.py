"""A tenant's own wording: a sandbox in which little can be said, and HTML of which little is left (CWE-1336, CWE-79)."""

from __future__ import annotations

import time

import pytest

from idp.errors import Invalid
from idp.language import Language
from idp.notify import catalogue, wording
from idp.notify.rendering import Sender, values_for, write

ISSUER = "https://login.acme.example"
ACME = Sender("Acme", ISSUER)
SAMPLE = catalogue.get("notice").sample_for(ISSUER)


def check(part, body):
    wording.check(part, body, values_for(part, SAMPLE, ACME, Language()))


def html(body, **more):
    values = values_for("html", {**SAMPLE, **more}, ACME, Language())
    return wording.filled_in("html", body, values)


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("subject", "Neues von {{ tenant_name }}\n"),
        ("text", "Hallo,\n\n{{ what|notice }}\n{% if link %}{{ button('Ansehen', link) }}{% else %}-{% endif %}\n"),
        ("html", "<p>{{ what|notice }} {{ at|moment }} {{ user_agent|browser }}</p>{{ button('Ansehen', link) }}"),
        ("text", "{{ source|default('?') }} {{ 'a' ~ tenant_name|upper }} {{ 'x' if source is defined else 'y' }}"),
    ],
)
def test_what_may_be_said(part, body):
    """Issue 5, mail: names, conditions, a few filters and the button are all that a mail needs."""
    check(part, body)


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ tenant_name.upper() }}",
        "{{ tenant_name['upper'] }}",
        "{{ self }}",
        "{{ lipsum }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ button.__globals__ }}",
        "{{ range(10) }}",
        "{% for i in 'abc' %}{{ i }}{% endfor %}",
        "{% set x = 'a' * 1000000000 %}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{{ 1 + 1 }}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'login.html' %}",
        "{% extends 'base.html' %}",
        "{% import 'mail/button.txt' as b %}",
        "{% block x %}{% endblock %}",
        "{% call button('a', 'b') %}{% endcall %}",
        "{{ button(*what) }}",
        "{{ button('a') }}",
        "{{ what|replace('a', 'b') }}",
        "{{ what|center(1000000000) }}",
        "{{ what|format('x') }}",
        "{{ what|attr('__class__') }}",
        "{{ what|safe }}",
        "{% raw %}x",
        "{% if %}",
        "{{ unknown }}",
        "{{ config }}",
        "}} {{",
        "{{ at|browser }}",
        "{{ 99999999999999999999|moment }}",
        "{{ 99999999999999|moment }}",
        r"{{ '\ud800' }}",
        "\x00",
        "\x1b[2J",
        "",
        " \n ",
        "x" * 20_001,
    ],
)
def test_what_may_not_be_said(body):
    """CWE-1336, CWE-400: whatever reaches further, or could run for long, is refused in one sentence before it is kept."""
    began = time.monotonic()
    with pytest.raises(Invalid) as refusal:
        check("text", body)
    assert refusal.value.title.endswith(".")
    assert "\n" not in refusal.value.title
    assert time.monotonic() - began < 5


def test_a_subject_of_two_lines():
    """CWE-93: a subject is one line already when it is kept."""
    with pytest.raises(Invalid):
        check("subject", "one\nBcc: x")


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<img src='https://t.example/pixel.gif'>",
        "<p onclick='x()'>a</p>",
        "<a href='javascript:alert(1)'>a</a>",
        "<a href='data:text/html,x'>a</a>",
        "<style>@import 'https://t.example/x.css';</style>",
        "<link rel=stylesheet href='https://t.example/x.css'>",
        "<p style='background-image:url(https://t.example/p.gif)'>a</p>",
        "<p style='background-color:red;list-style:url(https://t.example/p.gif)'>a</p>",
        "<table background='https://t.example/p.gif'><tr><td background='https://t.example/p.gif'>a</td></tr></table>",
        "<form action='https://t.example/'><input name=password></form>",
        "<iframe src='https://t.example/'></iframe>",
        "<svg><image href='https://t.example/p.gif'/></svg>",
        "<video poster='https://t.example/p.gif'></video>",
        "<base href='https://t.example/'><meta http-equiv=refresh content='0;url=https://t.example/'>",
        "</div></div></body><script>alert(1)</script>",
        "<!-- x --><![CDATA[<script>]]><script>alert(1)</script>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "{{ what }}",
    ],
)
def test_html_is_cleaned(body):
    """CWE-79: nothing runs, nothing is loaded, nothing leaves its place, neither by the wording nor by a value."""
    made = html(body, what="<img src=https://t.example/v.gif><script>alert(1)</script>").lower()
    bad = [
        "<script",
        "<img",
        "<style",
        "<link",
        "<form",
        "<input",
        "<iframe",
        "<svg",
        "<image",
        "<video",
        "<base",
        "<meta",
    ]
    bad += ["</body", "<!--", "javascript:", "data:", "url(", "background=", " onclick=", "<p onclick"]
    assert [each for each in bad if each in made] == []


def test_what_html_may_look_like():
    """Issue 5, mail: headings, lists, tables, links and inline styles stay; so does the button with its colours."""
    body = (
        '<h2 style="color:#c00;margin:0">Hallo</h2><ul><li>a</li></ul><p><a href="https://acme.example/?a=1&amp;b=2">x</a> '
        '<a href="{{ link }}">y</a> <a href="mailto:help@acme.example">z</a></p>'
    )
    made = html(body)
    assert made == body.replace("{{ link }}", SAMPLE["link"])
    button = html("{{ button('Los', link) }}")
    assert f'href="{SAMPLE["link"]}"' in button
    assert "background-color:#1f5fd6" in button
    assert "border-radius:8px" in button


def test_deep_html_is_cleaned_in_time():
    """CWE-400: the worst that fits is cleaned within the time that an attempt has."""
    began = time.monotonic()
    for piece in ("<b>", "<table><tr><td>", "<a><p>", "<i><blockquote>"):
        wording.clean(piece * (wording.LONGEST["html"] // len(piece)))
    assert time.monotonic() - began < 20


def test_which_wording_counts():
    """BCP 47 (RFC 4647 §3.4): that of the language, or of the one it is a variety of, or the general one, part by part."""
    rows = {("", "subject"): "any", ("", "text"): "any", ("de", "text"): "de", ("de-at", "html"): "at"}
    assert wording.chosen(rows, "fr") == {"subject": "any", "text": "any"}
    assert wording.chosen(rows, "de") == {"subject": "any", "text": "de"}
    assert wording.chosen(rows, "de-AT") == {"subject": "any", "text": "de", "html": "at"}


def test_it_stands_in_the_frame():
    """Issue 5, mail: the tenant words the middle; who sends it and that it was sent automatically is said all the same."""
    own = {"subject": "Neues\n", "text": "Hallo {{ source }}", "html": "<p>Hallo {{ source }}</p>"}
    written = write("notice", SAMPLE, ACME, Language(), own)
    assert written.subject == "Neues"
    assert written.text.startswith("Hallo 203.0.113.7\n\nThis message was sent automatically by Acme.")
    assert "<p>Hallo 203.0.113.7</p>" in (written.html or "")
    assert "<title>Neues</title>" in (written.html or "")


def test_a_wording_that_fails_later_loses_no_mail():
    """Issue 5, mail: a value that the samples had and this mail has not: the built-in wording is sent instead."""
    own = dict.fromkeys(("subject", "text", "html"), "{{ gone }}")
    written = write("notice", SAMPLE, ACME, Language(), own)
    assert written.subject == "A change to your account at Acme"
    assert written.text.startswith("The password of your account was changed.")
    assert "The password of your account was changed." in (written.html or "")
