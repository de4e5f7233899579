"""The postal address of a profile: one claim with members, which a form asks for one by one (OpenID Connect Core §5.1.1).

Owns which fields those are. The member ``formatted`` is none: it says the whole once more, and is left out as soon as one of the
others changes. Must not know pages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from idp.language import N_


class Part(NamedTuple):
    """One field of an address."""

    name: str
    label: str
    autocomplete: str
    has_lines: bool = False


PARTS = (
    Part("street_address", N_("Street and number"), "street-address", has_lines=True),
    Part("postal_code", N_("Postal code"), "postal-code"),
    Part("locality", N_("Town"), "address-level2"),
    Part("region", N_("State or region"), "address-level1"),
    Part("country", N_("Country"), "country-name"),
)


def shown(value: Any) -> dict[str, str]:
    """Return an address as its fields show it, stored or typed; lines end as they are stored."""
    given = value if isinstance(value, dict) else {}
    texts = {part.name: given.get(part.name) for part in PARTS}
    return {name: text.replace("\r\n", "\n").strip() if isinstance(text, str) else "" for name, text in texts.items()}
