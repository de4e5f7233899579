"""Many password hashes at once do not take the service away from others (S111)."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from house import PASSWORD
from serving import Served, together

if TYPE_CHECKING:
    from house import Answer
    from serving import Wire

pytestmark = pytest.mark.slow


def resident(pid: int) -> int:
    """Resident memory in KiB."""
    return int(
        next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[
            1
        ]
    )


def test_s111_a_flood_of_sign_ins_leaves_the_others_served(tmp_path: Path) -> None:
    """S111: 60 sign-ins at once on one worker: each is 303 or 503 + Retry-After, memory holds, programs are answered quickly."""
    with Served(tmp_path, workers=1, IDP_ARGON2_MEMORY_KIB="47104") as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        forms = []
        for i in range(60):
            served.house.user(acme, f"p{i}@example.com") if i < 6 else None
            browser = served.browser(acme)
            page = browser.follow(browser.authorize(rp, verifier="v" * 43))
            action, fields = page.form
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            headers = {"cookie": cookie, "origin": acme.origin, "accept": "text/html"}
            forms.append((action, {**fields, "username": f"p{i % 6}@example.com", "password": PASSWORD}, headers))
        (worker,) = served.workers()
        before = resident(worker)
        taken: list[float] = []
        stop = threading.Event()

        def ask_on() -> None:
            wire = served.wire()
            while not stop.is_set():
                began = time.monotonic()
                assert (
                    served.post(acme, "/token", {"grant_type": "client_credentials"}, headers=rp.auth, wire=wire).status
                    == 200
                )
                taken.append(time.monotonic() - began)
                time.sleep(0.005)

        asking = threading.Thread(target=ask_on)
        asking.start()

        def sign_in(wire: Wire, i: int) -> Answer:
            action, fields, headers = forms[i]
            return served.send("POST", action, form=fields, headers=headers, wire=wire)

        answers, _ = served.race(60, sign_in)
        peak = resident(worker)
        stop.set()
        asking.join()
        statuses = {answer.status for answer in answers}
        assert statuses <= {303, 503}, statuses
        assert all((answer.header("retry-after") or "").isdigit() for answer in answers if answer.status == 503)
        assert [answer.status for answer in answers].count(303) >= 10
        assert statistics.quantiles(taken, n=100)[98] < 1.0, "programs waited for people's passwords"
        assert peak - before < 120 * 1024, "each waiting hash takes its memory"
        # and afterwards all is as before
        assert served.browser(acme).sign_in(rp, username="p1@example.com").code


@pytest.mark.parametrize("kind", ["too large", "wrong host", "too long an address"])
def test_what_the_front_refuses_a_person_reads_on_a_page(tmp_path: Path, kind: str) -> None:
    """RFC 9110 §15.5.14, issue 3 §8: the front's own refusals too are a page for browsers and JSON for programs, with an id."""
    with Served(tmp_path, workers=1) as served:
        acme = served.tenant("acme")
        asked = {
            "too large": ("POST", "/login", {"body": b"a" * 300_000}, 413),
            "wrong host": ("GET", "/authorize", {"host": "a b"}, 400),
            "too long an address": ("GET", "/" + "a" * 9000, {}, 414),
        }
        method, path, more, status = asked[kind]
        for accept, media_type in (
            ("text/html,*/*;q=0.8", "text/html"),
            ("application/json", "application/problem+json"),
        ):
            answer = served.once(method, acme.base_path + path, headers={"accept": accept}, **more)
            assert answer.status == status
            assert (answer.header("content-type") or "").startswith(media_type)
            identifier = answer.header("x-correlation-id")
            assert identifier
            assert identifier in answer.text
            if media_type == "text/html":
                assert "default-src" in (answer.header("content-security-policy") or "")


def test_a_refresh_in_the_clothes_of_another_grant(tmp_path: Path) -> None:
    """S111, decision 6: what a body only seems to say never lets a write stand on the loop, where it would wait for itself."""
    with Served(tmp_path, workers=1) as served:
        acme = served.tenant("acme", rate_limits="off")
        rp = served.client(acme, "app", token_endpoint_auth_method="none")
        heads = [
            rp.redeem(served.browser(acme).sign_in(rp, scope="openid offline_access")).json["refresh_token"]
            for _ in range(4)
        ]

        def refresh(i: int) -> str:
            head, wire = heads[i], served.wire()
            for _ in range(60):
                form = {"client_id": "app", "grant_type": "refresh_token", "refresh_token": head}
                disguise = {"x": "grant_type=client_credentials"} if i % 2 else {}
                answer = served.post(acme, "/token", disguise | form, wire=wire)
                assert answer.status == 200, answer.text
                head = answer.json["refresh_token"]
            return head

        assert len(set(together(4, refresh))) == 4
        assert served.once("GET", "/health/live").status == 200
