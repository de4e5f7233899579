"""A tenant's look on the pages: its name, pictures, texts, links and two colours, made readable whatever the tenant chose.

Owns: WCAG 2.2 contrast (§1.4.3 text, §1.4.11 controls and focus) and the custom properties that `static/idp.css` is drawn with.
Must not know: tenants, settings, storage, protocols. The stylesheet it writes holds nothing but colours it computed itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from idp.language import N_

DEFAULT_PRIMARY = "#2a56c6"
DEFAULT_BACKGROUND = "#f5f6f8"

TEXT_CONTRAST = 4.5  # WCAG 2.2 §1.4.3
CONTROL_CONTRAST = 3.0  # WCAG 2.2 §1.4.11
FILL_CONTRAST = 1.3  # a button's fill is told from the card; its edge carries CONTROL_CONTRAST

WHITE, BLACK = "#ffffff", "#000000"

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_BASE_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Scheme:
    """The fixed colours of `static/idp.css` in one colour scheme that a tenant's colours meet."""

    surface: str  # the card
    raised: str  # a quiet box on the card
    ink: str
    link_contrast: float  # of links with `raised`, where it is lower than with `surface`


_LIGHT = _Scheme(surface="#ffffff", raised="#f5f6f8", ink="#14171c", link_contrast=TEXT_CONTRAST)
_DARK = _Scheme(surface="#181b21", raised="#20242c", ink="#eceef2", link_contrast=6.0)
_NIGHT = "#0b0d11"  # the page behind the card in dark, before the tenant's background tints it


class BrandError(ValueError):
    """A brand that cannot be drawn; its text is a sentence for the person who set it."""


@dataclass(frozen=True, slots=True)
class Brand:
    """Who a page belongs to.

    `primary` (buttons, links) and `background` (the page behind the card) are `#rrggbb`; `base_path` is the path before
    the tenant's own pages, "" or for instance "/t/acme". Pictures and links are addresses, `welcome_text` is plain text; what is
    None is not shown. Raises BrandError when a colour or the path has another form.
    """

    name: str
    logo_url: str | None = None
    primary: str = DEFAULT_PRIMARY
    background: str = DEFAULT_BACKGROUND
    base_path: str = ""
    logo_dark_url: str | None = None
    favicon_url: str | None = None
    picture_url: str | None = None  # behind the card, on wide screens
    welcome_text: str | None = None
    support_url: str | None = None
    privacy_url: str | None = None
    imprint_url: str | None = None

    @property
    def images(self) -> tuple[str | None, ...]:
        """The addresses that a page loads pictures from."""
        return (self.logo_url, self.logo_dark_url, self.favicon_url, self.picture_url)

    def __post_init__(self) -> None:
        """Refuse what could not be written into a stylesheet or an address."""
        for label, colour in (("primary", self.primary), ("background", self.background)):
            if not is_colour(colour):
                raise BrandError(_not_a_colour(label))
        if not _BASE_PATH.fullmatch(self.base_path):
            raise BrandError("The base path is neither empty nor of the form /name/name.")


def is_colour(text: str) -> bool:
    """Tell whether `text` is a colour of the form #rrggbb."""
    return _COLOUR.fullmatch(text) is not None


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two #rrggbb colours, 1.0 to 21.0 (WCAG 2.2, definition of contrast ratio)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: str, against: str, ratio: float) -> str:
    """Return `colour`, moved towards black or white only as far as `ratio` against `against` asks."""
    target = BLACK if contrast(BLACK, against) > contrast(WHITE, against) else WHITE
    for percent in range(0, 101, 2):
        candidate = _mix(colour, target, percent / 100)
        if contrast(candidate, against) >= ratio:
            return candidate
    return target


def mail_colours(primary: str) -> tuple[str, str, str]:
    """Return what a mail in a tenant's colour is drawn with, on white: a button's fill, its text, and links."""
    return *_button(primary.lower(), _LIGHT), readable(primary.lower(), _LIGHT.raised, _LIGHT.link_contrast)


def check_colours(primary: str, background: str) -> list[str]:
    """Return a marked sentence for each thing about a tenant's colours that its administrator should know; empty when all is well.

    A text that is no colour is refused by `Brand`; a colour with too little contrast is drawn adjusted, and said here.
    That every colour is lightened for dark screens goes without saying.
    """
    found = [
        _not_a_colour(label)
        for label, colour in (("primary", primary), ("background", background))
        if not is_colour(colour)
    ]
    if found:
        return found
    if (reached := contrast(primary, _LIGHT.raised)) < _LIGHT.link_contrast:
        drawn = readable(primary, _LIGHT.raised, _LIGHT.link_contrast)
        found.append(
            N_(
                "The primary colour %(primary)s has a contrast of %(reached)s with the page, and text needs %(needed)s; "
                "links are drawn in %(drawn)s.",
                primary=primary,
                reached=round(reached, 1),
                needed=TEXT_CONTRAST,
                drawn=drawn,
            )
        )
    fill, _ = _button(primary, _LIGHT)
    if fill != primary.lower():
        found.append(
            N_(
                "Buttons in the primary colour %(primary)s could not be read or not be seen; they are drawn in %(drawn)s.",
                primary=primary,
                drawn=fill,
            )
        )
    return found


@lru_cache(maxsize=1024)
def brand_css(brand: Brand) -> str:
    """Return the stylesheet that gives the pages `brand`'s colours: custom properties only, in light and in dark."""
    light = _properties(brand, _LIGHT, brand.background.lower())
    dark = _properties(brand, _DARK, _dark_page(brand.background.lower()))
    return f":root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{\n:root {{\n{dark}}}\n}}\n"


@lru_cache(maxsize=1024)
def brand_css_url(brand: Brand) -> str:
    """Return where `brand_css` is served for this brand; the address changes when the colours do."""
    return f"{brand.base_path}/brand.css?v={sha256(brand_css(brand).encode()).hexdigest()[:12]}"


def _properties(brand: Brand, scheme: _Scheme, page: str) -> str:
    """Return the custom properties of one colour scheme, one a line."""
    fill, fill_ink = _button(brand.primary.lower(), scheme)
    page_ink = max((_LIGHT.ink, _DARK.ink), key=lambda ink: contrast(ink, page))
    page_ink = readable(page_ink, page, TEXT_CONTRAST)
    values = {
        "page": page,
        "page-ink": page_ink,
        "page-muted": readable(_mix(page_ink, page, 0.32), page, TEXT_CONTRAST),
        "brand": fill,
        "brand-ink": fill_ink,
        "brand-hover": _mix(fill, BLACK if contrast(fill_ink, BLACK) > contrast(fill_ink, WHITE) else WHITE, 0.14),
        "brand-edge": readable(fill, scheme.surface, CONTROL_CONTRAST),
        "brand-text": readable(brand.primary.lower(), scheme.raised, scheme.link_contrast),
    }
    return "".join(f"  --{name}: {value};\n" for name, value in values.items())


def _button(primary: str, scheme: _Scheme) -> tuple[str, str]:
    """Return a button's fill and its text colour, as near to `primary` as can be read."""
    fill = readable(primary.lower(), scheme.surface, FILL_CONTRAST)
    for ink in (WHITE, _LIGHT.ink):
        if contrast(ink, fill) >= TEXT_CONTRAST:
            return fill, ink
    return readable(fill, WHITE, TEXT_CONTRAST), WHITE


def _dark_page(background: str) -> str:
    """Return the page behind the card in dark: nearly black, with a breath of the tenant's background."""
    return _mix(background, _NIGHT, 0.98)


def _luminance(colour: str) -> float:
    """Return the relative luminance of a #rrggbb colour (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(colour: str, other: str, share: float) -> str:
    """Return `colour` with `share` (0 to 1) of `other` in it."""
    mixed = (round(a + (b - a) * share) for a, b in zip(_channels(colour), _channels(other), strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a #rrggbb colour."""
    if not is_colour(colour):
        raise BrandError(_not_a_colour("given"))
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _not_a_colour(label: str) -> str:
    """Return the sentence about a text that is no colour; the text itself is not repeated."""
    return f"The {label} colour is not of the form #rrggbb, for instance {DEFAULT_PRIMARY}."
