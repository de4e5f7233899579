// A relying party with openid-client, written as its documentation shows.
import * as client from "openid-client";
import { importKey, serve } from "./rpc.mjs";

let config, redirectUri, started;

async function authentication({ method, secret, key, kid }) {
  switch (method) {
    case "client_secret_basic":
      return client.ClientSecretBasic(secret);
    case "client_secret_post":
      return client.ClientSecretPost(secret);
    case "private_key_jwt":
      return client.PrivateKeyJwt({ key: await importKey(key), kid });
    default:
      return client.None();
  }
}

await serve({
  async discover(given) {
    redirectUri = given.redirect_uri;
    const execute = [client.enableNonRepudiationChecks];
    if (given.issuer.startsWith("http:")) execute.push(client.allowInsecureRequests);
    config = await client.discovery(new URL(given.issuer), given.client_id, {}, await authentication(given), { execute });
    return config.serverMetadata();
  },

  async begin(parameters) {
    started = { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState(), expectedNonce: client.randomNonce() };
    return client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      code_challenge: await client.calculatePKCECodeChallenge(started.pkceCodeVerifier),
      code_challenge_method: "S256",
      state: started.expectedState,
      nonce: started.expectedNonce,
      ...parameters,
    }).href;
  },

  async finish({ url, form }) {
    const current = form ? new Request(url, { method: "POST", body: new URLSearchParams(form) }) : new URL(url);
    const tokens = await client.authorizationCodeGrant(config, current, { ...started, idTokenExpected: true });
    return { ...tokens, claims: tokens.claims() };
  },

  userinfo: ({ access_token, sub }) => client.fetchUserInfo(config, access_token, sub),
  refresh: ({ refresh_token }) => client.refreshTokenGrant(config, refresh_token),
  introspect: ({ token }) => client.tokenIntrospection(config, token),
  revoke: ({ token }) => client.tokenRevocation(config, token),
  client_credentials: ({ scope }) => client.clientCredentialsGrant(config, { scope }),

  logout: ({ id_token, post_logout_redirect_uri, state }) =>
    client.buildEndSessionUrl(config, { id_token_hint: id_token, post_logout_redirect_uri, state }).href,
});
