"""The narrowest race, made certain: two requests have both read the thing as unused before either consumes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from serving import scalar, together

from idp import opaque
from idp.oauth.grants.base import TenantGrant

if TYPE_CHECKING:
    import pytest
    from house import Answer, House

HEADS = "SELECT count(*) FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.used_at IS NULL AND g.revoked_at IS NULL"


def meet_before_consuming(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let ``number`` requests wait for one another after reading, before each consumes."""
    barrier, made = threading.Barrier(number), TenantGrant.generate_token
    met: set[int] = set()

    def generate(self: TenantGrant, authorization: Any) -> dict[str, Any]:
        response = made(self, authorization)
        if threading.get_ident() not in met:  # who lost makes tokens once more
            met.add(threading.get_ident())
            barrier.wait(10)
        return response

    monkeypatch.setattr(TenantGrant, "generate_token", generate)


def test_s018_both_have_read_the_code(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """S018, security rule 4: the consuming UPDATE decides, and who comes second revokes what the first got."""
    acme = any_house.tenant("acme")
    rp = any_house.client(acme)
    grant = any_house.browser(acme).sign_in(rp, scope="openid offline_access")
    meet_before_consuming(monkeypatch, 3)
    answers = together(3, lambda _: rp.redeem(grant))
    assert sorted(answer.status for answer in answers) == [200, 400, 400]
    (won,) = [answer.json for answer in answers if answer.status == 200]
    assert rp.introspect(won["access_token"]) == {"active": False}
    assert rp.introspect(won["refresh_token"]) == {"active": False}
    assert scalar(acme.database_url, HEADS) == 0


def test_s047_both_have_read_the_refresh_token(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """S047, security rule 4: the consuming UPDATE decides, and who comes second gets the first one's successor."""
    acme = any_house.tenant("acme")
    rp = any_house.client(acme)
    tokens = rp.redeem(any_house.browser(acme).sign_in(rp, scope="openid offline_access")).json
    meet_before_consuming(monkeypatch, 3)
    answers: list[Answer] = together(3, lambda _: rp.refresh(tokens["refresh_token"]))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert scalar(acme.database_url, HEADS) == 1


def test_a_grant_revoked_meanwhile_gives_nothing_living(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7009 §2.1, Keycloak CVE-2026-1035: revoked after it was read, before it is consumed: what comes out is dead."""
    acme = any_house.tenant("acme")
    rp = any_house.client(acme)
    tokens = rp.redeem(any_house.browser(acme).sign_in(rp, scope="openid offline_access")).json
    made = TenantGrant.generate_token

    def generate(self: TenantGrant, authorization: Any) -> dict[str, Any]:
        response = made(self, authorization)
        assert rp.post("/revoke", {"token": tokens["refresh_token"]}).status == 200
        return response

    monkeypatch.setattr(TenantGrant, "generate_token", generate)
    answer = rp.refresh(tokens["refresh_token"])
    monkeypatch.undo()
    if answer.status == 200:
        assert rp.introspect(answer.json["access_token"]) == {"active": False}
        assert rp.userinfo(answer.json["access_token"]).status == 401
        assert rp.refresh(answer.json["refresh_token"]).status == 400
    assert scalar(acme.database_url, HEADS) == 0


def test_signing_out_while_a_code_is_made(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 3, the soak's "a living grant of an ended session": the session ends after it was read, before the code is stored."""
    acme = any_house.tenant("acme")
    rp = any_house.client(acme)
    browser = any_house.browser(acme)
    browser.sign_in(rp)
    other_tab = any_house.browser(acme)
    other_tab.cookies = dict(browser.cookies)
    new_secret = opaque.new_secret

    def end_first(prefix: str) -> str:
        if prefix == "ac":
            monkeypatch.undo()
            assert other_tab.submit(other_tab.get(f"{acme.base_path}/logout"), action="logout").status == 200
        return new_secret(prefix)

    monkeypatch.setattr(opaque, "new_secret", end_first)
    answer = browser.authorize(rp, verifier="v" * 43)
    assert answer.status == 410, answer.text
    living = "SELECT count(*) FROM grants g JOIN sessions s ON s.id = g.session_id WHERE s.ended_at IS NOT NULL AND g.revoked_at IS NULL"
    assert scalar(acme.database_url, living) == 0
