"""`idp registration-token`: what an administrator hands out (RFC 7591 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command import Idp


def test_issued_listed_and_revoked(idp: Idp) -> None:
    """RFC 7591 §3: shown once; a list never shows the token; the tenant's setting is told when it is off."""
    made = idp(
        "registration-token", "create", "acme", "--name", "The mobile team", "--uses", "3", "--days", "2", "--json"
    ).json
    assert made["token"].startswith("iat_")
    assert (made["uses_left"], made["state"]) == (3, "active")
    (listed,) = idp("registration-token", "list", "acme", "--json").json
    assert "token" not in listed
    assert listed["id"] == made["id"]
    assert idp("registration-token", "revoke", "acme", made["id"], "--json").json["state"] == "revoked"
    assert [each["state"] for each in idp("registration-token", "list", "acme", "--json").json] == ["revoked"]
    shown = idp("registration-token", "create", "acme", "--name", "x")
    assert "idp tenant set acme registration=token" in shown.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "acme", "--name", "x", "--uses", "0"),
        ("create", "acme", "--name", "x", "--days", "1e9"),
        ("create", "acme", "--name", "x", "--days", "nan"),
        ("create", "acme", "--name", " "),
        ("create", "acme"),
        ("revoke", "acme", "nobody"),
        ("create", "nobody", "--name", "x"),
    ],
)
def test_wrong_use(idp: Idp, arguments: tuple[str, ...]) -> None:
    """Interfaces §2: exit status 1 or 2 and one sentence."""
    done = idp("registration-token", *arguments)
    assert done.status in (1, 2)
    assert done.sentence
