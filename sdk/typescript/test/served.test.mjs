// In front of the served product, which the test suite of the repository starts (AUTHSEC_TEST: where it is and who is there).
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import {
  ApiError,
  AuthenticationFailed,
  AuthSecClient,
  AccessTokenValidator,
  Conflict,
  InvalidFields,
  InvalidToken,
  NotAuthenticated,
  NotFound,
  NotSignedIn,
  PermissionRequired,
  PreconditionFailed,
  StepRequired,
  etagOf,
  requestIdOf,
  wasReplayed,
} from "@authsec/sdk";

const given = process.env.AUTHSEC_TEST === undefined ? undefined : JSON.parse(process.env.AUTHSEC_TEST);
const options = { skip: given === undefined ? "AUTHSEC_TEST does not say where the server is" : false };
const { baseUrl, password, admin, platform, nobody, changing, member, token, issuer } = given ?? {};

async function signedIn(email = admin, tenant = "acme") {
  const client = new AuthSecClient({ baseUrl, tenant });
  await client.login(email, password);
  return client;
}

test("Interfaces §6: an address and a password sign in; logout ends it", options, async () => {
  const email = platform;
  const client = new AuthSecClient({ baseUrl });
  assert.equal(client.isSignedIn, false);
  await client.login(email, password);
  assert.ok((await client.roles.list()).total >= 6);
  await client.logout();
  assert.equal(client.isSignedIn, false);
  await assert.rejects(client.roles.list(), NotSignedIn);
});

test("Security rule 7: a wrong password and an unknown address are one error", options, async () => {
  const client = new AuthSecClient({ baseUrl, tenant: "acme" });
  const said = [];
  for (const email of [admin, "nobody@acme.example"]) {
    await assert.rejects(client.login(email, "wrong"), (error) => {
      assert.ok(error instanceof AuthenticationFailed);
      said.push(error.message);
      return true;
    });
  }
  assert.equal(said[0], said[1]);
});

test("First-Party Apps §5.2.2.1: a step that is needed is told, and taken", options, async () => {
  const client = new AuthSecClient({ baseUrl, tenant: "acme" });
  const needed = await client.login(changing, password).catch((error) => error);
  assert.ok(needed instanceof StepRequired);
  assert.deepEqual([needed.step, needed.fields], ["password", ["new_password"]]);
  assert.ok(needed.document.password_min_length > 0);
  const again = await client.continueLogin({ new_password: "short" }).catch((error) => error);
  assert.equal(again.errors[0].field, "new_password");
  await client.continueLogin({ new_password: "plum-kettle-orbit-77" });
  assert.ok((await client.groups.list()).items);
});

test("Interfaces §5, §6: a life of a group, under ETags", options, async () => {
  const client = await signedIn();
  const made = await client.groups.create({ name: "Typed", description: "x" });
  assert.equal(requestIdOf(made).length, 16);
  assert.equal(etagOf(await client.groups.get(made.id)), etagOf(made));
  const changed = await client.groups.update(made.id, { description: null }, { ifMatch: made });
  assert.equal(changed.description, "");
  await assert.rejects(client.groups.update(made.id, { name: "y" }, { ifMatch: made }), PreconditionFailed);
  await assert.rejects(client.groups.delete(made.id, { ifMatch: etagOf(made) }), PreconditionFailed);
  assert.deepEqual(await client.groups.addMembers(made.id, { user_ids: [member] }), { added: 1 });
  const members = [];
  for await (const each of client.groups.iterateMembers(made.id)) members.push(each.user_id);
  assert.deepEqual(members, [member]);
  await client.groups.delete(made.id, { ifMatch: changed });
  await assert.rejects(client.groups.get(made.id), NotFound);
  await assert.rejects(client.groups.update("x", {}, { ifMatch: {} }), { message: /no ETag/ });
});

test("Interfaces §5, §6: pages by number and by cursor", options, async () => {
  const client = await signedIn();
  const names = Array.from({ length: 12 }, (_, number) => `ts-page-${String(number).padStart(2, "0")}`);
  const made = [];
  for (const name of names) made.push(await client.groups.create({ name }));
  const page = await client.groups.list({ page: 2, limit: 5 });
  assert.deepEqual([page.page, page.items.length], [2, 5]);
  const found = [];
  for await (const each of client.groups.iterate({ limit: 5, sort: "-name" })) found.push(each.name);
  assert.deepEqual(found.filter((name) => names.includes(name)), names.reverse());
  for (const each of made) await client.groups.delete(each.id);
});

test("Interfaces §5: a create is done once", options, async () => {
  const client = await signedIn();
  const one = await client.groups.create({ name: "ts-once" }, { idempotencyKey: "ts-1" });
  const again = await client.groups.create({ name: "ts-once" }, { idempotencyKey: "ts-1" });
  assert.deepEqual([again, wasReplayed(one), wasReplayed(again)], [one, false, true]);
  await assert.rejects(client.groups.create({ name: "ts-once" }), Conflict);
  await client.groups.delete(one.id);
});

test("RFC 9457, Interfaces §6: refusals carry the document", options, async () => {
  const client = await signedIn();
  await assert.rejects(client.roles.create({ name: "Not A Name" }), (error) => {
    assert.ok(error instanceof InvalidFields && error instanceof ApiError && error instanceof Error);
    assert.deepEqual([error.status, error.code, error.name], [422, "invalid_fields", "InvalidFields"]);
    assert.equal(error.errors[0].pointer, "#/name");
    assert.equal(error.docUrl, `${baseUrl}/docs/errors/invalid_fields`);
    assert.equal(error.requestId.length, 16);
    return true;
  });
  const other = await signedIn(nobody);
  await assert.rejects(other.groups.create({ name: "x" }), (error) => {
    assert.ok(error instanceof PermissionRequired);
    assert.equal(error.permission, "groups:write");
    return true;
  });
});

test("Interfaces §5, §6: a given token, other tenants, and what is public", options, async () => {
  const client = new AuthSecClient({ baseUrl, tenant: "acme", accessToken: token });
  assert.ok((await client.clients.list()).items);
  await assert.rejects(client.forTenant("system").groups.list(), NotAuthenticated);
  const above = await signedIn(platform, "system");
  assert.ok((await above.forTenant("acme").groups.list()).items);
  assert.equal((await new AuthSecClient({ baseUrl }).health.userFlow()).status, "ready");
});

test("Interfaces §5: the audit log line by line, whole or until somebody stops", options, async () => {
  const client = await signedIn();
  await client.groups.delete((await client.groups.create({ name: "ts-seen" })).id);
  const kinds = [];
  for await (const event of client.audit.exportEvents()) kinds.push(event.kind);
  assert.ok(kinds.includes("group.created") && kinds.includes("group.deleted"));
  for await (const event of client.audit.exportEvents()) {
    assert.ok(event.id);
    break;
  }
  const other = await signedIn(nobody);
  await assert.rejects(other.audit.exportEvents().next(), PermissionRequired);
});

test("Interfaces §5: a file is sent as it is", options, async () => {
  const client = await signedIn();
  const shown = await client.branding.putPicture("logo", Buffer.from(given.png, "base64"), "image/png");
  assert.ok(shown.logo_url);
  await client.branding.putPicture("logo", new Blob([Buffer.from(given.png, "base64")]), "image/png", { ifMatch: shown });
  await assert.rejects(client.branding.putPicture("logo", Buffer.from("no"), "image/png"), InvalidFields);
  await client.branding.deletePicture("logo");
});

test("RFC 6749 §2.3.1, §4.4: an application with a role works for itself", options, async () => {
  const client = await signedIn();
  const given = { client_id: "ts:robot", client_name: "Robot", grant_types: ["client_credentials"], response_types: [] };
  const made = await client.clients.create({ ...given, scope: "authsec" });
  await client.roleBindings.create({ holder_type: "client", holder_id: "ts:robot", role: "auditor" });
  const robot = new AuthSecClient({ baseUrl, tenant: "acme" });
  await assert.rejects(robot.loginAsClient("ts:robot", "wrong"), (error) => error.error === "invalid_client");
  await robot.loginAsClient("ts:robot", made.client_secret);
  assert.ok((await robot.groups.list()).items);
  const later = performance.now() + 3_590_000;
  const late = mock.method(performance, "now", () => later);
  assert.ok((await robot.groups.list()).items);
  late.mock.restore();
  await robot.logout();
  await client.clients.delete("ts:robot");
});

test("RFC 3986 §2.2, §5.2.4: values stay in their segment of the path", options, async () => {
  const client = await signedIn();
  for (const value of ["", ".", ".."]) await assert.rejects(client.groups.get(value), TypeError);
  for (const value of ["a/b", "../roles", "x?limit=1", "x#y", "%2e%2e"]) await assert.rejects(client.groups.get(value), NotFound);
  await client.clients.create({ client_id: "ts/activate", client_name: "x", redirect_uris: ["https://x.example/cb"] });
  assert.equal((await client.clients.get("ts/activate")).client_id, "ts/activate");
  await client.clients.delete("ts/activate");
});

test("RFC 9068 §4: a token of the product is accepted for its audience alone", options, async () => {
  const found = await new AccessTokenValidator({ issuer, audience: `${baseUrl}/uflow` }).validate(token);
  found.require({ scope: "authsec" });
  await assert.rejects(new AccessTokenValidator({ issuer, audience: "https://orders.example" }).validate(token), InvalidToken);
});
