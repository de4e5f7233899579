"""PostgreSQL that is stopped, restarted, fails over, runs out of connections or deadlocks (S113, security §3 "DB loss")."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from house import PASSWORD, Answer
from serving import FEED_SECONDS, Served, eventually, rows, scalar, together

from idp.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from house import Grant, RelyingParty
    from services import Cluster
    from sqlalchemy.engine import Connection

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.slow


def unavailable(answer: Answer) -> bool:
    """503 with Retry-After."""
    return answer.status == 503 and (answer.header("retry-after") or "").isdigit()


class Site:
    """A served installation on a cluster of its own, with a client that has tokens and an unused code."""

    def __init__(self, served: Served, cluster: Cluster) -> None:
        self.served, self.cluster = served, cluster
        self.tenant: Tenant = served.tenant("acme")
        self.rp: RelyingParty = served.client(self.tenant)
        # The worker soon publishes each key's successor, and then every process reads the tenant anew.
        eventually(lambda: len(served.get(self.tenant, "/jwks").json["keys"]) == 4, 30)
        time.sleep(2 * FEED_SECONDS)  # every worker has heard of it all, and forgets nothing any more

    def grant(self) -> Grant:
        return self.served.browser(self.tenant).sign_in(self.rp, scope="openid offline_access")

    def tokens(self) -> dict[str, Any]:
        answer = self.rp.redeem(self.grant())
        assert answer.status == 200, answer.text
        return answer.json

    def warm(self) -> None:
        """Let both workers know tenant and client."""
        wires = [self.served.wire() for _ in range(12)]
        for wire in wires:
            assert (
                self.served.post(
                    self.tenant, "/token", {"grant_type": "client_credentials"}, headers=self.rp.auth, wire=wire
                ).status
                == 200
            )
        assert len({self.served.worker_of(wire) for wire in wires}) == 2

    def ready(self) -> int:
        return self.served.once("GET", "/health/ready").status


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The installation, in databases that go with the cluster."""
    cluster.run("CREATE DATABASE idp")
    url = cluster.url.removesuffix("postgres") + "idp"
    with Served(tmp_path_factory.mktemp("site"), IDP_DATABASE_URL=url) as served:
        yield Site(served, cluster)


def test_the_server_is_stopped_and_started(site: Site) -> None:
    """S113, DB loss: 503 + Retry-After, ready 503, live 200, keys and discovery from memory; back within 5 s, no restart."""
    served, rp = site.served, site.rp
    grant, tokens = site.grant(), site.tokens()
    site.warm()
    workers = set(served.workers())
    site.cluster.stop()
    try:
        began = time.monotonic()
        for answer in (rp.redeem(grant), rp.refresh(tokens["refresh_token"]), rp.userinfo(tokens["access_token"])):
            assert unavailable(answer), answer.text
        for path, form in (
            ("/introspect", {"token": tokens["access_token"]}),
            ("/revoke", {"token": tokens["refresh_token"]}),
        ):
            assert unavailable(rp.post(path, form))
        page = served.browser(site.tenant).authorize(rp, verifier="v" * 43)
        assert unavailable(page)
        assert "text/html" in (page.header("content-type") or "")
        unknown = served.once("GET", "/t/never-seen/login", headers={"accept": "text/html"})
        assert unavailable(unknown), unknown.text
        assert time.monotonic() - began < 10
        for path in ("/jwks", "/.well-known/openid-configuration"):
            assert served.get(site.tenant, path).status == 200
        # Reads and writes nothing: architecture §5.
        assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
        eventually(lambda: site.ready() == 503, 3)
        assert served.once("GET", "/health/live").status == 200
        assert b"54" not in served.once("GET", "/health/ready").body, "readiness tells strangers details"
    finally:
        site.cluster.start()
    assert eventually(lambda: site.ready() == 200, 5) < 5
    assert rp.redeem(grant).status == 200, "the code was spent by a request that was refused"
    assert rp.refresh(tokens["refresh_token"]).status == 200
    assert rp.introspect(tokens["access_token"])["active"] is True
    assert set(served.workers()) == workers, "a worker was started anew"
    # The feed has recovered as well: a change is known everywhere within its second.
    provisioning = served.house.installation.provisioning
    provisioning.suspend(site.tenant)
    eventually(lambda: served.once("GET", f"{site.tenant.base_path}/jwks").status == 404, 3)
    provisioning.resume(site.tenant)
    time.sleep(2 * FEED_SECONDS)
    site.warm()


def test_a_restart_under_load_loses_only_what_is_in_flight(site: Site) -> None:
    """S113: load over an immediate restart: 200 or 503, nothing else; what was answered 200 is in the database."""
    rp, served = site.rp, site.served
    first = [site.tokens()["refresh_token"] for _ in range(6)]
    stop = threading.Event()
    seen: list[int] = []

    def load(i: int) -> str:
        token = first[i]
        wire = served.wire()
        while not stop.is_set():
            answer = served.post(
                site.tenant,
                "/token",
                {"grant_type": "refresh_token", "refresh_token": token},
                headers=rp.auth,
                wire=wire,
            )
            seen.append(answer.status)
            if answer.status == 200:
                token = answer.json["refresh_token"]
            time.sleep(0.02)
        return token

    def break_it() -> str:
        time.sleep(1)
        site.cluster.stop()
        time.sleep(0.5)
        site.cluster.start()
        time.sleep(1.5)
        stop.set()
        return ""

    last = together(7, lambda i: break_it() if i == 6 else load(i))
    assert set(seen) == {200, 503}
    assert seen[-1] == 200
    for token in last[:6]:
        assert rp.introspect(token)["active"] is True or rp.refresh(token).status == 200


def test_every_connection_is_cut(site: Site) -> None:
    """S113: after ``pg_terminate_backend`` of all, idle connections are replaced without a failed request."""
    tokens, grant = site.tokens(), site.grant()
    site.warm()
    cut = site.cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authsec'")
    assert len(cut) >= 2
    assert site.rp.introspect(tokens["access_token"])["active"] is True
    assert site.rp.redeem(grant).status == 200
    assert site.rp.refresh(tokens["refresh_token"]).status == 200
    assert site.ready() == 200


def test_a_failover_to_a_read_only_server(site: Site) -> None:
    """S113: writes answer 503 and change nothing, reads go on; afterwards writes go on without a restart."""
    tokens, grant = site.tokens(), site.grant()
    control = site.served.house.settings.control_url
    try:
        site.cluster.run("ALTER SYSTEM SET default_transaction_read_only = on")
        site.cluster.run("SELECT pg_reload_conf()")
        eventually(lambda: str(scalar(control, "SHOW default_transaction_read_only")) == "on", 5)
        time.sleep(0.3)
        assert unavailable(site.rp.redeem(grant))
        assert unavailable(site.rp.refresh(tokens["refresh_token"]))
        assert site.rp.introspect(tokens["access_token"])["active"] is True
        assert site.rp.userinfo(tokens["access_token"]).status == 200
        eventually(lambda: site.ready() == 503, 5)
    finally:
        with psycopg.connect(site.cluster.url.replace("+psycopg", ""), autocommit=True) as line:
            line.execute("SET default_transaction_read_only = off")
            line.execute("ALTER SYSTEM RESET default_transaction_read_only")
            line.execute("SELECT pg_reload_conf()")
    eventually(lambda: str(scalar(control, "SHOW default_transaction_read_only")) == "off", 5)
    eventually(lambda: site.ready() == 200, 5)
    assert site.rp.redeem(grant).status == 200
    assert site.rp.refresh(tokens["refresh_token"]).status == 200


def test_a_lock_that_is_held_from_outside(site: Site) -> None:
    """S113: 30 requests on a locked table are 503 after the lock's time limit; others are served meanwhile; then all goes on."""
    tokens = site.tokens()
    served, rp = site.served, site.rp
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    site.warm()
    with psycopg.connect(site.tenant.database_url.replace("+psycopg", "")) as stranger:
        stranger.execute("LOCK TABLE refresh_tokens IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answers, _ = served.race(
            30, lambda wire, _i: served.post(site.tenant, "/token", form, headers=rp.auth, wire=wire)
        )
        took = time.monotonic() - began
        assert served.get(site.tenant, "/jwks").status == 200
        assert rp.introspect(tokens["access_token"])["active"] is True
        stranger.rollback()
    assert all(unavailable(answer) for answer in answers), [answer.status for answer in answers]
    assert took < 14
    assert rp.refresh(tokens["refresh_token"]).status == 200


def test_no_connection_is_left(site: Site) -> None:
    """S113, pool exhaustion: a server that takes no more connections is a 503; with one free again everything works."""
    tokens, grant = site.tokens(), site.grant()
    name = site.tenant.database_url.rpartition("/")[2]
    site.cluster.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    try:
        site.cluster.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert unavailable(site.rp.redeem(grant))
        assert unavailable(site.rp.userinfo(tokens["access_token"]))
        assert site.ready() == 200, "one tenant's database is not the installation's"
    finally:
        site.cluster.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert site.rp.redeem(grant).status == 200


def test_a_deleted_tenant_database(site: Site) -> None:
    """S113: the database of one tenant is dropped behind our back: that tenant is 503, its neighbour works."""
    served = site.served
    lost = served.tenant("lost")
    rp = served.client(lost)
    grant = served.browser(lost).sign_in(rp)
    name = lost.database_url.rpartition("/")[2]
    site.cluster.run(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert unavailable(rp.redeem(grant))
    assert unavailable(served.browser(lost).authorize(rp, verifier="v" * 43))
    assert site.rp.introspect(site.tokens()["access_token"])["active"] is True
    served.house.installation.provisioning.delete(lost)


def test_a_deadlock_is_one_s_503(site: Site) -> None:
    """S113: of two writers that wait for each other one gets 503, nothing of it stays, the other is told of success truly."""
    database = site.served.house.database(site.tenant)
    rows(site.tenant.database_url, "INSERT INTO revoked_tokens VALUES ('left', 1), ('right', 1)")
    barrier = threading.Barrier(2)

    def write(i: int) -> object:
        names = ("left", "right")[:: 1 if i == 0 else -1]

        def work(conn: Connection) -> None:
            conn.exec_driver_sql(f"UPDATE revoked_tokens SET expires_at = {i + 10} WHERE jti = '{names[0]}'")
            barrier.wait(5)
            conn.exec_driver_sql(f"UPDATE revoked_tokens SET expires_at = {i + 10} WHERE jti = '{names[1]}'")

        try:
            database.writing(work)
        except StorageUnavailable as error:
            return error.retry_after
        return "done"

    outcomes = together(2, write)
    assert sorted(map(str, outcomes)) == ["2", "done"]
    winner = outcomes.index("done") + 10
    assert {
        row["expires_at"]
        for row in rows(
            site.tenant.database_url, "SELECT expires_at FROM revoked_tokens WHERE jti IN ('left', 'right')"
        )
    } == {winner}


def test_an_idle_transaction_is_ended(site: Site) -> None:
    """S113, ``idle_in_transaction``: a worker that hangs inside a transaction does not keep its locks for ever."""
    database = site.served.house.database(site.tenant)
    with database.reading() as conn:
        assert conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "30s"

    def work(conn: Connection) -> None:
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 100")
        conn.exec_driver_sql("INSERT INTO revoked_tokens VALUES ('half', 1)")
        time.sleep(0.5)

    with pytest.raises(StorageUnavailable):
        database.writing(work)
    assert scalar(site.tenant.database_url, "SELECT count(*) FROM revoked_tokens WHERE jti = 'half'") == 0
    assert site.tokens()


def test_starting_without_a_database(site: Site, tmp_path: Path) -> None:
    """Issue 3: the server that finds no database says so in one sentence and makes nothing; PASSWORD is never in it."""
    from idp.settings import Settings
    from idp.store.db import Database

    settings = Settings.from_env(
        {"IDP_DATABASE_URL": f"postgresql+psycopg://postgres:{PASSWORD.replace(' ', '-')}@127.0.0.1:1/idp"}
    )
    with pytest.raises(StorageUnavailable) as caught:
        Database(settings.control_url).writing(lambda conn: conn.exec_driver_sql("SELECT 1"))
    assert PASSWORD.replace(" ", "-") not in str(caught.value)
    assert site.ready() == 200
