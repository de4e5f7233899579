"""A wrong setting stops the start with one sentence that names it (issue 3, Must show)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command import Idp

WRONG = [
    ("IDP_PUBLIC_URL", "localhost:8000"),
    ("IDP_PUBLIC_URL", "http://id.example.org"),
    ("IDP_PUBLIC_URL", "https://id.example.org/sso"),
    ("IDP_DATABASE_URL", "mysql://localhost/idp"),
    ("IDP_REDIS_URL", "localhost:6379"),
    ("IDP_TRUSTED_PROXIES", "0.0.0.0/0"),
    ("IDP_CA_BUNDLE", "/nowhere/roots.pem"),
    ("IDP_SMTP_URL", "mail.example"),
    ("IDP_MASTER_KEY", "short"),
    ("IDP_MASTER_KEY_FILE", "/nonexistent/key"),
    ("IDP_TRUSTED_PROXIES", "proxy.example.org"),
    ("IDP_TENANT_DOMAIN", "ID.Example.org"),
    ("IDP_METRICS_LISTEN", "9090x"),
    ("IDP_ENV", "staging"),
    ("IDP_OPEN_TENANTS", "0"),
    ("IDP_ARGON2_MEMORY_KIB", "lots"),
    ("IDP_HASH_QUEUE", "-1"),
    ("IDP_THREADS", "1e3"),
    ("IDP_LOG_LEVEL", "chatty"),
    ("IDP_ACCESS_LOG", "perhaps"),
    ("IDP_PUBLIC_UR", "http://localhost:8000"),
]


@pytest.mark.parametrize(("variable", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_a_wrong_setting_is_named(idp: Idp, monkeypatch, variable: str, value: str) -> None:
    """Interfaces §3 and §2: exit status 1, one sentence on standard error with the variable's name, for each command."""
    monkeypatch.setenv(variable, value)
    for command in (["serve"], ["tenant", "list"]):
        ran = idp(*command)
        assert ran.status == 1
        assert variable.removesuffix("_FILE") in ran.sentence
        assert len(ran.err.strip().splitlines()) == 1
        assert value not in ran.err or variable not in ("IDP_MASTER_KEY", "IDP_DATABASE_URL", "IDP_REDIS_URL")


def test_production_wants_https(idp: Idp, monkeypatch) -> None:
    """Interfaces §3: IDP_ENV=production turns on HTTPS-only."""
    monkeypatch.setenv("IDP_ENV", "production")
    assert "IDP_PUBLIC_URL" in idp("serve").sentence
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://id.example.org")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    assert "AUTHLIB_INSECURE_TRANSPORT" in idp("serve").sentence
    monkeypatch.delenv("AUTHLIB_INSECURE_TRANSPORT")
    ran = idp("serve", "--demo")
    assert ran.status == 2
    assert "--demo" in ran.sentence


def test_nothing_is_made_by_serving(bare: Idp) -> None:
    """Issue 3: the server never makes a master key or a database; it says which command does."""
    for command in (["serve"], ["worker"], ["tenant", "list"], ["demo-rp"]):
        ran = bare(*command)
        assert ran.status == 1
        assert "idp init" in ran.sentence
    assert not bare.folder.exists()


def test_another_master_key_stops_the_start(idp: Idp, monkeypatch) -> None:
    """ASVS 5.0 §11.2: a start under a key that did not seal this installation is refused before anything is served."""
    from cryptography.fernet import Fernet

    monkeypatch.setenv("IDP_MASTER_KEY", Fernet.generate_key().decode())
    assert "IDP_MASTER_KEY" in idp("serve").sentence


def test_a_master_key_that_others_can_read_stops_the_start(idp: Idp) -> None:
    """ASVS 5.0 §13.3: the sentence says how to close the file."""
    (idp.folder / "master.key").chmod(0o644)
    assert "chmod 600" in idp("serve").sentence


def test_a_lost_control_database_is_not_a_traceback(idp: Idp, monkeypatch) -> None:
    """Interfaces §2: errors say what to do."""
    monkeypatch.setenv("IDP_DATABASE_URL", "postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    ran = idp("serve")
    assert "IDP_DATABASE_URL" in ran.sentence
    assert "secret" not in ran.err


def test_a_port_that_is_taken_stops_the_start(idp: Idp) -> None:
    """The workers share their port with SO_REUSEPORT: a second server must not silently take half of the requests."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = idp("serve", "--listen", f"127.0.0.1:{other.getsockname()[1]}")
    assert "--listen" in ran.sentence


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--listen", "8000"],
        ["serve", "--listen", "localhost:0"],
        ["serve", "--workers", "0"],
        ["serve", "--tls-cert", "x.pem"],
        ["serve", "--tls-self-signed", "--tls-cert", "x", "--tls-key", "y"],
        ["frobnicate"],
        ["tenant", "create", "x"],
        ["tenant", "set", "acme", "novalue"],
        ["user", "create", "acme", "a@example.com", "--must-change"],
        ["keys", "revoke", "acme"],
        ["serve", "--frob"],
    ],
    ids=" ".join,
)
def test_a_wrong_use_is_status_2(idp: Idp, arguments: list[str]) -> None:
    """Interfaces §2: exit status 2 for bad usage, and where the help is."""
    ran = idp(*arguments)
    assert ran.status == 2
    assert "--help" in ran.sentence
    assert len(ran.err.strip().splitlines()) == 1


def test_files_that_are_no_certificate_are_refused(idp: Idp, tmp_path) -> None:
    """Interfaces §2: one sentence for a certificate that cannot be used."""
    (tmp_path / "c.pem").write_text("no certificate")
    path = str(tmp_path / "c.pem")
    assert "--tls-cert" in idp("serve", "--tls-cert", path, "--tls-key", path).sentence
    assert "--tls-cert" in idp("serve", "--tls-cert", "/nonexistent", "--tls-key", path).sentence


def test_metrics_are_not_served_where_everybody_is(idp: Idp, monkeypatch) -> None:
    """Interfaces §3: a metrics listener on the server's own port, or on the demo's, is refused by name."""
    for listened in (["--listen", "127.0.0.1:18818"], ["--demo", "--demo-listen", "127.0.0.1:18818"]):
        monkeypatch.setenv("IDP_METRICS_LISTEN", "127.0.0.1:18818")
        ran = idp("serve", *listened)
        assert ran.status == 1
        assert "IDP_METRICS_LISTEN must be another port" in ran.sentence
