// When servers and networks fail, and the steps of a sign-in that the product does not ask: in front of a scripted server.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";
import { inspect } from "node:util";
import {
  ApiError,
  AuthSecClient,
  ConnectionFailed,
  MfaRequired,
  NotAuthenticated,
  ServerError,
  SessionEnded,
  SignInRefused,
  TooManyRequests,
  UnexpectedAnswer,
  VERSION,
  WebSignInRequired,
} from "@authsec/sdk";
import { Retries, retryAfterOf } from "../dist/retries.js";
import { scripted, tokens } from "./scripted.mjs";

const GROUPS = "/uflow/tenants/acme/groups";
const ONE = `${GROUPS}/1`;
let server;

beforeEach(async () => {
  server = await scripted();
});
afterEach(() => server.close());

const withToken = () => new AuthSecClient({ baseUrl: server.url, tenant: "acme", accessToken: "t" });

async function signedIn(more = {}) {
  server.isIssuer();
  server.says("/t/acme/token", [200, tokens(1, more)]);
  const client = new AuthSecClient({ baseUrl: server.url, tenant: "acme" });
  await client.login("ada@acme.example", "secret");
  return client;
}

test("RFC 9110 §10.2.3: 429 is tried again after Retry-After, with the same request", async () => {
  server.says(ONE, [429, { code: "too_many_requests" }, { "retry-after": "1" }], [200, { id: "1" }]);
  assert.deepEqual(await withToken().groups.update("1", { name: "x" }), { id: "1" });
  assert.deepEqual(server.asked.map((each) => each.body), ['{"name":"x"}', '{"name":"x"}']);
  assert.equal(server.asked[0].headers["content-type"], "application/merge-patch+json");
  server.says(ONE, [429, { code: "too_many_requests" }, { "retry-after": "90" }]);
  await assert.rejects(withToken().groups.get("1"), (error) => error instanceof TooManyRequests && error.retryAfter === 90);
  assert.equal(server.times(ONE), 3);
});

test("RFC 9110 §10.2.3: seconds or a date; nonsense counts as nothing", () => {
  const after = (text) => new Retries({ times: 1 }).afterAnswer(0, 429, retryAfterOf(new Headers({ "retry-after": text })), false);
  assert.equal(retryAfterOf(new Headers({ "retry-after": "17" })), 17);
  assert.equal(retryAfterOf(new Headers({ "retry-after": "Fri, 31 Dec 1999 23:59:59 GMT" })), 0);
  for (const text of ["-5", "1.5", "soon", "5 apples", "Mon, 01 Jan 2024"]) {
    assert.equal(retryAfterOf(new Headers({ "retry-after": text })), undefined, text);
  }
  for (const text of ["9999999999", "Fri, 31 Dec 2199 23:59:59 GMT"]) assert.equal(after(text), undefined, text);
});

test("RFC 6750 §2.1: a newline at a token's end is none of it; what cannot be a token is refused without being shown", async () => {
  server.says(GROUPS, [200, { items: [] }]);
  await new AuthSecClient({ baseUrl: server.url, tenant: "acme", accessToken: "access-1\n" }).groups.list();
  assert.equal(server.asked[0].headers.authorization, "Bearer access-1");
  for (const accessToken of ["SECRET\n1", "SECRET 1", "SECRET\u2603", ""]) {
    const right = (error) => error instanceof TypeError && !error.message.includes("SECRET");
    assert.throws(() => new AuthSecClient({ baseUrl: server.url, accessToken }), right);
  }
});

for (const [name, failure] of Object.entries({ 503: [503, {}], 502: [502, "<html>"], "hang up": [0, null] })) {
  test(`RFC 9110 §9.2.2: what is harmless to do twice is tried again (${name})`, async () => {
    const client = withToken();
    server.says(ONE, failure, failure, [200, { id: "1" }]);
    assert.deepEqual(await client.groups.get("1"), { id: "1" });
    server.says(GROUPS, failure, [201, { id: "1" }]);
    await client.groups.create({ name: "x" });
    const keys = new Set(server.asked.filter((each) => each.method === "POST").map((each) => each.headers["idempotency-key"]));
    assert.equal(keys.size, 1);
    server.says(ONE, failure, [200, { id: "1" }]);
    await assert.rejects(client.groups.update("1", { name: "x" }), (error) => error instanceof ServerError || error instanceof ConnectionFailed);
    assert.equal(server.asked.filter((each) => each.method === "PATCH").length, 1);
  });
}

test("Interfaces §6: after the last attempt the refusal stands", async () => {
  server.says(ONE, [502, "<html>", { "x-correlation-id": "ABC" }]);
  const client = new AuthSecClient({ baseUrl: server.url, tenant: "acme", accessToken: "t", retries: { times: 1 } });
  await assert.rejects(client.groups.get("1"), (error) => error instanceof ServerError && error.requestId === "ABC");
  assert.equal(server.times(ONE), 2);
});

test("Interfaces §6: nobody there, too late, and given up are told apart", async () => {
  const nobody = new AuthSecClient({ baseUrl: "http://127.0.0.1:9", accessToken: "t", retries: { times: 0 } });
  await assert.rejects(nobody.groups.list(), (error) => error instanceof ConnectionFailed && error.name === "ConnectionFailed");
  server.says(ONE, () => new Promise(() => {}));
  const client = new AuthSecClient({ baseUrl: server.url, tenant: "acme", accessToken: "t", timeout: 50, retries: { times: 0 } });
  await assert.rejects(client.groups.get("1"), /in time/);
  const abort = new AbortController();
  const call = client.groups.get("1", { signal: abort.signal, timeout: 60_000 });
  abort.abort(new Error("enough"));
  await assert.rejects(call, /enough/);
});

test("RFC 6750 §5.2: a token is not carried elsewhere by a redirect", async () => {
  server.says(ONE, [302, {}, { location: `${server.url}/elsewhere` }]);
  await assert.rejects(withToken().groups.get("1"), ApiError);
  assert.equal(server.times("/elsewhere"), 0);
});

test("Interfaces §6: what is no object is refused, unknown members are passed on, circles end", async () => {
  for (const body of ["", "[]", "nonsense"]) {
    server.says(ONE, [200, body]);
    await assert.rejects(withToken().groups.get("1"), UnexpectedAnswer);
  }
  for (const body of [{}, { items: null }]) {
    server.says(GROUPS, [200, body]);
    await assert.rejects(async () => {
      for await (const each of withToken().groups.iterate()) assert.fail(each);
    }, UnexpectedAnswer);
  }
  for (const body of [{ errors: [null, "x"] }, { errors: { a: 1 } }, { detail: { toString: 1 } }, { code: { toString: 1 } }]) {
    server.says(ONE, [400, body]);
    const right = (error) => error instanceof ApiError && error.errors.length === 0 && error.code === "";
    await assert.rejects(withToken().groups.get("1"), right, JSON.stringify(body));
  }
  server.says(ONE, [200, { id: "1", colour: "blue" }]);
  assert.deepEqual(await withToken().groups.get("1"), { id: "1", colour: "blue" });
  server.says(GROUPS, [200, { items: [{ id: "1" }], next: "c" }]);
  await assert.rejects(async () => {
    for await (const each of withToken().groups.iterate()) assert.equal(each.id, "1");
  }, UnexpectedAnswer);
});

test("RFC 9112 §8: half an export is not taken for a whole one, a line that is no object is refused", async () => {
  const where = "/uflow/tenants/acme/audit-events/export";
  const all = async (options) => {
    const found = [];
    for await (const event of withToken().audit.exportEvents({}, options)) found.push(event.id);
    return found;
  };
  server.says(where, [200, '{"id":"1"}\n{"id":"2"}', { "content-length": "99" }]);
  await assert.rejects(all(), ConnectionFailed);
  server.says(where, [200, '{"id":"1"}\nnonsense\n']);
  await assert.rejects(all(), UnexpectedAnswer);
  server.says(where, [503, {}], [200, '{"id":"1"}\n{"id":"ä"}\n']);
  assert.deepEqual(await all(), ["1", "ä"]);
  const abort = new AbortController();
  abort.abort(new Error("enough"));
  await assert.rejects(all({ signal: abort.signal }), /enough/);
});

test("Interfaces §6: what is sent", async () => {
  server.says("/uflow/tenants/acme/roles", [200, { items: [] }]);
  await withToken().roles.list({ is_built_in: true, sort: undefined });
  assert.equal(server.asked[0].url, "/uflow/tenants/acme/roles?is_built_in=true");
  assert.equal(server.asked[0].headers["user-agent"], `authsec-sdk-typescript/${VERSION} node/${process.versions.node}`);
  assert.equal(server.asked[0].headers.authorization, "Bearer t");
});

test("RFC 6750 §5.3: passwords and tokens leave by TLS alone, or to the same machine", () => {
  for (const baseUrl of ["http://id.example.com", "ftp://localhost", "localhost:8000", "https://a:b@x.example", ""]) {
    assert.throws(() => new AuthSecClient({ baseUrl }), /https/);
  }
});

test("First-Party Apps §5.1, RFC 7636 §4: the requests of a sign-in", async () => {
  await signedIn();
  const [challenge, redeemed] = server.asked.filter((each) => each.method === "POST").map(server.form);
  assert.deepEqual([challenge.client_id, challenge.username, challenge.password], ["authsec-sdk", "ada@acme.example", "secret"]);
  assert.deepEqual([challenge.code_challenge_method, challenge.scope], ["S256", "openid authsec"]);
  assert.equal(createHash("sha256").update(redeemed.code_verifier).digest("base64url"), challenge.code_challenge);
  assert.ok(!JSON.stringify(redeemed).includes("secret"));
  assert.equal(redeemed.redirect_uri, undefined);
});

test("First-Party Apps §5.2.2.1: a second factor is an error of its own, and a way to go on", async () => {
  server.isIssuer();
  const needs = { error: "insufficient_authorization", step: "mfa", fields: ["code"], methods: ["totp"] };
  server.says("/t/acme/challenge", [403, { ...needs, auth_session: "as_1" }], [200, { authorization_code: "c" }]);
  const client = new AuthSecClient({ baseUrl: server.url, tenant: "acme" });
  const needed = await client.login("ada@acme.example", "secret").catch((error) => error);
  assert.ok(needed instanceof MfaRequired);
  assert.deepEqual([needed.methods, needed.authSession], [["totp"], "as_1"]);
  await client.continueLogin({ code: "123456" });
  assert.ok(client.isSignedIn);
  const forms = server.asked.filter((each) => each.path === "/t/acme/challenge").map(server.form);
  assert.deepEqual(forms[1], { client_id: "authsec-sdk", auth_session: "as_1", code: "123456" });
  await assert.rejects(client.continueLogin({ code: "1" }), /login/);
});

test("First-Party Apps §5.2.2: each refusal of a sign-in is an error of its own", async () => {
  const issuer = server.isIssuer();
  for (const [says, kind] of [
    [[403, { error: "redirect_to_web", request_uri: "urn:x:1" }], WebSignInRequired],
    [[400, { error: "invalid_session" }], SignInRefused],
    [[401, { error: "invalid_client" }], SignInRefused],
    [[429, { error: "too_many_requests" }, { "retry-after": "99" }], TooManyRequests],
    [[500, "<html>"], ServerError],
    [[200, {}], UnexpectedAnswer],
  ]) {
    server.says("/t/acme/challenge", says);
    const before = server.times("/t/acme/challenge");
    const client = new AuthSecClient({ baseUrl: server.url, tenant: "acme" });
    const error = await client.login("ada@acme.example", "secret").catch((found) => found);
    assert.ok(error instanceof kind, `${error}`);
    assert.equal(client.isSignedIn, false);
    assert.equal(server.times("/t/acme/challenge"), before + 1, "a password is not sent twice");
    if (error instanceof WebSignInRequired) {
      assert.equal(error.uri, `${issuer}/authorize?client_id=authsec-sdk&request_uri=urn%3Ax%3A1`);
    }
  }
});

test("RFC 8414 §3.3: metadata of another issuer, or addresses without TLS, are not believed", async () => {
  const issuer = server.isIssuer();
  const names = ["authorization_challenge", "token", "revocation", "authorization"];
  const good = Object.fromEntries(names.map((name) => [`${name}_endpoint`, issuer]));
  for (const document of [
    { ...good, issuer: `${issuer}x` },
    { issuer },
    { ...good, issuer, authorization_challenge_endpoint: "http://id.example.com/c" },
  ]) {
    server.says("/t/acme/.well-known/oauth-authorization-server", [200, document]);
    await assert.rejects(new AuthSecClient({ baseUrl: server.url, tenant: "acme" }).login("a", "b"));
  }
  assert.equal(server.asked.filter((each) => each.method === "POST").length, 0);
});

test("RFC 9700 §4.14.2: however many callers wait, the refresh token is used once", async () => {
  const client = await signedIn({ expires_in: 0 });
  server.says(GROUPS, [200, { items: [] }]);
  server.says("/t/acme/token", [0, null], [200, tokens(2)]);
  await Promise.all(Array.from({ length: 10 }, () => client.groups.list()));
  const used = server.asked.filter((each) => each.path === "/t/acme/token").map((each) => server.form(each).refresh_token);
  assert.deepEqual(used, [undefined, "refresh-1", "refresh-1"], "the lost answer is asked for again");
  const sent = server.asked.filter((each) => each.path === GROUPS).map((each) => each.headers.authorization);
  assert.deepEqual(new Set(sent), new Set(["Bearer access-2"]));
});

test("Interfaces §6: a renewal that fails does no harm while the token lives", async () => {
  const client = await signedIn();
  server.says(GROUPS, [200, { items: [] }]);
  server.says("/t/acme/token", [503, {}]);
  const real = performance.now.bind(performance);
  const late = mock.method(performance, "now", () => real() + 3_560_000); // behind the time to renew, before the end
  await client.groups.list();
  assert.equal(server.asked.at(-1).headers.authorization, "Bearer access-1");
  assert.ok(server.times("/t/acme/token") > 1);
  for (const says of [[403, "<html>who are you?"], [429, {}, { "retry-after": "90" }]]) {
    server.says("/t/acme/token", says);
    await client.groups.list();
    assert.equal(server.asked.at(-1).headers.authorization, "Bearer access-1");
  }
  late.mock.restore();
});

test("RFC 6750 §3.1: 401 renews once; RFC 6749 §5.2: an ended session says so each time", async () => {
  const client = await signedIn();
  server.says(GROUPS, [401, { code: "invalid_token" }]);
  server.says("/t/acme/token", [200, tokens(2)]);
  await assert.rejects(client.groups.list(), NotAuthenticated);
  assert.equal(server.times(GROUPS), 2);
  server.says("/t/acme/token", [400, { error: "invalid_grant" }]);
  await assert.rejects(client.groups.list(), SessionEnded);
  await assert.rejects(client.groups.list(), SessionEnded);
});

test("RFC 7009 §2.1: signing out revokes the refresh token, and forgets it even where that fails", async () => {
  const client = await signedIn();
  server.says("/t/acme/revoke", [500, {}]);
  await assert.rejects(client.logout(), ServerError);
  assert.deepEqual(server.form(server.asked.at(-1)), { token: "refresh-1", client_id: "authsec-sdk" });
  assert.equal(client.isSignedIn, false);
  await client.logout();
});

test("ASVS 14.2.4: neither tokens nor passwords stand in what is printed of a client", async () => {
  const shown = inspect(await signedIn(), { depth: 9, showHidden: true }) + JSON.stringify(await signedIn());
  for (const secret of ["access-1", "refresh-1", "secret"]) assert.ok(!shown.includes(secret));
});
