// What a validation costs beside one bare ES256 verification: both in turn, medians, several rounds.
//
//     npm run build && node bench/validation.mjs [rounds] [times]
import { createSign, generateKeyPairSync, verify } from "node:crypto";
import { createServer } from "node:http";
import { AccessTokenValidator } from "../dist/index.js";

const [rounds = 5, times = 2000] = process.argv.slice(2).map(Number);
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" };
const server = createServer((request, response) => response.end(JSON.stringify(documents[request.url])));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const documents = {
  "/.well-known/oauth-authorization-server": { issuer, jwks_uri: `${issuer}/jwks` },
  "/jwks": { keys: [jwk] },
};
const audience = "https://orders.example.com";
const at = Math.floor(Date.now() / 1000);
const part = (document) => Buffer.from(JSON.stringify(document)).toString("base64url");
const claims = {
  iss: issuer,
  sub: "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
  aud: [audience, "https://billing.example.com"],
  client_id: "orders-web",
  iat: at,
  exp: at + 3600,
  jti: "d2k3WfJb0m3yV8kQx0a1bg",
  scope: "openid orders:read orders:write permissions",
  permissions: ["orders:read", "orders:write", "orders:delete"],
  grant_id: "8f14e45fceea467a9575e9b1c6f0a1d3",
};
const signed = `${part({ alg: "ES256", kid: "k", typ: "at+jwt" })}.${part(claims)}`;
const signature = createSign("sha256").update(signed).sign({ key: privateKey, dsaEncoding: "ieee-p1363" });
const token = `${signed}.${signature.toString("base64url")}`;
const validator = new AccessTokenValidator({ issuer, audience });
const message = Buffer.from(signed);
const key = { key: publicKey, dsaEncoding: "ieee-p1363" };

async function once(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
const bare = () => verify("sha256", message, key, signature);
const validation = async () => (await validator.validate(token)).require({ scope: "orders:read" });
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];

const found = [];
for (let round = 0; round < rounds; round += 1) {
  const taken = new Map([[bare, []], [validation, []]]);
  for (let number = 0; number < times; number += 1) {
    for (const work of number % 2 ? [bare, validation] : [validation, bare]) {
      taken.get(work).push(await once(work));
    }
  }
  const [one, other] = [bare, validation].map((work) => median(taken.get(work)) * 1000);
  found.push({ ratio: other / one, one, other });
}
server.close();
const { ratio, one, other } = found.sort((a, b) => a.ratio - b.ratio)[found.length >> 1];
const rounded = (value, places) => Number(value.toFixed(places));
console.log(JSON.stringify({ verification_us: rounded(one, 1), validation_us: rounded(other, 1), ratio: rounded(ratio, 2) }));
