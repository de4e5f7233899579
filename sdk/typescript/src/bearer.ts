// A bearer token in a request and what is answered without a good one (RFC 6750 §2.1, §3), for any framework.
import { InsufficientScope, InvalidToken, KeysUnavailable } from "./errors.js";

/** What is answered instead. */
export interface Refusal {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** No bearer token was sent. */
export class NoToken extends InvalidToken {}

/** A token was sent in a way that is not one. */
export class MalformedRequest extends InvalidToken {}

/** Returns the token of the values of Authorization. */
export function presented(values: readonly string[]): string {
  const [value = ""] = values;
  if (values.length === 0 || (values.length === 1 && !/^bearer/i.test(value))) {
    throw new NoToken("no bearer token was sent");
  }
  const found = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(value.trim()); // RFC 6750 §2.1
  if (values.length > 1 || found?.[1] === undefined) {
    throw new MalformedRequest("Authorization is not `Bearer TOKEN`, once");
  }
  return found[1];
}

/** Returns the answer to a request, or undefined where the error is not about its token. */
export function refusalOf(error: unknown, realm: string): Refusal | undefined {
  const challenge = `Bearer realm="${realm}"`;
  if (error instanceof KeysUnavailable) {
    return refusal(503, "Tokens cannot be checked for the moment.", { "retry-after": "10" });
  }
  if (error instanceof NoToken) {
    // RFC 6750 §3.1: no error code without authentication information.
    return refusal(401, "Send an access token as Authorization: Bearer.", { "www-authenticate": challenge });
  }
  if (error instanceof MalformedRequest) {
    const asked = { "www-authenticate": `${challenge}, error="invalid_request"` };
    return refusal(400, "Send the access token once, as Authorization: Bearer.", asked);
  }
  if (error instanceof InvalidToken) {
    return refusal(401, "The access token is not accepted.", { "www-authenticate": `${challenge}, error="invalid_token"` });
  }
  if (!(error instanceof InsufficientScope)) {
    return undefined;
  }
  const { scope, permission } = error.lacks;
  const asked = `${challenge}, error="insufficient_scope"`;
  if (scope !== undefined) {
    return refusal(403, `The access token lacks the scope ${scope}.`, { "www-authenticate": `${asked}, scope="${scope}"` });
  }
  return refusal(403, `The permission ${permission} is needed.`, { "www-authenticate": asked }, { permission });
}

const TITLES: Record<number, string> = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable" };

function refusal(status: number, detail: string, headers: Record<string, string>, more: object = {}): Refusal {
  return {
    status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
    body: JSON.stringify({ title: TITLES[status], status, detail, ...more }),
  };
}
