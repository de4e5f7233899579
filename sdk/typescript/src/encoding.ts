// Bytes, base64 and the cryptography of the runtime: Node's own where there is one, Web Cryptography elsewhere.

/** What is used of `node:crypto`. */
export interface NodeCrypto {
  webcrypto: Crypto;
  createPublicKey(given: { key: unknown; format: "jwk" }): unknown;
  verify(hash: string | null, data: Uint8Array, key: object, signature: Uint8Array): boolean;
  constants: { RSA_PKCS1_PADDING: number; RSA_PKCS1_PSS_PADDING: number };
}

interface Runtime {
  process?: { getBuiltinModule?: (name: string) => unknown; versions?: { node?: string } };
  Buffer?: { from(text: string, encoding: string): Uint8Array<ArrayBuffer> };
}

const runtime = globalThis as Runtime;

/** Node's cryptography, which verifies without a detour over its thread pool; undefined elsewhere. */
export const nodeCrypto = runtime.process?.getBuiltinModule?.("node:crypto") as NodeCrypto | undefined;

/** Returns Web Cryptography. */
export async function webCrypto(): Promise<Crypto> {
  if (globalThis.crypto?.subtle !== undefined) {
    return globalThis.crypto;
  }
  if (nodeCrypto !== undefined) {
    return nodeCrypto.webcrypto;
  }
  if (runtime.process?.versions?.node === undefined) {
    throw new Error("Web Cryptography is not there: browsers have it on pages that came by https only.");
  }
  const name = "node:crypto"; // Node 18, which has it under this name alone
  return ((await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as NodeCrypto).webcrypto;
}

const BUFFER = runtime.Buffer;

// By the length modulo 4: the ends whose spare bits are zero, so that a value is written in one way only (RFC 4648 §3.5).
const LAST = [/^/, /^$/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];

/** Returns the bytes of base64url without padding; throws on anything else. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[\w-]*$/.test(text) || !LAST[text.length % 4]?.test(text)) {
    throw new TypeError("no base64url");
  }
  return BUFFER === undefined ? fromBase64(text.replaceAll("-", "+").replaceAll("_", "/")) : BUFFER.from(text, "base64url");
}

/** Returns the bytes of base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** Returns bytes as base64. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Returns bytes as base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const DECODER = new TextDecoder("utf-8", { fatal: true });
const ENCODER = new TextEncoder();

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(text);
}

export function fromUtf8(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}
