// A relying party with openid-client, written as its documentation shows.
import * as client from "openid-client";
import { importKey, serve } from "./rpc.mjs";

let config, redirectUri, started, signing, isImplicit;

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

  // The client registers itself; the answer is what the server registered, as the library keeps it.
  async register({ issuer, metadata, key, kid, initial_access_token, decrypting }) {
    redirectUri = metadata.redirect_uris[0];
    signing = key && { key: await importKey(key), kid };
    const auth = metadata.token_endpoint_auth_method === "private_key_jwt" ? client.PrivateKeyJwt(signing) : undefined;
    const options = { execute: [client.enableNonRepudiationChecks], initialAccessToken: initial_access_token };
    config = await client.dynamicClientRegistration(new URL(issuer), metadata, auth, options);
    const [type] = metadata.response_types ?? ["code"];
    isImplicit = type === "id_token";
    if (isImplicit) client.useIdTokenResponseType(config);
    if (decrypting) {
      const secret = await crypto.subtle.importKey("jwk", decrypting, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
      client.enableDecryptingResponses(config, ["A128CBC-HS256"], { key: secret, alg: "ECDH-ES", kid: decrypting.kid });
    }
    if (type === "code id_token") client.useCodeIdTokenResponseType(config);
    return { ...config.clientMetadata() };
  },

  // As `begin`, and with a signed request object where one is asked for.
  async ask({ parameters, request }) {
    started = { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState(), expectedNonce: client.randomNonce() };
    const pkce = { code_challenge: await client.calculatePKCECodeChallenge(started.pkceCodeVerifier), code_challenge_method: "S256" };
    const all = { redirect_uri: redirectUri, state: started.expectedState, nonce: started.expectedNonce, ...(isImplicit ? {} : pkce), ...parameters };
    return (request === "value" ? await client.buildAuthorizationUrlWithJAR(config, all, signing) : client.buildAuthorizationUrl(config, all)).href;
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
    if (isImplicit) {
      return { claims: await client.implicitAuthentication(config, current, started.expectedNonce, { expectedState: started.expectedState }) };
    }
    const tokens = await client.authorizationCodeGrant(config, current, { ...started, idTokenExpected: true });
    return { ...tokens, claims: tokens.claims() };
  },

  userinfo: ({ access_token, sub }) => client.fetchUserInfo(config, access_token, sub),
  refresh: ({ refresh_token }) => client.refreshTokenGrant(config, refresh_token),
  introspect: ({ token }) => client.tokenIntrospection(config, token),
  revoke: ({ token }) => client.tokenRevocation(config, token),
  exchange: (parameters) => client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", parameters),
  client_credentials: ({ scope }) => client.clientCredentialsGrant(config, { scope }),

  logout: ({ id_token, post_logout_redirect_uri, state }) =>
    client.buildEndSessionUrl(config, { id_token_hint: id_token, post_logout_redirect_uri, state }).href,
});
