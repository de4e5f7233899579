"""What mails say and how they look: two parts, nothing loaded, nothing of a stranger's that could be taken for ours."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from idp.language import Language, load
from idp.notify import catalogue, rendering, words
from idp.notify.rendering import Look, Sender, write
from idp.web.branding import contrast, mail_colours

ISSUER = "https://login.acme.example"
ENGLISH = Language()
ACME = Sender("Acme & Söhne", ISSUER, Look())
FOLDER = Path(__file__).resolve().parents[2] / "templates" / "mail"
FRAME = {"base", "button", "own"}


def sample(name: str = "notice", **more):
    return catalogue.get(name).sample_for(ISSUER) | more


@pytest.mark.parametrize("name", [mail.name for mail in catalogue.MAILS])
def test_every_mail_has_two_parts_and_loads_nothing(name):
    """Issue 5, mail: a subject of one line, a text, an HTML part without script, picture, style sheet or anything fetched."""
    written = write(name, sample(name), ACME, ENGLISH)
    assert 0 < len(written.subject) <= rendering.LONGEST_SUBJECT
    assert "\n" not in written.subject
    assert written.text.startswith(tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert "Acme & Söhne" in written.text
    assert "\n\n\n" not in written.text
    assert "<" not in written.text
    assert written.html is not None
    assert "Acme &amp; Söhne" in written.html
    assert re.search(r"<(script|style|img|link|iframe|object|form)\b|\bsrc=|url\(|@import", written.html) is None
    assert set(re.findall(r'href="([^"]*)"', written.html)) <= {f"{ISSUER}/account"} | set(
        re.findall(r"https?://\S+", written.text)
    )


def test_the_catalogue_lists_every_mail():
    """Issue 5, mail: what can be sent can be previewed: a template has its row in idp/notify/catalogue.py."""
    names = {path.stem for path in FOLDER.glob("*.txt")} - FRAME
    assert {mail.name for mail in catalogue.MAILS} == names
    assert all(mail.about.endswith(".") for mail in catalogue.MAILS)


def test_a_button_is_an_address_too():
    """Issue 5, mail: in both parts the address of a button can be read and copied."""
    written = write("notice", sample(link=f"{ISSUER}/account?a=1&b=2"), ACME, ENGLISH)
    assert f"Look at your account:\n{ISSUER}/account?a=1&b=2\n" in written.text
    assert f">{ISSUER}/account?a=1&amp;b=2</a>" in (written.html or "")


def test_a_notice_without_a_link():
    """Issue 5, mail: a notice says what to do also where there is no page to lead to, and leaves out what is not known."""
    written = write("notice", sample(link=None, source=None, user_agent=None), ACME, ENGLISH)
    assert "tell the people who run Acme & Söhne" in written.text
    assert "From:" not in written.text
    assert "None" not in written.text + (written.html or "")


def test_hostile_values_are_text():
    """ASVS 5.0 §1.2.1: markup in a value is shown, not obeyed, in the HTML part; in the text part it stays as it is."""
    evil = Sender('<img src=x onerror="alert(1)">', ISSUER)
    written = write("notice", sample(source="<script>alert(1)</script>"), evil, ENGLISH)
    assert "<script" not in (written.html or "")
    assert "<img" not in (written.html or "")
    assert "&lt;script&gt;" in (written.html or "")
    assert "<script>alert(1)</script>" in written.text


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8", "an unknown browser"),
        ("Your account is locked, go to https://evil.example now", "an unknown browser"),
        ("https://evil.example Firefox/1 Windows", "an unknown browser"),
        ("Mozilla/5.0 https://evil.example Firefox/1 Windows", "Firefox on Windows"),
    ],
)
def test_a_browser_is_named_and_never_quoted(user_agent, name):
    """Security, mail: who causes a notice to somebody else puts no words of theirs into it by the name of their browser."""
    written = write("notice", sample(user_agent=user_agent), ACME, ENGLISH)
    assert f"With: {name}\n" in written.text
    assert "evil" not in written.text + (written.html or "")


def test_every_notice_is_a_sentence():
    """Issue 5, mail: a notice says what happened in a sentence; a word that this release does not know is no reason to be silent."""
    for what, sentence in words.NOTICES.items():
        assert sentence.endswith("."), what
        assert write("notice", sample(what=what), ACME, ENGLISH).text.startswith(sentence)
    assert write("notice", sample(what="of-tomorrow"), ACME, ENGLISH).text.startswith("Something about the security")


def test_a_missing_value_is_an_error():
    """Architecture, pages: a name that a template uses and nobody gave stops the mail instead of leaving a hole in it."""
    with pytest.raises(jinja2.UndefinedError):
        write("notice", {"what": "password_changed", "at": 0}, ACME, ENGLISH)


@pytest.mark.parametrize("colour", ["#ffff00", "#000000", "#ffffff", "#1f5fd6", "#ff8800", "#888888"])
def test_colours_can_be_read(colour):
    """WCAG 2.2 §1.4.3: whatever colour a tenant chose, label and links have a contrast of 4.5 with what is behind them."""
    fill, ink, link = mail_colours(colour)
    assert contrast(fill, ink) >= 4.5
    assert contrast(link, "#ffffff") >= 4.5


def test_a_subject_is_one_line():
    """CWE-93: line ends and control characters in what a subject is made of become spaces."""
    written = write("test", {}, Sender("Acme\r\nBcc: all@example.com\x00\u2028x", ISSUER), ENGLISH)
    assert written.subject == "A test mail from Acme Bcc: all@example.com x"


def test_the_direction_of_the_language():
    """WCAG 2.2 §3.1.1: the HTML part says its language and which way it is written."""
    written = write("test", {}, ACME, Language("ar", direction="rtl"))
    assert '<html lang="ar" dir="rtl">' in (written.html or "")


@pytest.mark.parametrize(
    ("minutes", "english", "german"),
    [
        (1, "1 minute", "1 Minute"),
        (30, "30 minutes", "30 Minuten"),
        (60, "1 hour", "1 Stunde"),
        (90, "90 minutes", "90 Minuten"),
        (1440, "1 day", "1 Tag"),
        (2160, "36 hours", "36 Stunden"),
        (10080, "7 days", "7 Tage"),
    ],
)
@pytest.mark.parametrize("name", ["recovery", "invitation", "unlock"])
def test_how_long_a_link_works_is_said_as_people_do(name, minutes, english, german):
    """Issue 5, mail: a duration is exact, in the unit and the plural that people use, in the mail's language."""
    context = sample(name, minutes=minutes, wait_minutes=15)
    for language, expected in ((ENGLISH, f"for {english}"), (load("de"), f"{german} lang")):
        written = write(name, context, ACME, language)
        assert expected in written.text
        assert expected in (written.html or "")


def test_an_invitation_of_an_earlier_release_is_still_sent():
    """Architecture §4 (release N serves what N-1 wrote): a mail that was put into the box with hours alone says them."""
    context = sample("invitation", hours=72)
    del context["minutes"]
    assert "for 3 days" in write("invitation", context, ACME, ENGLISH).text


def test_a_wording_of_the_tenant_may_use_numbers_or_words():
    """Issue 5, mail: `minutes` and `hours` stay names that a tenant's own wording may use; `duration` says them in words."""
    own = {"subject": "{{ hours }} h, {{ minutes }} min, {{ minutes|duration }}"}
    assert write("invitation", sample("invitation"), ACME, load("de"), own).subject == "168 h, 10080 min, 7 Tage"
