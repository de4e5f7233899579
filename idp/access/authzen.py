"""The Authorization API of OpenID AuthZEN 1.0: its requests read, its answers made, by the same decision as everything else.

``subject.type`` is ``user`` (``id`` is the ``sub`` of our tokens, or the username) or ``client`` (``client_id``). The permission that
is asked about is ``resource.type:action.name``; a binding is for the resource ``type:id``. Properties and the context are what the
caller states: conditions of bindings are judged by them. The time is always the server's. Must not know HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from idp.access import permissions, policy, search
from idp.access.policy import Subject
from idp.errors import Invalid
from idp.identity.accounts import fold, is_username
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.access.conditions import Context
    from idp.access.policy import Decision
    from idp.store.rows import Connection

MOST_EVALUATIONS = 500  # of one request
PAGE, LARGEST_PAGE = 50, 100
LONGEST = 255  # characters of a type, an id or a name that can be anything here
SEMANTICS = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
_ENTITIES = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}


def evaluation(conn: Connection, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer an Access Evaluation request; raises :class:`Invalid` for one that is none."""
    return _answer(_decide(conn, body, context))


def evaluations(conn: Connection, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer an Access Evaluations request: in the order of the requests, each failing for itself.

    Raises :class:`Invalid` for what is wrong with the whole of it. Without requests it is a single one.
    """
    items = body.get("evaluations")
    if items is None or items == []:
        return evaluation(conn, body, context)
    if not isinstance(items, list) or len(items) > MOST_EVALUATIONS:
        raise _wrong("evaluations", f"an array of at most {MOST_EVALUATIONS} requests")
    options = body.get("options")
    if options is not None and not isinstance(options, dict):
        raise _wrong("options", "an object")
    semantic = (options or {}).get("evaluations_semantic", SEMANTICS[0])
    if semantic not in SEMANTICS:
        raise _wrong("options.evaluations_semantic", f"one of {', '.join(SEMANTICS)}")
    answers = []
    for item in items:
        try:
            found = evaluation(conn, _merged(body, item), context)
        except Invalid as error:
            found = {"decision": False, "context": {"error": {"status": error.status, "message": error.title}}}
        answers.append(found)
        if (semantic, found["decision"]) in ((SEMANTICS[1], False), (SEMANTICS[2], True)):
            break
    return {"evaluations": answers}


def search_subject(conn: Connection, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer a Subject Search: who may do the action with the resource. Users are named by their username."""
    kind = _entity(body, "subject", ("type",))["type"]
    permission, resource = _permission(body), _resource(body)
    stated = _stated(body, context)
    if permission is None or resource is None:
        return _page(body, lambda _after, _limit: ([], ""))

    def look(after: str, limit: int) -> tuple[list[Any], str]:
        found, onward = search.subjects(conn, kind, permission, resource, context=stated, after=after, limit=limit)
        if kind != "user":
            return [{"type": kind, "id": subject_id} for subject_id, _ in found], onward
        return [{"type": kind, "id": name, "properties": {"sub": each}} for each, name in found], onward

    return _page(body, look)


def search_resource(conn: Connection, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer a Resource Search: with which resources of a type, of those that roles are bound for, the subject may do the action."""
    given = _entity(body, "subject", _ENTITIES["subject"])
    kind = _entity(body, "resource", ("type",))["type"]
    permission = _permission(body)
    stated = _stated(body, context)
    subject = find_subject(conn, given)
    if permission is None or subject is None:
        return _page(body, lambda _after, _limit: ([], ""))

    def look(after: str, limit: int) -> tuple[list[Any], str]:
        found, onward = search.resources(conn, subject, kind, permission, context=stated, after=after, limit=limit)
        return [{"type": kind, "id": each.partition(":")[2]} for each in found], onward

    return _page(body, look)


def search_action(conn: Connection, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer an Action Search: what the subject may do with the resource."""
    given = _entity(body, "subject", _ENTITIES["subject"])
    resource = _resource(body)
    stated = _stated(body, context)
    subject = find_subject(conn, given)

    def look(after: str, limit: int) -> tuple[list[Any], str]:
        if subject is None or resource is None:
            return [], ""
        found = [name for name in search.actions(conn, subject, resource, context=stated) if name > after]
        return [{"name": name} for name in found[:limit]], found[limit - 1] if len(found) > limit else ""

    return _page(body, look)


# -- one decision -----------------------------------------------------------------------------------------------------


def _decide(conn: Connection, body: Mapping[str, Any], context: Context) -> Decision:
    given = _entity(body, "subject", _ENTITIES["subject"])
    permission, resource = _permission(body), _resource(body)
    stated = _stated(body, context)
    subject = find_subject(conn, given)
    if subject is None:
        return policy.NO_SUBJECT
    if permission is None or resource is None:
        return policy.Decision(False, "not_bound", "There is no such action or resource.")
    return policy.permitted(conn, subject, permission, context=stated, resource=resource)


def _answer(decision: Decision) -> dict[str, Any]:
    found = decision.document()
    context = {"id": found["reason"], "reason_admin": {"en": found["explanation"]}}
    context |= {name: found[name] for name in ("role", "binding_id", "resource", "condition") if name in found}
    return {"decision": decision.allowed, "context": context}


def find_subject(conn: Connection, given: Mapping[str, Any]) -> Subject | None:
    """Return who is meant by a ``type`` and an ``id``; None for somebody who is not here."""
    kind, name = given["type"], given["id"]
    if not _is_plain(name):
        return None
    if kind == "client":
        return Subject(kind, name)
    if kind != "user":
        return None
    if users.find(conn, name) is not None:
        return Subject(kind, name)
    key = fold(name)
    user_id = users.find_id(conn, key) if is_username(key) else None
    return None if user_id is None else Subject(kind, user_id)


def _permission(body: Mapping[str, Any]) -> str | None:
    """Return the permission that an action on a resource is; None for what can be no permission's name."""
    action, kind = _entity(body, "action", ("name",))["name"], _entity(body, "resource", ("type",))["type"]
    name = f"{kind}:{action}"
    return name if permissions.NAME.fullmatch(name) else None


def _resource(body: Mapping[str, Any]) -> str | None:
    """Return the resource as bindings name it; None for what can be none."""
    given = _entity(body, "resource", _ENTITIES["resource"])
    name = f"{given['type']}:{given['id']}"
    return name if _is_plain(name) else None


def _stated(body: Mapping[str, Any], context: Context) -> Context:
    """Return the context with what the caller states: properties, and the network and authentication of the subject."""
    stated = body.get("context")
    if stated is not None and not isinstance(stated, dict):
        raise _wrong("context", "an object")
    found = {"context": stated or {}}
    for name in _ENTITIES:
        entity = body.get(name)
        given = entity.get("properties") if isinstance(entity, dict) else None
        if given is not None and not isinstance(given, dict):
            raise _wrong(f"{name}.properties", "an object")
        found[name] = given or {}
    source, amr = found["context"].get("ip"), found["context"].get("amr")
    return replace(
        context,
        properties=found,
        source=source if isinstance(source, str) else None,
        amr=[each for each in amr if isinstance(each, str)] if isinstance(amr, list) else (),
    )


def _entity(body: Mapping[str, Any], name: str, members: tuple[str, ...]) -> Mapping[str, Any]:
    """Return an entity of a request that has these members as texts; raises :class:`Invalid`."""
    found = body.get(name)
    if not isinstance(found, dict):
        raise _wrong(name, "an object" if name in body else "there, as an object")
    for member in members:
        if not isinstance(found.get(member), str) or not found[member]:
            raise _wrong(f"{name}.{member}", "there, as a text")
    return found


def _merged(body: Mapping[str, Any], item: Any) -> dict[str, Any]:
    """Return one request of several: what it says itself, and of the rest what stands at the top.

    An entity replaces the whole of the one at the top, but for a required member that it lacks.
    """
    if not isinstance(item, dict):
        raise _wrong("evaluations", "an array of objects")
    found = {name: body[name] for name in (*_ENTITIES, "context") if name in body}
    for name, value in item.items():
        default = found.get(name)
        if name in _ENTITIES and isinstance(value, dict) and isinstance(default, dict):
            missing = {member: default[member] for member in _ENTITIES[name] if member in default}
            found[name] = {**missing, **value}
        else:
            found[name] = value
    return found


# -- pages ------------------------------------------------------------------------------------------------------------


def _page(body: Mapping[str, Any], look: Callable[[str, int], tuple[list[Any], str]]) -> dict[str, Any]:
    """Return a page of a search, with the token of the next one; an empty token at the end."""
    page = body.get("page")
    if page is not None and not isinstance(page, dict):
        raise _wrong("page", "an object")
    limit = (page or {}).get("limit", PAGE)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise _wrong("page.limit", "a number from 1 on")
    asked = _digest(body)
    found, onward = look(_after((page or {}).get("token"), asked), min(limit, LARGEST_PAGE))
    token = "" if not onward else base64.urlsafe_b64encode(f"{asked}{onward}".encode()).rstrip(b"=").decode()
    return {"results": found, "page": {"next_token": token, "count": len(found)}}


def _after(token: Any, asked: str) -> str:
    """Return from where a token goes on; it belongs to one search and to no other."""
    if token is None or token == "":
        return ""
    try:
        text = base64.b64decode(f"{token}===", b"-_", validate=False).decode() if isinstance(token, str) else ""
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith(asked) or not _is_plain(text.removeprefix(asked)):
        raise _wrong("page.token", "the next_token of the page before, of the same search")
    return text.removeprefix(asked)


def _digest(body: Mapping[str, Any]) -> str:
    """Return what tells one search from another: all that is asked, but for the page."""
    asked = {name: body.get(name) for name in (*_ENTITIES, "context")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _is_plain(text: str) -> bool:
    """Say whether a text can be anything that is stored here; the databases cannot even look for some."""
    return 0 < len(text) <= 2 * LONGEST and text.isprintable()


def _wrong(member: str, wanted: str) -> Invalid:
    return Invalid(f"{member} must be {wanted}.", errors={member: f"must be {wanted}"})
