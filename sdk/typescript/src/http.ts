// One HTTP request: with a time limit that holds until the body is read, without cookies, caches and redirects.
import { ConnectionFailed } from "./errors.js";
import { VERSION } from "./version.js";

export interface Request {
  method: string;
  url: string;
  headers?: Record<string, string>;
  body?: string | Blob | Uint8Array<ArrayBuffer>;
}

export interface Response {
  status: number;
  ok: boolean;
  headers: Headers;
  text: string;
  /** The body that is left to be read, where that was asked for. */
  body?: ReadableStream<Uint8Array>;
}

export type Fetch = typeof globalThis.fetch;

/** How requests are sent. */
export interface Sending {
  fetch: Fetch;
  timeout: number;
}

/** No answer came. `arrived` is false where the request cannot have been seen by the server. */
export class NoAnswer extends ConnectionFailed {
  constructor(
    message: string,
    readonly arrived: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "ConnectionFailed";
  }
}

interface Runtime {
  process?: { versions?: { node?: string } };
  navigator?: { userAgent?: string };
}

const NODE = (globalThis as Runtime).process?.versions?.node;
const NEVER_ARRIVED = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"];

/** Sends a request and reads its answer whole. */
export async function send(
  request: Request,
  sending: Sending,
  signal?: AbortSignal,
  isStreamed = false,
): Promise<Response> {
  const abort = new AbortController();
  const stop = () => abort.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop, { once: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    abort.abort();
  }, sending.timeout);
  const headers: Record<string, string> = { accept: "application/json", ...request.headers };
  if (NODE !== undefined) {
    headers["user-agent"] = `authsec-sdk-typescript/${VERSION} node/${NODE}`; // a browser sends its own
  }
  try {
    const response = await sending.fetch(request.url, {
      method: request.method,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: "manual",
      credentials: "omit",
      cache: "no-store",
      signal: abort.signal,
    });
    const { status, ok, headers: received, body } = response;
    if (isStreamed && ok && body !== null) {
      return { status, ok, headers: received, text: "", body };
    }
    return { status, ok, headers: received, text: await response.text() };
  } catch (error) {
    signal?.throwIfAborted();
    if (isLate) {
      throw new NoAnswer("The server did not answer in time.", true, { cause: error });
    }
    const code = (error as { cause?: { code?: unknown } } | null)?.cause?.code;
    const arrived = !(typeof code === "string" && NEVER_ARRIVED.includes(code));
    throw new NoAnswer(`The server was not reached: ${code ?? String(error)}`, arrived, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Returns the lines of a body as they arrive. */
export async function* linesOf(body: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncGenerator<string> {
  const reader = body.getReader();
  const stop = () => void reader.cancel(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      const lines = (rest + decoder.decode(value, { stream: !done })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
      if (done) {
        break;
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new NoAnswer(`The answer broke off: ${String(error)}`, true, { cause: error });
  } finally {
    signal?.removeEventListener("abort", stop);
    await reader.cancel().catch(() => undefined);
  }
  if (rest !== "") {
    yield rest;
  }
}

/** Returns an address without a slash at its end; tokens and passwords leave only by TLS, or to this machine. */
export function checkedUrl(text: string, what: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // said below
  }
  const host = url?.hostname ?? "";
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(host) || host.endsWith(".localhost");
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isHere);
  if (!url || !isSafe || url.search || url.hash || url.username || url.password) {
    throw new TypeError(`${what} must be an https:// address (http:// only for this machine), not ${text}`);
  }
  return text.replace(/\/+$/, "");
}

/** Waits, unless the caller gives up. */
export function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Returns the JSON object of an answer or a line, or undefined where it is none. */
export function objectOf({ text }: { text: string }): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found)
      ? (found as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
