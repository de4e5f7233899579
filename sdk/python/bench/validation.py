"""What a validation costs beside one bare ES256 verification: both in turn on one processor, medians, several rounds.

python sdk/python/bench/validation.py [--rounds 5] [--times 2000]
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from authsec import AccessTokenValidator

if TYPE_CHECKING:
    from collections.abc import Callable

AUDIENCE = "https://orders.example.com"
_ECDSA = ec.ECDSA(hashes.SHA256())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(document: dict[str, object]) -> str:
    return _encoded(json.dumps(document, separators=(",", ":")).encode())


class _Issuer(BaseHTTPRequestHandler):
    documents: dict[str, object]

    def do_GET(self) -> None:
        body = json.dumps(self.documents[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(rounds: int, times: int) -> dict[str, float]:
    """Return the medians in microseconds and their ratio; of several rounds the middle one."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    numbers = public.public_numbers()
    server = HTTPServer(("127.0.0.1", 0), _Issuer)
    issuer = f"http://127.0.0.1:{server.server_port}"
    jwk = {"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig"}
    jwk |= {"x": _encoded(numbers.x.to_bytes(32, "big")), "y": _encoded(numbers.y.to_bytes(32, "big"))}
    _Issuer.documents = {
        "/.well-known/oauth-authorization-server": {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"},
        "/jwks": {"keys": [jwk]},
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = int(time.time())
    claims = {
        "iss": issuer,
        "sub": secrets.token_hex(16),
        "aud": [AUDIENCE, "https://billing.example.com"],
        "client_id": "orders-web",
        "iat": at,
        "exp": at + 3600,
        "jti": secrets.token_urlsafe(16),
        "scope": "openid orders:read orders:write permissions",
        "permissions": ["orders:read", "orders:write", "orders:delete"],
        "grant_id": secrets.token_hex(16),
    }
    signed = f"{_part({'alg': 'ES256', 'kid': 'k', 'typ': 'at+jwt'})}.{_part(claims)}"
    der = key.sign(signed.encode(), _ECDSA)
    r, s = decode_dss_signature(der)
    token = f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    validator = AccessTokenValidator(issuer=issuer, audience=AUDIENCE)
    message = signed.encode()

    def bare() -> None:
        public.verify(der, message, _ECDSA)

    def validation() -> None:
        validator.validate(token).require(scope="orders:read")

    found = []
    for _ in range(rounds):
        taken: dict[Callable[[], None], list[float]] = {bare: [], validation: []}
        for number in range(times):
            for work in (bare, validation) if number % 2 else (validation, bare):
                taken[work].append(_once(work))
        one, other = (statistics.median(taken[work]) * 1e6 for work in (bare, validation))
        found.append((other / one, one, other))
    server.shutdown()
    ratio, one, other = sorted(found)[len(found) // 2]
    return {"verification_us": round(one, 1), "validation_us": round(other, 1), "ratio": round(ratio, 2)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=2000)
    given = parser.parse_args()
    print(json.dumps(measure(given.rounds, given.times)))


if __name__ == "__main__":
    main()
