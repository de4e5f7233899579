"""Reading a request by an operation's models: JSON strictly, parameters once each, everything that is wrong named at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import ValidationError

from idp.api.errors import InvalidFields, UnsupportedMediaType, pointer
from idp.web.entrance import MAX_BODY_BYTES, BodyTooLarge
from idp.web.http import parse_json

if TYPE_CHECKING:
    from idp.api.operations import Given, Operation
    from idp.errors import Invalid
    from idp.web.http import Request

    G = TypeVar("G", bound=Given)

MOST_BYTES = 64 * 1024
_MOST_ERRORS = 50
_MOST_DETAIL = 300
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)


def read_body(http: Request, operation: Operation) -> Any:
    """Return the body by the operation's model, or the file, None where it has neither; raises what the answer is to be."""
    if operation.body is None and not operation.is_file:
        return None
    most = MAX_BODY_BYTES if operation.is_file else MOST_BYTES
    if len(http.body) > most:
        raise BodyTooLarge(f"This operation reads at most {most} bytes.")
    if http.media_type not in operation.media_types or not (operation.is_file or _is_utf8(http)):
        # RFC 9110 §15.5.16: Accept says what would have been read; RFC 5789 §3.1 has its own field for PATCH.
        field = "accept-patch" if operation.method == "PATCH" else "accept"
        raise UnsupportedMediaType(
            f"Send {' or '.join(operation.media_types)}.", headers=[(field, ", ".join(operation.media_types))]
        )
    return http.body if operation.body is None else validated(operation.body, parse_json(http.body))


def _is_utf8(http: Request) -> bool:
    """RFC 8259 §8.1: JSON is UTF-8; a parameter that says otherwise is not believed."""
    for parameter in (http.headers.get("content-type") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return False
    return True


def read_query(http: Request, model: type[G] | None) -> G | None:
    """Return the query by a model; a parameter that nobody knows, or that is repeated, is refused."""
    found: dict[str, str] = {}
    errors: dict[str, str] = {}
    known = model.model_fields if model is not None else {}
    for name, value in http.args:
        if name in found:
            errors[f"?{name[:100]}"] = "stands there more than once"
        elif name not in known:
            errors[f"?{name[:100]}"] = "is no parameter of this operation"
        elif "\0" in value:  # PostgreSQL cannot even look for it
            errors[f"?{name}"] = "must have no NUL in it"
        found[name] = value
    made = None
    if model is not None:
        typed = {name: _typed(known[name].annotation, value) for name, value in found.items() if name in known}
        try:
            made = model.model_validate(typed, strict=True)
        except ValidationError as error:
            errors |= {f"?{each['loc'][0]}": _sentence(each) for each in _errors(error)}
    if errors:
        raise InvalidFields(errors=_some(errors))
    return made


def _typed(annotation: Any, value: str) -> str | int | bool:
    """Return a parameter's value in the type it is to have, where it is written as JSON writes it; else the text, to be refused."""
    kinds = {annotation, *get_args(annotation)}
    if bool in kinds:
        return {"true": True, "false": False}.get(value, value)
    if int in kinds and _WHOLE.fullmatch(value):
        return int(value)
    return value


def validated(model: type[G], given: object) -> G:
    """Return a JSON value as a model; raises :class:`InvalidFields` that points at each fault."""
    if not isinstance(given, dict):
        raise InvalidFields(errors={pointer(): "must be an object"})
    is_open = model.model_config.get("extra") == "allow"  # else pydantic names what is unknown
    errors = {pointer(name[:200]): _UNKNOWN for name in given if is_open and model.is_unknown(name)}
    try:
        made = model.model_validate(given, strict=True)
    except ValidationError as error:
        errors |= {_pointer(each): _sentence(each) for each in _errors(error)}
    if errors:
        raise InvalidFields(errors=_some(errors))
    return made


def _some(errors: dict[str, str]) -> dict[str, str]:
    return dict(list(errors.items())[:_MOST_ERRORS])


def as_fields(error: Invalid) -> Invalid:
    """Return an error of the domain that names its member by the sentence only with the member named."""
    first = error.title.partition(" ")[0].rstrip(":,")
    if not error.errors and first.replace("_", "").isalnum() and "_" in first and first.islower():
        error.errors = {first: error.title}
    return error


_UNKNOWN = "is no member of this document"


def _errors(error: ValidationError) -> list[Any]:
    # Neither what was sent nor an address of pydantic's goes back.
    return list(error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_ERRORS])


def _pointer(fault: Any) -> str:
    return pointer(*(part if isinstance(part, int) else part[:200] for part in fault["loc"]))


def _sentence(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return _UNKNOWN
    if fault["type"] == "missing":
        return "is required"
    message: str = fault["msg"]
    for beginning in ("Input should be ", "Value error, "):
        if message.startswith(beginning):
            return f"{'must be ' if beginning.startswith('Input') else ''}{message.removeprefix(beginning)}"[
                :_MOST_DETAIL
            ]
    return message[:_MOST_DETAIL]
