"""Webhooks as they arrive: signed after the Standard Webhooks specification, or not to be trusted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, Protocol

from authsec.answers import object_of
from authsec.errors import InvalidWebhook

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    class Headers(Protocol):
        """The headers of a request, in whatever a framework keeps them."""

        def items(self) -> Iterable[tuple[str, str]]:
            """Name and value of each."""


_PREFIX = "whsec_"


class WebhookVerifier:
    """Verifies what was sent to one address. While a secret is being changed, give the old one and the new one."""

    def __init__(self, secret: str | Collection[str], *, tolerance: float = 300.0) -> None:
        """Keep the secrets; `tolerance` is how old or how far ahead a webhook may be, in seconds."""
        secrets = [secret] if isinstance(secret, str) else list(secret)
        try:
            self._keys = [base64.b64decode(each.removeprefix(_PREFIX), validate=True) for each in secrets]
        except binascii.Error:
            raise ValueError(f"a secret of a webhook is {_PREFIX} and base64") from None
        if not self._keys or not all(self._keys):
            raise ValueError("a webhook needs a secret")
        self._tolerance = tolerance

    def verify(self, headers: Headers, body: bytes | str) -> dict[str, Any]:
        """Return the event of a webhook; raises :class:`InvalidWebhook`. `body` is as it came, byte for byte.

        The same event may come more than once: the header `webhook-id` stays the same, so keep the ids that are done.
        """
        found = {name.lower(): value for name, value in headers.items()}
        identity, at, signatures = (found.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not identity or not signatures or not (at.isascii() and at.isdigit() and len(at) < 16):
            raise InvalidWebhook("it is not signed: webhook-id, webhook-timestamp or webhook-signature is missing")
        if abs(time.time() - int(at)) > self._tolerance:
            raise InvalidWebhook("it is too old, or from the future")
        raw = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        signed = f"{identity}.{at}.".encode(errors="surrogatepass") + raw
        wanted = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        given = [each[3:].encode(errors="replace") for each in signatures.split(" ") if each.startswith("v1,")]
        # Each with each, so that the time says nothing about which one nearly fitted.
        if not any([hmac.compare_digest(one, other) for one in wanted for other in given]):  # noqa: C419
            raise InvalidWebhook("no signature fits the secret")
        event = object_of(raw)
        if event is None:
            raise InvalidWebhook("its body is no JSON object")
        return event
