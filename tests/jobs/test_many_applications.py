"""One session at 500 applications (issue: Must show; S097): the person is answered at once, everybody is told, nobody is held up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from certificates import Authority
from databases import environment
from house import decoded
from receivers import Receivers
from serving import Served, eventually, free_port, rows

from idp.store.tenant import consents

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
APPLICATIONS = 500
VERIFIER = "v" * 43


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_s097_five_hundred_applications_one_of_which_hangs(tmp_path: Path, kind: str) -> None:
    """S097, OpenID Connect Back-Channel Logout §2.5: logout answers in under a second, 499 tokens are out within 30 s of it."""
    receivers = Receivers(Authority(tmp_path / "ca"))
    receivers.answers["/app250"] = receivers.hangs
    trusted = {"IDP_CA_BUNDLE": str(tmp_path / "ca" / "ca.pem"), "IDP_ALLOWED_PRIVATE_HOSTS": "localhost"}
    metrics = {"IDP_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    with environment(kind) as environ, Served(tmp_path, workers=1, **environ, **trusted, **metrics) as served:
        tenant = served.tenant("acme", rate_limits="off")
        names = [f"app{number}" for number in range(APPLICATIONS)]
        apps = [served.client(tenant, name, backchannel_logout_uri=receivers.uri(name)) for name in names]
        user, database = served.house.user_id(tenant), served.house.database(tenant)
        database.writing(lambda conn: [consents.add(conn, user, name, frozenset({"openid"})) for name in names])
        browser = served.browser(tenant)
        hint = apps[0].redeem(browser.sign_in(apps[0])).json["id_token"]
        for app in apps[1:]:
            assert "code" in browser.authorize(app, verifier=VERIFIER, prompt="none").params
        began = time.monotonic()
        answer = browser.get(f"{tenant.base_path}/logout?id_token_hint={hint}")
        answered = time.monotonic() - began
        assert "signed out" in answer.text
        others = APPLICATIONS - 1

        def told() -> list[str]:
            return [each.claims["aud"] for each in list(receivers.told) if each.path != "/app250"]

        eventually(lambda: len(told()) >= others, 40, lambda: f"{len(told())} were told")
        last = max(each.at for each in list(receivers.told) if each.path != "/app250") - began
        print(f"{kind}: answered in {answered * 1000:.0f} ms, the last of {others} told after {last:.1f} s")
        assert answered < 1
        assert last < 30
        assert sorted(told()) == sorted(set(names) - {"app250"})
        assert {each.claims["sid"] for each in receivers.told} == {decoded(hint)[1]["sid"]}
        assert len({each.claims["jti"] for each in receivers.told}) == len(receivers.told)

        def states() -> dict[str, int]:
            counts = "SELECT state, count(*) AS number FROM outbox GROUP BY state"
            return {row["state"]: row["number"] for row in rows(tenant.database_url, counts)}

        eventually(lambda: states() == {"delivered": others, "waiting": 1}, 15, states)
        (hanging,) = rows(tenant.database_url, "SELECT target, last_error FROM outbox WHERE state = 'waiting'")
        assert hanging["target"] == "app250"
        with urlopen(f"http://{metrics['IDP_METRICS_LISTEN']}/metrics", timeout=5) as answer:
            counted = answer.read().decode()
        assert f'idp_deliveries_total{{kind="backchannel_logout",verdict="delivered"}} {others}.0' in counted
    receivers.close()
