"""Planted secrets are looked for wherever something is kept: databases, spool, logs, command lines (S118, ASVS 13.3, 16.2.5)."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted
from cryptography.hazmat.primitives.serialization import load_der_private_key
from databases import environment
from house import CALLBACK, PASSWORD
from letters import ask, letters, newest
from serving import Served, eventually, rows

from idp import opaque
from idp.access.bindings import Bindings, Wanted
from idp.access.granting import Granter
from idp.errors import SettingError
from idp.identity import invitations
from idp.identity.accounts import By
from idp.installation import Installation
from idp.keys.envelope import MASTER_KEY_FILE, create_master_key
from idp.keys.signer import sealing_purpose
from idp.settings import Settings

if TYPE_CHECKING:
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.slow
OPERATOR = By("operator")
WRONG_PASSWORD = "planted: a password that was mistyped"
NEW_PASSWORD = "planted: the password of the changed account"
INVITED_PASSWORD = "planted: the password of who was invited"
SIGNUP_PASSWORD = "planted: the password of who signed up"


def use_everything(served: Served) -> dict[str, str]:
    """Let every secret be made, used, misused and misplaced; returns them by name."""
    tenant = served.tenant("acme", signup="on")
    rp = with_product_secret(served.client(tenant))
    post = with_product_secret(served.client(tenant, "post", token_endpoint_auth_method="client_secret_post"))
    key = SigningKey.new("ES256", "k")
    signed = served.client(
        tenant, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    assert rp.secret
    assert post.secret
    served.house.user(tenant, "changer@example.com", "planted: the first password of it", must_change=True)
    browser = served.browser(tenant)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43, scope="openid offline_access"))
    form_token = page.form[1]["csrf"]
    browser.submit(page, username="ada@example.com", password=WRONG_PASSWORD)
    browser.submit(page, username=WRONG_PASSWORD, password="x")
    browser.submit(page, csrf="x" + form_token, username="ada@example.com", password=PASSWORD)
    grant = browser.sign_in(rp, scope="openid offline_access")
    tokens = rp.redeem(grant, code_verifier=grant.verifier).json
    fresh = rp.refresh(tokens["refresh_token"]).json
    assertion = asserted(signed, key)["client_assertion"]
    for _ in range(2):
        served.post(
            tenant,
            "/token",
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            },
        )
    assert post.post("/token", {"grant_type": "client_credentials"}).status == 200
    # the same secrets where they do not belong: each is refused, and each refusal leaves a record
    spare = browser.sign_in(rp, scope="openid offline_access")
    misplaced = {
        "code": spare.code,
        "redirect_uri": CALLBACK,
        "client_secret": rp.secret,
        "refresh_token": fresh["refresh_token"],
        "token": fresh["access_token"],
        "password": PASSWORD,
    }
    for path in ("/token", "/introspect", "/revoke", "/userinfo", "/authorize", "/logout", "/login", "/nothing"):
        for secret in [each for each in misplaced.values() if each != PASSWORD]:
            served.get(
                tenant,
                f"{path}?access_token={secret.replace(' ', '+')}&client_id={secret.replace(' ', '+')}&redirect_uri={secret.replace(' ', '+')}",
            )
        served.post(tenant, path, {**misplaced, "grant_type": "authorization_code"})
        served.post(tenant, path, {**misplaced, "grant_type": "password", "username": PASSWORD}, headers=rp.auth)
    served.post(
        tenant,
        "/token",
        {
            "grant_type": "authorization_code",
            "code": spare.code,
            "redirect_uri": f"https://rp.example/{rp.secret}",
            "code_verifier": "w" * 43,
        },
        headers=rp.auth,
    )
    rp.userinfo(tokens["access_token"] + "x")
    served.get(tenant, "/userinfo", headers={"authorization": f"Bearer {tokens['refresh_token']}"})
    rp.redeem(grant)  # a reuse: the family is revoked and recorded
    changer = served.browser(tenant)
    page = changer.follow(changer.authorize(rp, verifier="v" * 43))
    page = changer.follow(
        changer.submit(page, username="changer@example.com", password="planted: the first password of it")
    )
    changer.submit(
        page,
        new_password=NEW_PASSWORD,
        repeat_password=NEW_PASSWORD,
        current_password="planted: the first password of it",
    )
    return {
        **links_in_mails(served, tenant),
        **codes_in_mails(served, tenant),
        **made_by_a_service(served, tenant),
        "client secret": rp.secret,
        "client secret in the body": post.secret,
        "basic credentials": rp.auth["authorization"].partition(" ")[2],
        "password": PASSWORD,
        "mistyped password": WRONG_PASSWORD,
        "first password": "planted: the first password of it",
        "new password": NEW_PASSWORD,
        "code": grant.code,
        "misplaced code": spare.code,
        "code verifier": grant.verifier,
        "access token": tokens["access_token"],
        "ID token": tokens["id_token"],
        "refresh token": tokens["refresh_token"],
        "successor": fresh["refresh_token"],
        "session cookie": browser.cookies["s-acme"],
        "browser cookie": browser.cookies["b-acme"],
        "form token": form_token,
        "assertion": assertion,
        "assertion's signature": assertion.rpartition(".")[2],
        "access token's signature": tokens["access_token"].rpartition(".")[2],
        **private_keys(served.house),
    }


def made_by_webhooks(served: Served, tenant: Tenant) -> dict[str, str]:
    """The secrets of a webhook, which sign and are shown once each."""
    robot = with_product_secret(served.client(tenant, "hooks", scope="webhooks:write clients:read"))
    Bindings(served.house.database(tenant)).create(Wanted("client", "hooks", "tenant-admin"), granter=Granter(OPERATOR))
    service = f"http://localhost:{served.port}/uflow"
    token = robot.post("/token", {"grant_type": "client_credentials", "resource": service}).json["access_token"]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = json.dumps({"url": "https://hooks.example/x", "event_types": ["client.*"]}).encode()
    base = f"{service}/tenants/acme/webhooks"
    made = served.send("POST", base, headers={**headers, "idempotency-key": "hook"}, body=body).json
    rotated = served.send("POST", f"{base}/{made['id']}/rotate-secret", headers=headers, body=b"{}").json
    return {"webhook secret": made["secret"], "webhook secret after rotation": rotated["secret"]}


def made_by_a_service(served: Served, tenant: Tenant) -> dict[str, str]:
    """What Client Management shows once, its answers kept for repetition; and each of it where it does not belong."""
    robot = with_product_secret(served.client(tenant, "robot", scope="clients:write registration-tokens:write"))
    Bindings(served.house.database(tenant)).create(Wanted("client", "robot", "client-admin"), granter=Granter(OPERATOR))
    service = f"http://localhost:{served.port}/clientms"
    form = {"grant_type": "client_credentials", "resource": service}
    token = robot.post("/token", form).json["access_token"]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    base = f"{service}/tenants/acme"

    def call(method: str, path: str, body: object = None, **more: str) -> Any:
        raw = json.dumps(body).encode() if body is not None else None
        return served.send(method, base + path, headers={**headers, **more}, body=raw)

    keyed = {"idempotency-key": "planted-name-of-a-request"}
    metadata = {"client_id": "made", "redirect_uris": [CALLBACK]}
    made = call("POST", "/clients", metadata, **keyed)
    assert call("POST", "/clients", metadata, **keyed).json == made.json
    issued = call("POST", "/initial-access-tokens", {"name": "planted"}, **keyed | {"idempotency-key": "another"})
    rotated = call("POST", "/clients/made/rotate-secret")
    found = {
        "secret by a service": made.json["client_secret"],
        "rotated secret": rotated.json["client_secret"],
        "initial access token": issued.json["token"],
        "token for a service": token,
        **made_by_webhooks(served, tenant),
    }
    for secret in found.values():
        for path in (f"/clients/{secret}", f"/clients?after={secret}", f"/initial-access-tokens/{secret}"):
            assert call("GET", path).status >= 400
        call("POST", "/clients", {secret: secret, "redirect_uris": [secret]})
        served.send("GET", f"{base}/clients", headers={"authorization": f"Bearer {secret}x"})
    return found | {"name of a request": keyed["idempotency-key"]}


def links_in_mails(served: Served, tenant: Tenant) -> dict[str, str]:
    """Tokens of links: one that waits, and one that was opened, misspelt and used; and what was typed in the wrong field."""
    house = served.house
    browser = served.browser(tenant)
    ask(house, tenant, WRONG_PASSWORD, browser)
    ask(house, tenant, "ada@example.com", browser)
    query = "SELECT id FROM audit_events WHERE kind = 'recovery.mailed'"
    eventually(lambda: rows(tenant.database_url, query), 20)
    mailer = house.installation.services.mailer
    invitations.invite(house.database(tenant), mailer, tenant, email="grace@example.com", by=By("operator"))
    recovery, invitation = newest(house, tenant, "recovery"), newest(house, tenant, "invitation")
    page = browser.get(invitation.path)
    browser.get(f"{invitation.path}x")
    assert browser.submit(page, new_password=INVITED_PASSWORD, confirm_password=INVITED_PASSWORD).status == 303
    assert browser.get(invitation.path).status == 410
    assert browser.get(recovery.path).status == 200
    return {
        "link to a new password": recovery.token,
        "used invitation": invitation.token,
        "password of the invited": INVITED_PASSWORD,
    }


def codes_in_mails(served: Served, tenant: Tenant) -> dict[str, str]:
    """Codes of sign-ups: one that waits, was replaced and mistyped and stood in an address, and one that made an account."""
    house, found = served.house, {"password of who signed up": SIGNUP_PASSWORD}
    for name in ("waiting", "used"):
        browser = served.browser(tenant)
        page = browser.follow(browser.get(f"{tenant.base_path}/signup"))
        form = {"password": SIGNUP_PASSWORD, "confirm_password": SIGNUP_PASSWORD, "profile_name": "Eve"}
        page = browser.follow(browser.submit(page, email=f"{name}@new.example", **form))
        (code,) = [
            letter.context["code"]
            for letter in letters(house, tenant, "signup_code")
            if letter.to == f"{name}@new.example"
        ]
        mistyped = f"{(int(code.replace(' ', '')) + 1) % 10**8:08d}"
        found |= {
            f"{name} code": code,
            f"digits of the {name} code": code.replace(" ", ""),
            f"not the {name} code": mistyped,
        }
        assert browser.submit(page, code=mistyped).status == 400
        browser.get(f"{page.form[0]}&code={code.replace(' ', '')}")
        browser.submit(browser.get(f"{tenant.base_path}/recover"), username=code)
        if name == "used":
            assert browser.submit(page, code=code).status == 303
    delivered = "SELECT id FROM outbox WHERE kind = 'mail' AND state = 'waiting'"
    eventually(lambda: not rows(tenant.database_url, delivered), 20)
    return found


def with_product_secret(rp: RelyingParty) -> RelyingParty:
    """Give a client a secret as the product makes them: its prefix is what an accident in a wrong place is recognised by."""
    secret = opaque.new_secret("cs")
    rows(
        rp.tenant.database_url,
        "UPDATE clients SET secret_hash = ? WHERE client_id = ?",
        opaque.digest(secret),
        rp.client_id,
    )
    return replace(rp, secret=secret)


def private_keys(house: House) -> dict[str, str]:
    """The private parts of every signing key, in the notations they could leak in, and the installation's own keys."""
    found: dict[str, str] = {
        "master key": (house.settings.data_dir / MASTER_KEY_FILE).read_text().strip(),
        "form key": house.installation.services.csrf_key.hex(),
    }
    for tenant in house.installation.provisioning.list_all():
        for row in rows(
            tenant.database_url, "SELECT kid, alg, sealed_private FROM signing_keys WHERE sealed_private <> ''"
        ):
            private = house.installation.envelope.unseal(row["sealed_private"], sealing_purpose(tenant.id, row["kid"]))
            numbers: Any = load_der_private_key(private, None)
            numbers = numbers.private_numbers()
            secret = numbers.private_value if row["alg"] == "ES256" else numbers.d
            d = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
            name = f"{row['alg']} key {row['kid']}"
            found |= {
                f"{name}, d as in a JWK": base64.urlsafe_b64encode(d).decode().rstrip("="),
                f"{name}, d in hexadecimal": d.hex(),
                f"{name}, PKCS #8 in base64": base64.b64encode(private).decode()[:64],
                f"{name}, PKCS #8 in hexadecimal": private.hex()[:140],
            }
    assert len(found) >= 4
    assert min(map(len, found.values())) >= 32, "a shorter text could stand anywhere by chance"
    return found


def kept(served: Served) -> dict[str, bytes]:
    """Everything that the installation keeps, by name, but for the master key's own file, and mails where they are written out."""
    found = {
        str(path.relative_to(served.folder)): path.read_bytes()
        for path in served.folder.rglob("*")
        if path.is_file() and path.name != MASTER_KEY_FILE and path.suffix != ".eml"
    }
    for url in databases_of(served):
        if url.startswith("sqlite"):
            with sqlite3.connect(url.removeprefix("sqlite:///")) as line:
                found[f"dump of {url}"] = "\n".join(line.iterdump()).encode()
            line.close()
        else:
            done = subprocess.run(
                ["pg_dump", "--inserts", url.replace("+psycopg", "")], capture_output=True, check=True
            )
            found[f"dump of {url}"] = done.stdout
            assert b"INSERT INTO" in done.stdout
    for pid in served.processes():
        found[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
    return found


_MAIL_LINE = re.compile(rb"^Mail to .*$", re.MULTILINE)


def databases_of(served: Served) -> list[str]:
    return [
        served.house.settings.control_url,
        *(tenant.database_url for tenant in served.house.installation.provisioning.list_all()),
    ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_s118_no_secret_is_kept_in_clear(tmp_path: Path, kind: str) -> None:
    """S118: databases (with their logs), dumps, spool, log at level debug, command lines: no planted secret in clear."""
    with environment(kind) as environ, Served(tmp_path, IDP_LOG_LEVEL="debug", **environ) as served:
        secrets = use_everything(served)
        time.sleep(2.5)  # the worker has drained the spool into the databases by now
        everything = kept(served)
        # In development a mail's link stands on the terminal, for there is no mail server (interfaces §3).
        everything = {place: _MAIL_LINE.sub(b"", content) for place, content in everything.items()}
        leaks = [
            (name, place)
            for name, secret in secrets.items()
            for place, content in everything.items()
            if secret.encode() in content
        ]
        assert leaks == [], "\n".join(
            f"{name}: {place}: {_around(secrets[name].encode(), everything[place])}" for name, place in leaks
        )
        # the places are the right ones: what is not secret is found in them, and mails as files have what was planted
        mails = [path.read_bytes() for path in (tmp_path / "var" / "outbox").glob("*.eml")]
        for name in ("link to a new password", "used invitation", "waiting code", "used code"):
            assert any(secrets[name].encode() in mail for mail in mails), name
        tenant = served.house.installation.provisioning.find("acme")
        dump = everything[f"dump of {tenant.database_url}"]
        assert b"ada@example.com" in dump
        assert b"$argon2id$" in dump
        assert b"code.reused" in dump
        assert any(b"acme" in content for place, content in everything.items() if place.endswith("server.log"))
        assert sum(place.startswith("command line") for place in everything) >= 4


def test_s118_files_are_the_owner_s(tmp_path: Path) -> None:
    """ASVS 13.3: master key, databases and spool are readable by their owner alone."""
    with Served(tmp_path) as served:
        rp = served.client(served.tenant("acme"))
        rp.redeem(served.browser(rp.tenant).sign_in(rp))
        rp.post("/token", {"grant_type": "client_credentials"})
        modes = {
            str(path.relative_to(tmp_path)): path.stat().st_mode & 0o077
            for path in (tmp_path / "var").rglob("*")
            if path.is_file()
        }
        assert len(modes) >= 5
        assert {name for name, mode in modes.items() if mode} == set()


def test_s118_the_wrong_master_key_starts_nothing(tmp_path: Path) -> None:
    """S118: under another master key the start is refused with one sentence, and nothing is sealed under it."""
    served = Served(tmp_path)
    served.tenant("acme")
    path = tmp_path / "var" / MASTER_KEY_FILE
    right = path.read_text()
    path.unlink()
    create_master_key(Settings.from_env(served.environ))
    assert path.read_text() != right
    with pytest.raises(SettingError, match="master key"):
        Installation(Settings.from_env(served.environ), "test")
    done = subprocess.run(
        served.command(), env=served.process_environ(), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode != 0
    assert "master key" in done.stderr
    assert "Traceback" not in done.stderr
    path.write_text(right)
    with served:
        assert served.get(served.house.installation.provisioning.find("acme"), "/jwks").status == 200


def _around(secret: bytes, content: bytes) -> bytes:
    at = content.index(secret)
    return content[max(0, at - 150) : at + 20]
