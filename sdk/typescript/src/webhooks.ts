// Webhooks as they arrive: signed after the Standard Webhooks specification, or not to be trusted.
import { fromBase64, toBase64, utf8, webCrypto } from "./encoding.js";
import { InvalidWebhook } from "./errors.js";

const PREFIX = "whsec_";

export interface WebhookOptions {
  /** How old or how far ahead a webhook may be, in seconds; 300. */
  tolerance?: number;
}

type HeadersOf = Headers | Record<string, string | string[] | undefined>;

/** Verifies what was sent to one address. While a secret is being changed, give the old one and the new one. */
export class WebhookVerifier {
  readonly #secrets: Uint8Array<ArrayBuffer>[];
  readonly #tolerance: number;

  constructor(secret: string | readonly string[], { tolerance = 300 }: WebhookOptions = {}) {
    const secrets = typeof secret === "string" ? [secret] : secret;
    try {
      this.#secrets = secrets.map((each) => fromBase64(each.startsWith(PREFIX) ? each.slice(PREFIX.length) : each));
    } catch {
      throw new TypeError(`a secret of a webhook is ${PREFIX} and base64`);
    }
    if (this.#secrets.length === 0 || this.#secrets.some((each) => each.length === 0)) {
      throw new TypeError("a webhook needs a secret");
    }
    this.#tolerance = tolerance;
  }

  /**
   * Returns the event of a webhook; throws `InvalidWebhook`. `body` is as it came, byte for byte.
   *
   * The same event may come more than once: the header `webhook-id` stays the same, so keep the ids that are done.
   */
  async verify(headers: HeadersOf, body: string | Uint8Array): Promise<Record<string, unknown>> {
    const [id, at, signatures] = ["id", "timestamp", "signature"].map((name) => headerOf(headers, `webhook-${name}`));
    if (!id || !at || !signatures || !/^\d{1,15}$/.test(at)) {
      throw new InvalidWebhook("it is not signed: webhook-id, webhook-timestamp or webhook-signature is missing");
    }
    if (Math.abs(Date.now() / 1000 - Number(at)) > this.#tolerance) {
      throw new InvalidWebhook("it is too old, or from the future");
    }
    if (typeof body !== "string" && !(body instanceof Uint8Array)) {
      throw new TypeError("body must be as it came: text or bytes, not what a JSON parser made of it");
    }
    const raw = typeof body === "string" ? utf8(body) : body;
    const head = utf8(`${id}.${at}.`);
    const signed = new Uint8Array(head.length + raw.length);
    signed.set(head);
    signed.set(raw, head.length);
    const given = signatures.split(" ").filter((each) => each.startsWith("v1,"));
    if (!(await this.#fits(signed, given))) {
      throw new InvalidWebhook("no signature fits the secret");
    }
    const event: unknown = parsed(raw);
    if (typeof event !== "object" || event === null || Array.isArray(event)) {
      throw new InvalidWebhook("its body is no JSON object");
    }
    return event as Record<string, unknown>;
  }

  async #fits(signed: Uint8Array<ArrayBuffer>, given: string[]): Promise<boolean> {
    const { subtle } = await webCrypto();
    for (const secret of this.#secrets) {
      const key = await subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
      for (const each of given) {
        // Web Cryptography compares in constant time.
        if (await subtle.verify("HMAC", key, bytesOf(each.slice(3)), signed)) {
          return true;
        }
      }
    }
    return false;
  }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  try {
    const found = fromBase64(text);
    return toBase64(found) === text ? found : new Uint8Array();
  } catch {
    return new Uint8Array();
  }
}

function parsed(raw: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch {
    return undefined;
  }
}

function headerOf(headers: HeadersOf, name: string): string | undefined {
  if (typeof (headers as Headers).get === "function") {
    return (headers as Headers).get(name) ?? undefined;
  }
  for (const [given, value] of Object.entries(headers as Record<string, string | string[] | undefined>)) {
    if (given.toLowerCase() === name) {
      return Array.isArray(value) ? value[0] : value;
    }
  }
  return undefined;
}
