// A server on loopback that answers what a test has written down, and remembers what it was asked.
import { createServer } from "node:http";

export async function scripted() {
  const asked = [];
  const says = new Map();
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const path = request.url.split("?")[0];
    const one = { method: request.method, url: request.url, path, headers: request.headers, body };
    asked.push(one);
    const waiting = says.get(path) ?? [[404, { code: "not_found", detail: `nothing is said of ${path}` }]];
    const found = waiting.length > 1 ? waiting.shift() : waiting[0];
    const [status, document, headers = {}] = typeof found === "function" ? await found(one) : found;
    if (document === null) {
      request.socket.destroy();
      return;
    }
    response.strictContentLength = false;
    if (headers["content-length"] !== undefined) {
      setTimeout(() => request.socket.destroy(), 50); // promises more than comes
    }
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof document === "string" ? document : JSON.stringify(document));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const made = {
    url,
    asked,
    says: (path, ...answers) => says.set(path, answers),
    times: (path) => asked.filter((each) => each.path === path).length,
    form: (one) => Object.fromEntries(new URLSearchParams(one.body)),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
    isIssuer(tenant = "acme") {
      const issuer = `${url}/t/${tenant}`;
      made.says(`/t/${tenant}`, [200, { issuer }]);
      const addresses = {
        authorization_challenge_endpoint: `${issuer}/challenge`,
        token_endpoint: `${issuer}/token`,
        revocation_endpoint: `${issuer}/revoke`,
        authorization_endpoint: `${issuer}/authorize`,
        jwks_uri: `${issuer}/jwks`,
      };
      made.says(`/t/${tenant}/.well-known/oauth-authorization-server`, [200, { issuer, ...addresses }]);
      made.says(`/t/${tenant}/challenge`, [200, { authorization_code: "code-1" }]);
      made.says(`/t/${tenant}/token`, [200, tokens(1)]);
      made.says(`/t/${tenant}/revoke`, [200, {}]);
      return issuer;
    },
  };
  return made;
}

export const tokens = (number, more = {}) => ({
  access_token: `access-${number}`,
  token_type: "Bearer",
  expires_in: 3600,
  refresh_token: `refresh-${number}`,
  ...more,
});
