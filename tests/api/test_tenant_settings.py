"""Settings and branding by program: shown with what they are for, changed by whose they are, and never past what guards others."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from drawing import png

from idp.store.tenant import assets
from idp.tenancy.settings import OF_PLATFORM, TenantSettings
from idp.web import images

if TYPE_CHECKING:
    from api_world import World
    from house import Answer

ALL = [each.name for each in fields(TenantSettings)]


def settings(world: World, method: str = "GET", body: Any = None, **more: Any) -> Answer:
    return world.uflow(method, "/settings", body, **more)


def branding(world: World, method: str = "GET", rest: str = "", body: Any = None, **more: Any) -> Answer:
    return world.uflow(method, f"/branding{rest}", body, **more)


def value(world: World, name: str) -> Any:
    return getattr(world.house.installation.provisioning.find("acme").settings, name)


def looser(name: str) -> Any:
    """A value that is allowed and not the default."""
    setting = next(each for each in fields(TenantSettings) if each.name == name)
    if isinstance(setting.default, bool):
        return not setting.default
    if isinstance(setting.default, int):
        return setting.metadata["high"]
    if setting.metadata["choices"]:
        return setting.metadata["choices"][-1]
    return "no-reply@bank.example"


# -- settings -----------------------------------------------------------------------------------------------------------------


def test_every_setting_is_shown_with_what_it_is(shared: World) -> None:
    """Issue 6 (settings): value, default, sentence, type and bounds of each, as docs/settings.md has them."""
    shown = {each["name"]: each for each in settings(shared).json["settings"]}
    assert list(shown) == ALL
    for each in fields(TenantSettings):
        found = shown[each.name]
        assert found["description"] == each.metadata["help"]
        assert found["default"] == (list(each.default) if isinstance(each.default, tuple) else each.default)
        assert found["is_of_platform"] == (each.name in OF_PLATFORM)
        kinds = {bool: "boolean", int: "integer", tuple: "list", str: "string"}
        assert found["type"] == kinds[type(each.default)]
    assert (shown["access_token_lifetime"]["minimum"], shown["access_token_lifetime"]["maximum"]) == (60, 86400)
    assert shown["signup"]["choices"] == ["off", "on"]


def test_settings_are_changed_together_or_not_at_all(world: World) -> None:
    """Issue 6: in JSON's own types, null restores the default, one that is wrong leaves all as they were."""
    patch = {"access_token_lifetime": 600, "account_self_deletion": True, "languages": ["de", "en"], "signup": "on"}
    answer = settings(world, "PATCH", patch)
    assert answer.status == 200, answer.text
    shown = {each["name"]: each for each in answer.json["settings"]}
    assert {name: shown[name]["value"] for name in patch} == patch
    assert not shown["signup"]["is_default"]
    assert value(world, "languages") == ("de", "en")
    wrong = settings(world, "PATCH", {"access_token_lifetime": 900, "default_language": "fr", "languages": ["de"]})
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "#/default_language"), wrong.text
    assert value(world, "access_token_lifetime") == 600
    restored = settings(world, "PATCH", {"access_token_lifetime": None, "languages": None})
    assert restored.status == 200
    assert value(world, "access_token_lifetime") == 3600
    assert value(world, "signup") == "on"
    events = world.events("tenant.settings_changed")
    assert events[0].details["changed"]["access_token_lifetime"] == "600"
    assert {event.actor for event in events} == {world.people["acme", "admin"]}


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"access_token_lifetime": 59}, "#/access_token_lifetime"),
        ({"access_token_lifetime": "600"}, "#/access_token_lifetime"),
        ({"access_token_lifetime": True}, "#/access_token_lifetime"),
        ({"account_self_deletion": 1}, "#/account_self_deletion"),
        ({"signup": "maybe"}, "#/signup"),
        ({"signup": ""}, "#/signup"),
        ({"languages": []}, "#/languages"),
        ({"languages": ["en,de"]}, "#/languages/0"),
        ({"languages": "en"}, "#/languages"),
        ({"logo_url": "javascript:alert(1)"}, "#/logo_url"),
        ({"logo_url": "/brand/logo?v=0\n"}, "#/logo_url"),
        ({"welcome_text": "a\u0000b"}, "#/welcome_text"),
        ({"colour_primary": "red"}, "#/colour_primary"),
        ({"signing_algorithms": ["PS256"]}, "#/signing_algorithms"),
        ({"issuer": "https://x.example"}, "#/issuer"),
        ({"database_url": "x"}, "#/database_url"),
        ({"placement": "x"}, "#/placement"),
        ({"name": "x"}, "#/name"),
    ],
)
def test_what_is_wrong_is_pointed_at(shared: World, patch: Any, pointer: str) -> None:
    """Interfaces §5 (422 field errors), mass assignment: issuer, place and database are no settings."""
    answer = settings(shared, "PATCH", patch)
    assert (answer.status, [each["pointer"] for each in answer.json["errors"]][:1]) == (422, [pointer]), answer.text


@pytest.mark.parametrize("name", sorted(OF_PLATFORM))
def test_what_guards_others_is_the_platforms(world: World, name: str) -> None:
    """Decision 17: a tenant's own administrator sees it and does not change it, by itself or beside others; the platform does."""
    for patch in ({name: looser(name)}, {name: None}, {"signup": "on", name: looser(name)}):
        answer = settings(world, "PATCH", patch)
        assert (answer.status, answer.json["code"]) == (403, "platform_setting")
        assert name in answer.json["detail"]
    assert value(world, "signup") == "off"
    assert settings(world, "PATCH", {name: looser(name)}, token=world.token("system")).status == 200
    assert value(world, name) == looser(name)


def test_the_list_of_what_guards_others() -> None:
    """Decision 17: the five of its table; who adds a setting that guards others adds it there."""
    assert {"rate_limits", "registration_quota", "source_attempts", "signup_source_limit", "mail_from"} == OF_PLATFORM


def test_what_somebody_else_changed_is_not_overwritten(world: World) -> None:
    """Interfaces §5 (412 lost update): the tag is of the settings as they are when the change is made."""
    etag = {"if-match": str(settings(world).header("etag"))}
    assert settings(world, "PATCH", {"signup": "on"}, headers=etag).status == 200
    late = settings(world, "PATCH", {"access_token_lifetime": 600}, headers=etag)
    assert (late.status, value(world, "access_token_lifetime")) == (412, 3600)
    assert settings(world, "PATCH", {}, headers=etag).status == 412


def test_a_change_holds_at_once(world: World) -> None:
    """Issue 6: what is changed is in force for the next request, and keys that it asks for are there."""
    acme = world.tenants["acme"]
    assert settings(world, "PATCH", {"signing_algorithms": ["ES256", "RS256", "EdDSA"]}).status == 200
    keys = world.house.get(acme, "/jwks").json["keys"]
    assert "EdDSA" in {key["alg"] for key in keys}
    assert settings(world, "PATCH", {"registration": "open"}).status == 200
    assert "registration_endpoint" in world.house.get(acme, "/.well-known/openid-configuration").json


def test_who_may_change_which(world: World) -> None:
    """Issue 6 (privilege): another tenant's settings, and one's own without the permission, are out of reach."""
    assert settings(world, "PATCH", {"signup": "on"}, slug="globex").status == 401
    assert settings(world, "PATCH", {"signup": "on"}, token=world.token("acme", "apps")).status == 403
    assert settings(world, token=world.token("acme", "auditor")).status == 200
    assert settings(world, "PATCH", {"signup": "on"}, token=world.token("acme", scope="tenants:read")).status == 403


# -- branding -----------------------------------------------------------------------------------------------------------------


def test_branding_is_read_and_changed(world: World) -> None:
    """Issue 6 (branding): what pages look like; colours that nobody could read are said to be drawn otherwise."""
    assert branding(world).json["colour_primary"] == "#1f5fd6"
    changed = branding(world, "PATCH", body={"colour_primary": "#FFEE00", "welcome_text": "Hello"})
    assert changed.status == 200, changed.text
    assert (changed.json["colour_primary"], changed.json["welcome_text"]) == ("#ffee00", "Hello")
    assert "#ffee00" in changed.json["notes"][0]
    assert "%(" not in changed.text
    assert "welcome_text" not in branding(world, "PATCH", body={"welcome_text": None}).json
    for wrong in ({"signup": "on"}, {"rate_limits": "off"}, {"mail_from": "a@b.example"}):
        assert branding(world, "PATCH", body=wrong).status == 422


def test_who_may_change_only_the_branding(world: World) -> None:
    """docs/access.md: the permission branding:write is no power over the other settings."""
    from idp.access.granting import Granter
    from idp.access.roles import Roles
    from idp.identity.accounts import By

    Roles(world.database()).create("painter", "", ["branding:write", "branding:read"], granter=Granter(By("operator")))
    world.bind_user("acme", "nobody", "painter")
    token = world.token("acme", "nobody")
    assert branding(world, "PATCH", body={"welcome_text": "Hello"}, token=token).status == 200
    assert settings(world, "PATCH", {"welcome_text": "Hello"}, token=token).status == 403


def test_a_picture_is_kept_and_taken_away(any_world: World) -> None:
    """Issue 6 (branding): the file is the body; it is served below the issuer, and gone when it is deleted."""
    world = any_world
    picture = png()
    answer = branding(world, "PUT", "/pictures/logo", raw=picture, media_type="image/png")
    assert answer.status == 200, answer.text
    address = answer.json["logo_url"]
    served = world.house.send("GET", f"/t/acme{address}", host="localhost:8000")
    assert (served.status, served.body, served.header("content-type")) == (200, picture, "image/png")
    assert branding(world, "DELETE", "/pictures/logo").status == 204
    assert branding(world, "DELETE", "/pictures/logo").status == 404
    assert "logo_url" not in branding(world).json
    assert len(world.events("tenant.picture_changed")) == 2


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "image/png", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415),
        (png(2000, 10), "image/png", 422),
        (png(), "application/json", 415),
        (png(), "", 415),
        (png() + b"x" * images.LARGEST, "image/png", 413),
    ],
    ids=["empty", "svg as png", "svg", "too wide", "json", "no type", "too large"],
)
def test_what_is_no_picture(shared: World, body: bytes, media_type: str, status: int) -> None:
    """S112: by its own bytes, whatever it says it is; refused, and nothing is kept."""
    answer = branding(shared, "PUT", "/pictures/favicon", raw=body, media_type=media_type)
    assert answer.status == status, answer.text
    with shared.database().reading() as conn:
        assert assets.find(conn, "favicon") is None


def test_a_picture_that_comes_too_late_leaves_the_one_before(world: World) -> None:
    """Interfaces §5 (412 lost update): neither the address nor the file is another then."""
    first = branding(world, "PUT", "/pictures/logo", raw=png(), media_type="image/png")
    etag = {"if-match": str(first.header("etag"))}
    assert branding(world, "PATCH", body={"welcome_text": "Hello"}).status == 200
    late = branding(world, "PUT", "/pictures/logo", raw=png(10, 10), media_type="image/png", headers=etag)
    assert late.status == 412
    assert branding(world, "DELETE", "/pictures/logo", headers=etag).status == 412
    served = world.house.send("GET", f"/t/acme{first.json['logo_url']}", host="localhost:8000")
    assert served.body == png()
    new = branding(world, "PUT", "/pictures/favicon", raw=png(10, 10), media_type="image/png", headers=etag)
    assert new.status == 412
    with world.database().reading() as conn:
        assert assets.find(conn, "favicon") is None
