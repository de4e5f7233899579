"""Writing a mail: its subject, its text and its HTML, in one language and one tenant's look.

Owns the Jinja environments of `templates/mail/`: HTML is escaped, text is not, and a name that is not there is an error. What a
tenant worded itself stands in the frame of the built-in template; should it fail for these values, the built-in wording is sent.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from idp import language as languages
from idp import templating
from idp.folders import packaged
from idp.notify import wording, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.language import Language

log = logging.getLogger("idp.notify.rendering")

_TOO_MANY_LINES = re.compile(r"\n{3,}")
LONGEST_SUBJECT = 200  # characters


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a tenant's mails, each readable on white or on the other: of a button, its label, and of links."""

    fill: str = "#1f5fd6"
    ink: str = "#ffffff"
    link: str = "#1f5fd6"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mail it is."""

    name: str
    issuer: str
    look: Look = Look()


@dataclass(frozen=True, slots=True)
class Written:
    """A mail as its reader sees it."""

    subject: str
    text: str
    html: str | None


def is_known(name: str) -> bool:
    """Say whether this release has a template of this name."""
    return (packaged("templates") / "mail" / f"{name}.txt").is_file()


def write(
    name: str, context: Mapping[str, Any], sender: Sender, language: Language, own: Mapping[str, str] | None = None
) -> Written:
    """Return the mail of a template, with the tenant's ``own`` wording of some of its parts.

    Raises :class:`jinja2.TemplateError` when the values do not fit the built-in template.
    """
    own = own or {}
    with languages.spoken(language):
        values = _values(context, sender, language)
        subject = one_line(_own_or(own, "subject", values, lambda: _subject(name, values)))
        text = _own_or(own, "text", values, lambda: None)
        template, more = (f"mail/{name}.txt", {}) if text is None else ("mail/own.txt", {"own": text})
        plain = _text().get_template(template).render({**values, **more, "button": _text_button})
        html = _own_or(own, "html", values, lambda: None)
        is_built_in = html is None
        template = f"mail/{name}.html" if is_built_in else "mail/own.html"
        if is_built_in and not (packaged("templates") / template).is_file():
            return Written(subject, _tidy(plain), None)
        more = {} if html is None else {"own": html, "subject": subject}
        page = _html().get_template(template).render({**values, **more, "button": _html_button(sender.look)})
    return Written(subject, _tidy(plain), page.strip() + "\n")


def values_for(part: str, context: Mapping[str, Any], sender: Sender, language: Language) -> dict[str, Any]:
    """Return every name that a wording of ``part`` may use."""
    button = _html_button(sender.look) if part == "html" else _text_button
    return {**_values(context, sender, language), "button": button}


def one_line(text: str) -> str:
    """Return a text as it may stand in a header: one line, no control characters, not endless."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split())[:LONGEST_SUBJECT]


def _values(context: Mapping[str, Any], sender: Sender, language: Language) -> dict[str, Any]:
    own = {"tenant_name": sender.name, "issuer": sender.issuer, "look": sender.look}
    return {**context, **own, "lang": language.tag, "direction": language.direction}


def _own_or(own: Mapping[str, str], part: str, values: Mapping[str, Any], otherwise: Any) -> Any:
    if part in own:
        button = _html_button(values["look"]) if part == "html" else _text_button
        try:
            return wording.filled_in(part, own[part], {**values, "button": button})
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the mail must go
            log.warning("a tenant's wording of a mail's %s fails: %s", part, type(error).__name__)
    return otherwise()


def _subject(name: str, values: Mapping[str, Any]) -> str:
    template = _text().get_template(f"mail/{name}.txt")
    return "".join(template.blocks["subject"](template.new_context({**values, "button": _text_button})))


def _text_button(label: str, link: str) -> str:
    macro: Any = _text().get_template("mail/button.txt").module
    return str(macro.button(label, link)).strip()


def _html_button(look: Look) -> Callable[[str, str], Any]:
    macro: Any = _html().get_template("mail/button.html").module
    return lambda label, link: macro.button(label, link, look)


def _tidy(text: str) -> str:
    """Return a text without spaces at the ends of lines and without more than one empty line together."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return _TOO_MANY_LINES.sub("\n\n", lines) + "\n"


@cache
def _html() -> jinja2.Environment:
    return _environment(is_html=True)


@cache
def _text() -> jinja2.Environment:
    return _environment(is_html=False)


def _environment(*, is_html: bool) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(packaged("templates")),
        autoescape=is_html,  # noqa: S701 - the other one writes plain text
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=is_html,  # in a text an empty line is a paragraph
        lstrip_blocks=True,
    )
    templating.install(made)
    made.filters |= {"notice": words.notice, "moment": words.moment, "browser": words.browser}
    return made
