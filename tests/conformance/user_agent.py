"""A browser with a person in front of it: cookies, redirects, forms by the names that are promised to programs.

It knows of pages what interfaces promise (fields ``username`` and ``password``, ids of buttons) and follows the provider as far
as its pages lead. Where the provider sends it to somebody else, it stops: that is the authorization response, whichever way it
travels (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2), and it is not delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
from op_under_test import PASSWORD, PERSON

if TYPE_CHECKING:
    import ssl

_MOST_STEPS = 20
_JSON = "application/json"


class Markup(HTMLParser):
    """The parts of a page that matter: its first form, its buttons, images, links, frames and texts by id."""

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.action: str | None = None
        self.method = "get"
        self.fields: dict[str, str] = {}
        self.buttons: dict[str, dict[str, str]] = {}
        self.sources: dict[str, list[str]] = {}
        self.links: list[str] = []
        self.by_id: dict[str, str] = {}
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action, self.method = given.get("action", ""), given.get("method", "get").lower()
        elif tag == "input" and "name" in given and given.get("type") not in ("checkbox", "radio", "submit"):
            self.fields[given["name"]] = given.get("value", "")
        elif tag == "button" and "id" in given:
            self.buttons[given["id"]] = given
        elif tag in ("iframe", "img") and "src" in given:
            self.sources.setdefault(tag, []).append(given["src"])
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        self._open = given.get("id")

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.by_id[self._open] = self.by_id.get(self._open, "") + data

    def handle_endtag(self, _tag: str) -> None:
        self._open = None


@dataclass(frozen=True)
class Arrival:
    """Where the browser stopped: an address of somebody else with parameters for it, or a page of the provider's."""

    target: str = ""  # of somebody else, without the parameters of a fragment or form
    params: dict[str, str] = field(default_factory=dict)
    mode: str = ""  # query, fragment or form_post
    repeated: tuple[str, ...] = ()  # names that occur more than once
    page: httpx.Response | None = None

    @property
    def error(self) -> str | None:
        """The error of an authorization response, or the one that a page shows as text."""
        if self.page is not None:
            return Markup(self.page.text).by_id.get("error-code")
        return self.params.get("error")

    @property
    def markup(self) -> Markup:
        """The page."""
        assert self.page is not None, f"no page, but {self.target} {self.params}"
        return Markup(self.page.text)


class UserAgent:
    """One browser. ``pressed`` are the buttons the person pressed since it was emptied."""

    def __init__(self, issuer: str, trust: ssl.SSLContext, username: str = PERSON) -> None:
        """Open a browser without cookies at the provider ``issuer``."""
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(issuer))
        self.issuer, self.username = issuer, username
        self.http = httpx.Client(
            verify=trust,
            timeout=30,
            trust_env=False,
            headers={"accept": "text/html,application/xhtml+xml", "user-agent": "Mozilla/5.0"},
        )
        self.pressed: list[str] = []
        self.ignored: frozenset[str] = frozenset()  # buttons the person does not press
        self.trail: list[httpx.Response] = []

    def close(self) -> None:
        """Close the browser."""
        self.http.close()

    def raw(self, method: str, url: str, **more: Any) -> httpx.Response:
        """One request with the browser's cookies, nothing followed."""
        return self.http.request(method, url, follow_redirects=False, **more)

    def open(self, url: str, *, form: dict[str, str] | None = None, origin: str | None = None) -> Arrival:
        """Go to an address (by POST with a ``form``, which a page of ``origin`` sends) and on, as far as pages lead."""
        self.pressed, self.trail = [], []
        for _ in range(_MOST_STEPS):
            parts = urlsplit(url)
            if not url.startswith(self.origin + "/"):
                return _arrival(url, form)
            sent = {"origin": origin} if form is not None and origin else {}
            answer = self.raw("GET" if form is None else "POST", url, data=form, headers=sent)
            self.trail.append(answer)
            if answer.is_redirect:
                url, form = urljoin(url, answer.headers["location"]), None
                continue
            markup = Markup(answer.text)
            if "form-post-submit" in markup.buttons:
                # A form with nothing to read for the person: the user agent submits it (Form Post Response Mode §2).
                assert (markup.method, markup.action) != ("get", None)
                url, form, origin = urljoin(url, markup.action or ""), markup.fields, self.origin
                continue
            button = next((each for each in self._answers() if each in markup.buttons), None)
            if button is None:
                return Arrival(page=answer)
            self.pressed.append(button)
            pushed = markup.buttons[button]
            own = {pushed["name"]: pushed.get("value", "")} if "name" in pushed else {}
            form = {**markup.fields, **own, **self._answers()[button]}
            url, origin = urljoin(url, markup.action or parts.path), self.origin
        raise AssertionError(f"the pages lead in a circle: {self.pressed}")

    def _answers(self) -> dict[str, dict[str, str]]:
        known: dict[str, dict[str, str]] = {
            "login-submit": {"username": self.username, "password": PASSWORD},
            "consent-approve": {},
            "account-continue": {},
            "logout-confirm": {},
        }
        return {name: fields for name, fields in known.items() if name not in self.ignored}


def _arrival(url: str, form: dict[str, str] | None) -> Arrival:
    if form is not None:
        return Arrival(url, form, "form_post")
    parts = urlsplit(url)
    mode = "fragment" if parts.fragment else "query"
    pairs = parse_qsl(parts.fragment or parts.query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
    return Arrival(url.partition("#")[0], dict(pairs), mode, repeated)
