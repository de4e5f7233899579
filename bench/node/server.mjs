// The peer: node-oidc-provider on two processes, everything in memory.
//
// Each process listens on a port of its own (FIRST_PORT, FIRST_PORT + 1): its state lives in its memory, so whoever
// began with one process must stay with it. Both answer as the same issuer. The parent process serves nothing.

import cluster from 'node:cluster';
import { createServer } from 'node:http';

import { loginAndConsent } from './interaction.mjs';

const settings = JSON.parse(process.env.BENCH_NODE_SETTINGS);

if (cluster.isPrimary) {
  const children = [0, 1].map((n) => cluster.fork({ PORT: settings.first_port + n }));
  const stop = () => children.forEach((child) => child.process.kill('SIGTERM'));
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  cluster.on('exit', () => {
    stop();
    process.exit(1);
  });
} else {
  const { Provider } = await import('oidc-provider');
  const API = 'https://api.bench.example';
  const provider = new Provider(settings.issuer, {
    clients: settings.clients,
    jwks: { keys: settings.keys },
    cookies: { keys: [settings.cookie_key] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id, name: settings.user.name, email: settings.user.username, email_verified: true,
      }),
    }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: 3600, AuthorizationCode: 60, ClientCredentials: 3600, Grant: 86400, IdToken: 3600,
      Interaction: 600, RefreshToken: 86400, Session: 86400,
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // Access tokens are ES256 JWTs, except for the clients whose tokens go to userinfo and introspection:
        // node-oidc-provider takes only its opaque tokens there.
        defaultResource: (ctx, client) => (settings.opaque_clients.includes(client.clientId) ? undefined : API),
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: '', audience: API, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  const pages = loginAndConsent(provider, settings.user);
  const protocol = provider.callback();
  createServer((req, res) => {
    if (req.url.startsWith('/interaction/')) pages(req, res);
    else protocol(req, res);
  }).listen(Number(process.env.PORT), '127.0.0.1');
}
