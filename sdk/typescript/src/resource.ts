// What the generated namespaces stand on: they name an operation, this calls it.
import { remember } from "./answers.js";
import type { Call } from "./calls.js";
import { UnexpectedAnswer } from "./errors.js";
import { linesOf, objectOf, type Response } from "./http.js";

/** What every call may be given. */
export interface Options {
  /** Gives the call up. */
  signal?: AbortSignal;
  /** Milliseconds that one attempt may take. */
  timeout?: number;
}

/** What a call that makes something may be given. */
export interface Create extends Options {
  /** A name of this one request; the SDK makes one up where there is none. */
  idempotencyKey?: string;
}

/** What a call that changes something may be given. */
export interface Write extends Options {
  /** The ETag of the state that the change is made for, or the thing as it was read: 412 when somebody changed it first. */
  ifMatch?: string | object;
}

/** The parameters that every list takes. */
export interface Paging {
  /** Which page, from 1. Long lists are better read by `after`, or by the iterator. */
  page?: number;
  /** How many items a page has, 100 at most. */
  limit?: number;
  /** The `next` of the answer before. */
  after?: string;
}

/** Who calls operations. */
export interface Caller {
  readonly tenant: string;
  call(call: Call): Promise<Response>;
}

interface Rest {
  body?: unknown;
  content?: Blob | Uint8Array<ArrayBuffer>;
  mediaType?: string;
  query?: object;
  options?: Options & Create & Write;
  isRepeatable?: boolean;
  isPublic?: boolean;
  isStreamed?: boolean;
}

/** A namespace of operations. */
export class Resource {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async #response(method: string, path: string, parameters: Record<string, string>, rest: Rest): Promise<Response> {
    const { options = {}, ...more } = rest;
    return this.#caller.call({ method, path, ...more, ...options, parameters: { tenant_id: this.#caller.tenant, ...parameters } });
  }

  protected async shown<T>(method: string, path: string, parameters: Record<string, string>, rest: Rest): Promise<T> {
    const response = await this.#response(method, path, parameters, rest);
    const document = objectOf(response);
    if (document === undefined) {
      throw new UnexpectedAnswer(`${method} ${path} was answered with no JSON object.`);
    }
    return remember(document, response.headers) as T;
  }

  protected async *lines<T>(
    method: string,
    path: string,
    parameters: Record<string, string>,
    rest: Rest,
  ): AsyncIterableIterator<T> {
    const response = await this.#response(method, path, parameters, { ...rest, isStreamed: true });
    if (response.body === undefined) {
      return;
    }
    for await (const text of linesOf(response.body, rest.options?.signal)) {
      const found = objectOf({ text });
      if (found === undefined) {
        throw new UnexpectedAnswer(`${method} ${path}: a line of the answer is no JSON object.`);
      }
      yield found as T;
    }
  }

  protected async done(method: string, path: string, parameters: Record<string, string>, rest: Rest): Promise<void> {
    await this.#response(method, path, parameters, rest);
  }

  protected async *pages<T>(
    path: string,
    parameters: Record<string, string>,
    query: object,
    options: Options,
  ): AsyncIterableIterator<T> {
    let after: string | undefined;
    do {
      const page: { items: T[]; next?: string } = await this.shown("GET", path, parameters, {
        query: { limit: 100, ...query, after },
        options,
      });
      if (!Array.isArray(page.items)) {
        throw new UnexpectedAnswer("The answer is no page of a list: it has no `items`.");
      }
      yield* page.items;
      if (page.next !== undefined && page.next === after) {
        throw new UnexpectedAnswer("The list does not go on: its `next` is the cursor that was sent.");
      }
      after = page.next;
    } while (after !== undefined);
  }
}
