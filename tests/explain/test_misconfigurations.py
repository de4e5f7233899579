"""Refusals explain themselves: for each way to misconfigure a relying party, `idp explain` names the check, the section and the cure.

The id is taken from where a person or program sees it: the page's text, the JSON answer, or the error's description.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from house import CALLBACK, House, basic
from joserfc import jwt
from joserfc.jwk import ECKey

from idp.cli import cli
from idp.clock import shifted

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Answer, RelyingParty

    from idp.tenancy.tenant import Tenant

    Act = Callable[["Stage"], Answer]

VERIFIER = "v" * 43
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{16}\b")


class Stage:
    """A house with two tenants and the clients that the cases misuse."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.acme: Tenant = house.tenant("acme")
        self.beta: Tenant = house.tenant("beta")
        self.rp: RelyingParty = house.client(self.acme, scope="openid profile api")
        self.theirs: RelyingParty = house.client(self.beta, "beta-rp")
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
        self.signing: RelyingParty = house.client(
            self.acme,
            "signing",
            token_endpoint_auth_method="private_key_jwt",
            jwks={"keys": [self.key.as_dict(private=False)]},
        )
        self.plain: RelyingParty = house.client(self.acme, "code-only", grant_types=["authorization_code"])
        self.browser = house.browser(self.acme)

    def ask(self, **params: str | None) -> Answer:
        return self.browser.authorize(self.rp, verifier=VERIFIER, **params)

    def token(self, form: dict[str, str], client: RelyingParty | None = None, **more: Any) -> Answer:
        return (client or self.rp).post("/token", form, **more)

    def assertion(self, key: ECKey | None = None, **claims: Any) -> Answer:
        at = int(time.time())
        stated = {
            "iss": "signing",
            "sub": "signing",
            "aud": self.acme.issuer,
            "exp": at + 60,
            "iat": at,
            "jti": str(time.monotonic_ns()),
            **claims,
        }
        signer = key or self.key
        signed = jwt.encode({"alg": "ES256", "kid": signer.kid}, stated, signer)
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": signed}
        return self.house.post(self.acme, "/token", form)


def _code_reuse(stage: Stage) -> Answer:
    grant = stage.browser.sign_in(stage.rp)
    assert stage.rp.redeem(grant).status == 200
    return stage.rp.redeem(grant)


def _refresh_reuse(stage: Stage) -> Answer:
    token = stage.rp.redeem(stage.browser.sign_in(stage.rp)).json["refresh_token"]
    assert stage.rp.refresh(token).status == 200
    with shifted(11):
        return stage.rp.refresh(token)


def _late(stage: Stage) -> Answer:
    grant = stage.browser.sign_in(stage.rp)
    with shifted(61):
        return stage.rp.redeem(grant)


def _elsewhere(stage: Stage) -> Answer:
    grant = stage.browser.sign_in(stage.rp)
    client = stage.house.client(stage.beta, "rp")
    return client.redeem(grant)


def _foreign_userinfo(stage: Stage) -> Answer:
    token = stage.rp.redeem(stage.browser.sign_in(stage.rp)).json["access_token"]
    return stage.house.get(stage.beta, "/userinfo", headers={"authorization": f"Bearer {token}"})


def _replayed(stage: Stage) -> Answer:
    assert stage.assertion(jti="the same").status == 200
    return stage.assertion(jti="the same")


def _disabled(stage: Stage) -> Answer:
    from idp.store.tenant import clients

    with stage.house.installation.feed.announced(stage.acme.id, "client", "rp"):
        stage.house.database(stage.acme).writing(lambda conn: clients.change(conn, "rp", state="disabled"))
    return stage.ask()


def _wrong_password(stage: Stage) -> Answer:
    page = stage.browser.follow(stage.ask())
    return stage.browser.submit(page, username="ada@example.com", password="not the password at all")


def _locked(stage: Stage) -> Answer:
    page = stage.browser.follow(stage.ask())
    for _ in range(11):
        answer = stage.browser.submit(page, username="ada@example.com", password="not the password at all")
    return answer


def _late_sign_in(stage: Stage) -> Answer:
    page = stage.browser.follow(stage.ask())
    with shifted(stage.acme.settings.interaction_lifetime + 1):
        return stage.browser.submit(page, username="ada@example.com", password="x")


# name: (what is done, check, words that the explanation must contain)
CASES: dict[str, tuple[Act, str, tuple[str, ...]]] = {
    "redirect URI: a slash too much": (lambda s: s.ask(redirect_uri=CALLBACK + "/"), "redirect_uri", (CALLBACK, "^", "idp client update acme rp")),
    "redirect URI: http": (lambda s: s.ask(redirect_uri="http://rp.example/cb"), "redirect_uri", ("http://rp.example/cb", CALLBACK)),
    "redirect URI: another port": (lambda s: s.ask(redirect_uri="https://rp.example:8443/cb"), "redirect_uri", (":8443",)),
    "redirect URI: another path": (lambda s: s.ask(redirect_uri="https://rp.example/callback"), "redirect_uri", ("RFC 9700",)),
    "redirect URI: missing": (lambda s: s.ask(redirect_uri=None), "redirect_uri", ("missing", CALLBACK)),
    "client: misspelt": (lambda s: s.ask(client_id="rpp"), "client_id", ("rpp", "acme", "idp client list")),
    "client: of another tenant": (lambda s: s.ask(client_id="beta-rp"), "client_id", ("beta-rp", "tenant")),
    "client: disabled": (_disabled, "client_id", ("disabled",)),
    "PKCE: missing": (lambda s: s.browser.authorize(s.rp), "pkce", ("no code_challenge", "S256")),
    "PKCE: plain": (lambda s: s.ask(code_challenge=VERIFIER, code_challenge_method="plain"), "pkce", ("plain", "S256")),
    "PKCE: no method": (lambda s: s.ask(code_challenge_method=None), "pkce", ("S256",)),
    "PKCE: another verifier": (lambda s: s.rp.redeem({"code": s.browser.sign_in(s.rp).code, "verifier": "w" * 43}), "pkce", ("code_verifier",)),
    "PKCE: no verifier": (lambda s: s.rp.redeem({"code": s.browser.sign_in(s.rp).code}), "pkce", ("code_verifier is missing",)),
    "scope: not registered": (lambda s: s.ask(scope="openid email"), "scope", ("email", "profile", "idp client update acme rp")),
    "scope: not for a client": (lambda s: s.token({"grant_type": "client_credentials", "scope": "openid"}), "scope", ("openid", "api")),
    "response type": (lambda s: s.ask(response_type="token"), "response_type", ("token", "code")),
    "response mode": (lambda s: s.ask(response_mode="fragment"), "response_mode", ("fragment",)),
    "prompt: none without session": (lambda s: s.ask(prompt="none"), "login_required", ("prompt=none",)),
    "prompt: misspelt": (lambda s: s.ask(prompt="logon"), "prompt", ("logon",)),
    "max_age: no number": (lambda s: s.ask(max_age="1h"), "max_age", ("1h",)),
    "id_token_hint: garbage": (lambda s: s.ask(id_token_hint="x.y.z"), "id_token_hint", ("id_token_hint",)),
    "request object": (lambda s: s.ask(request="x.y.z"), "request_object", ("request",)),
    "parameter twice": (lambda s: s.browser.get(f"{s.acme.base_path}/authorize?client_id=rp&client_id=rp"), "repeats", ("client_id",)),
    "secret: wrong": (lambda s: s.house.post(s.acme, "/token", {"grant_type": "client_credentials"}, headers=basic("rp", "wrong")), "client_authentication", ("secret is wrong", "rotate-secret acme rp")),
    "method: post instead of basic": (lambda s: s.house.post(s.acme, "/token", {"grant_type": "client_credentials", "client_id": "rp", "client_secret": s.rp.secret or ""}), "client_authentication", ("client_secret_post", "client_secret_basic")),
    "method: none": (lambda s: s.house.post(s.acme, "/token", {"grant_type": "client_credentials", "client_id": "rp"}), "client_authentication", ("none",)),
    "method: two at once": (lambda s: s.token({"grant_type": "client_credentials", "client_secret": "x"}), "client_authentication", ("client_secret_basic and client_secret_post",)),
    "Basic: malformed": (lambda s: s.house.post(s.acme, "/token", {"grant_type": "client_credentials"}, headers={"authorization": "Basic rp:secret"}), "client_authentication", ("base64",)),
    "assertion: audience": (lambda s: s.assertion(aud=f"{s.acme.issuer}/token"), "client_authentication", ("aud", "/token", "/t/acme", "client signing")),
    "assertion: other tenant's issuer": (lambda s: s.assertion(aud=s.beta.issuer), "client_authentication", ("/t/beta", "/t/acme")),
    "assertion: clock behind": (lambda s: s.assertion(exp=int(time.time()) - 600), "client_authentication", ("exp", "clock", "client signing")),
    "assertion: clock ahead": (lambda s: s.assertion(iat=int(time.time()) + 600, exp=int(time.time()) + 660), "client_authentication", ("future", "clock")),
    "assertion: used twice": (_replayed, "client_authentication", ("used before", "jti")),
    "assertion: another key": (lambda s: s.assertion(key=ECKey.generate_key("P-256", {"kid": "two"})), "client_authentication", ("two", "one")),
    "code: used twice": (_code_reuse, "code", ("used before", "RFC 6749 §4.1.2")),
    "code: too late": (_late, "code", ("expired",)),
    "code: at another tenant": (_elsewhere, "code", ("no such code at this tenant",)),
    "code: another redirect URI": (lambda s: s.rp.redeem(s.browser.sign_in(s.rp), redirect_uri=CALLBACK + "2"), "redirect_uri", (CALLBACK + "2",)),
    "refresh token: used twice": (_refresh_reuse, "refresh_token", ("rotated before", "RFC 9700")),
    "grant type: unknown": (lambda s: s.token({"grant_type": "password"}), "grant_type", ("password", "authorization_code")),
    "grant type: not registered": (lambda s: s.token({"grant_type": "client_credentials"}, s.plain), "grant_type", ("client_credentials", "idp client update acme code-only")),
    "grant type: refresh not registered": (lambda s: s.token({"grant_type": "refresh_token", "refresh_token": "rt_x"}, s.plain), "grant_type", ("refresh_token",)),
    "token request: JSON": (lambda s: s.house.send("POST", f"{s.acme.base_path}/token", body=b"{}", headers={**s.rp.auth, "content-type": "application/json"}), "body", ("form",)),
    "token request: in the query": (lambda s: s.house.send("POST", f"{s.acme.base_path}/token?grant_type=client_credentials", form={}, headers=s.rp.auth), "query", ("form body",)),
    "userinfo: token of another tenant": (_foreign_userinfo, "access_token", ("no key of this tenant",)),
    "userinfo: no openid": (lambda s: s.rp.userinfo(s.token({"grant_type": "client_credentials"}).json["access_token"]), "access_token", ("openid",)),
    "logout: redirect URI": (lambda s: s.browser.get(f"{s.acme.base_path}/logout?client_id=rp&post_logout_redirect_uri=https://rp.example/other"), "post_logout_redirect_uri", ("https://rp.example/other", "https://rp.example/bye")),
    "sign-in: wrong password": (_wrong_password, "sign_in", ("the password is wrong",)),
    "sign-in: locked": (_locked, "sign_in", ("too many failed sign-ins",)),
    "sign-in: took too long": (_late_sign_in, "interaction", ("interaction_lifetime",)),
    "tenant: unknown": (lambda s: s.house.send("GET", "/t/acmee/authorize"), "address", ("acmee", "idp tenant list")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_misconfiguration_is_named(house: House, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue, must show: `idp explain` names the misconfiguration, by the id that the refused party sees."""
    act, check, words = CASES[name]
    answer = act(Stage(house))
    shown = answer.text + (answer.header("location") or "")
    ids = set(_ID.findall(shown.replace("%20", " ").replace("+", " ")))
    assert len(ids) == 1, f"one id is shown: {answer.status} {shown[:800]}"
    monkeypatch.setenv("IDP_DATA_DIR", str(house.settings.data_dir))
    for arguments in (["--json"], []):
        told = CliRunner().invoke(cli, ["explain", *ids, *arguments], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        if arguments:
            document = json.loads(told.stdout)
            assert document["check"] == check, document
            assert document["spec"]
            assert document["fix"]
        else:
            missing = [word for word in words if word not in told.stdout]
            assert not missing, f"{missing} not in\n{told.stdout}"


def test_an_unknown_id_is_said_to_be_unknown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue, refusals: an id nobody has seen gets a sentence, and exit status 1."""
    monkeypatch.setenv("IDP_DATA_DIR", str(house.settings.data_dir))
    told = CliRunner().invoke(cli, ["explain", "0000000000000000"])
    assert told.exit_code == 1
