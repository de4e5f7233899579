// Access tokens at a resource server: whether one is to be accepted (RFC 9068 §4), and what it allows.
import { fromBase64Url, fromUtf8, utf8 } from "./encoding.js";
import { InsufficientScope, InvalidToken, said } from "./errors.js";
import { checkedUrl, type Fetch } from "./http.js";
import { ALGORITHMS, KeyCache, type Algorithm } from "./keys.js";

const LONGEST = 16_384;
const MOST_HEADERS = 64;
const LATEST = 253_402_300_799; // the last second of the year 9999

/** What a token that demands something must have. */
export interface Demand {
  /** Scopes, several separated by spaces. */
  scope?: string;
  /** A permission, as far as the token says them (scope `permissions`). */
  permission?: string;
}

/** A token that was accepted. */
export class AccessToken {
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: ReadonlySet<string>;
  /** Seconds since 1970. */
  readonly expiresAt: number;

  constructor(readonly claims: Readonly<Record<string, unknown>>) {
    const { sub, client_id: clientId, scope = "", exp } = claims;
    if (typeof sub !== "string" || typeof clientId !== "string" || typeof scope !== "string" || typeof exp !== "number") {
      throw new InvalidToken("it lacks what every access token has");
    }
    this.subject = sub;
    this.clientId = clientId;
    this.scopes = new Set(scope.split(" ").filter(Boolean));
    this.expiresAt = exp;
  }

  /** What its holder may do, as far as the token says it (scope `permissions`). */
  get permissions(): ReadonlySet<string> {
    return names(this.claims.permissions);
  }

  /** The roles of its holder (scope `roles`). */
  get roles(): ReadonlySet<string> {
    return names(this.claims.roles);
  }

  /** The groups of its holder (scope `groups`). */
  get groups(): ReadonlySet<string> {
    return names(this.claims.groups);
  }

  /** Demands scopes and a permission; throws `InsufficientScope`. */
  require({ scope, permission }: Demand): void {
    if (scope?.split(" ").some((each) => each !== "" && !this.scopes.has(each))) {
      throw new InsufficientScope({ scope });
    }
    if (permission !== undefined && !this.permissions.has(permission)) {
      throw new InsufficientScope({ permission });
    }
  }
}

function names(value: unknown): ReadonlySet<string> {
  return new Set(Array.isArray(value) ? value.filter((each) => typeof each === "string") : []);
}

export interface ValidatorOptions {
  issuer: string;
  /** Who you are to the issuer: the `resource` for which clients ask for tokens. */
  audience: string | readonly string[];
  /** Where the keys are; otherwise the issuer's metadata says it. */
  jwksUri?: string;
  algorithms?: readonly Algorithm[];
  /** How far the clocks may be apart, in seconds; 5. */
  leeway?: number;
  /** Milliseconds that fetching the keys may take; 5,000. */
  timeout?: number;
  fetch?: Fetch;
}

/** Accepts the access tokens of one issuer for one audience. */
export class AccessTokenValidator {
  readonly issuer: string;
  readonly #audiences: ReadonlySet<unknown>;
  readonly #algorithms: readonly string[];
  readonly #leeway: number;
  readonly #keys: KeyCache;
  readonly #headers = new Map<string, { kid: string; alg: string }>(); // an issuer's tokens have few different ones

  constructor(options: ValidatorOptions) {
    const { issuer, audience, jwksUri, algorithms = ALGORITHMS, leeway = 5, timeout = 5_000, fetch } = options;
    this.issuer = checkedUrl(issuer, "issuer");
    this.#audiences = new Set(typeof audience === "string" ? [audience] : audience);
    if (this.#audiences.size === 0) {
      throw new TypeError("audience must be named: a token for somebody else is not one for you");
    }
    if (algorithms.length === 0 || algorithms.some((each) => !ALGORITHMS.includes(each))) {
      throw new TypeError(`algorithms must be some of ${ALGORITHMS.join(", ")}`);
    }
    this.#algorithms = algorithms;
    this.#leeway = leeway;
    const uri = jwksUri === undefined ? undefined : checkedUrl(jwksUri, "jwksUri");
    const sending = { fetch: fetch ?? ((...given: Parameters<Fetch>) => globalThis.fetch(...given)), timeout };
    this.#keys = new KeyCache(this.issuer, algorithms, uri, sending);
  }

  /** Returns what a token says; throws `InvalidToken`, or `KeysUnavailable` when nothing can be said. */
  async validate(token: string): Promise<AccessToken> {
    if (typeof token !== "string") {
      throw new InvalidToken("it is no text"); // for who has no types
    }
    const first = token.indexOf(".");
    const second = token.indexOf(".", first + 1);
    if (first < 0 || second < 0 || token.length > LONGEST || token.includes(".", second + 1)) {
      throw new InvalidToken("it is no JWT in compact form");
    }
    const header = token.slice(0, first);
    const { kid, alg } = this.#headers.get(header) ?? this.#headerOf(header);
    const { claims, signature } = opened(token.slice(first + 1, second), token.slice(second + 1));
    if (claims.iss !== this.issuer) {
      // Before any key is looked for: a stranger's token makes us fetch nothing.
      throw new InvalidToken("another issuer made it");
    }
    const verify = this.#keys.find(kid, alg) ?? (await this.#keys.lookFor(kid, alg));
    if (verify === undefined) {
      throw new InvalidToken("its key is none of the issuer's");
    }
    let fits = verify(signature, utf8(token.slice(0, second)));
    fits = typeof fits === "boolean" ? fits : await fits;
    if (!fits) {
      throw new InvalidToken("the signature does not fit");
    }
    if (this.#headers.size < MOST_HEADERS) {
      this.#headers.set(header, { kid, alg });
    }
    this.#check(claims);
    return new AccessToken(claims);
  }

  #headerOf(text: string): { kid: string; alg: string } {
    const header = parsed(text);
    if (header === undefined || "crit" in header || "b64" in header) {
      throw new InvalidToken("its header cannot be read, or asks for what is not known here");
    }
    // RFC 9068 §4: an ID token, or whatever else the issuer signs, is no access token.
    const { typ, kid, alg } = header;
    if (typeof typ !== "string" || typ.toLowerCase().replace(/^application\//, "") !== "at+jwt") {
      throw new InvalidToken("it is no access token: its type is not at+jwt");
    }
    if (typeof alg !== "string" || !this.#algorithms.includes(alg)) {
      throw new InvalidToken(`its algorithm is not accepted: ${said(alg)}`);
    }
    if (typeof kid !== "string") {
      throw new InvalidToken("it names no key");
    }
    return { kid, alg };
  }

  #check(claims: Record<string, unknown>): void {
    const { aud, exp, nbf, cnf } = claims;
    if (!(Array.isArray(aud) ? aud : [aud]).some((each) => this.#audiences.has(each))) {
      throw new InvalidToken("it is for another audience");
    }
    const now = Date.now() / 1000;
    if (!isMoment(exp) || now >= exp + this.#leeway) {
      throw new InvalidToken("it has expired");
    }
    if (nbf !== undefined && (!isMoment(nbf) || now < nbf - this.#leeway)) {
      throw new InvalidToken("it is not valid yet");
    }
    if (cnf !== undefined) {
      // RFC 9449 §7.2, RFC 8705 §3: bound to a key whose proof is not looked at here, so not good as a bearer token.
      throw new InvalidToken("it is bound to a key of its holder");
    }
  }
}

function isMoment(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= LATEST;
}

function opened(payload: string, signature: string) {
  const claims = parsed(payload);
  if (claims === undefined) {
    throw new InvalidToken("it cannot be read");
  }
  try {
    return { claims, signature: fromBase64Url(signature) };
  } catch {
    throw new InvalidToken("its signature cannot be read");
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(fromUtf8(fromBase64Url(text)));
    return typeof found === "object" && found !== null && !Array.isArray(found)
      ? (found as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
