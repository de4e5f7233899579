"""Who may call: the matrix of every operation by every caller, generated from the tables, and each way in which a token ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from api_world import HOST, NAMES, PUBLIC, World, client_of
from drawing import png
from house import basic, decoded
from refusals import record_of
from user_world import user_things

from idp.access.permissions import BUILT_IN, EVERYBODY, OF_PLATFORM
from idp.api.parameters import PATH_PARAMETERS
from idp.api.services import SERVICES
from idp.clock import now
from idp.identity import kept_accounts
from idp.identity.accounts import By
from idp.store.tenant import grants, revoked_tokens, users
from idp.tokens.authorization import OPERATOR_CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Answer

    from idp.api.operations import Operation

GUARDED = [
    pytest.param(service, operation, id=f"{service.name}.{operation.name}")
    for service in SERVICES
    for operation in service.operations
    if operation.permission is not None
]
# What stands for a parameter of a path: something that is there, by tenant; ids are given when the things are made.
NAMED = {"client_id": "target", "role": "target", "permission": "target:read", "scope": "target"}
NOTHING = dict.fromkeys(PATH_PARAMETERS, "n0thing") | {
    "role": "nothing",
    "permission": "no:thing",
    "scope": "nothing",
}


def furnished(world: World, slug: str, prefix: str = "target") -> dict[str, str]:
    """Make one thing of each kind in a tenant; returns what stands for each parameter of a path."""
    token = world.token(slug)
    made: dict[str, str] = {}

    def make(service: str, path: str, body: Any) -> Any:
        answer = world.call("POST", f"/tenants/{slug}{path}", body, token=token, service=service)
        assert answer.status in (200, 201, 202), answer.text
        return answer.json

    made["client_id"] = make("clientms", "/clients", client_of(client_id=prefix))["client_id"]
    made["token_id"] = make("clientms", "/initial-access-tokens", {"name": "n"})["id"]
    made["permission"] = make("uflow", "/permissions", {"name": f"{prefix}:read"})["name"]
    made["role"] = make("uflow", "/roles", {"name": prefix})["name"]
    made["scope"] = make("uflow", "/scopes", {"name": prefix})["name"]
    made["group_id"] = make("uflow", "/groups", {"name": prefix})["id"]
    made["user_id"] = world.people[slug, "nobody"]
    make("uflow", f"/groups/{made['group_id']}/members", {"user_ids": [made["user_id"]]})
    binding = {"holder_type": "user", "holder_id": made["user_id"], "role": "user", "resource": f"{prefix}:1"}
    made["binding_id"] = make("uflow", "/role-bindings", binding)["id"]
    hook = make("uflow", "/webhooks", {"url": "https://hooks.example/x", "event_types": ["user.created"]})
    made["webhook_id"] = hook["id"]
    made["delivery_id"] = make("uflow", f"/webhooks/{hook['id']}/test", None)["id"]
    domain = make("uflow", "/domains", {"domain": f"{prefix}.{slug}.example"})
    made["domain"] = domain["domain"]
    NAMES.txt[domain["record"]["name"]] = [[domain["record"]["value"]]]
    # Pictures have the same few names everywhere; a name that is none stands for what only another has.
    made["picture"] = "logo" if prefix == "target" else "elsewhere"
    if prefix == "target":
        path = f"/tenants/{slug}/branding/pictures/logo"
        kept = world.call("PUT", path, raw=png(), media_type="image/png", token=token, service="uflow")
        assert kept.status == 200, kept.text
    keys = world.call("GET", f"/tenants/{slug}/keys", token=token, service="authmgr").json["items"]
    made["kid"] = next(each["kid"] for each in keys if each["state"] == "active")
    return made | user_things(world, slug, prefix, made["client_id"])


@pytest.fixture(scope="module")
def matrix(shared: World) -> World:
    """Both tenants have one thing of each kind, under ids of their own; globex has further ones that acme has not."""
    shared.there = {slug: furnished(shared, slug) for slug in ("acme", "globex")}
    shared.there["only"] = furnished(shared, "globex", "only-globex")
    return shared


def home_of(operation: Operation) -> str:
    """Whose tokens an operation is for: those of the tenant, or of the platform where it is about no tenant."""
    return "system" if operation.is_of_platform else "acme"


def asked(world: World, operation: Operation, tenant: str = "acme", *, kind: str = "acme", **more: Any) -> Answer:
    """Send the operation's own example, to things that are there (of acme), or that only globex has (`only`)."""
    names = (NOTHING if kind == "nothing" else world.there[kind]) | {"tenant_id": tenant}
    if operation.is_file:
        more |= {"raw": png(), "media_type": operation.media_types[0]}
    return world.call(
        operation.method,
        operation.path.format(**names),
        example_of(world, operation, "globex" if kind == "globex" else "acme"),
        service=SERVICE_OF[id(operation)],
        **more,
    )


def example_of(world: World, operation: Operation, slug: str) -> Any:
    """The example of an operation's body, with ids that are there."""
    if operation.body_example is None:
        return None
    body = dict(operation.body_example)
    person = world.people[slug, "nobody"]
    replaced: dict[str, Any] = {"client_id": "made-by-the-matrix", "holder_id": person, "user_ids": [person]}
    replaced["code"] = world.there[slug]["code"]
    if operation.name == "delete_tenant":
        replaced["slug"] = slug
    return {name: replaced.get(name, value) for name, value in body.items()}


# Some operations are in every service: each of them is one of its own.
SERVICE_OF = {id(operation): service.name for service in SERVICES for operation in service.operations}


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json["doc_url"] == f"{PUBLIC}/docs/errors/{code}"
    assert answer.json["request_id"]


def unchanged(world: World, act: Callable[[], None]) -> None:
    before = {slug: world.dump(slug) for slug in world.tenants}
    act()
    assert {slug: world.dump(slug) for slug in world.tenants} == before


@pytest.mark.parametrize(("service", "operation"), GUARDED)
def test_every_operation_refuses_every_stranger(matrix: World, service: Any, operation: Operation) -> None:
    """Issue 6, S098, RFC 6750 §3.1: no token, a foreign tenant's, for something else, of another kind: 401, and nothing changed."""
    world = matrix
    at = now()
    strangers = {
        "foreign tenant": world.token("globex"),
        "issuer's own audience": world.token(aud=world.tenants["acme"].issuer),
        "another service": world.token(aud=f"{PUBLIC}/webauthn"),
        "no audience": world.token(aud=None),
        "longer audience": world.token(aud=f"{PUBLIC}/{service.name}/"),
        "expired": world.token(iat=at - 400, exp=at - 100),
        "not an access token": world.signed("acme", decoded(world.token())[1], typ="JWT"),
        "system's claims, acme's key": world.token(iss=world.tenants["system"].issuer),
        "nonsense": "nonsense",
        "unsigned": "eyJhbGciOiJub25lIn0.e30.",
        "gone client": world.token(client_id="gone"),
        "other grant": world.token(grant_id="0" * 32),
    }

    def act() -> None:
        without = asked(world, operation, token="")
        refused(without, 401, "token_missing")
        assert without.header("www-authenticate") == f'Bearer realm="{service.name}"'
        for name, token in strangers.items():
            answer = asked(world, operation, token=token)
            refused(answer, 401, "invalid_token")
            assert answer.header("www-authenticate") == f'Bearer realm="{service.name}", error="invalid_token"', name
            # Nor does a stranger learn which tenants there are.
            nowhere = asked(world, operation, "nowhere", token=token)
            refused(nowhere, 401, "invalid_token")

    unchanged(world, act)


@pytest.mark.parametrize(("service", "operation"), GUARDED)
def test_every_operation_asks_for_its_permission(matrix: World, service: Any, operation: Operation) -> None:
    """Issue 6, RFC 6750 §3.1: without the permission 403, which names it, and nothing changed; the token's scopes must cover it too."""
    world = matrix
    others = "users:read openid" if operation.permission != "users:read" else "clients:read"
    is_everybodys = operation.permission in BUILT_IN[EVERYBODY]  # about oneself; no person is without it

    def act() -> None:
        home = home_of(operation)
        for token in (
            world.token(home, "admin", scope=others),
            world.token(home, "admin", scope=None),
            world.client_token(home, "console"),
            *(() if is_everybodys else (world.token(home, "nobody"), world.token("system", "nobody"))),
        ):
            answer = asked(world, operation, token=token)
            refused(answer, 403, "permission_required")
            assert answer.json["permission"] == operation.permission
            assert str(operation.permission) in answer.json["detail"]
            challenge = f'Bearer realm="{service.name}", error="insufficient_scope", scope="{operation.permission}"'
            assert answer.header("www-authenticate") == challenge
        if is_everybodys:
            return
        # Who may nothing does not learn which tenants there are.
        refused(asked(world, operation, "nowhere", token=world.token("system", "nobody")), 403, "permission_required")

    unchanged(world, act)


@pytest.mark.parametrize(
    "operation", [pytest.param(each.values[1], id=each.id) for each in GUARDED if each.values[1].path.count("{") > 1]
)
def test_a_foreign_thing_is_nothing(matrix: World, operation: Operation) -> None:
    """Issue 6, S098: one's own token on another tenant's object is answered as one on nothing is: 404, and nothing changed."""
    world = matrix

    def act() -> None:
        foreign = asked(world, operation, kind="only")
        refused(foreign, 404, "not_found")
        nothing = asked(world, operation, kind="nothing")
        refused(nothing, 404, "not_found")
        of = lambda answer: {name: value for name, value in answer.json.items() if name != "request_id"}  # noqa: E731
        assert of(foreign) == of(nothing)
        refused(asked(world, operation, "nowhere", token=world.token("system")), 404, "not_found")

    unchanged(world, act)


@pytest.mark.parametrize("operation", [pytest.param(each.values[1], id=each.id) for each in GUARDED])
def test_control_who_may_is_let_in(world: World, operation: Operation) -> None:
    """Negative control of the matrix: the same requests of an administrator are done, by the tenant's slug and by its id."""
    world.there = {slug: furnished(world, slug) for slug in ("acme", "globex")}
    if operation.path.endswith("/in-force"):  # only for these: whoever signs up would have to accept them
        for slug in ("acme", "globex"):
            terms = {"version": "1", "urls": {"": f"https://{slug}.example/terms"}}
            path = f"/tenants/{slug}/terms/in-force"
            assert world.call("PUT", path, terms, token=world.token(slug), service="uflow").status == 200
    # Who gives something must hold it, and a token lends no more than its scopes stand for.
    scope = "authsec" if "more_than_held" in operation.errors else str(operation.permission)
    if operation.name == "restore_user":
        for slug in world.there:
            kept_accounts.delete(world.database(slug), world.people[slug, "nobody"], by=By("operator"))
    own = asked(world, operation, token=world.token("acme", "admin", scope=scope))
    if operation.is_of_platform:
        refused(own, 401, "invalid_token")
    elif operation.permission in OF_PLATFORM:
        refused(own, 403, "permission_required")
    else:
        assert own.status == operation.status, own.text
    platform = asked(world, operation, world.tenants["globex"].id, kind="globex", token=world.token("system"))
    assert platform.status == operation.status, platform.text


# -- what ends a token at once -----------------------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_at_once(world: World) -> None:
    """Issue 6, S045: a token that was revoked alone, one whose grant was, and one of an application for itself."""
    one, other = world.token(), world.token()
    claims = [decoded(token)[1] for token in (one, other)]
    assert world.clients("GET", token=one).status == 200
    world.database().writing(lambda conn: revoked_tokens.revoke(conn, claims[0]["jti"], claims[0]["exp"]))
    refused(world.clients("GET", token=one), 401, "invalid_token")
    assert world.clients("GET", token=other).status == 200
    world.database().writing(lambda conn: grants.revoke(conn, claims[1]["grant_id"], "test"))
    refused(world.clients("GET", token=other), 401, "invalid_token")
    world.bind("acme", "console", "auditor")
    own = world.client_token("acme", "console")
    assert world.clients("GET", token=own).status == 200
    jti = decoded(own)[1]["jti"]
    world.database().writing(lambda conn: revoked_tokens.revoke(conn, jti, now() + 300))
    refused(world.clients("GET", token=own), 401, "invalid_token")


def test_a_disabled_user_is_refused_at_once(world: World) -> None:
    """Issue 6, S045: the user's tokens end with the account, and begin to be good again with it."""
    token = world.token("acme", "auditor")
    assert world.clients("GET", token=token).status == 200
    person = world.people["acme", "auditor"]
    world.database().writing(lambda conn: users.change(conn, person, state="disabled"))
    refused(world.clients("GET", token=token), 401, "invalid_token")


def test_a_role_that_is_taken_away_is_gone_at_once(world: World) -> None:
    """Issue 6: permissions are those of now, whatever stands in the token."""
    from idp.access.bindings import Bindings
    from idp.access.granting import Granter
    from idp.identity.accounts import By

    token = world.token("acme", "apps")
    assert world.clients("GET", token=token).status == 200
    bindings = Bindings(world.database())
    (row,), _ = bindings.search(limit=10, filters={"holder_type": "user", "holder_id": world.people["acme", "apps"]})
    bindings.delete(row.id, granter=Granter(By("operator")))
    refused(world.clients("GET", token=token), 403, "permission_required")


def test_a_disabled_application_holds_no_tokens(world: World) -> None:
    """Issue 6, S045: what was issued to an application that is disabled is refused, whosever it is."""
    world.house.client(world.tenants["acme"], "other")
    token = world.token(client_id="other", grant_id=world.grant("acme", "admin", "other"))
    assert world.clients("GET", token=token).status == 200
    assert world.clients("POST", "/other/deactivate").status == 200
    refused(world.clients("GET", token=token), 401, "invalid_token")


def test_a_suspended_tenant_has_no_tokens(world: World) -> None:
    """Issue 6, S045: its own tokens are refused at once; the platform's administrators look after it."""
    token = world.token()
    assert world.clients("GET", token=token).status == 200
    world.house.installation.provisioning.suspend(world.tenants["acme"])
    refused(world.clients("GET", token=token), 401, "invalid_token")
    assert world.clients("GET", token=world.token("system")).status == 200


def test_an_ended_session_ends_its_tokens(world: World) -> None:
    """Issue 6, S045: who signs out ends what was given in that session."""
    acme = world.tenants["acme"]
    rp = world.house.client(acme, "sdk", scope="openid authsec")
    browser = world.house.browser(acme)
    resource = f"{PUBLIC}/clientms"
    grant = browser.sign_in(rp, username="admin@acme.example", scope="openid authsec", resource=resource)
    token = rp.redeem(grant).json["access_token"]
    assert world.clients("GET", token=token).status == 200
    browser.submit(browser.get(f"{acme.base_path}/logout"), action="logout")
    refused(world.clients("GET", token=token), 401, "invalid_token")


def test_a_binding_for_one_client_lets_at_that_one(world: World) -> None:
    """Issue 6: a role that is bound to one resource holds for it, and for no other and no list."""
    for name in ("mine", "theirs"):
        world.clients("POST", "", client_of(client_id=name))
    world.bind_user("acme", "nobody", "client-admin", resource="client:mine")
    token = world.token("acme", "nobody")
    assert world.clients("GET", "/mine", token=token).status == 200
    assert world.clients("PATCH", "/mine", {"client_name": "Mine"}, token=token).status == 200
    refused(world.clients("GET", "/theirs", token=token), 403, "permission_required")
    refused(world.clients("PATCH", "/theirs", {"client_name": "Mine"}, token=token), 403, "permission_required")
    refused(world.clients("GET", token=token), 403, "permission_required")


def test_a_platform_role_for_one_tenant_holds_in_that_one(world: World) -> None:
    """docs/api.md: a role in `system` that is bound to `tenant:ID` holds in that tenant, and in no other."""
    world.bind_user("system", "nobody", "client-admin", resource=f"tenant:{world.tenants['acme'].id}")
    token = world.token("system", "nobody")
    assert world.clients("GET", token=token).status == 200
    assert world.clients("POST", "", client_of(client_id="made"), token=token).status == 201
    refused(world.clients("GET", slug="globex", token=token), 403, "permission_required")
    refused(world.clients("GET", slug="system", token=token), 403, "permission_required")
    (event,) = world.events("client.created")
    assert event.actor == f"system:{world.people['system', 'nobody']}"


def test_a_condition_that_does_not_hold_is_said(world: World) -> None:
    """Issue 6: a role with the condition of a second factor grants nothing without one, and the answer says so."""
    world.bind_user("acme", "nobody", "client-admin", conditions={"mfa": True})
    answer = world.clients("GET", token=world.token("acme", "nobody"))
    refused(answer, 403, "permission_required")
    assert "second factor" in answer.json["detail"]
    assert world.clients("GET", token=world.token("acme", "nobody", amr=["pwd", "otp", "mfa"])).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Basic YTpi")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer TOKEN"), ("authorization", "Bearer TOKEN")],
        [("authorization", "Bearer TOKEN"), ("authorization", "Basic YTpi")],
        [("authorization", "TOKEN")],
    ],
    ids=["basic", "no token", "empty", "twice", "two schemes", "no scheme"],
)
def test_a_token_is_presented_once_and_in_the_header(shared: World, headers: list[tuple[str, str]]) -> None:
    """RFC 6750 §2.1: one Authorization header of the scheme Bearer; neither query nor body is a place for a token."""
    token = shared.token()
    sent = [(name, value.replace("TOKEN", token)) for name, value in headers]
    answer = shared.house.send("GET", "/clientms/tenants/acme/clients", headers=sent, host=HOST)
    refused(answer, 401, "token_missing")
    refused(shared.call("GET", f"/tenants/acme/clients?access_token={token}", token=""), 401, "token_missing")
    scheme = shared.house.send(
        "GET", "/clientms/tenants/acme/clients", headers=[("authorization", f"bearer {token}")], host=HOST
    )
    assert scheme.status == 200  # RFC 9110 §11.1: a scheme's case does not matter


def test_a_token_that_an_operator_made(world: World) -> None:
    """Interfaces §2 (`idp token`): it has no application behind it, and no factor: what asks for a second one stays closed."""
    made = world.token(
        "system", client_id=OPERATOR_CLIENT, grant_id=world.grant("system", "admin", OPERATOR_CLIENT), amr=None
    )
    assert world.clients("GET", token=made).status == 200
    world.bind_user("acme", "nobody", "client-admin", conditions={"mfa": True})
    grant_id = world.grant("acme", "nobody", OPERATOR_CLIENT)
    other = world.token("acme", "nobody", client_id=OPERATOR_CLIENT, grant_id=grant_id, amr=None)
    refused(world.clients("GET", token=other), 403, "permission_required")


def test_a_real_sign_in_gives_a_token_that_works(world: World) -> None:
    """RFC 8707 §2: an application that a person signs in to with `resource` and the scope `authsec` calls for that person."""
    acme = world.tenants["acme"]
    rp = world.house.client(acme, "sdk", scope="openid offline_access authsec clients:read")
    browser = world.house.browser(acme)
    grant = browser.sign_in(
        rp, username="admin@acme.example", scope="openid offline_access authsec", resource=f"{PUBLIC}/clientms"
    )
    tokens = rp.redeem(grant).json
    assert world.clients("GET", token=tokens["access_token"]).status == 200
    renewed = rp.refresh(tokens["refresh_token"]).json["access_token"]
    assert world.clients("POST", "", client_of(client_id="made"), token=renewed).status == 201
    plain = rp.redeem(browser.sign_in(rp, scope="openid authsec")).json["access_token"]
    refused(world.clients("GET", token=plain), 401, "invalid_token")  # without `resource` it is for the issuer's own


def test_an_application_for_itself(world: World) -> None:
    """Issue 6, RFC 6749 §4.4: a client with a role of its own calls with its own token, and stands in the trail as itself."""
    rp = world.house.client(world.tenants["acme"], "robot", scope="clients:read clients:write")
    form = {"grant_type": "client_credentials", "scope": "clients:read clients:write", "resource": f"{PUBLIC}/clientms"}
    token = rp.post("/token", form).json["access_token"]
    refused(world.clients("GET", token=token), 403, "permission_required")
    world.bind("acme", "robot", "client-admin")
    assert world.clients("POST", "", client_of(client_id="made"), token=token).status == 201
    (event,) = world.events("client.created")
    assert (event.actor, event.source) == ("client:robot", "127.0.0.1")


def test_other_kinds_of_tokens_are_none(world: World) -> None:
    """S035: an ID token, a refresh token, a client's secret and a session cookie open nothing."""
    acme = world.tenants["acme"]
    rp = world.house.client(acme, "sdk", scope="openid offline_access authsec")
    grant = world.house.browser(acme).sign_in(
        rp, username="admin@acme.example", scope="openid offline_access authsec", resource=f"{PUBLIC}/clientms"
    )
    tokens = rp.redeem(grant).json
    for other in (tokens["id_token"], tokens["refresh_token"], rp.secret, grant.code):
        refused(world.clients("GET", token=other), 401, "invalid_token")
    answer = world.house.send("GET", "/clientms/tenants/acme/clients", headers=basic("sdk", str(rp.secret)), host=HOST)
    refused(answer, 401, "token_missing")


def test_a_refusal_can_be_explained(world: World) -> None:
    """Interfaces §5: the request_id leads operators to the private reason, which the answer does not have."""
    answer = world.clients("GET", token=world.token(aud="https://other.example"))
    record = record_of(world.house, answer.json["request_id"])
    assert "audience" in record["reason"]
    assert "audience" not in answer.json["detail"]
