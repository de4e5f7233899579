"""The statement budgets of the hot endpoints (docs/architecture.md): counted, not timed, with a warm cache, on each database.

What is counted is what reaches the driver's cursor: statements that SQLAlchemy executes (reads and writes), and the commands
that begin and end transactions.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import event
from sqlalchemy.engine import Engine

from idp.store import db

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from house import Answer, House, RelyingParty

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Count:
    """Statements while a request was answered."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.commits = 0


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Count]:
    """Count every statement of every engine, and every commit."""
    count = Count()

    def statement(_conn: Any, _cursor: Any, sql: str, *_: Any) -> None:
        (count.reads if sql.lstrip().upper().startswith("SELECT") else count.writes).append(sql)

    command = db._command

    def noted(connection: Any, sql: str) -> None:
        count.commits += sql == "COMMIT"
        command(connection, sql)

    monkeypatch.setattr(db, "_command", noted)  # counts, then does what it does
    event.listen(Engine, "before_cursor_execute", statement)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", statement)
        monkeypatch.setattr(db, "_command", command)


@pytest.fixture
def stage(any_house: House) -> Stage:
    """A tenant whose caches are warm."""
    return Stage(any_house)


class Stage:
    """A tenant, a client with a secret, one with a key, and a person's tokens."""

    def __init__(self, house: House) -> None:
        self.house, self.tenant = house, house.tenant("acme")
        self.rp: RelyingParty = house.client(self.tenant)
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        jwks = {"keys": [self.key.as_dict(private=False)]}
        self.signing = house.client(self.tenant, "signing", token_endpoint_auth_method="private_key_jwt", jwks=jwks)
        self.browser = house.browser(self.tenant)
        self.tokens = self.rp.redeem(self.code()).json
        self.rp.introspect(self.tokens["access_token"])
        self.rp.userinfo(self.tokens["access_token"])
        self.client_credentials()
        self.assertion()
        for path in ("/jwks", "/.well-known/openid-configuration"):
            house.get(self.tenant, path)

    def code(self) -> Any:
        return self.browser.sign_in(self.rp, scope="openid profile offline_access")

    def client_credentials(self) -> Answer:
        return self.rp.post("/token", {"grant_type": "client_credentials", "scope": "api"})

    def assertion(self) -> Answer:
        at = int(time.time())
        claims = {
            "iss": "signing",
            "sub": "signing",
            "aud": self.tenant.issuer,
            "exp": at + 60,
            "jti": secrets.token_hex(8),
        }
        signed = jwt.encode({"alg": "ES256", "kid": "one"}, claims, self.key)
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": signed}
        return self.house.post(self.tenant, "/token", form)


def discovery(stage: Stage) -> Callable[[], Answer]:
    return lambda: stage.house.get(stage.tenant, "/.well-known/openid-configuration")


def jwks(stage: Stage) -> Callable[[], Answer]:
    return lambda: stage.house.get(stage.tenant, "/jwks")


def client_credentials(stage: Stage) -> Callable[[], Answer]:
    return stage.client_credentials


def authorization_code(stage: Stage) -> Callable[[], Answer]:
    grant = stage.code()
    return lambda: stage.rp.redeem(grant)


def refresh_token(stage: Stage) -> Callable[[], Answer]:
    return lambda: stage.rp.refresh(stage.tokens["refresh_token"])


def introspect(stage: Stage) -> Callable[[], Answer]:
    return lambda: stage.rp.post("/introspect", {"token": stage.tokens["access_token"]})


def userinfo(stage: Stage) -> Callable[[], Answer]:
    return lambda: stage.rp.userinfo(stage.tokens["access_token"])


def private_key_jwt(stage: Stage) -> Callable[[], Answer]:
    return stage.assertion


# endpoint: (reads at most, transactions exactly)
BUDGET = {
    discovery: (0, 0),
    jwks: (0, 0),
    client_credentials: (0, 0),
    authorization_code: (3, 1),
    refresh_token: (3, 1),
    introspect: (1, 0),
    userinfo: (2, 0),
    private_key_jwt: (0, 1),
}


@pytest.mark.parametrize("endpoint", BUDGET, ids=lambda endpoint: endpoint.__name__)
def test_a_hot_endpoint_keeps_its_budget(
    endpoint: Callable[[Stage], Callable[[], Answer]], stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Architecture §5: the table of budgets; an endpoint without a transaction writes nothing."""
    reads, transactions = BUDGET[endpoint]
    ask = endpoint(stage)
    with counted(monkeypatch) as count:
        answer = ask()
    assert answer.status == 200, answer.text
    assert len(count.reads) <= reads, count.reads
    assert count.commits == transactions
    assert bool(count.writes) == bool(transactions), count.writes


def test_the_counting_counts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §5, control: a cold cache is seen to read, so that the budgets above mean something."""
    stage.house.restart()
    with counted(monkeypatch) as count:
        assert stage.client_credentials().status == 200
    assert len(count.reads) >= 3


def test_a_sign_in_writes_six_times(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §5: a whole sign-in (login, consent, code, token) is six durable transactions, one of them the token's."""
    browser = stage.house.browser(stage.tenant)
    with counted(monkeypatch) as count:
        grant = browser.sign_in(stage.rp, scope="openid profile offline_access", prompt="consent")
        assert stage.rp.redeem(grant).status == 200
    assert count.commits <= 6
