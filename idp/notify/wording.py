"""A tenant's own wording of a mail: what it may contain, and that it works before it is kept.

It is a Jinja template of names, conditions and a few filters, in a sandbox: no loops, arithmetic, macros or calls but
``button(label, link)``, so that its length bounds what it can cost. What it makes of HTML is cleaned after it was filled in, so that neither the
wording nor a value brings a script, a picture (which would tell that a mail was read) or an address that is not of the web.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import category

import jinja2
import nh3
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from idp import templating
from idp.errors import Invalid
from idp.notify import words

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = {"subject": 300, "text": 20_000, "html": 60_000}  # characters
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Test,
    nodes.Filter,
    nodes.Call,
    nodes.Concat,
)
_FILTERS = (
    "default",
    "e",
    "escape",
    "lower",
    "upper",
    "capitalize",
    "title",
    "trim",
    "moment",
    "notice",
    "browser",
    "duration",
)
_TESTS = ("defined", "undefined", "none")
_TAGS = {
    "a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p",
    "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "*": {"align", "dir", "lang", "style", "title"},
    "a": {"href"},
    "td": {"colspan", "rowspan", "valign"},
    "th": {"colspan", "rowspan", "valign"},
    "table": {"width"},
}
# None of them can name an address.
_STYLES = {
    "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left", "border-radius",
    "border-right", "border-spacing", "border-style", "border-top", "border-width", "color", "display", "font-family",
    "font-size", "font-style", "font-weight", "letter-spacing", "line-height", "margin", "margin-bottom", "margin-left",
    "margin-right", "margin-top", "max-width", "overflow-wrap", "padding", "padding-bottom", "padding-left",
    "padding-right", "padding-top", "text-align", "text-decoration", "text-transform", "vertical-align", "width",
    "word-break",
}  # fmt: skip


def _environment(*, is_html: bool) -> jinja2.Environment:
    made = ImmutableSandboxedEnvironment(
        autoescape=is_html, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()
    made.filters |= {
        "moment": words.moment,
        "notice": words.notice,
        "browser": words.browser,
        "duration": templating.duration,
    }
    made.filters = {name: made.filters[name] for name in _FILTERS}
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


_TEXT, _HTML = _environment(is_html=False), _environment(is_html=True)


def filled_in(part: str, body: str, values: Mapping[str, Any]) -> str:
    """Return a wording with its values; HTML is clean. Raises :class:`jinja2.TemplateError`, or what a filter raises."""
    environment = _HTML if part == "html" else _TEXT
    made = environment.from_string(_parsed(environment, body)).render(values)
    made.encode()  # half a character, which a template can spell, is nothing that can be mailed
    return clean(made) if part == "html" else made


def clean(html: str) -> str:
    """Return HTML without anything that a mail of ours may not contain."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags={"script", "style", "title", "template", "textarea"},
        url_schemes={"https", "http", "mailto"},
        filter_style_properties=_STYLES,
        link_rel=None,
    )


def check(part: str, body: str, values: Mapping[str, Any]) -> None:
    """Raise :class:`Invalid`, with a sentence for who wrote it, unless a wording can be kept; ``values`` are samples."""
    if not body.strip():
        raise Invalid("The wording is empty; `idp mail reset` brings back what came with the product.")
    if len(body) > LONGEST[part]:
        raise Invalid(f"The {part} is longer than {LONGEST[part]} characters.")
    if part == "subject" and len(body.strip().splitlines()) > 1:
        raise Invalid("The subject must be one line.")
    if any(category(letter) == "Cc" and letter not in "\n\r\t" for letter in body):
        raise Invalid("The wording contains a control character.")
    known = ", ".join(sorted(values))
    try:
        filled_in(part, body, values)
    except jinja2.UndefinedError as error:
        raise Invalid(f"The wording cannot be filled in: {_plain(error)}; known here are {known}.") from None
    except jinja2.TemplateSyntaxError as error:
        raise Invalid(f"Line {error.lineno} of the wording is not right: {_plain(error)}.") from None
    except (
        jinja2.TemplateError,
        ArithmeticError,
        AttributeError,
        OSError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise Invalid(f"The wording cannot be filled in: {_plain(error)}.") from None


def _plain(error: Exception) -> str:
    text = (getattr(error, "message", None) or str(error) or type(error).__name__).rstrip(".")
    return " ".join(text.split())[:200]


def _parsed(environment: jinja2.Environment, body: str) -> nodes.Template:
    """Parse a wording; raises :class:`jinja2.TemplateSyntaxError` for what it may not do."""
    tree = environment.parse(body)
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Call):
            if not (isinstance(node.node, nodes.Name) and node.node.name == "button"):
                raise jinja2.TemplateSyntaxError("only button(label, link) can be called", node.lineno)
            if len(node.args) != 2 or node.kwargs or node.dyn_args or node.dyn_kwargs:
                raise jinja2.TemplateSyntaxError("it is button(label, link)", node.lineno)
        elif not isinstance(node, _ALLOWED) or (isinstance(node, nodes.Name) and node.name == "self"):
            what = type(node).__name__
            raise jinja2.TemplateSyntaxError(
                f"{what} is not among what a mail may use: names, if, filters", node.lineno
            )
    return tree


def chosen(rows: Mapping[tuple[str, str], str], tag: str) -> dict[str, str]:
    """Return the wording of each part for a language: its own, that of the language it is a variety of, or the general one."""
    order = ["", tag.partition("-")[0].lower(), tag.lower()]
    found: dict[str, str] = {}
    for wanted in order:
        found |= {part: body for (spoken, part), body in rows.items() if spoken.lower() == wanted}
    return found
