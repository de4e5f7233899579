"""Discovery lists exactly what a probe of every advertised value finds working (OpenID Connect Discovery §3, RFC 8414 §2).

Every value of every member is tried by the recipe of the member (:mod:`probing`); a member or a value without recipe fails, so that
what is new must join. Values that others offer and this provider does not list must be refused.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from probing import RECIPES, REFUSALS, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_site import Site
    from op_under_test import Provider


@pytest.fixture
def probe(provider: Provider, site: Site, client_keys: dict[str, Any]) -> Iterator[Probe]:
    """What a recipe works with."""
    made = Probe(provider, site, client_keys, provider.discovery())
    yield made
    made.close()


def told(error: BaseException) -> str:
    """What a recipe found, and the line that found it."""
    line = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {error} at {line.name}: {line.line}"[:600]


def test_every_member_has_a_recipe(probe: Probe) -> None:
    """OpenID Connect Discovery §3: nothing is advertised that this probe does not try."""
    assert probe.document.keys() - RECIPES.keys() == set()


@pytest.mark.parametrize("member", RECIPES)
def test_what_is_advertised_works(probe: Probe, member: str) -> None:
    """OpenID Connect Discovery §3: each value of the member works (a member that is absent advertises nothing)."""
    value = probe.document.get(member, [])
    broken = {}
    for each in value if isinstance(value, list) else [value]:
        try:
            RECIPES[member](probe, each)
        except (AssertionError, LookupError, ValueError) as error:
            broken[each] = f"{type(error).__name__}: {error}"[:600]
    assert broken == {}


@pytest.mark.parametrize("member", REFUSALS)
def test_what_is_not_advertised_is_refused(probe: Probe, member: str) -> None:
    """OpenID Connect Discovery §3: a value that is not listed does not work, though others have it."""
    values, refusal = REFUSALS[member]
    working = {}
    for each in values:
        if each in probe.document.get(member, []):
            continue
        try:
            refusal(probe, each)
        except AssertionError as error:
            working[each] = told(error)
    assert working == {}


def test_control_an_unknown_value_fails(probe: Probe) -> None:
    """OpenID Connect Discovery §3, negative control: a value that nobody serves is found broken, in each list."""
    for member, recipe in RECIPES.items():
        if member.endswith("_supported") and isinstance(probe.document.get(member), list) and "locales" not in member:
            with pytest.raises((AssertionError, LookupError, ValueError)):
                recipe(probe, "foobar")
