"""What the templates of pages and of mails have in common: sentences in the current language, names set apart, dates and numbers.

A translation is text and never markup: it is escaped like anything else, and keeps of HTML only the plain tags that the template's
own sentence has. Must not know a template.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from idp import language

if TYPE_CHECKING:
    from collections.abc import Callable

_END_OF_SENTENCE = re.compile(r"(?<=[^\W\d_]{2})\.\s+(?=[^\W\d_])")  # not that of an abbreviation
_WITHIN = re.compile(r"[.!?]\s+\S")
_TAG = re.compile(r"</?(?:strong|em|bdi|code)>")


def install(environment: jinja2.Environment) -> None:
    """Give an environment ``_``, ``gettext``, ``ngettext`` and ``{% trans %}``, ``bdi``, ``strong``, and its filters."""
    environment.add_extension("jinja2.ext.i18n")
    # Our functions fill in what they are called with: the extension hands them the variables (its "newstyle").
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(gettext=_gettext, ngettext=_ngettext, bdi=bdi, strong=strong)
    environment.filters.update(
        translated=_unfolded(language.translated),
        ended=ended,
        format_datetime=_unfolded(language.format_datetime),
        format_date=_unfolded(language.format_date),
        format_number=_unfolded(language.format_number),
        duration=_unfolded(duration),
        parted=parted,
    )


def duration(minutes: int) -> str:
    """Return a number of minutes as people say how long something lasts."""
    return language.format_duration(60 * minutes)


def parted(text: str) -> tuple[str, str]:
    """Return an error's words as a heading, which ends without a full stop, and what follows its first sentence."""
    heading, *more = _END_OF_SENTENCE.split(text.strip(), maxsplit=1)
    rest = more[0].rstrip(".") + "." if more else ""
    return heading if heading.endswith("..") else heading.removesuffix("."), rest


def bdi(name: object) -> Markup:
    """Return a name so that its direction of writing does not disturb the sentence around it."""
    return Markup("<bdi>{}</bdi>").format(name)


def ended(text: str) -> str:
    """Return what is shown beside a field: one sentence without a full stop, several with one at the end."""
    has_several = _WITHIN.search(text) is not None
    if has_several and text[-1:].isalnum():
        return f"{text}."
    return text if has_several else text.removesuffix(".")


def strong(text: object) -> Markup:
    """Return a text with strong importance."""
    return Markup("<strong>{}</strong>").format(text)


@jinja2.pass_eval_context
def _gettext(context: jinja2.nodes.EvalContext, sentence: str, /, **values: object) -> str:
    return _written(context, sentence, language.gettext(sentence), values)


@jinja2.pass_eval_context
def _ngettext(context: jinja2.nodes.EvalContext, one: str, many: str, number: int, /, **values: object) -> str:
    values.setdefault("num", number)
    return _written(context, f"{one}{many}", language.ngettext(one, many, number), values)


def _written(context: jinja2.nodes.EvalContext, source: str, text: str, values: dict[str, object]) -> str:
    if not context.autoescape:
        return language.filled(text, values)
    html = _escaped(source, text)
    if not values and "%" not in text:
        return html
    return Markup(language.filled(html, {name: escape(value) for name, value in values.items()}))  # noqa: S704 - both are escaped


@lru_cache(maxsize=4096)
def _escaped(source: str, text: str) -> Markup:
    """Return a sentence as HTML, with those plain tags that the template's own has; a page has dozens, always the same."""
    html = str(escape(text))
    for tag in set(_TAG.findall(source)):
        html = html.replace(str(escape(tag)), tag)
    return Markup(html)  # noqa: S704 - escaped but for the tags


def _unfolded(function: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that is called at each rendering: the compiler would apply it to a constant once and for all."""

    @jinja2.pass_context
    def apply(_context: jinja2.runtime.Context, value: Any, *more: Any) -> str:
        return function(value, *more)

    return apply
