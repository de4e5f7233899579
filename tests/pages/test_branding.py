"""A tenant's colours: WCAG 2.2 contrast, and that no choice makes a page unreadable."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.web.branding import (
    DEFAULT_BACKGROUND,
    DEFAULT_PRIMARY,
    Brand,
    BrandError,
    brand_css,
    brand_css_url,
    check_colours,
    contrast,
    is_colour,
    readable,
)
from idp.web.pages import static_file

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def properties(css: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the custom properties in light and in dark (there: over those of light)."""
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("\n}")[0] if "@media" in rest else rest
    found = [dict(re.findall(r"--([a-z-]+): ([^;]+);", part)) for part in (light, dark)]
    return found[0], {**found[0], **found[1]}


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#949494", "#ffffff", 3.03),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#FFFFFF", 8.59),
        ("#ffff00", "#ffffff", 1.07),
    ],
)
def test_contrast(one, other, ratio):
    """WCAG 2.2, contrast ratio: known values, in either order."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize(
    "text",
    ["", "red", "#fff", "#1234567", "123456", "#12345g", "#123456;}*{", "#123456\n", "#１２３４５６", "rgb(0,0,0)"],
)
def test_what_is_no_colour_is_refused(text):
    """Security 'Browser rules': nothing that a tenant wrote reaches a stylesheet but six hexadecimal digits."""
    assert not is_colour(text)
    with pytest.raises(BrandError):
        Brand("Acme", primary=text)
    with pytest.raises(BrandError):
        Brand("Acme", background=text)
    assert len(check_colours(text, DEFAULT_BACKGROUND)) == 1
    assert len(check_colours(text, text)) == 2


@pytest.mark.parametrize("path", ["/", "t/acme", "/t/acme/", "/t/../x", "//evil.example", "/t/a b", '/t/"'])
def test_a_strange_base_path_is_refused(path):
    """Interfaces §4: a tenant's path is "" or /name/name."""
    with pytest.raises(BrandError):
        Brand("Acme", base_path=path)


@given(colours, colours)
def test_every_choice_of_colours_can_be_read(primary, background):
    """WCAG 2.2 §1.4.3 and §1.4.11: text 4.5, edges of controls and focus 3, in light and in dark."""
    fixed = properties(static_file("idp.css").body.decode())
    for ours, given_to_css in zip(fixed, properties(brand_css(Brand("Acme", None, primary, background))), strict=True):
        used = {**ours, **given_to_css}
        for text, ground in (
            ("brand-ink", "brand"),
            ("brand-ink", "brand-hover"),
            ("brand-text", "surface"),
            ("brand-text", "raised"),
            ("page-ink", "page"),
            ("page-muted", "page"),
        ):
            assert contrast(used[text], used[ground]) >= 4.5, (text, ground)
        assert contrast(used["brand-edge"], used["surface"]) >= 3


def test_the_fixed_colours_can_be_read():
    """WCAG 2.2 §1.4.3, §1.4.11: the stylesheet's own pairs, in light and in dark."""
    for used in properties(static_file("idp.css").body.decode()):
        for text, ground in (
            ("ink", "surface"),
            ("ink", "raised"),
            ("ink", "danger-surface"),
            ("muted", "surface"),
            ("muted", "raised"),
            ("danger", "surface"),
            ("danger", "danger-surface"),
        ):
            assert contrast(used[text], used[ground]) >= 4.5, (text, ground)
        assert contrast(used["control"], used["surface"]) >= 3
        assert contrast(used["good"], used["raised"]) >= 3


def test_the_stylesheet_and_the_default_brand_agree():
    """Architecture §2: idp.css alone is drawn like the default brand."""
    for fixed, branded in zip(
        properties(static_file("idp.css").body.decode()), properties(brand_css(Brand("x"))), strict=True
    ):
        assert {name: fixed[name] for name in branded} == branded


def test_a_readable_colour_is_left_alone():
    """WCAG 2.2 §1.4.3: nothing is changed without need, and as little as possible."""
    assert readable("#2a56c6", "#ffffff", 4.5) == "#2a56c6"
    moved = readable("#ffd400", "#ffffff", 4.5)
    assert 4.5 <= contrast(moved, "#ffffff") < 5.2


def test_checks_say_what_will_be_drawn():
    """Issue 3, build 10: colours checked for contrast; the administrator reads why a link is darker."""
    assert check_colours(DEFAULT_PRIMARY, DEFAULT_BACKGROUND) == []
    (about_links,) = check_colours("#ffd400", "#ffffff")
    assert "#ffd400" in about_links
    assert properties(brand_css(Brand("x", primary="#ffd400")))[0]["brand-text"] in about_links
    assert properties(brand_css(Brand("x", primary="#ffd400")))[0]["brand"] == "#ffd400"
    about_white = check_colours("#ffffff", "#ffffff")
    assert len(about_white) == 2
    assert properties(brand_css(Brand("x", primary="#ffffff")))[0]["brand"] in about_white[1]


def test_the_stylesheet_holds_only_properties():
    """Security 'Browser rules': a tenant writes no CSS; its name, logo and path are not in it."""
    css = brand_css(Brand("}*{display:none}", "/x}", "#123456", "#654321", "/t/acme"))
    line = r"(:root \{|  --[a-z-]+: #[0-9a-f]{6};|\}|@media \(prefers-color-scheme: dark\) \{)"
    assert all(re.fullmatch(line, text) for text in css.splitlines())


def test_the_address_changes_with_the_colours():
    """RFC 9111 §4.2: an address that may be cached for ever names one content."""
    one, other = Brand("A", base_path="/t/a"), Brand("A", primary="#000000", base_path="/t/a")
    assert brand_css_url(one) != brand_css_url(other)
    assert brand_css_url(one).startswith("/t/a/brand.css?v=")
    assert brand_css_url(Brand("A")).startswith("/brand.css?v=")
