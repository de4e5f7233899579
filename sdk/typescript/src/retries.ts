// When a request is sent again, and after how long.
import type { NoAnswer } from "./http.js";

const PASSING = [502, 503, 504];

/** How often a request is sent again, and how many seconds it waits at most between two attempts. */
export interface RetryOptions {
  times?: number;
  longest?: number;
}

export class Retries {
  readonly times: number;
  readonly longest: number;

  constructor({ times = 3, longest = 30 }: RetryOptions = {}) {
    this.times = times;
    this.longest = longest;
  }

  /** Returns the seconds to wait after a request without an answer; undefined: give up. */
  afterFailure(attempt: number, error: NoAnswer, isIdempotent: boolean): number | undefined {
    return attempt < this.times && (isIdempotent || !error.arrived) ? this.#pause(attempt) : undefined;
  }

  /** Returns the seconds to wait after an answer; undefined: it stands. */
  afterAnswer(attempt: number, status: number, retryAfter: number | undefined, isIdempotent: boolean): number | undefined {
    // A request that is answered 429 was not done, whatever its method.
    if (attempt >= this.times || !(status === 429 || (isIdempotent && PASSING.includes(status)))) {
      return undefined;
    }
    if (retryAfter === undefined) {
      return this.#pause(attempt);
    }
    // All who were sent away come back at the same second, unless each adds a little.
    return retryAfter <= this.longest ? retryAfter + Math.random() / 4 : undefined;
  }

  #pause(attempt: number): number {
    const most = Math.min(this.longest, 0.25 * 2 ** attempt);
    return most / 2 + (Math.random() * most) / 2;
  }
}

/** Returns the seconds of Retry-After (RFC 9110 §10.2.3), which may also name a date. */
export function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(text)) {
    return Math.min(Number(text), 1e9);
  }
  // Date.parse would also take "-5" and "1.5" for a day.
  const at = /^[A-Z][a-z]+,? .*\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}
