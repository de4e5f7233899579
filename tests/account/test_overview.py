"""The overview: who is signed in, what needs attention, what was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.identity import terms

if TYPE_CHECKING:
    from account_world import World


def test_terms_that_were_accepted(any_world: World) -> None:
    """Issue 5, account pages (terms accepted): each version with its time, the last one first; without any there is no word of them."""
    browser = any_world.signed_in()
    assert "Terms of use accepted" not in any_world.open(browser, "").text
    user = any_world.user().id
    for version in ("2025-01", "2026-03"):
        any_world.house.database(any_world.tenant).writing(
            lambda conn, version=version: terms.accept(conn, user, version, source="192.0.2.1", correlation_id="C" * 16)
        )
    text = any_world.open(browser, "").text
    assert "Terms of use accepted" in text
    assert "<bdi>2025-01</bdi>" in text
    assert "<bdi>2026-03</bdi>" in text
