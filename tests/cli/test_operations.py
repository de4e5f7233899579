"""`idp keys`, `db`, `audit`, `explain`, `test` and `doctor` (interfaces.md §2)."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from joserfc.jwk import ECKey

from idp.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from command import Idp, Program

WEB = {"redirect_uris": ["https://acme.example/callback"], "client_name": "Acme web"}
COMMANDS = [
    *(["tenant", name] for name in ("create", "list", "show", "set", "set-issuer", "suspend", "resume", "delete")),
    *(["user", name] for name in ("create", "list", "show", "set-password", "disable", "enable", "delete")),
    *(
        ["client", name]
        for name in ("create", "list", "show", "update", "rotate-secret", "disable", "enable", "delete")
    ),
    *(["keys", name] for name in ("list", "rotate", "revoke", "rewrap")),
    *(["db", name] for name in ("status", "upgrade")),
    *(["outbox", name] for name in ("list", "show", "retry", "discard")),
    ["audit", "verify"],
    *([name] for name in ("init", "serve", "worker", "explain", "test", "doctor", "demo-rp")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_takes_json(idp: Idp, command: list[str]) -> None:
    """Interfaces §2: every command takes --json and says what it does."""
    ran = idp(*command, "--help")
    assert ran.status == 0
    assert "--json" in ran.out


def _tenant_file(idp: Idp, slug: str = "acme") -> Path:
    return idp.folder / "tenants" / f"{idp('tenant', 'show', slug, '--json').json['id']}.db"


# -- keys -------------------------------------------------------------------------------------------------------------


def test_keys_rotate_and_are_revoked(idp: Idp) -> None:
    """Issue 3 Build 3: each algorithm keeps exactly one active key; a revoked one is replaced at once, each with its event."""

    def active() -> dict[str, str]:
        return {
            each["alg"]: each["kid"] for each in idp("keys", "list", "acme", "--json").json if each["state"] == "active"
        }

    before = active()
    assert before.keys() == {"ES256", "RS256"}
    put_off = idp("keys", "rotate", "acme", "--alg", "ES256", "--json").json
    assert [each["change"] for each in put_off["transitions"]] == ["published"]
    assert put_off["warning"] is None
    (begins,) = [each["begins_at"] for each in put_off["keys"] if each["begins_at"] is not None]
    assert begins > now() + 300, "when no copy of the key set is without it"
    assert "signs from" in idp("keys", "rotate", "acme", "--alg", "ES256").err
    assert active() == before
    done = idp("keys", "rotate", "acme", "--alg", "ES256", "--now", "--json").json
    assert "published only shortly" in done["warning"]
    after = active()
    assert after["ES256"] != before["ES256"]
    assert after["RS256"] == before["RS256"]
    idp("keys", "revoke", "acme", after["ES256"])
    assert active()["ES256"] not in (before["ES256"], after["ES256"])
    states = {each["kid"]: each["state"] for each in idp("keys", "list", "acme", "--json").json}
    assert states[after["ES256"]] == "revoked"
    for other in (
        "nope",
        "-1seDPmxWILkNhvplp4B1doJgxqi0iFh1b0Mo9crgrM",
        "--hjson_A",
    ):  # RFC 7638 §3: any base64url text
        assert "idp keys list" in idp("keys", "revoke", "acme", other).sentence
    assert "signing_algorithms" in idp("keys", "rotate", "acme", "--alg", "EdDSA").sentence
    assert idp("audit", "verify", "acme", "--json").json["is_sound"]


def test_keys_of_a_new_algorithm_are_there_at_once(idp: Idp) -> None:
    """OIDC Registration §2, Discovery §3: what a setting allows can be used when the command returns, worker or not."""
    idp("tenant", "set", "acme", "signing_algorithms=ES256,RS256,EdDSA", "allowed_client_profiles=strict,oidc")
    active = {key["alg"] for key in idp("keys", "list", "acme", "--json").json if key["state"] == "active"}
    assert active == {"ES256", "RS256", "EdDSA", "RSA-OAEP-256", "ECDH-ES"}


def test_a_new_master_key_takes_over(idp: Idp, monkeypatch) -> None:
    """ASVS 5.0 §11.2: new key in front, rewrap, drop the former; until then a start without the former is refused."""
    former = (idp.folder / "master.key").read_text().strip()
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("IDP_MASTER_KEY", f"{new},{former}")
    assert any("former master key" in each["what"] for each in _findings(idp))
    done = idp("keys", "rewrap", "--json").json
    assert done["rewrapped"] >= 8  # two keys of each of three tenants, the form key, the proof
    assert done["failed"] == []
    assert idp("keys", "rewrap", "--json").json["rewrapped"] == 0
    monkeypatch.setenv("IDP_MASTER_KEY", new)
    assert idp("keys", "rotate", "acme").status == 0
    monkeypatch.setenv("IDP_MASTER_KEY", former)
    assert "IDP_MASTER_KEY" in idp("keys", "rotate", "acme").sentence


def test_a_rewrap_that_cannot_finish_says_so(idp: Idp, monkeypatch) -> None:
    """ASVS 5.0 §11.2: a tenant that cannot be reached keeps the former key in force."""
    former = (idp.folder / "master.key").read_text().strip()
    monkeypatch.setenv("IDP_MASTER_KEY", f"{Fernet.generate_key().decode()},{former}")
    path = _tenant_file(idp)
    hidden = path.rename(path.with_suffix(".hidden"))
    ran = idp("keys", "rewrap", "--json")
    assert ran.status == 1
    assert "acme" in ran.sentence
    assert json.loads(ran.out)["failed"][0]["tenant"] == "acme"
    hidden.rename(path)
    assert idp("keys", "rewrap").status == 0


# -- databases and audit ----------------------------------------------------------------------------------------------


def test_databases_are_upgraded_and_a_broken_one_is_named(idp: Idp) -> None:
    """Architecture §4: the schema of each database is known; one that fails is named and does not stop the others."""
    status = idp("db", "status", "--json").json
    assert {each["state"] for each in status["databases"]} == {"current"}
    assert [each["database"] for each in status["databases"]] == ["control", "acme", "demo", "system"]
    assert idp("db", "upgrade", "--jobs", "2", "--json").json == {"upgraded": 0, "failed": []}
    with sqlite3.connect(_tenant_file(idp)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    connection.close()
    assert "newer than this release" in json.dumps(idp("db", "status", "--json").json)
    for jobs in ("1", "2"):
        ran = idp("db", "upgrade", "--jobs", jobs, "--json")
        assert ran.status == 1
        assert json.loads(ran.out)["failed"][0]["tenant"] == "acme"


def test_a_tampered_audit_log_is_found(idp: Idp) -> None:
    """Issue 3 Build 7: an altered row is found and named, exit status 1; a sound log is said to be sound."""
    idp("user", "create", "acme", "ada@example.com")
    idp.client("acme", client_id="acme-web", **WEB)
    with sqlite3.connect(idp.folder / "control.db") as connection:
        connection.execute("UPDATE pending_work SET next_due = 0 WHERE kind = 'chain'")
    connection.close()
    assert idp("worker", "--once").status == 0
    report = idp("audit", "verify", "acme", "--json").json
    assert report["is_sound"]
    assert report["chained"] >= 2
    with sqlite3.connect(_tenant_file(idp)) as connection:
        connection.execute("UPDATE audit_events SET actor = 'nobody' WHERE kind = 'client.created'")
    connection.close()
    ran = idp("audit", "verify", "acme", "--json")
    assert ran.status == 1
    (finding,) = json.loads(ran.out)["findings"]
    assert (finding["problem"], finding["event_kind"]) == ("altered", "client.created")


# -- explain ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(idp: Idp) -> Iterator[Any]:
    """The installation's router in this process, so that requests leave their records in its spool."""
    from idp.app import Router
    from idp.installation import Installation
    from idp.settings import Settings

    installation = Installation(Settings.from_env(idp.environ), "test")
    yield Router(installation)
    installation.close()


def _ask(router: Any, method: str, target: str, body: str = "", **headers: str) -> str:
    """Send a request and return the correlation id of its refusal."""
    from idp.opaque import new_correlation_id
    from idp.web.http import Headers, Request

    host = router.installation.settings.public_host
    if body:
        headers["content-type"] = "application/x-www-form-urlencoded"
    path, _, query = target.partition("?")
    asked = Request(
        method,
        "http",
        host,
        path,
        query,
        Headers.of([("host", host), *headers.items()]),
        body.encode(),
        "127.0.0.1",
        new_correlation_id(),
    )
    assert router.respond(asked).status >= 400
    return asked.correlation_id


def test_a_wrong_redirect_uri_is_explained(idp: Idp, house: Any) -> None:
    """Issue 3 Build 8: received against registered, the difference marked, and the command that would register it."""
    idp.client("acme", client_id="acme-web", **WEB)
    found = _ask(
        house,
        "GET",
        "/t/acme/authorize?client_id=acme-web&response_type=code&redirect_uri=https://acme.example/calback",
    )
    document = idp("explain", found, "--json").json
    assert (document["check"], document["spec"]) == ("redirect_uri", "RFC 9700 §4.1.3")
    assert (document["tenant_slug"], document["client_id"]) == ("acme", "acme-web")
    difference = document["difference"]
    assert difference["registered"] == "https://acme.example/callback"
    assert difference["registered_marks"].index("^") == difference["registered"].index("lback")
    (command,) = document["commands"]
    assert command.endswith("| idp client update acme acme-web")
    printed = idp("explain", found.lower()).out
    assert "https://acme.example/calback" in printed
    assert "^" in printed
    # The command does what it says.
    given = command.removeprefix("echo '").partition("'")[0]
    changed = idp("client", "update", "acme", "acme-web", "--json", given=given).json
    assert changed["redirect_uris"] == ["https://acme.example/callback", "https://acme.example/calback"]


def test_the_right_client_at_the_wrong_tenant_is_found(idp: Idp, house: Any) -> None:
    """Issue 3, misconfigurations (tenant): the tenant that has the client is named with its issuer."""
    idp.client("acme", client_id="acme-web", **WEB)
    found = _ask(
        house,
        "GET",
        "/t/demo/authorize?client_id=acme-web&response_type=code&redirect_uri=https://acme.example/callback",
    )
    document = idp("explain", found, "--json").json
    assert document["check"] == "client_id"
    assert "Tenant acme has a client acme-web" in document["remark"]
    assert document["commands"][0] == "idp client show acme acme-web"


def test_secret_method_and_state_are_told_apart(idp: Idp, house: Any) -> None:
    """Issue 3, misconfigurations (secret, method): each with its own command, and never the secret itself."""
    made = idp.client("acme", client_id="svc", grant_types=["client_credentials"], scope="api")
    basic = "Basic " + base64.b64encode(b"svc:wrong-secret").decode()
    wrong = idp(
        "explain", _ask(house, "POST", "/t/acme/token", "grant_type=client_credentials", authorization=basic), "--json"
    ).json
    assert wrong["commands"] == ["idp client rotate-secret acme svc"]
    assert wrong["client_id"] == "svc"
    assert "wrong-secret" not in json.dumps(wrong)
    form = f"grant_type=client_credentials&client_id=svc&client_secret={made['client_secret']}"
    method = idp("explain", _ask(house, "POST", "/t/acme/token", form), "--json").json
    assert method["received"] == "client_secret_post"
    assert method["registered"] == ["client_secret_basic"]
    assert "client_secret_post" in method["commands"][0]
    assert "| idp client update acme svc" in method["commands"][0]
    idp("client", "disable", "acme", "svc")
    house.installation.feed.poll()
    disabled = idp(
        "explain", _ask(house, "POST", "/t/acme/token", "grant_type=client_credentials", authorization=basic), "--json"
    ).json
    assert disabled["commands"] == ["idp client enable acme svc"]


def test_an_unknown_id_and_a_request_of_no_tenant(idp: Idp, house: Any) -> None:
    """Issue 3 Build 8: refusals before a tenant is known are found too; an unknown id is one sentence."""
    document = idp("explain", _ask(house, "GET", "/t/nope/jwks"), "--json").json
    assert document["tenant_slug"] is None
    assert document["fix"]
    assert "Nothing is recorded" in idp("explain", "0000000000000000").sentence
    assert idp("explain", "'; DROP TABLE refusals; --").status == 1


# -- test and doctor --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sign_in_is_tried_step_by_step(idp: Idp, serve: Callable[..., Program], monkeypatch) -> None:
    """Interfaces §2, `idp test`: ends with the decoded tokens, or with why and the id; no token is printed whole."""
    known = json.loads((idp.folder / "credentials").read_text())
    program = serve()
    program.wait()
    monkeypatch.setenv("CLIENT_SECRET", known["demo_rp"]["client_secret"])
    signed_in = ["test", "demo", "demo-rp", "--username", known["demo_user"]["username"], "--password-stdin", "--json"]
    ran = idp(*signed_in, given=known["demo_user"]["password"])
    assert ran.json["ok"]
    assert ran.json["tokens"]["access_token"]["header"]["typ"] == "at+jwt"
    assert ran.json["tokens"]["id_token"]["claims"]["aud"] == "demo-rp"
    assert ran.json["userinfo"]["email"] == known["demo_user"]["username"]
    assert "eyJ" not in ran.out
    assert known["demo_user"]["password"] not in ran.out
    printed = idp(*signed_in[:-1], given=known["demo_user"]["password"]).out
    assert "The client works." in printed

    refused = idp(*signed_in, given="not the password at all")
    assert refused.status == 1
    assert "refused" in refused.sentence
    monkeypatch.setenv("CLIENT_SECRET", "not-the-secret-of-this-client")
    wrong = idp(*signed_in, given=known["demo_user"]["password"])
    assert wrong.status == 1
    shown = json.loads(wrong.out)["correlation_id"]
    assert idp("explain", shown, "--json").json["reason"] == "the client secret is wrong"

    service = idp.client("acme", client_id="svc", grant_types=["client_credentials"], scope="api")
    monkeypatch.setenv("CLIENT_SECRET", service["client_secret"])
    assert idp("test", "acme", "svc", "--json").json["tokens"]["access_token"]["claims"]["client_id"] == "svc"


@pytest.mark.slow
def test_a_sign_in_of_other_flows_is_tried_too(idp: Idp, serve: Callable[..., Program], monkeypatch) -> None:
    """Interfaces §2, `idp test`: a client of the implicit flow, and one whose answers are encrypted to it."""
    known = json.loads((idp.folder / "credentials").read_text())
    serve().wait()
    idp("tenant", "set", "demo", "allowed_client_profiles=strict,oidc")
    person = ["--username", known["demo_user"]["username"], "--password-stdin", "--json"]
    kept = {"client_profile": "oidc", "redirect_uris": ["http://localhost:9/cb"], "application_type": "native"}
    idp.client("demo", client_id="page", response_types=["id_token"], token_endpoint_auth_method="none", **kept)
    ran = idp("test", "demo", "page", *person, given=known["demo_user"]["password"])
    assert ran.json["ok"], ran.out
    assert ran.json["tokens"]["id_token"]["claims"]["email"] == known["demo_user"]["username"]
    jwk = ECKey.generate_key("P-256", {"use": "enc", "kid": "e"}).as_dict(private=False)
    sealed = {"id_token_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_alg": "ECDH-ES"}
    made = idp.client("demo", client_id="sealed", jwks={"keys": [jwk]}, **kept, **sealed)
    monkeypatch.setenv("CLIENT_SECRET", made["client_secret"])
    ran = idp("test", "demo", "sealed", *person, given=known["demo_user"]["password"])
    assert ran.json["ok"], ran.out
    assert "claims" not in ran.json["tokens"]["id_token"]
    assert ran.json["tokens"]["id_token"]["header"]["alg"] == "ECDH-ES"
    assert ran.json["userinfo"] is None


def test_a_trial_without_a_server_says_so(idp: Idp) -> None:
    """Interfaces §2: one sentence."""
    idp.client("acme", client_id="acme-web", **WEB)
    assert "does not answer" in idp("test", "acme", "acme-web").sentence


def _findings(idp: Idp) -> list[dict[str, Any]]:
    return list(json.loads(idp("doctor", "--json").out))


def test_the_doctor_finds_a_sound_node_sound(idp: Idp) -> None:
    """Interfaces §2, doctor: exit status 0, no error, one line a finding."""
    ran = idp("doctor")
    assert ran.status == 0, ran.out
    found = _findings(idp)
    assert not [each for each in found if each["level"] == "error"]
    assert len(ran.out.strip().splitlines()) == len(found)


def test_the_doctor_names_what_is_wrong_and_the_fix(idp: Idp, monkeypatch) -> None:
    """Interfaces §2, doctor: settings, permissions, proxies, Redis, jobs, keys, schemas, lost databases, each with its fix."""

    def said(text: str) -> dict[str, Any]:
        found = [each for each in _findings(idp) if text in each["what"]]
        assert found, f"{text} is not among {_findings(idp)}"
        return found[0]

    (idp.folder / "credentials").chmod(0o644)
    assert said("credentials can be read")["fix"].startswith("chmod 600")
    (idp.folder / "credentials").chmod(0o600)
    monkeypatch.setenv("IDP_TRUSTED_PROXIES", "0.0.0.0/0")
    assert said("must name your proxies")["level"] == "error"
    monkeypatch.delenv("IDP_TRUSTED_PROXIES")
    monkeypatch.setenv("IDP_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "IDP_REDIS_URL" in said("Redis does not answer")["fix"]
    monkeypatch.delenv("IDP_REDIS_URL")
    with sqlite3.connect(idp.folder / "control.db") as connection:
        connection.execute(
            "UPDATE pending_work SET next_due = 1000, last_error = '2x OSError: no' WHERE kind = 'purge'"
        )
    connection.close()
    assert "idp worker" in said("overdue")["fix"]
    assert said("the job purge of")["level"] == "warning"
    with sqlite3.connect(_tenant_file(idp)) as connection:
        connection.execute("UPDATE signing_keys SET state = 'retired' WHERE alg = 'ES256'")
    connection.close()
    assert said("no active key for ES256")["fix"] == "idp keys rotate acme"
    path = _tenant_file(idp)
    hidden = path.rename(path.with_suffix(".hidden"))
    assert said("database of acme cannot be reached")["level"] == "error"
    hidden.rename(path)
    monkeypatch.setenv("IDP_ENV", "staging")
    assert said("IDP_ENV")["level"] == "error"
    assert idp("doctor").status == 1


def test_the_doctor_without_an_installation(bare: Idp) -> None:
    """Interfaces §2, doctor: it makes nothing and says what would."""
    ran = bare("doctor", "--json")
    assert ran.status == 1
    assert "idp init" in ran.out
    assert not bare.folder.exists()


def test_help_starts_fast(idp: Idp) -> None:
    """Architecture §5: heavy modules are imported when a command needs them."""
    source = "import sys; from idp.cli import run; run(['--help']); sys.exit('sqlalchemy' in sys.modules or 'flask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, env=dict(os.environ), check=False)
    assert done.returncode == 0
