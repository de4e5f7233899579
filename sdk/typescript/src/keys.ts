// An issuer's public keys: from JWK (RFC 7517, RFC 8037) to what verifies a signature, and how they are fetched and kept.
import { perform } from "./calls.js";
import { fromBase64Url, nodeCrypto, webCrypto } from "./encoding.js";
import { AuthSecError, KeysUnavailable, UnexpectedAnswer } from "./errors.js";
import { checkedUrl, objectOf, type Sending } from "./http.js";
import { Retries } from "./retries.js";
import { metadata } from "./signin.js";

export type Algorithm = "ES256" | "RS256" | "PS256" | "EdDSA";

export const ALGORITHMS: readonly Algorithm[] = ["ES256", "RS256", "PS256", "EdDSA"];

/** Says whether a signature fits. Node answers at once, Web Cryptography later. */
export type Verify = (signature: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>) => boolean | Promise<boolean>;

const FRESH = 300_000; // milliseconds that keys are kept
const STALE = 3_600_000; // that they are kept while the issuer is away
const PAUSE = 10_000; // at least between two fetches
const SMALLEST_RSA = 2048;
const RETRIES = new Retries({ times: 1, longest: 1 });

interface Jwk extends JsonWebKey {
  kid?: string;
}

/** Returns which algorithms a key is for. */
function algorithmsOf(jwk: Jwk): Algorithm[] {
  if ((jwk.use ?? "sig") !== "sig" || !(jwk.key_ops ?? ["verify"]).includes("verify")) {
    return [];
  }
  let found: Algorithm[] = [];
  if (jwk.kty === "EC" && jwk.crv === "P-256") {
    found = ["ES256"];
  } else if (jwk.kty === "OKP" && jwk.crv === "Ed25519") {
    found = ["EdDSA"];
  } else if (jwk.kty === "RSA" && fromBase64Url(jwk.n ?? "").length * 8 >= SMALLEST_RSA) {
    found = ["RS256", "PS256"];
  }
  return found.filter((each) => jwk.alg === undefined || jwk.alg === each);
}

const WEB = {
  ES256: { key: { name: "ECDSA", namedCurve: "P-256" }, use: { name: "ECDSA", hash: "SHA-256" } },
  RS256: { key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, use: { name: "RSASSA-PKCS1-v1_5" } },
  PS256: { key: { name: "RSA-PSS", hash: "SHA-256" }, use: { name: "RSA-PSS", saltLength: 32 } },
  EdDSA: { key: { name: "Ed25519" }, use: { name: "Ed25519" } },
};

/** Returns what verifies with a key. */
export async function verifierOf(jwk: Jwk, algorithm: Algorithm): Promise<Verify> {
  // Only what the key is made of: another use or extension in it does not matter here.
  const { kty, crv, x, y, n, e } = jwk;
  const plain = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JsonWebKey;
  if (nodeCrypto !== undefined) {
    const { constants, createPublicKey, verify } = nodeCrypto;
    const key = createPublicKey({ key: plain, format: "jwk" });
    const given = {
      ES256: { key, dsaEncoding: "ieee-p1363" },
      RS256: { key, padding: constants.RSA_PKCS1_PADDING },
      PS256: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
      EdDSA: { key },
    }[algorithm];
    const hash = algorithm === "EdDSA" ? null : "sha256";
    return (signature, message) => verify(hash, message, given, signature);
  }
  const { subtle } = await webCrypto();
  const key = await subtle.importKey("jwk", plain, WEB[algorithm].key, false, ["verify"]);
  return (signature, message) => subtle.verify(WEB[algorithm].use, key, signature, message);
}

/**
 * An issuer's keys for as long as they may be kept.
 *
 * A key that is not there is looked for once more, because keys change; but however many tokens name keys that never were, the issuer
 * is asked at most once in ten seconds. While it is away the last keys do, for an hour.
 */
export class KeyCache {
  #keys = new Map<string, Verify>();
  #fetchedAt = -Infinity;
  #triedAt = -Infinity;
  #failure: unknown;
  #fetching: Promise<void> | undefined;

  constructor(
    readonly issuer: string,
    readonly algorithms: readonly Algorithm[],
    readonly jwksUri: string | undefined,
    readonly sending: Sending,
  ) {}

  /** Returns a key that is known and fresh. */
  find(kid: string, algorithm: string): Verify | undefined {
    return performance.now() - this.#fetchedAt < FRESH ? this.#keys.get(`${algorithm} ${kid}`) : undefined;
  }

  /** Returns a key after it was looked for; throws when there is no key set that may still be used. */
  async lookFor(kid: string, algorithm: string): Promise<Verify | undefined> {
    const name = `${algorithm} ${kid}`;
    const isUsable = () => performance.now() - this.#fetchedAt < STALE;
    const known = isUsable() ? this.#keys.get(name) : undefined;
    if (this.#fetching !== undefined && known !== undefined) {
      return known; // it was good a moment ago: no need to wait for who fetches
    }
    if (this.#fetching === undefined && performance.now() - this.#triedAt >= PAUSE) {
      this.#triedAt = performance.now();
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = undefined;
      });
    }
    await this.#fetching;
    if (!isUsable()) {
      throw new KeysUnavailable("The issuer's keys could not be fetched.", { cause: this.#failure });
    }
    return this.#keys.get(name);
  }

  async #fetch(): Promise<void> {
    try {
      const address = this.jwksUri ?? (await metadata(this.issuer, this.sending, RETRIES)).jwks_uri;
      const uri = checkedUrl(typeof address === "string" ? address : "", "jwks_uri");
      const response = await perform({ method: "GET", path: "", isPublic: true }, uri, this.sending, RETRIES);
      const document = objectOf(response);
      if (!Array.isArray(document?.keys)) {
        throw new UnexpectedAnswer(`${uri} is no key set.`);
      }
      this.#keys = await this.#keysOf(document.keys);
      this.#fetchedAt = performance.now();
    } catch (error) {
      if (!(error instanceof AuthSecError || error instanceof TypeError)) {
        throw error;
      }
      this.#failure = error;
    }
  }

  async #keysOf(listed: Jwk[]): Promise<Map<string, Verify>> {
    const found = new Map<string, Verify>();
    for (const jwk of listed) {
      try {
        for (const algorithm of algorithmsOf(jwk)) {
          if (this.algorithms.includes(algorithm) && typeof jwk.kid === "string") {
            found.set(`${algorithm} ${jwk.kid}`, await verifierOf(jwk, algorithm));
          }
        }
      } catch {
        // RFC 7517 §5: what is unknown or broken among the keys is passed over.
      }
    }
    return found;
  }
}
