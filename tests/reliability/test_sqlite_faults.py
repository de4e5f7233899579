"""A file that is locked, full, read-only or gone: 503 with Retry-After, nothing half-written, recovery without restart (S113)."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD, Answer
from refusals import record_of
from services import fill, mounted, small_disk
from serving import Served, rows, scalar

from idp.store.group_commit import LOCK_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import House, RelyingParty
    from serving import Wire

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.slow


def unavailable(answer: Answer) -> bool:
    """503 with Retry-After."""
    return answer.status == 503 and (answer.header("retry-after") or "").isdigit()


def path_of(tenant: Tenant) -> Path:
    return Path(tenant.database_url.removeprefix("sqlite:///"))


def is_whole(tenant: Tenant) -> bool:
    return str(scalar(tenant.database_url, "PRAGMA integrity_check")) == "ok"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A stranger holds the database's write lock."""
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        stranger.execute("ROLLBACK")
        stranger.close()


def test_a_locked_database(tmp_path: Path) -> None:
    """S113: writes answer 503 within the time limit, reads go on, the neighbour notices nothing; then everything goes on."""
    with Served(tmp_path) as served:
        acme, beta = served.tenant("acme"), served.tenant("beta")
        rp, other = served.client(acme), served.client(beta)
        grant, spare = (served.browser(acme).sign_in(rp, scope="openid offline_access") for _ in range(2))
        tokens = rp.redeem(spare).json
        before = scalar(acme.database_url, "SELECT count(*) FROM audit_events")
        with locked(path_of(acme)):
            began = time.monotonic()
            answer = rp.redeem(grant)
            assert unavailable(answer), answer.text
            assert answer.json["error"] == "temporarily_unavailable"
            assert 2 < time.monotonic() - began < 9
            assert unavailable(rp.refresh(tokens["refresh_token"]))
            assert unavailable(rp.post("/revoke", {"token": tokens["access_token"]}))
            page = served.browser(acme).follow(served.browser(acme).authorize(rp, verifier="v" * 43))
            assert unavailable(page)
            assert "correlation" in page.text.lower() or "reference" in page.text.lower()
            assert rp.introspect(tokens["access_token"])["active"] is True
            assert rp.userinfo(tokens["access_token"]).status == 200
            assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
            assert other.redeem(served.browser(beta).sign_in(other)).status == 200
            assert served.send("GET", "/health/live").status == 200
        assert scalar(acme.database_url, "SELECT count(*) FROM audit_events") == before
        assert rp.redeem(grant).status == 200, "the refused attempt has used the code up"
        assert rp.refresh(tokens["refresh_token"]).status == 200
        assert is_whole(acme)


def test_many_wait_for_a_locked_database_together(tmp_path: Path) -> None:
    """S113: as many writers as a worker has threads are answered after one time limit, not one after the other; others go on."""
    with Served(tmp_path, workers=1) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        token = rp.redeem(served.browser(acme).sign_in(rp, scope="openid offline_access")).json["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token}

        def refresh(wire: Wire, _number: int) -> tuple[Answer, float]:
            return served.post(acme, "/token", form, headers=rp.auth, wire=wire), time.monotonic()

        with locked(path_of(acme)):
            began = time.monotonic()
            answers, _ = served.race(12, refresh)
            assert served.get(acme, "/jwks").status == 200
        assert all(unavailable(answer) for answer, _ in answers), [answer.status for answer, _ in answers]
        ended = sorted(at for _, at in answers)
        # A second turn would end a whole time limit after the first, however long a busy machine takes to begin the first one.
        assert ended[-1] - ended[0] < LOCK_TIMEOUT / 2
        assert 2 < ended[0] - began < 9
        assert rp.refresh(token).status == 200


def test_a_locked_control_database(tmp_path: Path) -> None:
    """S113: tenants are served on although nothing can be configured; readiness says that something is wrong, liveness does not."""
    with Served(tmp_path) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        with locked(tmp_path / "var" / "control.db"):
            assert rp.redeem(served.browser(acme).sign_in(rp)).status == 200
            served.wait_for("/health/ready", 503, 5)
            assert served.send("GET", "/health/live").status == 200
        served.wait_for("/health/ready", 200, 10)
        assert served.house.tenant("late").state == "active"


def test_a_full_disk(tmp_path: Path) -> None:
    """S113: nothing is answered 200 that could not be written; reads, keys and health go on; room again: all goes on."""
    disk = tmp_path / "disk"
    with small_disk(disk, 24), Served(disk) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        grant, spare = (served.browser(acme).sign_in(rp, scope="openid offline_access") for _ in range(2))
        tokens = rp.redeem(spare).json
        # A checkpoint, so that the log has no room of its own left over.
        rows(acme.database_url, "PRAGMA wal_checkpoint(TRUNCATE)")
        ballast = fill(disk)
        answers = {
            "code": rp.redeem(grant),
            "refresh": rp.refresh(tokens["refresh_token"]),
            "revoke": rp.post("/revoke", {"token": tokens["access_token"]}),
            "page": served.browser(acme).authorize(rp, verifier="v" * 43),
        }
        assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 503)
        assert all(unavailable(answer) for answer in answers.values())
        assert rp.introspect(tokens["access_token"])["active"] is True
        for path in ("/jwks", "/.well-known/openid-configuration"):
            assert served.get(acme, path).status == 200
        assert served.send("GET", "/health/live").status == 200
        served.wait_for("/health/ready", 503, 5)
        # The event of the hot path cannot be kept: the request is answered all the same, and the log says so.
        assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
        ballast.unlink()
        served.wait_for("/health/ready", 200, 5)
        assert scalar(acme.database_url, "SELECT count(*) FROM authorization_codes WHERE used_at IS NULL") == 1
        assert rp.redeem(grant).status == 200
        assert rp.refresh(tokens["refresh_token"]).status == 200
        assert rp.introspect(tokens["access_token"])["active"] is True, "the refused revocation has half happened"
        assert served.browser(acme).sign_in(rp).code
        assert is_whole(acme)
        assert served.workers()


def test_no_new_tenant_on_a_full_disk(tmp_path: Path) -> None:
    """S113, architecture §4: a creation that runs out of room leaves no half a tenant behind; afterwards it works."""
    from idp.errors import StorageUnavailable

    disk = tmp_path / "disk"
    with small_disk(disk, 12), Served(disk) as served:
        served.tenant("acme")
        ballast = fill(disk)
        with pytest.raises(StorageUnavailable):
            served.house.tenant("late")
        ballast.unlink()
        provisioning = served.house.installation.provisioning
        for left in [tenant for tenant in provisioning.list_all() if tenant.slug == "late"]:
            assert left.state == "creating"  # there was no room to forget it either
            provisioning.delete(left)
        files = {
            path.name.split(".")[0]
            for path in (disk / "var" / "tenants").iterdir()
            if not path.name.startswith("template-")
        }
        assert files == {tenant.id for tenant in provisioning.list_all()}
        assert served.get(served.tenant("late"), "/jwks").status == 200


def test_a_read_only_filesystem(tmp_path: Path) -> None:
    """S113: a server that is started on a file system that is read-only for tenants says 503, writes nothing, and recovers."""
    served = Served(tmp_path)
    acme = served.tenant("acme")
    rp = served.client(acme)
    with served:
        grant = served.browser(acme).sign_in(rp)
        served.stop()
        served.house.installation.store.close()
        folder = tmp_path / "var" / "tenants"
        with mounted(folder, "--bind", str(folder)):
            done = subprocess.run(
                ["mount", "-o", "remount,ro,bind", str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"this machine does not let us mount read-only: {done.stderr.strip()}")
            served.start()
            assert unavailable(rp.redeem(grant))
            assert served.send("GET", "/health/live").status == 200
            served.stop()
        served.start()
        assert rp.redeem(grant).status == 200


def test_a_sign_in_during_trouble_goes_on(tmp_path: Path) -> None:
    """Issue 3, no dead end: a page that met a locked database is told to try again, and the same form works then."""
    with Served(tmp_path) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        browser: Any = served.browser(acme)
        page = browser.follow(browser.authorize(rp, verifier="v" * 43))
        with locked(path_of(acme)):
            assert unavailable(browser.submit(page, username="ada@example.com", password=PASSWORD))
        answer = browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORD))
        assert 'id="consent-approve"' in answer.text
        assert scalar(acme.database_url, "SELECT count(*) FROM sessions") == 1


def test_a_database_that_is_gone_is_explained(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """Issue 3 §8, S113: the refusal's record names the database, not the address, when the tenant cannot be opened at all."""
    house.restart()
    path_of(acme).rename(path_of(acme).with_suffix(".away"))
    answer = rp.post("/token", {"grant_type": "client_credentials"})
    assert unavailable(answer)
    record = record_of(house, answer.header("x-correlation-id") or answer.json["request_id"])
    assert record["check"] == "database"
    assert "idp doctor" in record["fix"]
    path_of(acme).with_suffix(".away").rename(path_of(acme))
    assert rp.post("/token", {"grant_type": "client_credentials"}).status == 200
