// Signing in by the first-party sign-in API (draft-ietf-oauth-first-party-apps), never by the password grant; renewing; ending.
//
// The issuer is asked of the server, its endpoints of the issuer (RFC 8414). A password goes to the challenge endpoint alone; what
// comes back is an authorization code, redeemed with the PKCE verifier (RFC 7636) that is kept here until then.
import { perform, problemOf } from "./calls.js";
import { toBase64, toBase64Url, utf8, webCrypto } from "./encoding.js";
import {
  ApiError,
  apiError,
  AuthenticationFailed,
  ConnectionFailed,
  MfaRequired,
  SessionEnded,
  said,
  SignInRefused,
  StepRequired,
  UnexpectedAnswer,
  WebSignInRequired,
  type AuthSecError,
  type StepDocument,
} from "./errors.js";
import { SERVICES } from "./generated/resources.js";
import { checkedUrl, NoAnswer, objectOf, pause, send, type Response, type Sending } from "./http.js";
import { retryAfterOf, type Retries } from "./retries.js";

export const CLIENT_ID = "authsec-sdk";
const SCOPE = "openid authsec";
const EARLY = 60; // seconds before its end at which a token is renewed, or a tenth of its life where that is less
// A lost answer of a renewal may be asked for again for ten seconds; after that a second use would end the session.
const AGAIN = 8_000;

const BEARER = /^[A-Za-z0-9._~+/-]+=*$/; // RFC 6750 §2.1

/** Returns an access token as it is sent; throws, without showing it, for what cannot be one. */
export function givenToken(text: string): string {
  const token = text.trim(); // as it is read from a file
  if (!BEARER.test(token)) {
    throw new TypeError("accessToken is no bearer token: it has characters that none has, or is empty");
  }
  return token;
}

export interface Endpoints {
  issuer: string;
  challenge: string;
  token: string;
  revocation: string;
  authorization: string;
}

/** What an application is known by when it acts for itself. */
export interface Credentials {
  clientId: string;
  clientSecret: string;
  scope: string;
}

/** Returns HTTP Basic authentication, each part form-encoded first (RFC 6749 §2.3.1). */
function basic({ clientId, clientSecret }: Credentials): Record<string, string> {
  const encoded = (text: string) => new URLSearchParams({ "": text }).toString().slice(1);
  return { authorization: `Basic ${toBase64(utf8(`${encoded(clientId)}:${encoded(clientSecret)}`))}` };
}

/** The tokens of one sign-in. They are in memory only. */
export class Session {
  #accessToken: string;
  #refreshToken: string | undefined;
  #expiresAt = Infinity;
  #renewAt = Infinity;
  #renewing: Promise<string> | undefined;
  #hasEnded = false;
  readonly #endpoints: Endpoints | undefined;
  readonly #credentials: Credentials | undefined;

  constructor(accessToken: string, endpoints?: Endpoints, credentials?: Credentials) {
    this.#accessToken = accessToken;
    this.#endpoints = endpoints;
    this.#credentials = credentials;
  }

  /** Signs an application in for itself (RFC 6749 §4.4). */
  static async ofClient(
    credentials: Credentials,
    endpoints: Endpoints,
    baseUrl: string,
    sending: Sending,
    retries: Retries,
  ): Promise<Session> {
    const session = new Session("", endpoints, credentials);
    const response = await session.#ask(baseUrl, sending, retries);
    if (!response.ok) {
      throw refusedBy(response);
    }
    session.take(objectOf(response) ?? {});
    return session;
  }

  #ask(baseUrl: string, sending: Sending, retries: Retries): Promise<Response> {
    const { token } = this.#endpoints as Endpoints;
    const own = this.#credentials;
    if (own !== undefined) {
      const form: [string, string][] = [["grant_type", "client_credentials"], ["scope", own.scope], ...resources(baseUrl)];
      return post(token, form, sending, retries, 60_000, basic(own));
    }
    const form = { grant_type: "refresh_token", refresh_token: this.#refreshToken ?? "", client_id: CLIENT_ID };
    return post(token, Object.entries(form), sending, retries, AGAIN);
  }

  /** Takes over the tokens of a token response. */
  take(document: Record<string, unknown>): string {
    const { access_token: token, token_type: kind, expires_in: life, refresh_token: next } = document;
    if (typeof token !== "string" || !BEARER.test(token) || typeof kind !== "string" || kind.toLowerCase() !== "bearer") {
      throw new UnexpectedAnswer(`The token endpoint answered without a bearer token (token_type ${said(kind)}).`);
    }
    this.#accessToken = token;
    this.#refreshToken = typeof next === "string" ? next : this.#refreshToken;
    if (typeof life === "number") {
      this.#expiresAt = performance.now() + life * 1000;
      this.#renewAt = this.#expiresAt - Math.min(EARLY, life / 10) * 1000;
    }
    return token;
  }

  /** Returns a usable access token, other than the one that was refused; renews it where it must, once for all who wait. */
  async token(
    refused: string | undefined,
    baseUrl: string,
    sending: Sending,
    retries: Retries,
  ): Promise<string | undefined> {
    if (this.#hasEnded) {
      throw new SessionEnded("The session has ended: sign in again.");
    }
    const canBeRenewed = this.#refreshToken !== undefined || this.#credentials !== undefined;
    const isDue = performance.now() >= this.#renewAt && canBeRenewed;
    if (this.#accessToken !== refused && !isDue) {
      return this.#accessToken;
    }
    if (!canBeRenewed) {
      return undefined;
    }
    this.#renewing ??= this.#renew(refused, baseUrl, sending, retries).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(refused: string | undefined, baseUrl: string, sending: Sending, retries: Retries): Promise<string> {
    let response: Response;
    try {
      response = await this.#ask(baseUrl, sending, retries);
      if (response.status >= 500) {
        throw apiError(response.status, problemOf(response));
      }
      const refusal = response.ok ? undefined : refusedBy(response);
      if (refusal instanceof ApiError) {
        throw refusal; // a limit, or something in between has answered: nobody has said that the session ended
      }
    } catch (error) {
      // It is renewed early: the present token does a while longer.
      const isPassing = error instanceof ConnectionFailed || error instanceof ApiError;
      if (isPassing && this.#accessToken !== refused && performance.now() < this.#expiresAt) {
        return this.#accessToken;
      }
      throw error;
    }
    if (response.ok) {
      return this.take(objectOf(response) ?? {});
    }
    this.#hasEnded = true;
    throw new SessionEnded("The session has ended: sign in again.", { cause: refusedBy(response) });
  }

  /** Ends the sign-in at the server (RFC 7009). */
  async revoke(sending: Sending, retries: Retries): Promise<void> {
    await this.#renewing?.catch(() => undefined);
    const token = this.#refreshToken ?? this.#accessToken;
    this.#hasEnded = true;
    if (this.#endpoints === undefined) {
      return;
    }
    const own = this.#credentials;
    const form = own === undefined ? { token, client_id: CLIENT_ID } : { token };
    const headers = own === undefined ? {} : basic(own);
    const response = await post(this.#endpoints.revocation, Object.entries(form), sending, retries, 60_000, headers);
    if (!response.ok) {
      throw refusedBy(response);
    }
  }
}

/** One sign-in that has begun. */
export class SignIn {
  #verifier = "";
  #authSession: string | undefined;

  constructor(
    readonly baseUrl: string,
    readonly endpoints: Endpoints,
    readonly sending: Sending,
    readonly retries: Retries,
  ) {}

  /** Sends the fields of a step, the first one or a later one; throws what is still needed. */
  async take(fields: Record<string, string>): Promise<Session> {
    const form: [string, string][] = [["client_id", CLIENT_ID]];
    if (this.#authSession === undefined) {
      const { getRandomValues, subtle } = await cryptography();
      this.#verifier = toBase64Url(getRandomValues(new Uint8Array(48)));
      const digest = new Uint8Array(await subtle.digest("SHA-256", utf8(this.#verifier)));
      form.push(["response_type", "code"], ["scope", SCOPE], ...resources(this.baseUrl));
      form.push(["code_challenge", toBase64Url(digest)], ["code_challenge_method", "S256"]);
    } else {
      form.push(["auth_session", this.#authSession]);
    }
    const response = await post(this.endpoints.challenge, [...form, ...Object.entries(fields)], this.sending, this.retries);
    const document = objectOf(response) ?? {};
    if (response.ok) {
      if (typeof document.authorization_code !== "string") {
        throw new UnexpectedAnswer("The sign-in was answered without an authorization code.");
      }
      return this.#redeem(document.authorization_code);
    }
    if (typeof document.auth_session === "string") {
      this.#authSession = document.auth_session;
    }
    throw this.#refusal(response, document);
  }

  async #redeem(code: string): Promise<Session> {
    const form: [string, string][] = [
      ["grant_type", "authorization_code"],
      ["code", code],
      ["client_id", CLIENT_ID],
      ["code_verifier", this.#verifier],
      ...resources(this.baseUrl),
    ];
    const response = await post(this.endpoints.token, form, this.sending, this.retries);
    if (!response.ok) {
      throw refusedBy(response);
    }
    const session = new Session("", this.endpoints);
    session.take(objectOf(response) ?? {});
    return session;
  }

  #refusal(response: Response, document: Record<string, unknown>): AuthSecError {
    if (document.error === "redirect_to_web") {
      const query = new URLSearchParams({ client_id: CLIENT_ID, request_uri: String(document.request_uri) });
      const pushed = document.request_uri === undefined ? undefined : `${this.endpoints.authorization}?${query}`;
      return new WebSignInRequired(typeof document.web_uri === "string" ? document.web_uri : pushed);
    }
    if (document.error !== "insufficient_authorization" || this.#authSession === undefined) {
      return refusedBy(response);
    }
    const told = document as StepDocument;
    if (told.step === "login") {
      const said = (told.errors ?? []).map((each) => each.detail).join("; ");
      return new AuthenticationFailed(said || "The sign-in did not succeed: check the address and the password.");
    }
    return new (told.step === "mfa" ? MfaRequired : StepRequired)(this.#authSession, told);
  }
}

function resources(baseUrl: string): [string, string][] {
  return SERVICES.map((service) => ["resource", `${baseUrl}/${service}`]);
}

async function cryptography(): Promise<{ getRandomValues: Crypto["getRandomValues"]; subtle: SubtleCrypto }> {
  const found = await webCrypto();
  return { getRandomValues: found.getRandomValues.bind(found), subtle: found.subtle };
}

/** Returns the endpoints of a tenant: its issuer from the server, the rest from the issuer's metadata (RFC 8414). */
export async function discover(baseUrl: string, tenant: string, sending: Sending, retries: Retries): Promise<Endpoints> {
  const call = { method: "GET", path: "/t/{tenant_id}", parameters: { tenant_id: tenant }, isPublic: true };
  const named = objectOf(await perform(call, baseUrl, sending, retries))?.issuer;
  if (typeof named !== "string") {
    throw new UnexpectedAnswer(`${baseUrl} does not name the issuer of the tenant ${tenant}.`);
  }
  const issuer = checkedUrl(named, "the issuer");
  const document = await metadata(issuer, sending, retries);
  const endpoint = (name: string) => {
    const value = document[`${name}_endpoint`];
    if (typeof value !== "string") {
      throw new UnexpectedAnswer(`${issuer} has no ${name}_endpoint: this server does not have what the SDK signs in with.`);
    }
    return checkedUrl(value, `${name}_endpoint`);
  };
  return {
    issuer,
    challenge: endpoint("authorization_challenge"),
    token: endpoint("token"),
    revocation: endpoint("revocation"),
    authorization: endpoint("authorization"),
  };
}

/** Returns an issuer's metadata, which must name the issuer (RFC 8414 §3.3). */
export async function metadata(issuer: string, sending: Sending, retries: Retries): Promise<Record<string, unknown>> {
  const call = { method: "GET", path: "/.well-known/oauth-authorization-server", isPublic: true };
  const document = objectOf(await perform(call, issuer, sending, retries)) ?? {};
  if (document.issuer !== issuer) {
    throw new UnexpectedAnswer(`The metadata at ${issuer} is of another issuer: ${said(document.issuer)}.`);
  }
  return document;
}

/** Posts a form; without an answer it is sent again only where that is harmless, and no longer than it is. */
async function post(
  url: string,
  form: [string, string][],
  sending: Sending,
  retries: Retries,
  againFor = 0,
  more: Record<string, string> = {},
): Promise<Response> {
  const began = performance.now();
  const headers = { "content-type": "application/x-www-form-urlencoded", ...more };
  for (let attempt = 0; ; attempt += 1) {
    let wait: number | undefined;
    try {
      const response = await send({ method: "POST", url, headers, body: `${new URLSearchParams(form)}` }, sending);
      const isHarmless = performance.now() - began < againFor;
      wait = retries.afterAnswer(attempt, response.status, retryAfterOf(response.headers), isHarmless);
      if (response.ok || wait === undefined) {
        return response;
      }
    } catch (error) {
      const isHarmless = performance.now() - began < againFor;
      wait = error instanceof NoAnswer ? retries.afterFailure(attempt, error, isHarmless) : undefined;
      if (wait === undefined) {
        throw error;
      }
    }
    await pause(wait);
  }
}

/** Returns the refusal of an endpoint that speaks OAuth; limits and failures are as those of the services. */
function refusedBy(response: Response): AuthSecError {
  const document = objectOf(response) ?? {};
  const after = retryAfterOf(response.headers);
  const { error, error_description: description } = document;
  if (response.status === 429 || typeof error !== "string") {
    const detail = typeof description === "string" ? { detail: description } : {};
    return apiError(response.status, { ...document, ...detail }, after);
  }
  return new SignInRefused(error, typeof description === "string" ? description : "", response.status, after);
}
