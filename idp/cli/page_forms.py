"""Reading the forms of the sign-in pages as a browser would, for `idp test`: fields and buttons by the names that are a contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Form:
    """One form: where it is sent, its fields with their values, and the buttons by id as (name, value)."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.correlation_id: str | None = None
        self._is_open = self._reads_id = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("id") == "correlation-id":
            self._reads_id = True
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._is_open = True
        elif self._is_open and tag == "button":
            self.forms[-1].buttons[given.get("id", "")] = (given.get("name", ""), given.get("value", ""))
        elif self._is_open and tag == "input" and given.get("name") and not _is_unticked(given):
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._reads_id and data.strip():
            self.correlation_id, self._reads_id = data.strip(), False


def _is_unticked(given: dict[str, str]) -> bool:
    return given.get("type") == "checkbox" and "checked" not in given


def read(page: str) -> tuple[list[Form], str | None]:
    """Return a page's forms and the correlation id it shows, if any."""
    reader = _Reader()
    reader.feed(page)
    return reader.forms, reader.correlation_id
