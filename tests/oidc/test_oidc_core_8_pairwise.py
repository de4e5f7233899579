"""Pairwise subjects and their sectors (OpenID Connect Core §8.1; Registration §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cast import discovery
from house import CALLBACK, RelyingParty, decoded
from refusals import sent_back
from registering import WEB, manage, register
from sqlalchemy import select

from idp.errors import Invalid
from idp.keys import rewrap
from idp.keys.envelope import Envelope
from idp.oidc.backchannel_logout import logout_token
from idp.store.tenant import session_clients
from idp.tokens.pairwise import PairwiseSubjects, new_key

if TYPE_CHECKING:
    from cast import Cast
    from house import House

VERIFIER = "v" * 43


def pairwise(cast: Cast, client_id: str, redirect_uri: str = CALLBACK, **more: Any) -> RelyingParty:
    """A client with pairwise subjects; its sector is its redirect URI's host."""
    uris = list(dict.fromkeys([CALLBACK, redirect_uri])) if more.get("sector_identifier_uri") else [redirect_uri]
    return cast.house.client(cast.acme, client_id, subject_type="pairwise", redirect_uris=uris, **more)


def subject(rp: RelyingParty, cast: Cast) -> tuple[str, dict[str, Any]]:
    """The sub of ada at a client, and the tokens."""
    (uri,) = rp.metadata["redirect_uris"]
    grant = cast.browser().sign_in(rp, redirect_uri=uri)
    got = rp.redeem(grant, redirect_uri=uri).json
    return decoded(got["id_token"])[1]["sub"], got


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: subject_types_supported."""
    assert set(discovery(cast.house, cast.acme)["subject_types_supported"]) == {"public", "pairwise"}


def test_a_subject_for_each_sector(any_cast: Cast) -> None:
    """Core §8.1: the same within a sector, another in another sector, never the public one, at most 255 ASCII characters."""
    public, _ = subject(any_cast.house.client(any_cast.acme, "pub"), any_cast)
    one, _ = subject(pairwise(any_cast, "one"), any_cast)
    same, _ = subject(pairwise(any_cast, "same", "https://rp.example/other"), any_cast)
    other, _ = subject(pairwise(any_cast, "other", "https://other.example/cb"), any_cast)
    assert one == same
    assert len({public, one, other}) == 3
    assert one.isascii()
    assert len(one) <= 255
    assert public not in one


def test_it_is_the_same_everywhere_and_for_ever(any_cast: Cast) -> None:
    """Core §5.3.2, §12.2; RFC 7662 §2.2: userinfo, introspection, a refreshed ID token and a restarted server say the same sub."""
    rp = pairwise(any_cast, "everywhere")
    sub, got = subject(rp, any_cast)
    assert rp.userinfo(got["access_token"]).json["sub"] == sub
    assert rp.introspect(got["access_token"])["sub"] == sub
    assert rp.introspect(got["refresh_token"])["sub"] == sub
    assert decoded(got["access_token"])[1]["sub"] == sub
    again = rp.refresh(got["refresh_token"]).json
    assert decoded(again["id_token"])[1]["sub"] == sub
    any_cast.house.restart()
    assert subject(rp, any_cast)[0] == sub


def test_a_hint_with_a_pairwise_subject(any_cast: Cast) -> None:
    """Core §3.1.2.1: an id_token_hint with a pairwise sub is about the same person; another person's is not answered."""
    house = any_cast.house
    rp = pairwise(any_cast, "hinted")
    browser = any_cast.browser()
    hint = rp.redeem(browser.sign_in(rp)).json["id_token"]
    assert browser.authorize(rp, verifier=VERIFIER, prompt="none", id_token_hint=hint).params["code"]
    house.user(any_cast.acme, "bob@example.com", claims={})
    other = any_cast.browser()
    other.sign_in(rp, username="bob@example.com")
    answer = other.authorize(rp, verifier=VERIFIER, prompt="none", id_token_hint=hint)
    sent_back(house, answer, any_cast.acme, "login_required", to=CALLBACK)


def test_another_tenant_another_subject(cast: Cast) -> None:
    """Core §8.1: the key is a tenant's own; the same sector at another issuer tells nothing."""
    ours, _ = subject(pairwise(cast, "ours"), cast)
    theirs = cast.house.client(cast.globex, "theirs", subject_type="pairwise")
    got = theirs.redeem(cast.browser(cast.globex).sign_in(theirs)).json
    assert decoded(got["id_token"])[1]["sub"] != ours
    keys = {t.slug: cast.house.installation.servers.get(t).subjects._pairwise for t in (cast.acme, cast.globex)}
    assert keys["acme"].user_of("rp.example", ours) == cast.house.user_id(cast.acme)
    assert keys["globex"].user_of("rp.example", ours) is None


def test_a_session_does_not_join_what_subjects_keep_apart(cast: Cast) -> None:
    """Core §8.1, §17.3: the sid is the sector's own, too, and the same in ID tokens, logout tokens and frames."""
    house, acme = cast.house, cast.acme
    one = pairwise(cast, "sid-one", frontchannel_logout_uri="https://rp.example/fcl")
    same = pairwise(cast, "sid-same", "https://rp.example/other")
    other = pairwise(cast, "sid-other", "https://other.example/cb")
    public = house.client(acme, "sid-public")
    browser, hints = cast.browser(), {}
    for rp in (one, same, other, public):
        uri = rp.metadata["redirect_uris"][0]
        grant = browser.sign_in(rp, redirect_uri=uri)
        hints[rp.client_id] = rp.redeem(grant, redirect_uri=uri).json["id_token"]
    sids = {name: decoded(hint)[1]["sid"] for name, hint in hints.items()}
    assert sids["sid-one"] == sids["sid-same"]
    assert len(set(sids.values())) == 3
    server = house.installation.servers.get(acme)
    client = server.query_client("sid-other")
    assert client is not None
    told = decoded(logout_token(server, client, sids["sid-public"], house.user_id(acme)))[1]
    assert told["sid"] == sids["sid-other"]
    page = browser.get(f"{acme.base_path}/logout?{urlencode({'id_token_hint': hints['sid-one']})}")
    assert "You are signed out" in page.text, "a hint with the sector's sid is for this very session"
    assert f"sid={sids['sid-one']}" in page.text


def test_introspection_names_nobody(cast: Cast) -> None:
    """Core §8.1; RFC 7662 §5: a user name would tell two sectors that it is the same person."""
    rp, public = pairwise(cast, "intro"), cast.house.client(cast.acme, "intro-public")
    for token in ("access_token", "refresh_token"):
        described = rp.introspect(cast.tokens(rp)[token])
        assert described["active"] is True
        assert "username" not in described
        assert public.introspect(cast.tokens(public)[token])["username"] == "ada@example.com"


def test_who_moves_to_another_sector_takes_nobody_along(any_house: House) -> None:
    """Core §8.1, RFC 7592 §2.2, S108: a client that claims another's host learns by no token of the former days who is who there."""
    tenant = any_house.tenant("acme", registration="open", rate_limits="off")
    mine = WEB | {"subject_type": "pairwise", "grant_types": ["authorization_code", "refresh_token"]}
    mine |= {"redirect_uris": ["https://evil.example/cb"]}
    made = register(any_house, tenant, mine).json
    rp = RelyingParty(any_house, tenant, made["client_id"], made["client_secret"], made)
    browser = any_house.browser(tenant)
    uri = {"redirect_uri": "https://evil.example/cb"}
    got = rp.redeem(browser.sign_in(rp, scope="openid offline_access", **uri), **uri).json
    code = browser.sign_in(rp, scope="openid offline_access", **uri)

    def put(**changes: Any) -> None:
        token = made["registration_access_token"]
        given = {**mine, **changes, "client_id": made["client_id"]}
        answer = manage(any_house, tenant, "PUT", made["client_id"], token, given)
        assert answer.status == 200, answer.text
        made.update(answer.json)

    put(client_name="Another name")
    got = rp.refresh(got["refresh_token"]).json
    assert "id_token" in got, "a change that does not matter ends nothing"
    put(redirect_uris=["https://victim.example/cb"])
    assert rp.refresh(got["refresh_token"]).json["error"] == "invalid_grant"
    assert rp.redeem(code, **uri).json["error"] == "invalid_grant"
    assert not rp.introspect(got["refresh_token"])["active"]
    with any_house.database(tenant).reading() as conn:
        assert not conn.execute(select(session_clients.session_clients)).all(), "nor by a logout token"


@pytest.mark.parametrize("wrong", ["", "x", "ü", "A" * 64, "A" * 10_000, "=" * 8, "\x00"])
def test_what_is_no_subject(wrong: str) -> None:
    """Core §8.1, RFC 5297 §1.1: what was not made by the key, or for another sector, means nobody."""
    subjects = PairwiseSubjects(new_key())
    made = subjects.of("rp.example", "b" * 32)
    assert subjects.user_of("rp.example", made) == "b" * 32
    assert subjects.user_of("other.example", made) is None
    assert subjects.user_of("rp.example", wrong) is None
    assert subjects.user_of("rp.example", made[:-2] + ("AA" if made[-2:] != "AA" else "BB")) is None


def test_the_key_is_sealed_and_moves_to_a_new_master_key(house: House) -> None:
    """ASVS 5.0 §11.2: the key lies sealed; after a rewrap the subjects are the same and the former master key is not needed."""
    from cryptography.fernet import Fernet

    tenant = house.tenant("acme")
    rp = house.client(tenant, subject_type="pairwise")
    before = decoded(rp.redeem(house.browser(tenant).sign_in(rp)).json["id_token"])[1]["sub"]
    database, old = house.database(tenant), (house.settings.data_dir / "master.key").read_text().strip()
    fresh = Fernet.generate_key().decode()
    assert rewrap.rewrap(database, Envelope([fresh, old]), tenant.id) > 1
    assert rewrap.rewrap(database, Envelope([fresh]), tenant.id) == 0
    from idp.oauth.subjects import Subjects

    client = house.installation.servers.get(tenant).query_client("rp")
    assert client is not None
    assert Subjects(database, Envelope([fresh]), tenant.id).of(client, house.user_id(tenant)) == before


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": ["https://a.example/cb", "https://b.example/cb"]},
        {"redirect_uris": ["com.example.app:/cb"], "application_type": "native"},
        {"redirect_uris": [], "grant_types": ["client_credentials"], "response_types": []},
    ],
)
def test_one_sector_or_none(house: House, metadata: dict[str, Any]) -> None:
    """Core §8.1: redirect URIs of several hosts, or without one, need a sector_identifier_uri."""
    with pytest.raises(Invalid, match="sector_identifier_uri"):
        house.client(house.tenant("acme"), subject_type="pairwise", **metadata)
