"""The Python SDK's verification of webhooks (Standard Webhooks), with the specification's own example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest

from authsec import InvalidWebhook, WebhookVerifier, webhooks
from idp.webhooks import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "user.created", "data": {"id": "1"}}'


def signed(body: bytes = BODY, secret: str = SECRET, at: int | None = None, identity: str = "msg_1") -> dict[str, str]:
    moment = str(at if at is not None else int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": identity,
        "Webhook-Timestamp": moment,
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def test_the_example_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard Webhooks, Signature scheme: the published example of secret, id, time and body has the published signature."""
    monkeypatch.setattr(webhooks.time, "time", lambda: 1614265330.0)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert WebhookVerifier(SECRET).verify(headers, '{"test": 2432232314}') == {"test": 2432232314}


def test_good_ones() -> None:
    """Standard Webhooks, Verifying: one of several signatures and one of several secrets suffice."""
    other = "whsec_" + base64.b64encode(b"another secret of 24 byt").decode()
    verifier = WebhookVerifier([other, SECRET])
    assert verifier.verify(signed(), BODY)["type"] == "user.created"
    headers = signed()
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {headers['Webhook-Signature']}"
    assert verifier.verify(headers, BODY)["data"] == {"id": "1"}
    assert verifier.verify(signed(), BODY.decode()) == json.loads(BODY)


def test_what_the_product_sends() -> None:
    """Standard Webhooks, Interfaces §6: what the product signs is verified, with either secret while one is being changed."""
    old, new = signing.new_secret(), signing.new_secret()
    headers = signing.headers("msg_1", int(time.time()), BODY, [new, old])
    for secret in (old, new):
        assert WebhookVerifier(secret).verify(headers, BODY)["type"] == "user.created"
    with pytest.raises(InvalidWebhook):
        WebhookVerifier(signing.new_secret()).verify(headers, BODY)


@pytest.mark.parametrize(
    "change", ["body", "id", "time", "secret", "version", "none", "old", "early", "no id", "no json"]
)
def test_bad_ones(change: str) -> None:
    """Standard Webhooks, Verifying: body, id and time are signed; what is too old or not signed is refused."""
    body, headers = BODY, signed()
    if change == "body":
        body += b" "
    elif change == "id":
        headers["Webhook-Id"] = "msg_2"
    elif change == "time":
        headers["Webhook-Timestamp"] = str(int(headers["Webhook-Timestamp"]) + 1)
    elif change == "secret":
        headers = signed(secret="whsec_" + base64.b64encode(b"another secret").decode())
    elif change == "version":
        headers["Webhook-Signature"] = headers["Webhook-Signature"].replace("v1,", "v0,")
    elif change == "none":
        headers["Webhook-Signature"] = ""
    elif change == "old":
        headers = signed(at=int(time.time()) - 400)
    elif change == "early":
        headers = signed(at=int(time.time()) + 400)
    elif change == "no id":
        del headers["Webhook-Id"]
    else:
        body, headers = b"[]", signed(b"[]")
    with pytest.raises(InvalidWebhook):
        WebhookVerifier(SECRET).verify(headers, body)


def test_text_that_is_none() -> None:
    """Standard Webhooks, Verifying: half of a surrogate pair, as some frameworks hand on a strange byte, is no crash."""
    for name in ("Webhook-Id", "Webhook-Signature"):
        headers = signed()
        headers[name] += "\udcff"
        with pytest.raises(InvalidWebhook):
            WebhookVerifier(SECRET).verify(headers, BODY)
    with pytest.raises(InvalidWebhook):
        WebhookVerifier(SECRET).verify(signed(), "\ud800")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", []])
def test_secrets_that_are_none(secret: str) -> None:
    """Standard Webhooks, Signature scheme: without a secret nothing is verified, so nothing is made."""
    with pytest.raises(ValueError, match="secret"):
        WebhookVerifier(secret)
