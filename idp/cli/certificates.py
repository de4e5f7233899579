"""A self-signed certificate for `idp serve --tls-self-signed`: for trying things, never believed by anybody else's browser."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

    from idp.settings import Settings

LIFETIME = timedelta(days=90)


def self_signed(settings: Settings) -> tuple[Path, Path]:
    """Return certificate and key files in the data folder; made when they are missing, nearly over or for other names."""
    names = ["localhost", "*.localhost", urlsplit(settings.public_url).hostname or "localhost"]
    if settings.tenant_domain:
        names.append(f"*.{settings.tenant_domain.partition(':')[0]}")
    folder = settings.data_dir / "tls"
    cert, key = folder / "self-signed.crt", folder / "self-signed.key"
    if not _still_fits(cert, key, names):
        folder.mkdir(mode=0o700, exist_ok=True)
        _make(cert, key, names)
    return cert, key


def _still_fits(cert: Path, key: Path, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    is_fresh = found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=7)
    return key.exists() and is_fresh and set(_general_names(names)) <= set(known)


def _general_names(names: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return list(dict.fromkeys(found))


def _make(cert: Path, key: Path, names: list[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AuthSec self-signed")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=5))
        .not_valid_after(at + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem)
    _write(cert, made.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
