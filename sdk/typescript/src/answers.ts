// What is known of an answer beside its document: kept beside the object, so that the object is what its type says.

interface About {
  etag: string | undefined;
  requestId: string | undefined;
  wasReplayed: boolean;
}

const KNOWN = new WeakMap<object, About>();

/** Keeps what the headers of an answer say. */
export function remember<T extends object>(document: T, headers: Headers): T {
  KNOWN.set(document, {
    etag: headers.get("etag") ?? undefined,
    requestId: headers.get("x-correlation-id") ?? undefined,
    wasReplayed: headers.get("idempotency-replayed") === "true",
  });
  return document;
}

/** Returns the ETag of something that was read or changed, to be sent as `ifMatch`. */
export function etagOf(thing: object): string | undefined {
  return KNOWN.get(thing)?.etag;
}

/** Returns the id under which the server knows the request that was answered with this. */
export function requestIdOf(thing: object): string | undefined {
  return KNOWN.get(thing)?.requestId;
}

/** Says whether this answers an earlier request with the same Idempotency-Key, so that nothing was made now. */
export function wasReplayed(thing: object): boolean {
  return KNOWN.get(thing)?.wasReplayed ?? false;
}

/** Returns what goes into If-Match. */
export function matched(value: string | object): string {
  const found = typeof value === "string" ? value : etagOf(value);
  if (found === undefined) {
    throw new TypeError("ifMatch: this has no ETag; pass what get() or update() returned, or the ETag itself");
  }
  return found;
}
