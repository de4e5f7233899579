// Verification of webhooks (Standard Webhooks), with the specification's own example.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mock, test } from "node:test";
import { InvalidWebhook, WebhookVerifier } from "@authsec/sdk";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"type": "user.created", "data": {"id": "1"}}';
const now = () => Math.floor(Date.now() / 1000);

function signed({ body = BODY, secret = SECRET, at = now(), id = "msg_1" } = {}) {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
  return { "Webhook-Id": id, "Webhook-Timestamp": String(at), "Webhook-Signature": `v1,${mac}` };
}

test("Standard Webhooks, Signature scheme: the published example", async () => {
  mock.method(Date, "now", () => 1_614_265_330_000);
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  assert.deepEqual(await new WebhookVerifier(SECRET).verify(headers, '{"test": 2432232314}'), { test: 2432232314 });
  mock.restoreAll();
});

test("Standard Webhooks, Verifying: one of several signatures and of several secrets suffices", async () => {
  const other = `whsec_${Buffer.from("another secret").toString("base64")}`;
  const verifier = new WebhookVerifier([other, SECRET]);
  assert.equal((await verifier.verify(signed(), BODY)).type, "user.created");
  const headers = signed();
  headers["Webhook-Signature"] = `v1a,xyz v1,AAAA ${headers["Webhook-Signature"]}`;
  assert.equal((await verifier.verify(new Headers(headers), Buffer.from(BODY))).type, "user.created");
});

test("Standard Webhooks, Verifying: body, id and time are signed; what is too old or not signed is refused", async () => {
  const verifier = new WebhookVerifier(SECRET);
  const other = `whsec_${Buffer.from("another secret").toString("base64")}`;
  const { "Webhook-Id": _, ...nameless } = signed();
  for (const [headers, body] of [
    [signed(), `${BODY} `],
    [{ ...signed(), "Webhook-Id": "msg_2" }, BODY],
    [{ ...signed(), "Webhook-Timestamp": String(now() + 1) }, BODY],
    [signed({ secret: other }), BODY],
    [{ ...signed(), "Webhook-Signature": signed()["Webhook-Signature"].replace("v1,", "v0,") }, BODY],
    [{ ...signed(), "Webhook-Signature": "" }, BODY],
    [{ ...signed(), "Webhook-Signature": "v1," }, BODY],
    [{ ...signed(), "Webhook-Signature": "v1,?" }, BODY],
    [signed({ at: now() - 400 }), BODY],
    [signed({ at: now() + 400 }), BODY],
    [nameless, BODY],
    [signed({ body: "[]" }), "[]"],
    [{}, BODY],
  ]) {
    await assert.rejects(verifier.verify(headers, body), InvalidWebhook, JSON.stringify(headers));
  }
  // express.json() has been there before: a mistake of whoever mounts it, not of who sends.
  await assert.rejects(verifier.verify(signed(), JSON.parse(BODY)), TypeError);
  for (const secret of ["", "whsec_", "whsec_?", []]) assert.throws(() => new WebhookVerifier(secret), TypeError);
});
