"""What may be seen of a secret: its kind, its length and a few characters by which two sightings can be told to be the same.

Owns which names carry secrets (RFC 6749, RFC 7636, OpenID Connect Core). Everything that the demo shows of a request goes
through here before it is kept, so that no page can leak what its record does not have. Must not know HTTP or pages.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

# Names of parameters and members → the kind of secret they carry.
KINDS = {
    "access_token": "access token",
    "refresh_token": "refresh token",
    "id_token": "ID token",
    "id_token_hint": "ID token",
    "code": "authorization code",
    "code_verifier": "PKCE verifier",
    "client_secret": "client secret",
    "client_assertion": "client assertion",
    "password": "password",
    "token": "token",
}
_NEVER_IN_PART = {"client_secret", "code_verifier", "password", "client_assertion"}
_SHORTEST_IN_PART = 32  # of a shorter one even a few characters would be much
_SHORTEST_IN_TEXT = 8  # a shorter one would be found in words that do not mean it
_HIDDEN = "••••••••"
_JWT_PARTS = 3


class Mask:
    """Masks by name, and wherever a secret that was seen before turns up again."""

    def __init__(self) -> None:
        """Know no secret yet."""
        self._seen: dict[str, str] = {}

    def learn(self, value: str, name: str) -> None:
        """Remember a secret by the name under which it travels."""
        if len(value) >= _SHORTEST_IN_TEXT:
            self._seen.setdefault(value, _masked(value, name))

    def value(self, name: str, value: str) -> str:
        """Return what may be shown of a parameter or member called ``name``."""
        if name not in KINDS or not value:
            return self.text(value)
        if name == "token" and value in self._seen:
            return self._seen[value]
        self.learn(value, name)
        return self._seen.get(value) or _masked(value, name)

    def text(self, text: str) -> str:
        """Return a text without any secret that was seen before."""
        for secret, masked in self._seen.items():
            if secret in text:
                text = text.replace(secret, masked)
        return text

    def json(self, value: Any, name: str = "") -> Any:
        """Return a JSON value with every secret in it masked, however deep."""
        if isinstance(value, dict):
            return {self.text(str(key)): self.json(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item, name) for item in value]
        return self.value(name, value) if isinstance(value, str) else value

    def header(self, name: str, value: str) -> str:
        """Return what may be shown of an HTTP field."""
        if name.lower() in ("authorization", "proxy-authorization"):
            return self._authorization(value)
        if name.lower() in ("cookie", "set-cookie"):
            return f"{value.partition('=')[0]}={_HIDDEN}"
        return self.text(value)

    def _authorization(self, value: str) -> str:
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() == "bearer":
            return f"{scheme} {self.value('access_token', credentials)}"
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return f"{scheme} {_HIDDEN}"
            return f"{scheme} {client_id}:{_masked(secret, 'client_secret')} in base64"
        return f"{scheme} {_HIDDEN}"


def _masked(value: str, name: str) -> str:
    """Return what stands for a secret."""
    kind = KINDS[name]
    form = ", a JWT" if value.count(".") == _JWT_PARTS - 1 and value.startswith("eyJ") else ""
    described = f"({kind}{form}, {len(value)} characters)"
    if name in _NEVER_IN_PART or len(value) < _SHORTEST_IN_PART:
        return f"{_HIDDEN} {described}"
    return f"{value[:7]}…{value[-4:]} {described}"
