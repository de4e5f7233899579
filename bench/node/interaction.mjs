// The least that signs a person in for real: a login page that verifies argon2id, and a consent page.

import { verify } from '@node-rs/argon2';

const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<h1>${title}</h1>${body}</html>`;

const loginPage = (uid, alert = '') => page('Sign in', `${alert}<form method="post" action="/interaction/${uid}">
<label>E-mail <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button id="login-submit">Sign in</button></form>`);

const consentPage = (uid, client, scopes) => page('Consent', `<p>${client} asks for ${scopes.join(', ')}.</p>
<form method="post" action="/interaction/${uid}">
<button id="consent-approve" name="action" value="approve">Allow</button>
<button id="consent-deny" name="action" value="deny">Deny</button></form>`);

async function formOf(req) {
  let body = '';
  for await (const chunk of req) {
    body += chunk;
    if (body.length > 10_000) throw new Error('too long');
  }
  return new URLSearchParams(body);
}

function send(res, status, html) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(html);
}

async function consented(provider, { params, session, prompt: { details }, grantId }) {
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((details.missingOIDCScope ?? params.scope.split(' ')).join(' '));
  return { consent: { grantId: await grant.save() } };
}

export function loginAndConsent(provider, user) {
  return async (req, res) => {
    try {
      const interaction = await provider.interactionDetails(req, res);
      const { uid, params, prompt } = interaction;
      if (req.method === 'GET') {
        send(res, 200, prompt.name === 'login' ? loginPage(uid)
          : consentPage(uid, params.client_id, params.scope.split(' ')));
        return;
      }
      const form = await formOf(req);
      if (prompt.name === 'login') {
        const known = form.get('username') === user.username;
        if (!(await verify(user.password_hash, form.get('password') ?? '')) || !known) {
          send(res, 401, loginPage(uid, '<p>Wrong e-mail or password.</p>'));
          return;
        }
        await provider.interactionFinished(req, res, { login: { accountId: user.id } });
      } else if (form.get('action') === 'approve') {
        await provider.interactionFinished(req, res, await consented(provider, interaction));
      } else {
        await provider.interactionFinished(req, res, { error: 'access_denied' });
      }
    } catch (error) {
      send(res, 400, page('Error', `<p>${error.name}</p>`));
    }
  };
}
