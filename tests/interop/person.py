"""A person at a browser, scripted: opens addresses, keeps cookies, follows redirects and fills in the forms of the sign-in.

Knows the pages by the names that are promised to programs (interfaces.md §4): fields ``username`` and ``password``, the ids of
buttons; nothing else of them. Sends what every browser sends with a form: its fields, the button and Origin.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
from house import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

_TAG = re.compile(r"<(input|button|form)\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_MOST_STEPS = 20


@dataclass(frozen=True)
class Stop:
    """Where the person stopped: a page that is open, or what would have been sent to an address that is not to be opened."""

    url: str
    status: int = 0
    text: str = ""
    form: dict[str, str] | None = None


@dataclass
class Person:
    """One browser; ``answers`` are the buttons to press by id, with the fields to fill in first."""

    trust: Path
    answers: dict[str, dict[str, str]] = field(
        default_factory=lambda: {
            "login-submit": {"username": "ada@example.com", "password": PASSWORD},
            "consent-approve": {},
            "logout-confirm": {},
            "form-post-submit": {},
        }
    )
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.verify = str(self.trust)
        self._session.trust_env = False
        self._session.headers.update({"accept": "text/html,application/xhtml+xml", "user-agent": "Mozilla/5.0"})

    def copy(self) -> Person:
        """Another tab of the same browser, to be used by another thread."""
        made = Person(self.trust)
        made._session.cookies.update(self._session.cookies)
        return made

    def open(self, url: str, *, stop_at: str = "", form: dict[str, str] | None = None) -> Stop:
        """Go to an address and on, as far as pages lead; an address beginning with ``stop_at`` is not opened but returned.

        With a ``form`` it is posted to the address first, as a script of that page does it.
        """
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        for _ in range(_MOST_STEPS):
            if stop_at and url.startswith(stop_at):
                return Stop(url, form=form)
            answer = (
                self._session.get(url, allow_redirects=False, timeout=30)
                if form is None
                else self._post(url, form, origin)
            )
            if answer.is_redirect:
                url, form = urljoin(url, answer.headers["location"]), None
                continue
            button = next((each for each in self.answers if f'id="{each}"' in answer.text), None)
            if button is None:
                return Stop(url, answer.status_code, answer.text)
            self.seen.append(button)
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            action, form = self._filled(answer.text, button)
            url = urljoin(url, action)
        raise AssertionError(f"the pages lead in a circle: {self.seen}")

    def _post(self, url: str, form: dict[str, str], origin: str) -> requests.Response:
        return self._session.post(url, data=form, headers={"origin": origin}, allow_redirects=False, timeout=30)

    def _filled(self, text: str, button: str) -> tuple[str, dict[str, str]]:
        action, values = "", {}
        for tag, given in _TAG.findall(text):
            attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(given)}
            if tag == "form" and not values:
                action = attributes.get("action", "")
            elif "name" in attributes and (tag == "input" or attributes.get("id") == button):
                values[attributes["name"]] = attributes.get("value", "")
        return action, values | self.answers[button]
