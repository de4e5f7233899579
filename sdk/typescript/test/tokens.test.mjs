// At a resource server: which access tokens are accepted, how keys are looked after, what Express answers.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { request as ask } from "node:http";
import { afterEach, beforeEach, mock, test } from "node:test";
import express from "express";
import { AccessTokenValidator, InsufficientScope, InvalidToken, KeysUnavailable } from "@authsec/sdk";
import { accessTokens, tokenOf } from "@authsec/sdk/express";
import { scripted } from "./scripted.mjs";

const AUDIENCE = "https://orders.example.com";
const JWKS = "/t/acme/jwks";
const part = (document) => Buffer.from(JSON.stringify(document)).toString("base64url");
let server;
let issuer;
let key;

beforeEach(async () => {
  server = await scripted();
  issuer = server.isIssuer();
  key = newKey("k1");
  publish(key);
});
afterEach(() => {
  mock.restoreAll();
  server.close();
});

function newKey(kid, alg = "ES256", bits = 2048) {
  const kind = { ES256: ["ec", { namedCurve: "P-256" }], EdDSA: ["ed25519", {}] }[alg] ?? ["rsa", { modulusLength: bits }];
  const { publicKey, privateKey } = generateKeyPairSync(...kind);
  return { kid, alg, privateKey, publicKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" } };
}

function signature({ alg, privateKey }, message) {
  if (alg === "EdDSA") return sign(null, Buffer.from(message), privateKey);
  const how = { ES256: { dsaEncoding: "ieee-p1363" }, RS256: {}, PS256: { padding: 6, saltLength: 32 } }[alg];
  return sign("sha256", Buffer.from(message), { key: privateKey, ...how });
}

const publish = (...keys) => server.says(JWKS, [200, { keys: keys.map((each) => each.jwk ?? each) }]);

function token(claims = {}, header = {}, by = key, changed = (text) => text) {
  const at = Math.floor(Date.now() / 1000);
  const usual = { iss: issuer, sub: "ada", aud: [AUDIENCE], client_id: "orders-web", iat: at, exp: at + 300, jti: "1" };
  const all = { ...usual, scope: "openid orders:read", permissions: ["orders:delete"], ...claims };
  const signed = `${part({ alg: by.alg, kid: by.kid, typ: "at+jwt", ...header })}.${Buffer.from(changed(JSON.stringify(all))).toString("base64url")}`;
  return `${signed}.${signature(by, signed).toString("base64url")}`;
}

const validatorOf = (more = {}) => new AccessTokenValidator({ issuer, audience: AUDIENCE, ...more });

for (const alg of ["ES256", "RS256", "PS256", "EdDSA"]) {
  test(`RFC 7518 §3, RFC 8037 §3.1: ${alg}; a changed bit and another algorithm are refused`, async () => {
    const own = newKey("k", alg);
    publish(own);
    const validator = validatorOf({ algorithms: [alg] });
    const good = token({}, {}, own);
    assert.equal((await validator.validate(good)).subject, "ada");
    const [head, body, raw] = good.split(".");
    const bytes = Buffer.from(raw, "base64url");
    bytes[0] ^= 1;
    for (const bad of [bytes.toString("base64url"), "", raw.slice(0, -8), Buffer.alloc(64).toString("base64url")]) {
      await assert.rejects(validator.validate(`${head}.${body}.${bad}`), InvalidToken);
    }
    const others = ["ES256", "RS256", "PS256", "EdDSA"].filter((each) => each !== alg);
    await assert.rejects(validatorOf({ algorithms: others }).validate(good), InvalidToken);
  });
}

test("RFC 9068 §4, RFC 8725 §3: type, algorithm, key, issuer, audience and time are each looked at", async () => {
  const validator = validatorOf();
  const found = await validator.validate(token());
  assert.deepEqual([...found.scopes, ...found.permissions, found.clientId], ["openid", "orders:read", "orders:delete", "orders-web"]);
  found.require({ scope: "openid orders:read", permission: "orders:delete" });
  assert.throws(() => found.require({ scope: "openid other" }), InsufficientScope);
  assert.throws(() => found.require({ permission: "other:x" }), InsufficientScope);
  for (const header of [
    { typ: "JWT" },
    { typ: undefined },
    { kid: undefined },
    { kid: "other" },
    { kid: 7 },
    { alg: "none" },
    { alg: "HS256" },
    { alg: ["ES256"] },
    { typ: ["at+jwt"] },
    { typ: { toString: 1, valueOf: 1 } },
    { alg: { toString: 1, valueOf: 1 } },
    { crit: ["exp"] },
    { b64: false },
  ]) {
    await assert.rejects(validator.validate(token({}, header)), InvalidToken, JSON.stringify(header));
  }
  for (const claims of [
    { iss: "https://other.example" },
    { iss: undefined },
    { aud: "https://other.example" },
    { aud: [[AUDIENCE]] },
    { aud: undefined },
    { exp: 1 },
    { exp: undefined },
    { exp: "9999999999" },
    { nbf: 9_999_999_999 },
    { nbf: "x" },
    { sub: undefined },
    { client_id: 7 },
    { scope: ["a"] },
    { cnf: { jkt: "x" } },
  ]) {
    await assert.rejects(validator.validate(token(claims)), InvalidToken, JSON.stringify(claims));
  }
  for (const exp of ["1e400", "1e308", "99999999999999999999"]) {
    await assert.rejects(validator.validate(token({}, {}, key, (text) => text.replace(/"exp":\d+/, `"exp":${exp}`))), InvalidToken, exp);
  }
  const line = await validator.validate(token({}, { alg: "none\nINFO all is well" })).catch((error) => error.message);
  assert.ok(!line.includes("\n"), line);
});

test("RFC 7515 §5.2: whatever a stranger sends is InvalidToken, and asks nobody for keys", async () => {
  const [head, body, raw] = token().split(".");
  for (const bad of [
    "",
    ".",
    "..",
    "a.b.c",
    `${head}.${body}`,
    `${head}.${body}.${raw}.x`,
    `${head}.${body}.${raw}=`,
    `${head}..${raw}`,
    `${part([])}.${body}.${raw}`,
    `${head}.${part("x")}.${raw}`,
    `${head}.${part({})}.${raw}`,
    "x".repeat(20_000),
    `${head}.${body}.ä`,
    `${head}.${body}.${raw}AAA`,
    `${Buffer.from(`{"typ":${"[".repeat(5000)}${"]".repeat(5000)}}`).toString("base64url")}.${body}.${raw}`,
    undefined,
    null,
    7,
    `${head}.${Buffer.from([255, 254]).toString("base64url")}.${raw}`,
  ]) {
    await assert.rejects(validatorOf().validate(bad), InvalidToken, bad);
  }
  // Spare bits: a signature is written in one way only.
  const bent = token().replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
  await assert.rejects(validatorOf().validate(bent), InvalidToken);
  const pem = key.publicKey.export({ type: "spki", format: "pem" });
  const signed = `${part({ alg: "HS256", kid: "k1", typ: "at+jwt" })}.${body}`;
  const forged = `${signed}.${createHmac("sha256", pem).update(signed).digest("base64url")}`;
  await assert.rejects(validatorOf().validate(forged), InvalidToken);
  assert.equal(server.times(JWKS), 0);
});

test("RFC 7517 §5: small keys, keys for encryption and nonsense in a set are passed over", async () => {
  const [small, other, good] = [newKey("small", "RS256", 1024), newKey("enc"), newKey("good")];
  other.jwk.use = "enc";
  publish(small, other, {}, { kty: "EC", crv: "P-256", x: "!", kid: "x" }, { ...good.jwk, kid: "off", x: good.jwk.y }, good);
  const validator = validatorOf();
  assert.ok(await validator.validate(token({}, {}, good)));
  for (const bad of [small, other]) await assert.rejects(validator.validate(token({}, {}, bad)), InvalidToken);
});

test("Interfaces §6: keys are fetched once, anew for a new key, seldom for made-up ones, and kept while the issuer is away", async () => {
  let later = 0;
  const real = performance.now.bind(performance);
  mock.method(performance, "now", () => real() + later);
  const validator = validatorOf();
  const old = token();
  await Promise.all(Array.from({ length: 20 }, () => validator.validate(old)));
  assert.equal(server.times(JWKS), 1);

  later += 11_000;
  const next = newKey("k2");
  publish(next);
  assert.equal((await validator.validate(token({}, {}, next))).subject, "ada");
  assert.equal(server.times(JWKS), 2);
  await assert.rejects(validator.validate(old), InvalidToken);

  later += 11_000;
  const made = Array.from({ length: 200 }, (_, number) => validator.validate(token({}, { kid: `x${number}` }, next)));
  assert.ok((await Promise.allSettled(made)).every((each) => each.reason instanceof InvalidToken));
  assert.equal(server.times(JWKS), 3);

  later += 301_000;
  server.says(JWKS, [503, {}]);
  assert.ok(await validator.validate(token({}, {}, next)));
  later += 3_601_000;
  await assert.rejects(validator.validate(token({}, {}, next)), KeysUnavailable);
  await assert.rejects(validator.validate(token({}, {}, next)), KeysUnavailable);
});

test("RFC 8725 §3.1, §3.9: an audience, safe addresses and safe algorithms are not optional", () => {
  for (const more of [
    { issuer: "http://id.example.com" },
    { audience: [] },
    { algorithms: [] },
    { algorithms: ["none"] },
    { algorithms: ["HS256"] },
    { jwksUri: "http://id.example.com/jwks" },
  ]) {
    assert.throws(() => validatorOf(more), TypeError, JSON.stringify(more));
  }
  assert.throws(() => accessTokens(validatorOf(), { realm: 'a"b' }), TypeError);
});

test("Interfaces §6: the same by Web Cryptography, where there is no other", async () => {
  const good = token();
  const [head, body, raw] = good.split(".");
  const script = `
    process.getBuiltinModule = undefined;
    const { Buffer } = globalThis;
    globalThis.Buffer = undefined;
    const { AccessTokenValidator } = await import("@authsec/sdk");
    globalThis.Buffer = Buffer;
    const validator = new AccessTokenValidator({ issuer: "${issuer}", audience: "${AUDIENCE}",
      fetch: async (url) => new Response(url.endsWith("/jwks") ? '${JSON.stringify({ keys: [key.jwk] })}' : '${JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` })}') });
    const found = await validator.validate("${good}");
    const bad = await validator.validate("${head}.${body}.${Buffer.from(raw, "base64url").fill(1).toString("base64url")}").catch((error) => error.message);
    console.log(found.subject, bad);`;
  const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: new URL("..", import.meta.url), encoding: "utf-8" });
  assert.equal(done.stdout.trim(), "ada the signature does not fit", done.stderr);
});

async function site(run) {
  const app = express();
  const tokens = accessTokens(validatorOf(), { realm: "orders" });
  app.get("/any", tokens(), (request, response) => response.send(tokenOf(request).subject));
  app.get("/scope", tokens({ scope: "orders:read openid" }), (request, response) => response.send(tokenOf(request).clientId));
  app.get("/permission", tokens({ permission: "orders:delete" }), (_, response) => response.send("in"));
  app.get("/open", (request, response) => response.send(String(tokenOf(request))));
  app.use((error, _request, response, _next) => response.status(500).send(error.message));
  const listening = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => listening.once("listening", resolve));
  const get = (path, headers) =>
    new Promise((resolve, reject) => {
      const asking = ask({ host: "127.0.0.1", port: listening.address().port, path, agent: false }, async (answer) => {
        let text = "";
        for await (const chunk of answer) text += chunk;
        resolve({ status: answer.statusCode, headers: answer.headers, text });
      });
      for (const [name, value] of headers) asking.setHeader(name, value);
      asking.on("error", reject).end();
    });
  try {
    await run(get);
  } finally {
    listening.close();
  }
}

test("RFC 6750 §2.1, §3, §3.1: Express lets good tokens in and answers the others", () =>
  site(async (get) => {
    const with_ = (text) => [["authorization", text]];
    const good = with_(`Bearer ${token()}`);
    assert.equal((await get("/any", good)).text, "ada");
    assert.equal((await get("/scope", good)).text, "orders-web");
    assert.equal((await get("/permission", good)).text, "in");
    assert.match((await get("/open", good)).text, /middleware/);
    const bare = 'Bearer realm="orders"';
    for (const [headers, status, challenge] of [
      [[], 401, bare],
      [with_("Basic eDp5"), 401, bare],
      [with_("Bearer"), 400, `${bare}, error="invalid_request"`],
      [with_("Bearer a b"), 400, `${bare}, error="invalid_request"`],
      [with_(["Bearer a", "Bearer b"]), 400, `${bare}, error="invalid_request"`],
      [with_("Bearer nonsense"), 401, `${bare}, error="invalid_token"`],
    ]) {
      const answer = await get("/any", headers);
      assert.deepEqual([answer.status, answer.headers["www-authenticate"]], [status, challenge]);
      assert.equal(answer.headers["content-type"], "application/problem+json");
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.equal(JSON.parse(answer.text).status, status);
    }
    const less = with_(`Bearer ${token({ scope: "orders:read", permissions: undefined })}`);
    const scope = await get("/scope", less);
    assert.equal(scope.headers["www-authenticate"], `${bare}, error="insufficient_scope", scope="orders:read openid"`);
    const permission = await get("/permission", less);
    assert.deepEqual([permission.status, JSON.parse(permission.text).permission], [403, "orders:delete"]);
  }));

test("Interfaces §6: Express answers 503 while there are no keys", async () => {
  server.says(JWKS, [503, {}]);
  await site(async (get) => {
    const answer = await get("/any", [["authorization", `Bearer ${token()}`]]);
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "10"]);
  });
});
