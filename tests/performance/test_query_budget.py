"""The budgets of the hot path in SQL statements (architecture §5). Counts, measures no time; seen by the drivers, on both databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cast import SigningKey, asserted
from exchanging import exchanger
from house import CALLBACK, PASSWORD, Answer
from statements import counting

from idp import opaque
from idp.oauth.presented_tokens import ACCESS_TOKEN
from idp.oauth.resource_indicators import TOKEN_EXCHANGE
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    from house import House, RelyingParty
    from statements import Counted

    from idp.tenancy.tenant import Tenant


@dataclass
class Path:
    """A tenant with a warm cache, asked at the front's door."""

    house: House
    tenant: Tenant
    rp: RelyingParty

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, auth: dict[str, str] | None = None
    ) -> Answer:
        """One request as the front passes it on; the door must be open, nothing of it goes through Flask."""
        headers = [
            ("host", self.tenant.host),
            *(self.rp.auth if auth is None else auth).items(),
            ("content-type", "application/x-www-form-urlencoded"),
        ]
        full = self.tenant.base_path + path
        request = Request(
            method,
            "http",
            self.tenant.host,
            full,
            "",
            Headers.of(headers),
            urlencode(form or {}).encode(),
            "127.0.0.1",
            opaque.new_correlation_id(),
        )
        door = self.house.router.door(method, self.tenant.host, full)
        assert door is not None, path
        response = door.handle(request)
        return Answer(response.status, response.headers, response.body)

    def grant(self) -> Any:
        return self.house.browser(self.tenant).sign_in(self.rp, scope="openid profile email offline_access")

    def code_form(self, grant: Any) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": grant.code,
            "redirect_uri": CALLBACK,
            "code_verifier": grant.verifier,
        }

    def tokens(self) -> dict[str, Any]:
        return self.ask("POST", "/token", self.code_form(self.grant())).json

    def cost(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        auth: dict[str, str] | None = None,
        status: int = 200,
    ) -> Counted:
        """What one request costs."""
        with counting(self.house) as counted:
            answer = self.ask(method, path, form, auth)
        assert answer.status == status, answer.text
        return counted


@pytest.fixture
def hot(any_house: House) -> Path:
    """Everything has been used once."""
    tenant = any_house.tenant("acme")
    found = Path(any_house, tenant, any_house.client(tenant))
    any_house.get(tenant, "/jwks")
    tokens = found.tokens()
    found.ask("POST", "/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    found.ask("GET", "/userinfo", auth={"authorization": f"Bearer {tokens['access_token']}"})
    found.ask("POST", "/introspect", {"token": tokens["access_token"]})
    return found


def test_the_counter_counts(hot: Path) -> None:
    """Negative control: reads, writes and transactions of a known piece of work are seen, on each driver."""
    database = hot.house.database(hot.tenant)
    with counting(hot.house) as counted:
        database.writing(lambda conn: conn.exec_driver_sql("INSERT INTO revoked_tokens VALUES ('x', 1)"))
        with database.reading() as conn:
            conn.exec_driver_sql("SELECT jti FROM revoked_tokens").all()
    assert counted.cost == (1, 1, 1), counted.statements


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"]
)
def test_documents_cost_nothing(hot: Path, path: str) -> None:
    """Architecture §5: discovery and jwks read and write nothing."""
    assert hot.cost("GET", path).statements == []


def test_client_credentials_cost_nothing(hot: Path) -> None:
    """Architecture §5: a client for itself: no read, no write; the audit row goes to the spool."""
    assert hot.cost("POST", "/token", {"grant_type": "client_credentials", "scope": "api"}).statements == []


def test_an_authorization_code(hot: Path) -> None:
    """Architecture §5: at most 3 reads, one transaction."""
    form = hot.code_form(hot.grant())
    counted = hot.cost("POST", "/token", form)
    reads, writes, transactions = counted.cost
    assert reads <= 3, counted.statements
    assert transactions == 1, counted.statements
    assert writes <= 3, counted.statements  # the code, the refresh token, the event


def test_a_refresh_token(hot: Path) -> None:
    """Architecture §5: at most 3 reads, one transaction; the same token again within the grace writes nothing."""
    form = {"grant_type": "refresh_token", "refresh_token": hot.tokens()["refresh_token"]}
    counted = hot.cost("POST", "/token", form)
    reads, writes, transactions = counted.cost
    assert reads <= 3, counted.statements
    assert transactions == 1, counted.statements
    assert writes <= 3, counted.statements  # the old one, the new one, the event
    again = hot.cost("POST", "/token", form)
    assert again.cost[0] <= 3, again.statements
    assert again.cost[1:] == (0, 0), again.statements


@pytest.mark.parametrize("kind", ["access_token", "refresh_token", "of a client", "garbage"])
def test_introspection(hot: Path, kind: str) -> None:
    """Architecture §5: at most 1 read, no write, whatever is asked about."""
    token = {
        "of a client": lambda: hot.ask("POST", "/token", {"grant_type": "client_credentials"}).json["access_token"],
        "garbage": lambda: "rt_garbage",
    }.get(kind, lambda: hot.tokens()[kind])()
    counted = hot.cost("POST", "/introspect", {"token": token})
    assert counted.cost[0] <= 1, counted.statements
    assert counted.cost[1:] == (0, 0), counted.statements


def test_a_token_exchange(hot: Path) -> None:
    """Decision 15: nothing is written; a token that was exchanged costs one read more where it is asked about."""
    gateway = exchanger(hot, "gateway", "tokens:exchange", over="rp")
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": hot.tokens()["access_token"],
        "subject_token_type": ACCESS_TOKEN,
    }
    form["audience"] = "reports"
    token = hot.ask("POST", "/token", form, gateway.auth).json["access_token"]
    counted = hot.cost("POST", "/token", form, gateway.auth)
    assert counted.cost[0] <= 6, counted.statements
    assert counted.cost[1:] == (0, 0), counted.statements
    counted = hot.cost("POST", "/introspect", {"token": token}, gateway.auth)
    assert counted.cost == (2, 0, 0), counted.statements


def test_userinfo(hot: Path) -> None:
    """Architecture §5: at most 2 reads, no write."""
    counted = hot.cost("GET", "/userinfo", auth={"authorization": f"Bearer {hot.tokens()['access_token']}"})
    assert counted.cost[0] <= 2, counted.statements
    assert counted.cost[1:] == (0, 0), counted.statements


def test_a_client_assertion_adds_one_insert(hot: Path) -> None:
    """Architecture §5: private_key_jwt adds one insert and commit: a spent jti is durable."""
    key = SigningKey.new("ES256", "k")
    signed = hot.house.client(
        hot.tenant, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    form = {"grant_type": "client_credentials"}
    hot.ask("POST", "/token", {**form, **asserted(signed, key)}, auth={})
    counted = hot.cost("POST", "/token", {**form, **asserted(signed, key)}, auth={})
    assert counted.cost == (0, 1, 1), counted.statements


def test_refusals_of_strangers_cost_no_write(hot: Path) -> None:
    """Security S111: what anybody can send without credentials writes nothing to a database."""
    for path, form in (
        ("/token", {"grant_type": "client_credentials"}),
        ("/introspect", {"token": "x"}),
        ("/revoke", {"token": "x"}),
    ):
        counted = hot.cost("POST", path, form, auth={"authorization": "Basic eDp5"}, status=401)
        assert counted.cost[1:] == (0, 0), counted.statements
        assert counted.cost[0] <= 2, counted.statements
    counted = hot.cost("GET", "/userinfo", auth={"authorization": "Bearer x"}, status=401)
    assert counted.statements == []


def test_a_sign_in_is_two_commits(hot: Path) -> None:
    """Identity: the attempt is counted, then one transaction for everything that follows a right password."""
    browser = hot.house.browser(hot.tenant)
    page = browser.follow(browser.authorize(hot.rp, verifier="v" * 43, scope="openid address"))  # consent is asked next
    with counting(hot.house) as counted:
        answer = browser.submit(page, username="ada@example.com", password=PASSWORD)
    assert answer.status == 303
    assert counted.starting("BEGIN") == 2, counted.statements


def test_a_consent_costs_one_transaction(hot: Path) -> None:
    """Architecture §5: what a person allows is written with the code that it allows."""
    browser = hot.house.browser(hot.tenant)
    page = browser.follow(browser.authorize(hot.rp, verifier="v" * 43, prompt="consent"))
    page = browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORD))
    with counting(hot.house) as counted:
        answer = browser.submit(page, action="approve")
    assert "code" in answer.params
    reads, writes, transactions = counted.cost
    assert transactions == 1, counted.statements
    assert reads <= 4, counted.statements
    assert writes <= 7, counted.statements


def test_a_remembered_person_costs_one_transaction(hot: Path) -> None:
    """Issue 3: an authorization request with a live session and a remembered consent: one transaction, the code's."""
    browser = hot.house.browser(hot.tenant)
    browser.sign_in(hot.rp)
    with counting(hot.house) as counted:
        answer = browser.authorize(hot.rp, verifier="v" * 43)
    assert "code" in answer.params
    reads, _, transactions = counted.cost
    assert transactions == 1, counted.statements
    assert reads <= 6, counted.statements


def test_several_accounts_cost_one_read_more(hot: Path) -> None:
    """Issue 5: the browser that keeps other accounts costs one read for them; the one that keeps none costs nothing for it."""
    hot.house.user(hot.tenant, "bob@example.com")
    browser = hot.house.browser(hot.tenant)
    browser.sign_in(hot.rp)
    costs = []
    for _ in range(2):
        browser.authorize(hot.rp, verifier="v" * 43)  # whatever is remembered of it by now
        with counting(hot.house) as counted:
            assert "code" in browser.authorize(hot.rp, verifier="v" * 43).params
        costs.append(counted)
        browser.sign_in(hot.rp, username="bob@example.com", prompt="login")
    alone, beside = costs
    assert beside.cost == (alone.cost[0] + 1, *alone.cost[1:]), beside.statements


def test_other_tenants_changes_cost_one_read(hot: Path) -> None:
    """Architecture §4: learning what has changed is one query for all tenants; nothing changed, nothing else is asked."""
    with counting(hot.house) as counted:
        hot.house.installation.feed.poll()
    assert counted.cost == (1, 0, 0), counted.statements
