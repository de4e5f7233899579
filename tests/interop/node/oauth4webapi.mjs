// A relying party with oauth4webapi, which leaves every step to the application; also a resource that checks RFC 9068 tokens.
import * as oauth from "oauth4webapi";
import { importKey, serve } from "./rpc.mjs";

let as, client, auth, redirectUri, started;
const options = {};

async function authentication({ method, secret, key, kid }) {
  switch (method) {
    case "client_secret_basic":
      return oauth.ClientSecretBasic(secret);
    case "client_secret_post":
      return oauth.ClientSecretPost(secret);
    case "private_key_jwt":
      return oauth.PrivateKeyJwt({ key: await importKey(key), kid });
    default:
      return oauth.None();
  }
}

await serve({
  async discover(given) {
    redirectUri = given.redirect_uri;
    client = { client_id: given.client_id };
    auth = await authentication(given);
    if (given.issuer.startsWith("http:")) options[oauth.allowInsecureRequests] = true;
    const issuer = new URL(given.issuer);
    as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: given.algorithm ?? "oidc", ...options }));
    return as;
  },

  async begin(parameters) {
    started = { verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce() };
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: client.client_id,
      response_type: "code",
      redirect_uri: redirectUri,
      code_challenge: await oauth.calculatePKCECodeChallenge(started.verifier),
      code_challenge_method: "S256",
      state: started.state,
      nonce: started.nonce,
      ...parameters,
    });
    return url.href;
  },

  async finish({ url, form }) {
    const answer = oauth.validateAuthResponse(as, client, form ? new URLSearchParams(form) : new URL(url), started.state);
    const response = await oauth.authorizationCodeGrantRequest(as, client, auth, answer, redirectUri, started.verifier, options);
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: started.nonce, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(as, response, options);
    return { ...tokens, claims: oauth.getValidatedIdTokenClaims(tokens) };
  },

  userinfo: async ({ access_token, sub }) =>
    oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, access_token, options)),
  refresh: async ({ refresh_token }) =>
    oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, refresh_token, options)),
  introspect: async ({ token }) =>
    oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, options)),
  revoke: async ({ token }) => oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token, options)),
  exchange: async (parameters) =>
    oauth.processGenericTokenEndpointResponse(
      as,
      client,
      await oauth.genericTokenEndpointRequest(as, client, auth, "urn:ietf:params:oauth:grant-type:token-exchange", parameters, options),
    ),
  client_credentials: async ({ scope }) =>
    oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(as, client, auth, { scope }, options)),

  resource: ({ access_token, audience }) =>
    oauth.validateJwtAccessToken(as, new Request("https://api.example/", { headers: { authorization: `Bearer ${access_token}` } }), audience, options),
});
