"""The demo application in front of the real server, seen with a browser that has no scripts."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from demo_world import EMAIL, NAME, SECRET, Person, demo_application, free_port

STORY = ["Discovery", "Authorization request", "Callback", "Token request", "Signing keys", "Userinfo"]
JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def text_of(page: requests.Response, element: str) -> str:
    """What stands in the element with this id."""
    found = re.search(rf'id="{element}"[^>]*>(.*?)</', page.text, re.DOTALL)
    return unescape(found[1]).strip() if found else ""


def story(demo) -> list[str]:
    """The titles of the exchanges of the only visit, in order."""
    return [it.purpose.title for it in demo.visits[-1].trace.exchanges]


def test_a_sign_in_shows_the_person_the_tokens_and_the_whole_story(demo, person):
    """OpenID Connect Core §3.1: code flow with PKCE, state, nonce; tokens decoded and explained; each exchange in order."""
    page = person.sign_in()
    assert (page.status_code, page.url) == (200, f"{demo.url}/")
    assert f"You are signed in as <bdi>{NAME}</bdi>" in page.text
    tokens = demo.visits[-1].tokens
    assert text_of(page, "subject") == tokens.claims["sub"]
    for shown in (
        EMAIL,
        tokens.claims["nonce"],
        tokens.claims["at_hash"],
        "whom it is for; everybody else has to refuse it",
        "at+jwt",
    ):
        assert shown in page.text
    assert page.text.count("signature checked") == 2
    assert story(demo) == STORY
    begun = demo.visits[-1].trace.exchanges[1].request.fields
    sent = {field.name: field.value for field in begun}
    assert {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge"} <= set(sent)
    assert (sent["response_type"], sent["code_challenge_method"]) == ("code", "S256")


def test_every_action_is_recorded_and_shown(demo, person):
    """RFC 6749 §6, RFC 7662, RFC 7009, OIDC Core §5.3: refresh, introspection, userinfo and revocation, with what they change."""
    person.sign_in()
    before = demo.visits[-1].tokens
    page = person.post("/refresh")
    after = demo.visits[-1].tokens
    assert "The tokens are new" in page.text
    assert before.access_token != after.access_token
    assert before.refresh_token != after.refresh_token
    for kind in ("access", "refresh"):
        page = person.post("/introspect", {"token": kind})
        assert f"the {kind} token is active." in page.text
    assert "Userinfo answered." in person.post("/userinfo").text
    person.post("/revoke", {"token": "access"})
    assert "the access token is not active." in person.post("/introspect", {"token": "access"}).text
    assert story(demo) == [
        *STORY,
        "Refresh",
        "Introspection",
        "Introspection",
        "Userinfo",
        "Revocation",
        "Introspection",
    ]


def test_a_refusal_shows_the_id_that_explains_it(demo, idp, person):
    """RFC 7009 §2.1, RFC 6750 §3.1: after a revocation userinfo and refresh are refused; the id leads to the private reason."""
    person.sign_in()
    person.post("/revoke", {"token": "refresh"})
    for path, code in (("/userinfo", "invalid_token"), ("/refresh", "invalid_grant")):
        page = person.post(path)
        assert (page.url, text_of(page, "error-code")) == (f"{demo.url}/problem", code)
        reference = text_of(page, "correlation-id")
        assert f"idp explain {reference}" in page.text
        assert reference in str(idp.refusals())
        assert person.get("/problem").text == page.text  # reloading repeats nothing


def test_declining_and_silence_end_in_a_calm_page(demo, idp, person):
    """RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6: access_denied and login_required come back with iss and an id to explain."""
    page = person.get("/sign-in?prompt=none")
    assert (page.status_code, text_of(page, "error-code")) == (400, "login_required")
    assert text_of(page, "correlation-id") in str(idp.refusals())
    assert "correlation id" not in text_of(page, "error-description")
    page = person.sign_in(consent="deny")
    assert text_of(page, "error-code") == "access_denied"
    assert text_of(page, "correlation-id") in str(idp.refusals())
    assert demo.visits[-1].tokens is None
    assert NAME in person.sign_in().text  # and the way on works


def test_signing_out_ends_both_sessions(demo, person):
    """OpenID Connect RP-Initiated Logout §2, §3: id_token_hint, back to the registered address with our state."""
    person.sign_in()
    assert NAME in person.get("/sign-in?prompt=none").text  # the session at the provider lives
    page = person.post("/sign-out")
    assert (page.status_code, page.url) == (200, f"{demo.url}/signed-out")
    assert "your session at the identity provider has ended" in page.text
    assert story(demo)[-2:] == ["Logout request", "Return after logout"]
    assert demo.visits[-1].tokens is None
    assert text_of(person.get("/sign-in?prompt=none"), "error-code") == "login_required"


def test_prompt_login_asks_again(demo, person):
    """OpenID Connect Core §3.1.2.1: prompt=login shows the form although there is a session; a plain sign-in does not."""
    person.sign_in()
    assert 'name="password"' not in person.get("/sign-in").text
    assert 'name="password"' in person.get("/sign-in?prompt=login").text
    first = demo.visits[-1].tokens.claims["sid"]
    person.sign_in("/sign-in?prompt=login")
    assert demo.visits[-1].tokens.claims["sid"] == first


def begun(person) -> dict[str, str]:
    """Begin a sign-in and return what the application asked for."""
    answer = person.get("/sign-in", allow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


@pytest.mark.parametrize("state", [None, "", "somebody-elses", "x" * 3000, "\u0000<script>"])
def test_an_answer_that_this_browser_did_not_ask_for_is_refused(demo, idp, person, state):
    """RFC 6749 §10.12, RFC 9700 §4.7: without the state of this browser nothing is exchanged, and the page says how to go on."""
    begun(person)
    given = {"code": "ac_planted-code-0123456789", "iss": idp.issuer} | ({} if state is None else {"state": state})
    page = person.get("/callback", params=given)
    assert (page.status_code, text_of(page, "error-code")) == (400, "state_mismatch")
    assert "Token request" not in story(demo)
    assert "<script" not in page.text


def test_a_state_of_another_browser_is_worth_nothing(demo, idp, person):
    """RFC 6749 §10.12: the victim's browser does not finish the sign-in that the attacker's began."""
    attackers = begun(Person(demo.url))
    page = person.get("/callback", params={"code": "x", "state": attackers["state"], "iss": idp.issuer})
    assert text_of(page, "error-code") == "state_mismatch"


@pytest.mark.parametrize("issuer", [None, "https://evil.example", "trailing"])
@pytest.mark.parametrize("answer", [{"code": "ac_planted-code-0123456789"}, {"error": "access_denied"}])
def test_another_issuers_answer_is_thrown_away(demo, idp, person, issuer, answer):
    """RFC 9207 §2.4: iss has to be there, because discovery promises it, and equal; of errors as well."""
    asked = begun(person)
    given = answer | {"state": asked["state"]}
    if issuer is not None:
        given["iss"] = f"{idp.issuer}/" if issuer == "trailing" else issuer
    page = person.get("/callback", params=given)
    assert (page.status_code, text_of(page, "error-code")) == (400, "issuer_mismatch")
    assert "Token request" not in story(demo)
    # Thrown away for good: the right issuer cannot be put in afterwards.
    again = person.get("/callback", params=given | {"iss": idp.issuer})
    assert text_of(again, "error-code") == "state_mismatch"


def test_a_code_nobody_issued_is_refused_with_an_id(idp, person):
    """RFC 6749 §5.2: what the token endpoint refuses ends in a page with the id of its answer."""
    asked = begun(person)
    page = person.get(
        "/callback", params={"code": "ac_planted-code-0123456789", "state": asked["state"], "iss": idp.issuer}
    )
    assert text_of(page, "error-code") == "invalid_grant"
    assert text_of(page, "correlation-id") in str(idp.refusals())


def test_a_wrong_secret_is_refused_with_an_id(idp):
    """RFC 6749 §5.2: invalid_client; the page names the error and leads to its reason."""
    with demo_application(idp, secret="not-the-secret-that-was-registered-0000000") as demo:
        page = Person(demo.url).sign_in()
        assert text_of(page, "error-code") == "invalid_client"
        assert text_of(page, "correlation-id") in str(idp.refusals())


def test_a_missing_tenant_and_a_silent_server_are_explained(idp, tmp_path):
    """OpenID Connect Discovery §4: no document, or nobody there, is a page and not a traceback."""
    with demo_application(idp, issuer=f"{idp.url}/t/nobody", registered=False) as demo:
        page = Person(demo.url).get("/sign-in")
        assert (page.status_code, text_of(page, "error-code")) == (502, "HTTP 404")
    with demo_application(idp, issuer=f"http://localhost:{free_port()}/t/demo", registered=False) as demo:
        page = Person(demo.url).get("/sign-in")
        assert (page.status_code, text_of(page, "error-code")) == (503, "no_answer")
        assert "nobody listens there" in page.text


def test_no_page_cookie_or_redirect_of_ours_holds_a_secret(demo, person):
    """RFC 6749 §10.3, RFC 7636 §7: whatever is done, tokens, code, verifier and client secret never reach the browser from us."""
    person.get("/")
    person.sign_in()
    for path, data in (
        ("/userinfo", {}),
        ("/introspect", {"token": "access"}),
        ("/introspect", {"token": "refresh"}),
        ("/refresh", {}),
        ("/revoke", {"token": "refresh"}),
        ("/refresh", {}),
        ("/userinfo", {}),
    ):
        person.post(path, data)
    person.get("/")
    logout_hint = demo.visits[-1].tokens.id_token
    person.post("/sign-out")
    secrets = demo.secrets()
    assert SECRET in secrets
    kinds = {secret[:3] for secret in secrets}
    assert {"ac_", "rt_", "eyJ"} <= kinds
    assert any(re.fullmatch(r"[A-Za-z0-9]{48}", secret) for secret in secrets)  # the verifier
    ours = [page for page in person.seen if page.url.startswith(demo.url)]
    assert len(ours) > 20
    for page in ours:
        told = page.text + str({name: value for name, value in page.headers.items() if name.lower() != "location"})
        location = page.headers.get("location", "").replace(
            logout_hint, ""
        )  # RP-Initiated Logout §2 sends this one by the browser
        assert [secret[:6] for secret in secrets if secret in told + location] == [], page.url
        assert JWT.findall(told) == [], page.url


def test_the_cookie_is_opaque_and_new_after_signing_in_and_out(demo, person):
    """RFC 6265 §8.4, ASVS 7.2.4: HttpOnly, SameSite=Lax, a random value; what an older cookie names is nothing any more."""
    asked = person.get("/sign-in", allow_redirects=False)
    fields = asked.headers["set-cookie"]
    assert "HttpOnly" in fields
    assert "SameSite=Lax" in fields
    assert "Secure" not in fields  # plain HTTP on loopback
    name = f"demo-rp-{urlsplit(demo.url).port}"
    values = [person.session.cookies[name]]
    person.sign_in()
    values.append(person.session.cookies[name])
    person.post("/sign-out")
    values.append(person.session.cookies[name])
    assert len(set(values)) == 3
    assert all(re.fullmatch(r"visit_[A-Za-z0-9_-]{43}", value) for value in values)
    for old in values[:2]:
        page = requests.get(demo.url, cookies={name: old}, timeout=5)
        assert 'id="sign-in"' in page.text
        assert "Requests and responses" not in page.text


def test_a_visitor_who_does_nothing_is_not_remembered(demo, person):
    """ASVS 7: opening pages makes no session and sets no cookie."""
    for path in ("/", "/signed-out", "/problem", "/nowhere", "/static/idp.css"):
        assert "set-cookie" not in person.get(path).headers
    assert demo.visits == []


@pytest.mark.parametrize("path", ["/refresh", "/userinfo", "/introspect", "/revoke", "/sign-out"])
def test_forms_of_other_sites_do_nothing(demo, person, path):
    """RFC 6749 §10.12 in spirit: another port of localhost is the same site, so the Origin is checked (CSRF)."""
    person.sign_in()
    before = story(demo)
    for headers in (
        {"Origin": "http://localhost:9"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        page = person.post(path, headers=headers)
        assert page.status_code == 403
    assert story(demo) == before
    assert demo.visits[-1].tokens is not None


def test_another_name_of_the_same_machine_leads_to_the_registered_one(demo):
    """RFC 6749 §3.1.2: cookie and redirect URI belong to one origin, so 127.0.0.1 is sent to localhost, and nowhere else."""
    port = urlsplit(demo.url).port
    answer = requests.get(f"http://127.0.0.1:{port}//evil.example/?a=1", allow_redirects=False, timeout=5)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"{demo.url}/")
    answer = requests.get(demo.url, headers={"Host": "evil.example"}, allow_redirects=False, timeout=5)
    assert answer.headers["location"] == f"{demo.url}/"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/refresh", 405), ("PUT", "/", 405), ("GET", "/static/../setup.cfg", 404)],
)
def test_what_leads_nowhere_says_how_to_go_on(person, method, path, status):
    """RFC 9110 §15.5: a page with a way back, under the same policy as every page."""
    answer = person.session.request(method, person.url + path, timeout=5)
    assert answer.status_code == status
    assert 'href="/sign-in"' in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_large_body_is_refused(person):
    """RFC 9110 §15.5.14: nothing of ours is longer than 64 KiB."""
    assert person.post("/introspect", {"token": "x" * 70_000}).status_code == 413


def test_buttons_without_a_session_lead_to_the_start(demo, person):
    """ASVS 7: when the memory is gone a button says so instead of failing."""
    for path in ("/refresh", "/userinfo", "/introspect", "/revoke"):
        page = person.post(path)
        assert (page.status_code, page.url) == (200, f"{demo.url}/")
    assert person.post("/sign-out").url == f"{demo.url}/signed-out"


def test_pages_carry_the_strict_policy_and_no_inline_code(demo, person):
    """CSP3 §6, ASVS 3.4: no script at all, no inline style, no handler; nothing is stored."""
    person.get("/")
    person.sign_in()
    person.post("/refresh")
    person.get("/callback?code=x&state=y")
    person.post("/sign-out")
    pages = [page for page in person.seen if page.url.startswith(demo.url) and page.status_code not in (302, 303)]
    assert {urlsplit(page.url).path for page in pages} == {"/", "/problem", "/signed-out"}
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-frame-options"] == "DENY"
        assert re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", page.text) is None


def test_people_do_not_see_one_another(demo):
    """ASVS 7: two browsers at once have two visits; neither sees the other's tokens or requests."""
    one, other = Person(demo.url), Person(demo.url)
    one.sign_in()
    other.sign_in()
    subs = [{visit.tokens.access_token for visit in demo.visits}, {visit.id for visit in demo.visits}]
    assert [len(each) for each in subs] == [2, 2]
    nonces = [visit.tokens.claims["nonce"] for visit in demo.visits]
    assert [nonce in one.get("/").text for nonce in nonces].count(True) == 1
