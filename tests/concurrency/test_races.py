"""50 threads at one barrier over two processes, ground truth by SQL of our own; and the same again after kill -9 and restart."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted
from house import CALLBACK, PASSWORD, Answer, decoded
from letters import newest
from serving import FEED_SECONDS, eventually, rows, scalar, together

from idp.identity import invitations
from idp.identity.accounts import By
from idp.keys import rotation

if TYPE_CHECKING:
    from conftest import Arena
    from serving import Wire

pytestmark = pytest.mark.slow
RACERS = 50
GRACE = 10  # seconds in which a rotated token gets its successor again
OFFLINE = "openid offline_access"


def new_grant(arena: Arena) -> Any:
    return arena.served.browser(arena.tenant).sign_in(arena.rp, scope=OFFLINE)


def new_tokens(arena: Arena) -> dict[str, Any]:
    answer = arena.rp.redeem(new_grant(arena))
    assert answer.status == 200, answer.text
    return answer.json


def grant_of(tokens: dict[str, Any]) -> str:
    return str(decoded(tokens["access_token"])[1]["grant_id"])


def race(arena: Arena, form: dict[str, str], *, authenticated: bool = True) -> list[Answer]:
    """The same token request from every thread; both processes took part."""
    headers = arena.rp.auth if authenticated else {}

    def ask(wire: Wire, _i: int) -> Answer:
        return arena.served.post(arena.tenant, "/token", form, headers=headers, wire=wire)

    answers, ends = arena.served.race(RACERS, ask)
    assert len(ends) == 2, ends
    assert min(ends.values()) >= 3, ends
    return answers


def kinds(answers: list[Answer]) -> Counter[str]:
    return Counter(f"{answer.status} {answer.json.get('error', '')}".strip() for answer in answers)


def is_alive(arena: Arena, tokens: dict[str, Any]) -> dict[str, bool]:
    found = {name: arena.rp.introspect(tokens[name])["active"] for name in ("access_token", "refresh_token")}
    return {**found, "userinfo": arena.rp.userinfo(tokens["access_token"]).status == 200}


DEAD = {"access_token": False, "refresh_token": False, "userinfo": False}


def restarted(arena: Arena) -> None:
    """SIGKILL of every process of the server, and a new start."""
    arena.served.kill()
    arena.served.start()


def heads(arena: Arena, grant_id: str) -> int:
    """The living heads of a family: refresh tokens that were not used, of a grant that was not revoked."""
    statement = (
        "SELECT count(*) FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id"
        " WHERE g.id = ? AND r.used_at IS NULL AND g.revoked_at IS NULL"
    )
    return int(scalar(arena.tenant.database_url, statement, grant_id))


# -- the code ------------------------------------------------------------------------------------------------------------------


def code_form(grant: Any) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": grant.code,
        "redirect_uri": CALLBACK,
        "code_verifier": grant.verifier,
    }


@pytest.mark.parametrize("again", range(2))
def test_s018_a_code_is_redeemed_once(arena: Arena, again: int) -> None:
    """S018, RFC 6749 §4.1.2: 50 threads over 2 processes: one 200, 49 `invalid_grant`; then everything of the winner is dead."""
    grant = new_grant(arena)
    answers = race(arena, code_form(grant))
    assert kinds(answers) == {"200": 1, "400 invalid_grant": RACERS - 1}
    (won,) = [answer.json for answer in answers if answer.status == 200]
    assert is_alive(arena, won) == DEAD
    family = grant_of(won)
    url = arena.tenant.database_url
    assert scalar(url, "SELECT count(*) FROM refresh_tokens WHERE grant_id = ?", family) == 1
    assert heads(arena, family) == 0
    assert rows(url, "SELECT revoked_reason FROM grants WHERE id = ?", family) == [{"revoked_reason": "code_reuse"}]
    kinds_of_events = [row["kind"] for row in rows(url, "SELECT kind FROM audit_events WHERE grant_id = ?", family)]
    assert Counter(kinds_of_events) == {"authorization.granted": 1, "token.issued": 1, "code.reused": 1}


def test_s018_still_dead_after_kill_9(arena: Arena) -> None:
    """S018, S019, issue 3: after SIGKILL of all processes and a restart the code is spent and the family dead."""
    spent, raced = new_grant(arena), new_grant(arena)
    kept = arena.rp.redeem(spent).json
    (won,) = [answer.json for answer in race(arena, code_form(raced)) if answer.status == 200]
    restarted(arena)
    assert is_alive(arena, won) == DEAD
    assert kinds([arena.rp.redeem(raced)]) == {"400 invalid_grant": 1}
    assert is_alive(arena, kept) == dict.fromkeys(DEAD, True)
    # a reuse that is seen only by the restarted processes
    assert kinds(race(arena, code_form(spent))) == {"400 invalid_grant": RACERS}
    assert is_alive(arena, kept) == DEAD


def test_s019_a_late_reuse_kills_refreshed_descendants(arena: Arena) -> None:
    """S019: 30 seconds later, with a refresh in between, also after the code's own expiry: all descendants are dead."""
    grant = new_grant(arena)
    first = arena.rp.redeem(grant).json
    second = arena.rp.refresh(first["refresh_token"]).json
    rows(
        arena.tenant.database_url,
        "UPDATE authorization_codes SET used_at = used_at - 90, issued_at = issued_at - 90, expires_at = expires_at - 90 WHERE grant_id = ?",
        grant_of(first),
    )
    assert kinds([arena.rp.redeem(grant)]) == {"400 invalid_grant": 1}
    assert is_alive(arena, second) == DEAD
    assert kinds([arena.rp.refresh(second["refresh_token"])]) == {"400 invalid_grant": 1}


# -- the refresh token ---------------------------------------------------------------------------------------------------------


def refresh_form(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


@pytest.mark.parametrize("again", range(2))
def test_s047_one_successor_for_all(arena: Arena, again: int) -> None:
    """S047, RFC 9700 §4.14.2: 50 uses within the grace all get the same successor; there is exactly one living head."""
    tokens = new_tokens(arena)
    answers = race(arena, refresh_form(tokens["refresh_token"]))
    assert kinds(answers) == {"200": RACERS}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    family = grant_of(tokens)
    assert heads(arena, family) == 1
    assert scalar(arena.tenant.database_url, "SELECT count(*) FROM refresh_tokens WHERE grant_id = ?", family) == 2
    assert (
        scalar(
            arena.tenant.database_url,
            "SELECT count(*) FROM audit_events WHERE grant_id = ? AND kind = 'token.refreshed'",
            family,
        )
        == 1
    )
    assert is_alive(arena, answers[0].json) == dict.fromkeys(DEAD, True)


def test_s047_the_grace_survives_kill_9(arena: Arena) -> None:
    """S047, S049, issue 3: a client whose answer was lost with the server gets the same successor from the next one."""
    tokens = new_tokens(arena)
    first = arena.rp.refresh(tokens["refresh_token"]).json
    began = time.monotonic()
    restarted(arena)
    age(arena, grant_of(tokens), -math.ceil(time.monotonic() - began))  # as if the restart had taken no time
    answers = race(arena, refresh_form(tokens["refresh_token"]))
    assert {answer.json["refresh_token"] for answer in answers} == {first["refresh_token"]}
    assert heads(arena, grant_of(tokens)) == 1


def age(arena: Arena, family: str, seconds: int) -> None:
    """Let the rotations of a family have happened earlier, in the database itself."""
    rows(
        arena.tenant.database_url, "UPDATE refresh_tokens SET used_at = used_at - ? WHERE grant_id = ?", seconds, family
    )


def test_s048_reuse_after_the_grace_kills_the_family(arena: Arena) -> None:
    """S048, ASVS 10.4.5: 50 at once: all `invalid_grant`, no living head, access tokens dead, one audit event."""
    tokens = new_tokens(arena)
    successor = arena.rp.refresh(tokens["refresh_token"]).json
    family = grant_of(tokens)
    assert is_alive(arena, successor) == dict.fromkeys(DEAD, True)
    age(arena, family, GRACE + 1)
    assert kinds(race(arena, refresh_form(tokens["refresh_token"]))) == {"400 invalid_grant": RACERS}
    assert heads(arena, family) == 0
    assert is_alive(arena, successor) == DEAD
    assert kinds([arena.rp.refresh(successor["refresh_token"])]) == {"400 invalid_grant": 1}
    events = rows(
        arena.tenant.database_url,
        "SELECT kind FROM audit_events WHERE grant_id = ? AND kind = 'refresh_token.reused'",
        family,
    )
    assert len(events) == 1


def test_s049_reuse_is_seen_after_kill_9(arena: Arena) -> None:
    """S049, Keycloak CVE-2026-9802: what was rotated before a restart is known to be used after it; and stays dead after another."""
    tokens = new_tokens(arena)
    successor = arena.rp.refresh(tokens["refresh_token"]).json
    age(arena, grant_of(tokens), GRACE + 1)
    restarted(arena)
    assert kinds([arena.rp.refresh(tokens["refresh_token"])]) == {"400 invalid_grant": 1}
    assert is_alive(arena, successor) == DEAD
    restarted(arena)
    assert is_alive(arena, successor) == DEAD
    assert heads(arena, grant_of(tokens)) == 0


def test_s047_rotation_against_reuse(arena: Arena) -> None:
    """S047, S048: 25 refresh with the head while 25 reuse its predecessor: the family ends dead, whoever came first."""
    tokens = new_tokens(arena)
    head = arena.rp.refresh(tokens["refresh_token"]).json["refresh_token"]
    family = grant_of(tokens)
    age(arena, family, GRACE + 1)
    forms = [refresh_form(head), refresh_form(tokens["refresh_token"])]

    def ask(wire: Wire, i: int) -> Answer:
        return arena.served.post(arena.tenant, "/token", forms[i % 2], headers=arena.rp.auth, wire=wire)

    answers, _ = arena.served.race(RACERS, ask)
    assert {answer.status for answer in answers[1::2]} == {400}
    assert heads(arena, family) == 0
    successors = {answer.json["refresh_token"] for answer in answers[0::2] if answer.status == 200}
    assert len(successors) <= 1
    for token in successors:
        assert arena.rp.introspect(token)["active"] is False


def test_a_revoked_grant_hands_out_nothing_more(arena: Arena) -> None:
    """RFC 7009 §2.1: 25 refreshes against 25 revocations: afterwards nothing of the family is alive."""
    tokens = new_tokens(arena)

    def ask(wire: Wire, i: int) -> Answer:
        path, form = (
            ("/token", refresh_form(tokens["refresh_token"]))
            if i % 2
            else ("/revoke", {"token": tokens["refresh_token"]})
        )
        return arena.served.post(arena.tenant, path, form, headers=arena.rp.auth, wire=wire)

    answers, _ = arena.served.race(RACERS, ask)
    assert {answer.status for answer in answers[0::2]} == {200}
    assert heads(arena, grant_of(tokens)) == 0
    for answer in answers[1::2]:
        if answer.status == 200:
            assert is_alive(arena, answer.json) == DEAD


# -- the client assertion --------------------------------------------------------------------------------------------------------


def test_an_assertion_is_used_once(arena: Arena) -> None:
    """RFC 7523 §3 (7), S027: 50 × the same assertion over 2 processes: one token; after kill -9 it is still spent."""
    key = SigningKey.new("ES256", "racing")
    name = f"signed-{time.monotonic_ns()}"
    client = arena.served.client(
        arena.tenant, name, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    form = {"grant_type": "client_credentials", **asserted(client, key)}
    assert kinds(race(arena, form, authenticated=False)) == {"200": 1, "401 invalid_client": RACERS - 1}
    assert scalar(arena.tenant.database_url, "SELECT count(*) FROM replays") >= 1
    restarted(arena)
    assert kinds(race(arena, form, authenticated=False)) == {"401 invalid_client": RACERS}


# -- people ----------------------------------------------------------------------------------------------------------------------


def login_form(arena: Arena, username: str, password: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """A login page that is filled in: address, fields, headers."""
    browser = arena.served.browser(arena.tenant)
    page = browser.follow(browser.authorize(arena.rp, verifier="v" * 43))
    action, fields = page.form
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookie, "origin": arena.tenant.origin, "accept": "text/html"}
    return action, {**fields, "username": username, "password": password}, headers


def test_s089_parallel_guesses_do_not_pass_the_limit(arena: Arena) -> None:
    """S089, ASVS 6.3.1: 30 guesses at once over 2 processes: 10 are judged, the right password is refused during the lock."""
    name = f"guessed-{time.monotonic_ns()}@example.com"
    arena.served.house.user(arena.tenant, name)
    guesses = [login_form(arena, name, f"guess number {i}") for i in range(30)]

    def guess(wire: Wire, i: int) -> int:
        action, fields, headers = guesses[i]
        return arena.served.send("POST", action, form=fields, headers=headers, wire=wire).status

    found, ends = arena.served.race(30, guess)
    assert len(ends) == 2
    assert set(found) <= {400, 503}, found
    counted = rows(arena.tenant.database_url, "SELECT max(count) AS n FROM attempts")[0]["n"]
    assert counted >= found.count(400)
    action, fields, headers = login_form(arena, name, PASSWORD)
    expected = 400 if found.count(400) >= 10 else 303
    assert arena.served.send("POST", action, form=fields, headers=headers).status == expected
    if expected == 400:
        restarted(arena)
        action, fields, headers = login_form(arena, name, PASSWORD)
        assert arena.served.send("POST", action, form=fields, headers=headers).status == 400, (
            "a restart opened the lock"
        )
    rows(arena.tenant.database_url, "DELETE FROM attempts")


def test_s089_the_lock_counts_to_ten_exactly(arena: Arena) -> None:
    """S089: over both processes together 10 wrong passwords lock an account, not 10 a process."""
    name = f"counted-{time.monotonic_ns()}@example.com"
    arena.served.house.user(arena.tenant, name)
    wires = [arena.served.wire() for _ in range(10)]
    for wire in wires:
        action, fields, headers = login_form(arena, name, "a wrong password of some length")
        assert arena.served.send("POST", action, form=fields, headers=headers, wire=wire).status == 400
    assert len({arena.served.worker_of(wire) for wire in wires}) == 2
    action, fields, headers = login_form(arena, name, PASSWORD)
    assert arena.served.send("POST", action, form=fields, headers=headers).status == 400
    rows(arena.tenant.database_url, "DELETE FROM attempts")


def test_parallel_sign_ins_of_one_person(arena: Arena) -> None:
    """ASVS 7.2.4: 20 right passwords at once: each gets a session of its own or 503, none is locked out, no cookie is shared."""
    name = f"busy-{time.monotonic_ns()}@example.com"
    user = arena.served.house.user(arena.tenant, name)
    forms = [login_form(arena, name, PASSWORD) for _ in range(20)]

    def sign_in(wire: Wire, i: int) -> Answer:
        action, fields, headers = forms[i]
        return arena.served.send("POST", action, form=fields, headers=headers, wire=wire)

    answers, _ = arena.served.race(20, sign_in)
    assert {answer.status for answer in answers} <= {303, 400, 503}
    cookies = [
        value
        for answer in answers
        if answer.status == 303
        for key, value in answer.headers
        if key.lower() == "set-cookie" and value.startswith("s-")
    ]
    assert len(set(cookies)) == len(cookies) >= 1
    assert scalar(arena.tenant.database_url, "SELECT count(*) FROM sessions WHERE user_id = ?", user) == len(cookies)
    rows(arena.tenant.database_url, "DELETE FROM attempts")


def test_one_form_signs_in_once(arena: Arena) -> None:
    """Issue 3, the flow: one consent approved by 20 threads at once ends in one code and one grant."""
    name = f"double-{time.monotonic_ns()}@example.com"
    user = arena.served.house.user(arena.tenant, name)
    browser = arena.served.browser(arena.tenant)
    page = browser.follow(browser.authorize(arena.rp, verifier="v" * 43))
    page = browser.follow(browser.submit(page, username=name, password=PASSWORD))
    assert 'id="consent-approve"' in page.text
    action, fields = page.form
    headers = {
        "cookie": "; ".join(f"{key}={value}" for key, value in browser.cookies.items()),
        "origin": arena.tenant.origin,
        "accept": "text/html",
    }

    def approve(wire: Wire, _i: int) -> Answer:
        return arena.served.send("POST", action, form={**fields, "action": "approve"}, headers=headers, wire=wire)

    answers, _ = arena.served.race(20, approve)
    codes = {answer.params["code"] for answer in answers if answer.status in (302, 303) and "code" in answer.params}
    assert len(codes) == 1
    assert scalar(arena.tenant.database_url, "SELECT count(*) FROM grants WHERE user_id = ?", user) == 1
    assert all(answer.status < 500 for answer in answers)


# -- keys --------------------------------------------------------------------------------------------------------------------------


def publish_next(arena: Arena, policy: rotation.KeyPolicy) -> None:
    """What the worker does on its first visit to a tenant: the keys that come next are published, and every process knows them."""
    house, tenant = arena.served.house, arena.tenant
    with house.installation.feed.announced(tenant.id, "tenant"):
        rotation.rotate_due(house.database(tenant), house.installation.envelope, tenant.id, policy)
    time.sleep(FEED_SECONDS)


def test_s042_two_processes_rotate_at_once(arena: Arena) -> None:
    """S042, security §3: rotations by two commands and four threads at once: one active and one next key an algorithm, no kid twice."""
    house, tenant = arena.served.house, arena.tenant
    policy = rotation.KeyPolicy(("ES256", "RS256"))
    publish_next(arena, policy)

    def rotate(_: int) -> object:
        return rotation.rotate_now(house.database(tenant), house.installation.envelope, tenant.id, policy)

    environ = {**os.environ, **arena.served.environ}
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "idp.cli", "keys", "rotate", "acme", "--now"], env=environ, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    with house.installation.feed.announced(tenant.id, "tenant"):
        together(4, rotate)
    assert [(command.communicate()[0] and command.returncode) for command in commands] == [0, 0]
    states = Counter(
        (row["alg"], row["state"]) for row in rows(tenant.database_url, "SELECT alg, state FROM signing_keys")
    )
    for alg in ("ES256", "RS256"):
        assert (states[alg, "active"], states[alg, "next"]) == (1, 1), states
    token = arena.rp.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    assert arena.rp.introspect(token)["active"] is True


def test_s042_rotation_under_load_breaks_no_verification(arena: Arena) -> None:
    """S042: three rotations while tokens are issued and verified on both processes: no token that was issued is refused."""
    house, tenant, served = arena.served.house, arena.tenant, arena.served
    policy = rotation.KeyPolicy(("ES256", "RS256"))
    publish_next(arena, policy)
    stop = time.monotonic() + 4
    failures: list[str] = []
    kids: set[str] = set()

    def load(_: int) -> int:
        done = 0
        while time.monotonic() < stop:
            wires = [served.wire(), served.wire()]
            answer = served.post(
                tenant, "/token", {"grant_type": "client_credentials"}, headers=arena.rp.auth, wire=wires[0]
            )
            token = answer.json["access_token"]
            kids.add(decoded(token)[0]["kid"])
            seen = served.post(tenant, "/introspect", {"token": token}, headers=arena.rp.auth, wire=wires[1])
            if seen.status != 200 or not seen.json["active"]:
                failures.append(f"{seen.status} {seen.text[:100]}")
            for wire in wires:
                wire.close()
            done += 1
        return done

    def rotate_thrice() -> int:
        for _ in range(3):
            time.sleep(1.1)  # longer than the feed takes: a key is published before it is used
            with house.installation.feed.announced(tenant.id, "tenant"):
                rotation.rotate_now(house.database(tenant), house.installation.envelope, tenant.id, policy)
        return 0

    done = together(5, lambda i: rotate_thrice() if i == 0 else load(i))
    assert failures == []
    assert sum(done) > 50
    assert len(kids) >= 3
    public = served.get(tenant, "/jwks").json["keys"]
    assert kids <= {key["kid"] for key in public}
    assert not any({"d", "p", "q", "k", "dp", "dq", "qi"} & key.keys() for key in public)


def test_s042_an_emergency_revocation_reaches_both(arena: Arena) -> None:
    """S042, security §3: a revoked key's tokens are refused by every process within a second, and it has left the JWKS."""
    house, tenant, served = arena.served.house, arena.tenant, arena.served
    policy = rotation.KeyPolicy(("ES256", "RS256"))
    token = arena.rp.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    kid = decoded(token)[0]["kid"]
    with house.installation.feed.announced(tenant.id, "tenant"):
        rotation.revoke(house.database(tenant), house.installation.envelope, tenant.id, policy, kid)

    def is_refused() -> bool:
        wires = [served.wire() for _ in range(8)]
        found = {
            served.post(tenant, "/introspect", {"token": token}, headers=arena.rp.auth, wire=wire).json["active"]
            for wire in wires
        }
        shown = {key["kid"] for wire in wires for key in served.get(tenant, "/jwks", wire=wire).json["keys"]}
        return found == {False} and kid not in shown

    assert eventually(is_refused, 2) < 1.5


def test_an_invitation_is_accepted_once(arena: Arena) -> None:
    """S091, rule 4: 50 forms over two processes: one is taken, its password is the account's; the same after kill -9."""
    house, tenant = arena.served.house, arena.tenant
    for name in ("one", "two"):
        email = f"{name}{os.urandom(4).hex()}@example.com"
        mailer = house.installation.services.mailer
        invitations.invite(house.database(tenant), mailer, tenant, email=email, by=By("operator"))
        path = newest(house, tenant, "invitation").path
        browser = arena.served.browser(tenant)
        action, fields = browser.get(path).form
        cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
        headers = {"cookie": cookies, "origin": tenant.origin, "accept": "text/html"}

        def accept(wire: Wire, i: int, action: str = action, fields: Any = fields, headers: Any = headers) -> int:
            password = f"password number {i} of them all"
            form = {**fields, "new_password": password, "confirm_password": password}
            return arena.served.send("POST", action, form=form, headers=headers, host=tenant.host, wire=wire).status

        statuses, ends = arena.served.race(RACERS, accept)
        assert len(ends) == 2, ends
        assert sorted(statuses) == [303, *[410] * (RACERS - 1)]
        restarted(arena)
        winner = f"password number {statuses.index(303)} of them all"
        arena.served.browser(tenant).sign_in(arena.rp, username=email, password=winner)
        assert browser.get(path).status == 410
        url = tenant.database_url
        assert scalar(url, "SELECT state FROM users WHERE username = ?", email) == "active"
