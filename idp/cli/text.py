"""`idp text`: a tenant's own texts, in place of the product's sentences on pages and in mails."""

from __future__ import annotations

from typing import Any

import click

from idp.cli.commands import Output, json_option, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.flow import texts
from idp.store.tenant import texts as stored

_language = click.option("--language", "tag", required=True, help="The language, for instance de.")


@click.group()
def text() -> None:
    """Change what sentences of pages and mails read at a tenant."""


@text.command("list")
@click.argument("tenant")
@_language
@click.option(
    "--all", "shows_all", is_flag=True, help="Every sentence there is, not only those with a text of their own."
)
@click.option(
    "--find", metavar="WORDS", default="", help="Only sentences with these words, in English or in the language."
)
@json_option
def list_(out: Output, tenant: str, tag: str, *, shows_all: bool, find: str) -> None:
    """List the tenant's own texts, or every sentence with what it reads."""
    known = texts.sentences(tag)
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        own = {(row.sentence, row.form): row.text for row in stored.list_all(conn) if row.language == tag}
    documents: list[dict[str, Any]] = [
        {"sentence": each.source, "form": form, "text": own.get((each.source, form), usual), "is_own": is_own}
        for each in known.values()
        for form, usual in enumerate(each.forms)
        if (is_own := (each.source, form) in own) or shows_all
    ]
    # What a newer release no longer says is shown too, so that it can be taken away.
    documents += [
        {"sentence": sentence, "form": form, "text": words, "is_own": True, "is_unused": True}
        for (sentence, form), words in own.items()
        if sentence not in known
    ]
    words = find.casefold()
    documents = [each for each in documents if words in f"{each['sentence']}\n{each['text']}".casefold()]

    def show() -> None:
        rows = [[each["sentence"], str(each["form"]), each["text"], "own" * each["is_own"]] for each in documents]
        table(["sentence", "form", "text", ""], rows, f"{tenant} has no texts of its own in {tag}.")

    out.result(documents, show)


@text.command("set")
@click.argument("tenant")
@click.argument("sentence")
@click.argument("words", metavar="TEXT")
@_language
@click.option("--form", type=click.IntRange(0, 5), default=0, help="The plural form, where a sentence has several.")
@json_option
def set_(out: Output, tenant: str, sentence: str, words: str, tag: str, form: int) -> None:
    """Let a sentence read TEXT at this tenant; SENTENCE is the English one, %(name)s stand for what is filled in."""
    with opened_tenant(tenant) as place:
        feed = place.installation.feed
        texts.put(place.database, feed, place.tenant.id, tag, sentence, words, by=OPERATOR, form=form)
        offered = place.tenant.settings.languages
    note = "" if tag in offered else f" The tenant does not offer {tag}: idp tenant set {tenant} languages=..."
    out.result(
        {"language": tag, "sentence": sentence, "form": form, "text": words, "is_own": True},
        f"The sentence has its own text in {tag}.{note}",
    )


@text.command()
@click.argument("tenant")
@click.argument("sentence", required=False)
@_language
@click.option("--all", "is_all", is_flag=True, help="Every text of the tenant in this language.")
@json_option
def reset(out: Output, tenant: str, sentence: str | None, tag: str, *, is_all: bool) -> None:
    """Let a sentence read as usual again, or all of them."""
    if (sentence is None) != is_all:
        raise click.UsageError("name a sentence, or say --all")
    with opened_tenant(tenant) as place:
        count = texts.reset(place.database, place.installation.feed, place.tenant.id, tag, sentence, by=OPERATOR)
    told = f"{count} text{'s' * (count != 1)} taken back." if count else "There was no text of the tenant's own."
    out.result({"language": tag, "reset": count}, told)
