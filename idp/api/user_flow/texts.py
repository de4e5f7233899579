"""The operations on a tenant's own texts, on :mod:`idp.flow.texts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from idp.api import listing
from idp.api.errors import InvalidFields, pointer
from idp.api.listing import Page, PageQuery
from idp.api.operations import Given, Operation, Reply, Shown
from idp.errors import Invalid, NotFound
from idp.flow import texts
from idp.language import DEFAULT
from idp.store.tenant import texts as store

if TYPE_CHECKING:
    from idp.api.operations import Call

TAG = "Texts"
_PATH = "/tenants/{tenant_id}/texts"
Tag = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="The language, such as `de`.")
]
_SENTENCE = "The product's sentence, in English; `%(name)s` stand for what is filled in."


class TextQuery(PageQuery):
    """The parameters of the list of texts."""

    language: Tag = DEFAULT
    is_own: Annotated[
        bool, Field(description="Only those that the tenant has worded itself; `false`: every sentence there is.")
    ] = True
    find: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="Only those with these words, in English or as they read."),
    ] = None


class Text(Shown):
    """A sentence as it reads at the tenant."""

    sentence: Annotated[str, Field(description=_SENTENCE)]
    form: Annotated[int, Field(description="The plural form, where a sentence has several; else 0.")]
    text: Annotated[str, Field(description="What it reads.")]
    is_own: Annotated[bool, Field(description="Whether the tenant has worded it.")]


class TextList(Page):
    """One page of texts."""

    items: list[Text]


class NewText(Given):
    """What a sentence is to read."""

    language: Tag
    sentence: Annotated[str, Field(min_length=1, max_length=2000, description=_SENTENCE)]
    form: Annotated[int, Field(ge=0, le=5, description="The plural form, where a sentence has several.")] = 0
    text: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=texts.LONGEST,
            description="Plain text in one line, with the placeholders of the sentence; null: it reads as usual again, in every form.",
        ),
    ]


NEW: dict[str, Any] = {"language": "en", "sentence": "Sign in", "text": "Log on"}


def list_texts(call: Call) -> Reply:
    """List texts."""
    query: TextQuery = call.query
    try:
        known = texts.sentences(query.language)
    except Invalid as error:
        raise InvalidFields(errors={"?language": error.title}) from None
    with call.server.database.reading() as conn:
        own = {(row.sentence, row.form): row.text for row in store.list_all(conn) if row.language == query.language}
    usual = {(each.source, form): words for each in known.values() for form, words in enumerate(each.forms)}
    # What a newer release no longer says is shown too, so that it can be taken away.
    found = usual | own if not query.is_own else own
    wanted = (query.find or "").casefold()
    rows = [
        listing.Few(
            f"{number:08}",
            str(form),
            {"sentence": sentence, "form": form, "text": words, "is_own": (sentence, form) in own},
        )
        for number, ((sentence, form), words) in enumerate(found.items())
        if wanted in f"{sentence}\n{words}".casefold()
    ]
    return Reply(listing.of_few(query, "text", rows))


def put_text(call: Call) -> Reply:
    """Let a sentence read otherwise, or as usual again."""
    body: NewText = call.body
    database, feed, by = call.server.database, call.surroundings.services.feed, call.caller.by
    try:
        if body.text is None:
            texts.reset(database, feed, call.tenant.id, body.language, body.sentence, by=by)
        else:
            texts.put(database, feed, call.tenant.id, body.language, body.sentence, body.text, by=by, form=body.form)
    except NotFound:
        raise InvalidFields(
            errors={pointer("sentence"): "is no sentence of the product; the list has those there are"}
        ) from None
    except Invalid as error:
        member = "language" if "language " in error.title[:22] else "form" if "plural forms" in error.title else "text"
        raise InvalidFields(errors={pointer(member): error.title}) from None
    return Reply()


OPERATIONS = (
    Operation(
        name="list_texts",
        method="GET",
        path=_PATH,
        permission="branding:read",
        summary="List texts",
        description="What sentences of pages and mails read at the tenant, in one language.",
        tag=TAG,
        handle=list_texts,
        query=TextQuery,
        answer=TextList,
        answer_example={
            "items": [{"sentence": "Sign in", "form": 0, "text": "Log on", "is_own": True}],
            "page": 1,
            "limit": 10,
            "total": 1,
            "total_pages": 1,
        },
    ),
    Operation(
        name="put_text",
        method="PUT",
        path=_PATH,
        permission="branding:write",
        summary="Word a sentence",
        description="Lets a sentence of the product read otherwise at the tenant, in one language, or as usual again.",
        tag=TAG,
        handle=put_text,
        body=NewText,
        status=204,
        body_example=NEW,
    ),
)
