"""Every page with its sample data, to be looked at, under the strict policy of production.

Another language is `--language de`; `qps` is longer than any other and `qps-rtl` is written from right to left.

`python tests/pages/preview.py` takes screenshots of all pages into var/preview, at 320 and 1280 px, light and dark;
with `--serve` the pages stay up at http://127.0.0.1:18100/ to click through.
"""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from page_samples import LANGUAGES, SAMPLES
from pseudo_language import offered

from idp import language
from idp.flow import brand_preview
from idp.identity.profile import Field
from idp.notify import catalogue, rendering
from idp.web.branding import Brand, brand_css, mail_colours
from idp.web.pages import render, static_file

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
CORRELATION_ID = "7Q2M4ZK9X1VB3NTC"
EMPTY_FRAME = 8192  # bytes: the picture of a frame with nothing in it has fewer
HEIGHT = "document.documentElement.scrollHeight"
SAMPLE_LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect x="4" y="4" width="32" height="32" rx="7" fill="#e8643c"/>'
    b'<path d="m8 30 8-10 6 6 5-4 6 8z" fill="#fff"/><circle cx="27" cy="14" r="3.5" fill="#fff"/></svg>'
)

PICTURES = {
    "/sample-wide.svg": (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="40" viewBox="0 0 160 40"><rect width="160" height="40" fill="#7b1fa2"/>'
        b'<circle cx="20" cy="20" r="12" fill="#fff"/><rect x="44" y="14" width="100" height="12" fill="#fff"/></svg>'
    ),
    "/sample-picture.svg": (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="500" viewBox="0 0 800 500"><rect width="800" height="500" fill="#34506b"/>'
        b'<path d="M0 500 250 180 430 380 560 260 800 500z" fill="#e9f1f5"/><circle cx="640" cy="110" r="50" fill="#f7d774"/></svg>'
    ),
}


class _Pages(BaseHTTPRequestHandler):
    """Answers /{sample}/, its brand's stylesheet and the static files."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        sample = path.strip("/").partition("/")[0]
        if path.startswith("/static/") and (found := static_file(path.removeprefix("/static/"))):
            self._answer(found.content_type, found.body)
        elif path.endswith("/brand.css"):
            self._answer("text/css", brand_css(_brand(path.removesuffix("/brand.css"))).encode())
        elif path.endswith("/sample-frame"):
            self._answer("text/html; charset=utf-8", b"<!doctype html><title>frame</title>")
        elif path.endswith(brand_preview.MAIL):
            brand = _brand(path.removesuffix(brand_preview.MAIL))
            self._answer("text/html; charset=utf-8", _mail(brand, self._tag(query)), brand_preview.MAIL_POLICY)
        elif path == "/sample-logo.svg":
            self._answer("image/svg+xml", SAMPLE_LOGO)
        elif path in PICTURES:
            self._answer("image/svg+xml", PICTURES[path])
        elif sample in SAMPLES:
            template, brand, context = SAMPLES[sample]
            with offered(), language.spoken(language.load(self._tag(query))):
                html = render(template, brand, CORRELATION_ID, **{"page_languages": LANGUAGES, **_spoken(context)})
            self._answer("text/html; charset=utf-8", html.encode())
        elif path == "/":
            links = "".join(f'<li><a href="/{escape(name)}/">{escape(name)}</a></li>' for name in SAMPLES)
            self._answer("text/html; charset=utf-8", f"<!doctype html><title>Pages</title><ul>{links}</ul>".encode())
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _tag(self, query: str) -> str:
        """Return the language that is asked for, or the one of the page that holds the frame."""
        given = query or urlsplit(self.headers.get("referer", "")).query
        return dict(parse_qsl(given)).get("language", language.DEFAULT)

    def _answer(self, content_type: str, body: bytes, policy: str = POLICY) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)


def _spoken(value: Any) -> Any:
    """Return what a page is shown with as its handler hands it over: its sentences in the language of the page."""
    if isinstance(value, dict):
        return {name: _spoken(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_spoken, value))
    if isinstance(value, Field):
        spoken = {name: _spoken(getattr(value, name)) for name in ("label", "value", "hint", "parts")}
        return replace(value, **spoken)
    is_sentence = isinstance(value, language.Sentence) or (isinstance(value, str) and value[:1].isupper())
    return language.translated(value) if is_sentence else value


def _brand(base_path: str) -> Brand:
    """Return the brand of the samples under a path."""
    return next(brand for _, brand, _ in SAMPLES.values() if brand.base_path == base_path)


def _mail(brand: Brand, tag: str) -> bytes:
    """Return the mail that the preview of a brand shows."""
    issuer = f"https://id.example{brand.base_path}"
    sample = catalogue.get(brand_preview.SAMPLE).sample_for(issuer)
    sender = rendering.Sender(brand.name, issuer, rendering.Look(*mail_colours(brand.primary)))
    with offered():
        written = rendering.write(brand_preview.SAMPLE, sample, sender, language.load(tag))
    return (written.html or "").encode()


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Serve the pages on loopback while the block runs; gives the address. Port 0 takes a free one."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Take the screenshots, or serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--port", type=int, default=18100)
    parser.add_argument("--language", default=language.DEFAULT)
    parser.add_argument("--out", type=Path, default=Path("var/preview"))
    parser.add_argument("only", nargs="*", help="names of samples")
    chosen = parser.parse_args()
    with serving(chosen.port) as address:
        if chosen.serve:
            sys.stdout.write(f"{address}/\n")
            threading.Event().wait()
        _photograph(address, chosen.out, chosen.only or list(SAMPLES), chosen.language)


def _photograph(address: str, folder: Path, names: list[str], tag: str) -> None:
    """Write one PNG for each sample, width and colour scheme."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, height in ((320, 640), (1280, 800)):
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    java_script_enabled=False,  # form_post.html would leave
                )
                page.on("console", lambda message: sys.stderr.write(f"{message.text}\n"))
                for name in names:
                    page.goto(f"{address}/{name}/?language={tag}")
                    _fit_window(page, width, height)
                    suffix = "" if tag == language.DEFAULT else f"-{tag}"
                    page.screenshot(path=folder / f"{name}{suffix}-{width}-{scheme}.png", full_page=True)
                page.close()
        browser.close()


def _fit_window(page: Any, width: int, height: int) -> None:
    """Make the window as high as the page where a frame is shown, and wait until it is: out of sight, a frame without rights is not drawn."""
    frame = page.locator("iframe:visible")
    shown = frame.count()
    is_behind = page.locator(".backdrop:visible").count()  # a picture that is as high as the window
    page.set_viewport_size({"width": width, "height": height})
    for _ in range(2 if shown or is_behind else 0):  # the space above the page grows with the window
        page.set_viewport_size({"width": width, "height": page.evaluate(HEIGHT)})
    for _ in range(40 if shown else 0):
        if len(frame.first.screenshot()) > EMPTY_FRAME:
            return
        page.wait_for_timeout(250)
    if shown:
        sys.stderr.write(f"{page.url}: nothing is seen in the frame\n")


if __name__ == "__main__":
    main()
