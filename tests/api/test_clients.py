"""Client Management: each operation, what it refuses, what it leaves behind, and whom it must not serve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from api_world import PUBLIC, World, client_of
from cast import SigningKey

from idp import opaque
from idp.api.client_management import examples
from idp.api.client_management.clients import OPERATIONS
from idp.api.client_management.models import MOST_TAGS
from idp.oauth.clients import ClientRegistry
from idp.store.tenant import clients

if TYPE_CHECKING:
    from house import Answer

SECRET = re.compile(r"cs_[A-Za-z0-9_-]{43}")


def made(world: World, client_id: str = "orders", **changes: Any) -> Answer:
    answer = world.clients("POST", "", client_of(client_id=client_id, **changes))
    assert answer.status == 201, answer.text
    return answer


def faults(answer: Answer, status: int = 422) -> dict[str, str]:
    """What is wrong, by pointer or parameter."""
    assert answer.status == status, answer.text
    return {each.get("pointer") or f"?{each['parameter']}": each["detail"] for each in answer.json["errors"]}


def stored(world: World, client_id: str = "orders") -> Any:
    with world.database().reading() as conn:
        return clients.find(conn, client_id)


# -- create ------------------------------------------------------------------------------------------------------------------


def test_a_client_is_registered_and_can_be_used(any_world: World) -> None:
    """Interfaces §5: 201, Location, ETag, the defaults filled in, a secret of 256 bits that works and is stored as its digest."""
    answer = made(
        any_world, grant_types=["client_credentials"], response_types=[], scope="api", tags=["web", "shop", "web"]
    )
    shown = answer.json
    assert answer.header("location") == f"{PUBLIC}/clientms/tenants/acme/clients/orders"
    assert SECRET.fullmatch(shown["client_secret"])
    assert stored(any_world).secret_hash == opaque.digest(shown["client_secret"])
    assert shown["tags"] == ["shop", "web"]
    assert (shown["status"], shown["client_profile"], shown["registered_by"]) == ("active", "strict", "administrator")
    assert shown["token_endpoint_auth_method"] == "client_secret_basic"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["created_at"])
    read = any_world.clients("GET", "/orders")
    assert read.json == {name: value for name, value in shown.items() if name != "client_secret"}
    assert read.header("etag") == answer.header("etag")
    form = {"grant_type": "client_credentials", "client_id": "orders", "client_secret": shown["client_secret"]}
    from house import basic

    token = any_world.house.post(
        any_world.tenants["acme"],
        "/token",
        {"grant_type": "client_credentials"},
        headers=basic("orders", form["client_secret"]),
    )
    assert token.status == 200, token.text
    (event,) = any_world.events("client.created")
    assert (event.actor, event.client_id) == (any_world.people["acme", "admin"], "orders")
    assert event.correlation_id
    assert event.source == "127.0.0.1"


def test_an_id_is_made_where_none_is_given(world: World) -> None:
    """Interfaces §5: without client_id one is made."""
    answer = world.clients("POST", "", client_of())
    assert re.fullmatch(r"client-[0-9a-f]{16}", answer.json["client_id"])
    assert answer.header("location") == f"{PUBLIC}/clientms/tenants/acme/clients/{answer.json['client_id']}"


def test_a_client_without_a_secret_is_shown_none(world: World) -> None:
    """RFC 7591 §3.2.1: a public client and one with keys get no secret."""
    key = SigningKey.new("ES256").public_jwk
    for name, more in {
        "public": {"token_endpoint_auth_method": "none"},
        "keys": {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}},
    }.items():
        answer = made(world, name, **more)
        assert "client_secret" not in answer.json
        assert answer.json["has_secret"] is False
        refused = world.clients("POST", f"/{name}/rotate-secret")
        assert (refused.status, refused.json["code"]) == (409, "client_without_secret")


def test_an_id_that_is_taken(world: World) -> None:
    """Interfaces §5: 409, and the client that is there stays as it is; another tenant's does not count."""
    made(world)
    before = world.dump()
    answer = world.clients("POST", "", client_of(client_id="orders", client_name="Another"))
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert world.dump() == before
    assert (
        world.clients("POST", "", client_of(client_id="orders"), slug="globex", token=world.token("globex")).status
        == 201
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"client_secret": "a-secret-of-ones-own-choice"},
        {"status": "disabled"},
        {"state": "active"},
        {"registered_by": "open"},
        {"registration_token_hash": "x"},
        {"secret_hash": "x"},
        {"created_at": "2020-01-01T00:00:00Z"},
        {"client_id_issued_at": 1},
        {"tenant": "globex"},
        {"tenant_id": "globex"},
        {"has_secret": False},
        {"roles": ["tenant-admin"]},
        {"software_statement": "x"},
        {"__class__": "x"},
        {"client_name#": "x"},
        {"client_id#de": "x"},
        {"scope#de": "x"},
        {"CLIENT_NAME": "x"},
        {"": "x"},
    ],
    ids=lambda extra: next(iter(extra)),
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_nothing_is_assigned_by_the_way(shared: World, method: str, extra: dict[str, Any]) -> None:
    """Issue 6 (mass assignment), OWASP API3: a member that the document does not have is refused, and nothing is changed."""
    if shared.clients("GET", "/mass").status == 404:
        made(shared, "mass")
    before = shared.dump()
    body = extra if method == "PATCH" else client_of(**extra)
    answer = shared.clients(method, "" if method == "POST" else "/mass", body)
    assert list(faults(answer).values()) == ["is no member of this document"]
    assert shared.dump() == before


def test_a_client_id_cannot_be_changed(world: World) -> None:
    """RFC 7592 §2.2: neither a replacement nor a patch renames a client."""
    made(world)
    for method in ("PUT", "PATCH"):
        assert faults(world.clients(method, "/orders", client_of(client_id="other"))) == {
            "#/client_id": "is no member of this document"
        }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"redirect_uris": "x", "tags": [1], "default_max_age": "5"},
            {"#/redirect_uris", "#/tags/0", "#/default_max_age"},
        ),
        ({"redirect_uris": ["https://a.example/", 5]}, {"#/redirect_uris/1"}),
        ({"client_name": 5, "nonsense": 1}, {"#/client_name", "#/nonsense"}),
        ({"require_auth_time": "true"}, {"#/require_auth_time"}),
        ({"default_max_age": 1.5}, {"#/default_max_age"}),
        ({"default_max_age": True}, {"#/default_max_age"}),
        ({"grant_types": ["password"]}, {"#/grant_types/0"}),
        ({"client_profile": "fapi9"}, {"#/client_profile"}),
        ({"tags": ["Not a tag"]}, {"#/tags/0"}),
        ({"tags": [f"t{number}" for number in range(MOST_TAGS + 1)]}, {"#/tags"}),
        ({"jwks": {"keys": []}}, {"#/jwks/keys"}),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, {"#/jwks"}),
        ({"client_id": "a b"}, {"#/client_id"}),
        ({"client_id": "0" * 32}, {"#/client_id"}),
        ({"redirect_uris": ["https://a.example/#x"], "logo_uri": "ftp://x"}, {"#/redirect_uris", "#/logo_uri"}),
        ({"client_profile": "oidc"}, {"#/client_profile"}),
        ({"client_name#de": 5}, {"#/client_name%23de"}),
        ({"client_name#de": "a\u0000b"}, {"#/client_name%23de"}),
        ({"client_name": "a\ud800b"}, {"#/client_name"}),
        ({"contacts": ["a\u0000"]}, {"#/contacts"}),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, dict) else None,
)
def test_every_fault_is_pointed_at(shared: World, body: dict[str, Any], expected: set[str]) -> None:
    """Interfaces §5, RFC 9457, RFC 6901: 422 with a pointer to each value that is wrong and a sentence; what was sent is not echoed."""
    before = shared.dump()
    answer = shared.clients("POST", "", client_of() | body)
    assert set(faults(answer)) == expected
    assert all(faults(answer).values())
    assert shared.dump() == before


def test_members_that_do_not_go_together(shared: World) -> None:
    """RFC 7591 §3.2.2: rules between members are a 422 with the code of RFC 7591, naming the member."""
    answer = shared.clients("POST", "", {"client_name": "x", "grant_types": ["authorization_code"]})
    assert (answer.status, answer.json["code"]) == (422, "invalid_redirect_uri")
    assert set(faults(answer)) == {"#/redirect_uris"}
    both = client_of(jwks={"keys": [SigningKey.new("ES256").public_jwk]}, jwks_uri="https://a.example/jwks")
    answer = shared.clients("POST", "", both)
    assert (answer.status, answer.json["code"]) == (422, "invalid_client_metadata")
    private = client_of(jwks_uri="https://127.0.0.1/jwks")
    assert set(faults(shared.clients("POST", "", private))) == {"#/jwks_uri"}


# -- replace, patch ----------------------------------------------------------------------------------------------------------


def test_a_replacement_removes_what_it_leaves_out(any_world: World) -> None:
    """RFC 9110 §9.3.4: what is left out of PUT is removed or becomes its default; id, status and secret stay."""
    made(any_world, **{"client_name#de": "Bestellungen"}, contacts=["ada@example.com"], tags=["web"])
    before = stored(any_world)
    assert any_world.clients("POST", "/orders/deactivate").status == 200
    answer = any_world.clients("PUT", "/orders", {"redirect_uris": ["https://new.example/cb"]})
    assert answer.status == 200
    assert answer.json["redirect_uris"] == ["https://new.example/cb"]
    assert answer.json["tags"] == []
    assert not {"client_name", "client_name#de", "contacts", "client_secret"} & answer.json.keys()
    assert answer.json["status"] == "disabled"
    assert stored(any_world).secret_hash == before.secret_hash
    assert stored(any_world).created_at == before.created_at
    (event,) = any_world.events("client.updated")
    assert {"client_name", "redirect_uris", "tags"} <= set(event.details["members"])


def test_what_was_read_can_be_put_back(world: World) -> None:
    """RFC 9110 §9.3.4: what may be changed of an answer, sent back, changes nothing but the time."""
    shown = made(world, tags=["a"], **{"client_name#de": "Bestellungen"}).json
    read_only = {"client_id", "status", "registered_by", "has_secret", "created_at", "updated_at", "client_secret"}
    answer = world.clients("PUT", "/orders", {name: value for name, value in shown.items() if name not in read_only})
    keep = lambda document: {k: v for k, v in document.items() if k not in ("updated_at", "client_secret")}  # noqa: E731
    assert keep(answer.json) == keep(shown)


@pytest.mark.parametrize(
    "media_type", ["application/merge-patch+json", "application/json", "application/merge-patch+json; charset=utf-8"]
)
def test_a_patch_changes_what_it_names(any_world: World, media_type: str) -> None:
    """RFC 7396 §2: what is left out stays, null removes, lists are replaced."""
    made(any_world, contacts=["a@example.com"], logo_uri="https://a.example/logo", tags=["a", "b"])
    patch = {
        "client_name": "New",
        "client_name#de": "Neu",
        "contacts": ["b@example.com"],
        "logo_uri": None,
        "tags": None,
    }
    answer = any_world.clients("PATCH", "/orders", patch, media_type=media_type)
    assert answer.status == 200, answer.text
    shown = answer.json
    assert (shown["client_name"], shown["client_name#de"], shown["contacts"]) == ("New", "Neu", ["b@example.com"])
    assert "logo_uri" not in shown
    assert shown["tags"] == []
    assert shown["redirect_uris"] == ["https://orders.example/callback"]
    gone = any_world.clients("PATCH", "/orders", {"client_name#de": None})
    assert "client_name#de" not in gone.json
    assert any_world.clients("PATCH", "/orders", {}).json["client_name"] == "New"


def test_a_patch_is_judged_by_what_comes_of_it(world: World) -> None:
    """RFC 7591 §3.2.2: a patch after which the members would not go together is refused whole."""
    made(world)
    before = world.dump()
    answer = world.clients("PATCH", "/orders", {"client_name": "New", "redirect_uris": None})
    assert (answer.status, answer.json["code"]) == (422, "invalid_redirect_uri")
    assert world.dump() == before


def test_a_change_of_method_shows_no_secret(world: World) -> None:
    """Issue 6: secrets are in the answers of create and rotate alone; a client that comes to need one gets it by a rotation."""
    made(world, token_endpoint_auth_method="none")
    answer = world.clients("PATCH", "/orders", {"token_endpoint_auth_method": "client_secret_post"})
    assert answer.json["has_secret"] is True
    assert not SECRET.search(answer.text)
    assert SECRET.fullmatch(world.clients("POST", "/orders/rotate-secret").json["client_secret"])
    back = world.clients("PATCH", "/orders", {"token_endpoint_auth_method": "none"})
    assert back.json["has_secret"] is False
    assert stored(world).secret_hash is None


def test_a_patch_that_is_no_object(shared: World) -> None:
    """RFC 7396 §1: a patch of a thing is an object; anything else would replace the thing by no thing."""
    if shared.clients("GET", "/patched").status == 404:
        made(shared, "patched")
    for raw in (b"[]", b"null", b"5", b'"x"'):
        assert set(faults(shared.clients("PATCH", "/patched", raw=raw))) == {"#"}


# -- activate, deactivate, rotate, delete ------------------------------------------------------------------------------------


def test_a_deactivated_client_is_refused_everywhere(any_world: World) -> None:
    """Issue 6, S045: its tokens end at once, its sign-ins too; activated again it works, and what ended stays ended."""
    acme = any_world.tenants["acme"]
    rp = any_world.house.client(acme, "app")
    tokens = rp.redeem(any_world.house.browser(acme).sign_in(rp)).json
    assert rp.userinfo(tokens["access_token"]).status == 200
    answer = any_world.clients("POST", "/app/deactivate")
    assert (answer.status, answer.json["status"]) == (200, "disabled")
    assert rp.userinfo(tokens["access_token"]).status == 401
    assert rp.post("/token", {"grant_type": "client_credentials"}).status == 401
    again = any_world.clients("POST", "/app/activate")
    assert (again.status, again.json["status"]) == (200, "active")
    assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
    assert rp.userinfo(tokens["access_token"]).status == 401
    assert len(any_world.events("client.disabled")) == len(any_world.events("client.enabled")) == 1


def test_a_rotated_secret(any_world: World) -> None:
    """Interfaces §5: the new secret works, the former is worthless at once, and neither is ever shown again."""
    acme = any_world.tenants["acme"]
    rp = any_world.house.client(acme, "app")
    answer = any_world.clients("POST", "/app/rotate-secret")
    assert answer.status == 200
    assert rp.post("/token", {"grant_type": "client_credentials"}).status == 401
    rp.secret = answer.json["client_secret"]
    assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
    for path in ("/app", ""):
        assert not SECRET.search(any_world.clients("GET", path).text)
    assert any_world.clients("GET", "/app").header("etag") == answer.header("etag")


def test_a_deleted_client_is_gone(any_world: World) -> None:
    """Interfaces §5: 204 without a body, then 404; its grants have ended."""
    acme = any_world.tenants["acme"]
    rp = any_world.house.client(acme, "app")
    tokens = rp.redeem(any_world.house.browser(acme).sign_in(rp)).json
    answer = any_world.clients("DELETE", "/app")
    assert (answer.status, answer.body) == (204, b"")
    assert any_world.clients("GET", "/app").status == 404
    assert any_world.clients("DELETE", "/app").status == 404
    assert rp.userinfo(tokens["access_token"]).status == 401
    (event,) = any_world.events("client.deleted")
    assert event.details["grants_ended"] == 1


def test_the_built_in_client_is_not_deleted(world: World) -> None:
    """Interfaces §5: 409 conflict, a code that the operation documents; deactivated it stays, and stays so."""
    answer = world.clients("DELETE", "/authsec-sdk")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    (documented,) = (each for each in OPERATIONS if each.name == "delete_client")
    assert "conflict" in documented.errors
    assert world.clients("POST", "/authsec-sdk/deactivate").json["status"] == "disabled"
    assert world.clients("DELETE", "/authsec-sdk").status == 409


def test_an_id_with_slashes(world: World) -> None:
    """RFC 3986 §2.2: an id may be an address; one that ends like an action is reached with its slash escaped twice."""
    for client_id in ("https://orders.example/app", "x/activate"):
        made(world, client_id)
    assert world.clients("GET", "/https://orders.example/app").json["client_id"] == "https://orders.example/app"
    assert world.clients("POST", "/https://orders.example/app/deactivate").json["status"] == "disabled"
    assert world.clients("GET", "/x/activate").status == 405
    # The front unescapes once; %252F arrives here as %2F.
    assert world.clients("GET", "/x%2Factivate").json["client_id"] == "x/activate"
    assert world.clients("POST", "/x%2Factivate/deactivate").json["client_id"] == "x/activate"


# -- who must not -------------------------------------------------------------------------------------------------------------

CHANGES = [
    ("PUT", "", client_of()),
    ("PATCH", "", {"redirect_uris": ["https://evil.example/cb"]}),
    ("POST", "/rotate-secret", None),
    ("POST", "/activate", None),
    ("POST", "/deactivate", None),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(
    ("method", "action", "body"), CHANGES, ids=[f"{method}{action}" for method, action, _ in CHANGES]
)
def test_nobody_takes_over_a_client_that_may_do_more(world: World, method: str, action: str, body: Any) -> None:
    """Issue 6 (role escalation): whoever could give themselves a client's credentials must hold what the client holds."""
    world.house.client(world.tenants["acme"], "robot")
    world.bind("acme", "robot", "tenant-admin")
    before = world.dump()
    answer = world.clients(method, f"/robot{action}", body, token=world.token("acme", "apps"))
    assert (answer.status, answer.json["code"]) == (403, "more_than_held")
    assert world.dump() == before
    # Nor with an administrator's token that was lent for clients alone.
    answer = world.clients(method, f"/robot{action}", body, token=world.token(scope="clients:write"))
    assert (answer.status, answer.json["code"]) == (403, "more_than_held")
    assert world.dump() == before
    assert world.clients(method, f"/robot{action}", body).status in (200, 204)


@pytest.mark.parametrize(("method", "action"), [("POST", "/deactivate"), ("DELETE", "")])
def test_nobody_locks_themselves_out(world: World, method: str, action: str) -> None:
    """Issue 6 (self-lock-out): the application that the token belongs to is neither disabled nor deleted with it."""
    before = world.dump()
    answer = world.clients(method, f"/console{action}")
    assert (answer.status, answer.json["code"]) == (409, "own_client")
    assert world.dump() == before
    # A namesake in another tenant is another application.
    assert world.clients(method, f"/console{action}", token=world.token("system")).status in (200, 204)


def test_a_client_gets_no_power_by_being_registered(world: World) -> None:
    """Issue 6 (role escalation): scopes that a client registers give it nothing that no role of it grants."""
    answer = world.clients(
        "POST",
        "",
        {
            "client_id": "greedy",
            "grant_types": ["client_credentials"],
            "scope": "authsec clients:write roles permissions",
        },
        token=world.token("acme", "apps"),
    )
    assert answer.status == 201, answer.text
    assert world.clients("GET", token=world.client_token("acme", "greedy")).status == 403


def test_the_examples_of_the_document_are_done(world: World) -> None:
    """Issue 6, item 5: the examples work as they are printed."""
    assert world.clients("POST", "", examples.NEW).status == 201
    assert world.clients("PUT", "/orders-web", examples.REPLACEMENT).status == 200
    shown = world.clients("PATCH", "/orders-web", examples.PATCH).json
    assert shown["tags"] == examples.PATCH["tags"]


# -- initial access tokens ----------------------------------------------------------------------------------------------------


def test_an_initial_access_token_registers_clients(any_world: World) -> None:
    """RFC 7591 §3: the token of the answer works as often as it says; its state is shown, never the token."""
    acme = any_world.tenants["acme"]
    any_world.house.installation.provisioning.change_settings(acme, {"registration": "token"})
    path = "/tenants/acme/initial-access-tokens"
    answer = any_world.call("POST", path, {"name": "The mobile team", "uses": 1, "lifetime": 3600})
    assert answer.status == 201, answer.text
    shown = answer.json
    assert answer.header("location") == f"{PUBLIC}/clientms{path}/{shown['id']}"
    acme = any_world.house.installation.provisioning.find("acme")

    def register() -> int:
        import json

        return any_world.house.send(
            "POST",
            f"{acme.base_path}/register",
            headers={"authorization": f"Bearer {shown['token']}", "content-type": "application/json"},
            body=json.dumps({"redirect_uris": ["https://app.example/cb"]}).encode(),
        ).status

    assert register() == 201
    assert register() == 401
    state = any_world.call("GET", f"{path}/{shown['id']}").json
    assert (state["status"], state["uses_left"]) == ("used_up", 0)
    assert state["created_by"] == any_world.people["acme", "admin"]
    listed = any_world.call("GET", path)
    assert listed.json["items"] == [state]
    assert shown["token"] not in listed.text
    (by_itself,) = [each for each in any_world.clients("GET").json["items"] if each["registered_by"] != "administrator"]
    assert by_itself["registered_by"] == "initial_access_token"


def test_a_revoked_initial_access_token(world: World) -> None:
    """RFC 7591 §3: revoked once, it is worthless; revoked again, it is not there."""
    path = "/tenants/acme/initial-access-tokens"
    shown = world.call("POST", path, {"name": "x"}).json
    assert world.call("DELETE", f"{path}/{shown['id']}").status == 204
    state = world.call("GET", f"{path}/{shown['id']}").json
    assert state["status"] == "revoked"
    assert state["revoked_at"]
    assert world.call("DELETE", f"{path}/{shown['id']}").status == 404
    assert [event.details["id"] for event in world.events("registration_token.revoked")] == [shown["id"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"#/name"}),
        ({"name": "   "}, {"#/name"}),
        ({"name": "a\u0000"}, {"#/name"}),
        ({"name": "x", "uses": 0, "lifetime": 59}, {"#/uses", "#/lifetime"}),
        ({"name": "x", "uses": "5"}, {"#/uses"}),
        ({"name": "x", "token": "iat_chosen"}, {"#/token"}),
    ],
    ids=lambda value: str(sorted(value)),  # a set has another order in each process
)
def test_an_initial_access_token_that_cannot_be(shared: World, body: dict[str, Any], expected: set[str]) -> None:
    """Interfaces §5: 422 with a pointer to each fault."""
    before = shared.dump()
    assert set(faults(shared.call("POST", "/tenants/acme/initial-access-tokens", body))) == expected
    assert shared.dump() == before


def test_registered_by_itself(world: World) -> None:
    """Interfaces §5: a client that registered itself is managed by administrators like any other."""
    from idp.identity.accounts import By

    acme = world.tenants["acme"]
    registry = ClientRegistry(acme, world.database(), world.house.installation.feed)
    registry.create(client_of(client_id="itself"), by=By("client"), admit=lambda _conn: {"registered_by": "open"})
    assert world.clients("GET", "/itself").json["registered_by"] == "itself"
    assert world.clients("PATCH", "/itself", {"tags": ["seen"]}).json["tags"] == ["seen"]
