// One call of an operation: its address, its attempts, and its answer or its error.
import { matched } from "./answers.js";
import { apiError, NotSignedIn } from "./errors.js";
import { NoAnswer, objectOf, pause, send, type Request, type Response, type Sending } from "./http.js";
import { retryAfterOf, type Retries } from "./retries.js";
import type { Problem } from "./types.js";

/** What an operation is called with. */
export interface Call {
  method: string;
  path: string;
  parameters?: Record<string, string>;
  query?: object;
  body?: unknown;
  /** A file instead. */
  content?: Blob | Uint8Array<ArrayBuffer> | undefined;
  mediaType?: string | undefined;
  ifMatch?: string | object | undefined;
  idempotencyKey?: string | undefined;
  /** It takes an Idempotency-Key. */
  isRepeatable?: boolean;
  isPublic?: boolean;
  /** It is answered with lines of JSON. */
  isStreamed?: boolean;
  signal?: AbortSignal | undefined;
  timeout?: number | undefined;
}

/** Gives an access token, and not the one that was refused; undefined when there is no other. */
export type TokenSource = (refused?: string) => Promise<string | undefined>;

const IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];

function requestOf(call: Call, baseUrl: string): Request {
  const headers: Record<string, string> = call.isStreamed ? { accept: "application/x-ndjson" } : {};
  const query = queryOf(call.query ?? {});
  const url = baseUrl + call.path.replace(/\{(\w+)\}/g, (_, name) => segment(name, call.parameters?.[name])) + query;
  if (call.body !== undefined) {
    headers["content-type"] = call.method === "PATCH" ? "application/merge-patch+json" : "application/json";
  }
  if (call.mediaType !== undefined) {
    headers["content-type"] = call.mediaType;
  }
  if (call.ifMatch !== undefined) {
    headers["if-match"] = matched(call.ifMatch);
  }
  if (call.isRepeatable) {
    // The same one with each attempt: a create whose answer was lost is answered again, not done again.
    headers["idempotency-key"] = call.idempotencyKey ?? randomKey();
  }
  const body = call.body === undefined ? call.content : JSON.stringify(call.body);
  return { method: call.method, url, headers, ...(body === undefined ? {} : { body }) };
}

function randomKey(): string {
  // Not a secret, only unlike any other; browsers have randomUUID on secure pages only.
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}

/** Returns a value as one segment of a path; a slash in it is written so that it stays in the value. */
function segment(name: string, value: unknown): string {
  const text = typeof value === "string" ? value : "";
  if (text === "" || text === "." || text === "..") {
    throw new TypeError(`${name} must not be ${JSON.stringify(value)}`); // would be another address
  }
  return encodeURIComponent(text).replaceAll("%2F", "%252F");
}

function queryOf(query: object): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null) {
        pairs.append(name, String(each));
      }
    }
  }
  return pairs.size === 0 || `${pairs}` === "" ? "" : `?${pairs}`;
}

/** Sends the request until it is answered; throws what the answer says when it is a refusal. */
export async function perform(
  call: Call,
  baseUrl: string,
  sending: Sending,
  retries: Retries,
  source?: TokenSource,
): Promise<Response> {
  const request = requestOf(call, baseUrl);
  const isIdempotent = IDEMPOTENT.includes(call.method) || call.isRepeatable === true;
  const limits = call.timeout === undefined ? sending : { ...sending, timeout: call.timeout };
  let token = call.isPublic ? undefined : await source?.();
  if (token === undefined && !call.isPublic) {
    throw new NotSignedIn("Sign in first: await client.login(email, password), or give an accessToken.");
  }
  let isRenewed = false;
  for (let attempt = 0; ; attempt += 1) {
    const headers = token === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${token}` };
    let wait: number | undefined;
    try {
      const response = await send({ ...request, headers: headers ?? {} }, limits, call.signal, call.isStreamed);
      if (response.ok) {
        return response;
      }
      const after = retryAfterOf(response.headers);
      if (response.status === 401 && token !== undefined && !isRenewed) {
        isRenewed = true; // it may have ended a moment ago
        const other = await source?.(token);
        if (other !== undefined) {
          token = other;
          attempt -= 1;
          continue;
        }
      }
      wait = retries.afterAnswer(attempt, response.status, after, isIdempotent);
      if (wait === undefined) {
        throw apiError(response.status, problemOf(response), after);
      }
    } catch (error) {
      wait = error instanceof NoAnswer ? retries.afterFailure(attempt, error, isIdempotent) : undefined;
      if (wait === undefined) {
        throw error;
      }
    }
    await pause(wait, call.signal);
  }
}

/** Returns the problem document of a refusal; an empty one where something in between has answered. */
export function problemOf(response: Response): Partial<Problem> {
  const requestId = response.headers.get("x-correlation-id");
  return (objectOf(response) as Partial<Problem>) ?? (requestId === null ? {} : { request_id: requestId });
}
