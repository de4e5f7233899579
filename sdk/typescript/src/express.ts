// For Express, and whatever else calls `(request, response, next)`: routes that demand an access token, a scope or a permission.
//
//     const tokens = accessTokens(new AccessTokenValidator({ issuer, audience }));
//     app.get("/orders", tokens({ scope: "orders:read" }), (request, response) => {
//       response.json({ for: tokenOf(request).subject });
//     });
import type { AccessToken, AccessTokenValidator, Demand } from "./access-tokens.js";
import { presented, refusalOf } from "./bearer.js";

/** What is used of a request. */
export interface Incoming {
  headers: Record<string, string | string[] | undefined>;
  rawHeaders?: string[];
}

/** What is used of a response. */
export interface Outgoing {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** A middleware. */
export type Middleware = (request: Incoming, response: Outgoing, next: (error?: unknown) => void) => void;

const TOKENS = new WeakMap<object, AccessToken>();

/** Returns the token of a request that a middleware has let through. */
export function tokenOf(request: object): AccessToken {
  const found = TOKENS.get(request);
  if (found === undefined) {
    throw new Error("tokenOf(request) is there behind a middleware that demands a token");
  }
  return found;
}

/** Returns what makes middlewares; `realm` is what refusals call this API. */
export function accessTokens(
  validator: AccessTokenValidator,
  { realm = "api" }: { realm?: string } = {},
): (demand?: Demand) => Middleware {
  if (!/^[ !#-[\]-~]*$/.test(realm)) {
    throw new TypeError("a realm is plain text without quotes");
  }
  return (demand = {}) =>
    (request, response, next) => {
      void admitted(validator, demand, request).then(
        () => next(),
        (error: unknown) => {
          const found = refusalOf(error, realm);
          if (found === undefined) {
            next(error);
            return;
          }
          response.statusCode = found.status;
          for (const [name, value] of Object.entries(found.headers)) {
            response.setHeader(name, value);
          }
          response.end(found.body);
        },
      );
    };
}

async function admitted(validator: AccessTokenValidator, demand: Demand, request: Incoming): Promise<void> {
  const token = await validator.validate(presented(authorizations(request)));
  token.require(demand);
  TOKENS.set(request, token);
}

/** Returns every value of Authorization; Node shows only the first of several in `headers`. */
function authorizations({ headers, rawHeaders }: Incoming): string[] {
  if (rawHeaders !== undefined) {
    return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "authorization");
  }
  return [headers.authorization ?? []].flat();
}
