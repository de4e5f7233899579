"""The client that every tenant has: made when it is first used, and an operator's to change and to switch off."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from first_party import ADA, App, registry
from house import CALLBACK, RelyingParty, challenge, decoded

from idp.errors import Conflict
from idp.identity.accounts import By
from idp.oauth.client_metadata import InvalidClientMetadata
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from cast import Cast


def sdk(cast: Cast) -> App:
    return App(cast, RelyingParty(cast.house, cast.globex, "authsec-sdk", None, {"token_endpoint_auth_method": "none"}))


def of_globex(cast: Cast) -> ClientRegistry:
    return ClientRegistry(cast.globex, cast.house.database(cast.globex), cast.house.installation.feed)


def test_the_built_in_client(any_cast: Cast) -> None:
    """Issue 6: `authsec-sdk` is there for every tenant; its tokens are for the services and carry what their bearer may do."""
    app = sdk(any_cast)
    services = [("resource", f"http://localhost:8000/{name}") for name in ("uflow", "authmgr", "webauthn", "clientms")]
    form = {
        "client_id": "authsec-sdk",
        "scope": "openid offline_access authsec",
        "code_challenge": challenge(app.verifier),
        "code_challenge_method": "S256",
        **ADA,
    }
    answer = any_cast.house.post(any_cast.globex, "/challenge", [*form.items(), *services])
    assert answer.status == 200, answer.text
    tokens = app.redeem(answer).json
    assert decoded(tokens["access_token"])[1]["aud"] == [address for _, address in services]
    assert app.client.refresh(tokens["refresh_token"]).status == 200
    assert [each.row.client_id for each in of_globex(any_cast).list_all()].count("authsec-sdk") == 1


def test_two_first_uses_at_once(cast: Cast) -> None:
    """Issue 6: who comes first makes it, who comes at the same time uses it."""
    tenant = cast.house.tenant("initech", rate_limits="off")
    client = RelyingParty(cast.house, tenant, "authsec-sdk", None, {"token_endpoint_auth_method": "none"})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: App(cast, client).ask(ADA), range(4)))
    assert [each.status for each in answers] == [200] * 4


def test_it_can_be_switched_off_before_it_was_used(cast: Cast) -> None:
    """Issue 6: an operator who wants no sign-in by program disables it, and it stays so; deleted it would come back."""
    tenant = cast.house.tenant("hooli")
    registry = ClientRegistry(tenant, cast.house.database(tenant), cast.house.installation.feed)
    assert registry.list_all() == []
    registry.disable("authsec-sdk", by=By("operator"))
    client = RelyingParty(cast.house, tenant, "authsec-sdk", None, {"token_endpoint_auth_method": "none"})
    answer = App(cast, client).ask(ADA)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    with pytest.raises(Conflict):
        registry.delete("authsec-sdk", by=By("operator"))
    registry.enable("authsec-sdk", by=By("operator"))
    assert App(cast, client).ask(ADA).status == 200


def test_nobody_else_takes_its_name(cast: Cast) -> None:
    """RFC 7591 §5: neither an administrator nor who registers itself makes a client of this name, or marks itself first_party."""
    with pytest.raises(InvalidClientMetadata):
        registry(cast).create({"client_id": "authsec-sdk", "redirect_uris": [CALLBACK]}, by=By("operator"))
    cast.house.installation.provisioning.change_settings(cast.acme, {"registration": "open"})
    answer = cast.house.send(
        "POST",
        f"{cast.acme.base_path}/register",
        headers={"content-type": "application/json"},
        body=json.dumps({"redirect_uris": [CALLBACK], "first_party": True}).encode(),
    )
    assert answer.status == 201
    assert "first_party" not in answer.json
    made = registry(cast).get(answer.json["client_id"])
    assert not made.row.first_party
    kept = {"client_id": made.row.client_id, "redirect_uris": [CALLBACK], "first_party": True}
    changed = cast.house.send(
        "PUT",
        answer.json["registration_client_uri"],
        headers={
            "content-type": "application/json",
            "authorization": f"Bearer {answer.json['registration_access_token']}",
        },
        body=json.dumps(kept).encode(),
    )
    assert changed.status == 200, changed.text
    assert not registry(cast).get(made.row.client_id).row.first_party
    for value in ("true", 1, [], {}):
        with pytest.raises(InvalidClientMetadata):
            registry(cast).update(made.row.client_id, {"first_party": value}, by=By("operator"))
