// What can go wrong. Decide by the class, or by `ApiError.code`, which is stable; show `detail` to people; give `requestId` to
// the operators of the server.
import type { ErrorCode, Problem, ProblemErrorsItem } from "./types.js";

/** Returns what a stranger sent, as it may stand in a message: on one line, and not long. */
export function said(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 200)) : typeof value;
}

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

/** Whatever this package throws by itself. */
export class AuthSecError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The server was not reached, or did not answer in time; the reason is the `cause`. */
export class ConnectionFailed extends AuthSecError {}

/** The server, or something in between, answered what is not part of the protocol. */
export class UnexpectedAnswer extends AuthSecError {}

/** A service refused a request; carries the problem document (RFC 9457). */
export class ApiError extends AuthSecError {
  readonly status: number;
  readonly document: Partial<Problem>;
  readonly code: ErrorCode | (string & {});
  readonly title: string;
  readonly detail: string;
  readonly requestId: string;
  readonly docUrl: string;
  /** Each wrong value, with its `pointer` into the body or its `parameter`, and the `detail`. */
  readonly errors: readonly ProblemErrorsItem[];
  /** Seconds after which to try again, where the server says so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, document: Partial<Problem>, retryAfter?: number) {
    // Something between us and the server may have answered with anything.
    const { code, title, requestId, docUrl } = {
      code: textOf(document.code),
      title: textOf(document.title),
      requestId: textOf(document.request_id),
      docUrl: textOf(document.doc_url),
    };
    const detail = textOf(document.detail) || title || `The server answered ${status}.`;
    const about = [status, code, requestId].filter(Boolean).join(", ");
    const listed: unknown[] = Array.isArray(document.errors) ? document.errors : [];
    const errors = listed.filter((each) => typeof each === "object" && each !== null) as ProblemErrorsItem[];
    const faults = errors.map((each) => `\n  ${textOf(each.pointer) || textOf(each.parameter)}: ${textOf(each.detail)}`);
    super(`${detail} (${about})${faults.join("")}`);
    this.status = status;
    this.document = document;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.requestId = requestId;
    this.docUrl = docUrl;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** 400, 405, 413, 415: the request cannot be read. */
export class InvalidRequest extends ApiError {}

/** 401: the access token is missing or no longer accepted. */
export class NotAuthenticated extends ApiError {}

/** 403: the caller may not do this. */
export class PermissionRequired extends ApiError {
  /** The permission that is missing, where one is. */
  get permission(): string | undefined {
    return this.document.permission;
  }
}

/** 404: there is no such thing in this tenant. */
export class NotFound extends ApiError {}

/** 409: it contradicts what is there. */
export class Conflict extends ApiError {}

/** 412: somebody else changed it since it was read; read it again. */
export class PreconditionFailed extends ApiError {}

/** 422: values that cannot be accepted; see `errors`. */
export class InvalidFields extends ApiError {}

/** 429: more often than is allowed, and still so after the retries. */
export class TooManyRequests extends ApiError {}

/** 5xx: the server failed, or is not there for the moment. */
export class ServerError extends ApiError {}

const OF_STATUS: Record<number, typeof ApiError> = {
  401: NotAuthenticated,
  403: PermissionRequired,
  404: NotFound,
  409: Conflict,
  412: PreconditionFailed,
  422: InvalidFields,
  429: TooManyRequests,
};

/** Returns the error for a refusal. */
export function apiError(status: number, document: Partial<Problem>, retryAfter?: number): ApiError {
  const kind = OF_STATUS[status] ?? (status >= 500 ? ServerError : InvalidRequest);
  return new kind(status, document, retryAfter);
}

/** There is no access token: call `login` first, or give one. */
export class NotSignedIn extends AuthSecError {}

/** The tokens can no longer be renewed: sign in again. */
export class SessionEnded extends NotSignedIn {}

/** The sign-in did not succeed. */
export class SignInError extends AuthSecError {}

/** The credentials were not accepted. Which part was wrong, and whether there is such an account, is not said. */
export class AuthenticationFailed extends SignInError {}

/** The server refused the sign-in itself: `error` and `description` are those of OAuth (RFC 6749 §5.2). */
export class SignInRefused extends SignInError {
  constructor(
    readonly error: string,
    readonly description: string,
    readonly status: number,
    readonly retryAfter?: number,
  ) {
    super(`${description || "The sign-in was refused."} (${status}, ${error})`);
  }
}

/** What the server says of a step. */
export interface StepDocument {
  step?: string;
  fields?: string[];
  errors?: { field: string; detail: string }[];
  methods?: string[];
  [member: string]: unknown;
}

/** The sign-in needs one more step: send its `fields` with `continueLogin`. */
export class StepRequired extends SignInError {
  readonly step: string;
  /** What to send; the server may tell more of it in `document`. */
  readonly fields: readonly string[];
  /** What was wrong with what was sent. */
  readonly errors: readonly { field: string; detail: string }[];
  readonly methods: readonly string[];

  constructor(
    readonly authSession: string,
    readonly document: StepDocument,
  ) {
    const { step = "", fields = [], errors = [], methods = [] } = document;
    const said = errors.map((each) => each.detail).join("; ");
    super(said || `The sign-in needs a further step: ${step} (${fields.join(", ")}).`);
    this.step = step;
    this.fields = fields;
    this.errors = errors;
    this.methods = methods;
  }
}

/** The sign-in needs a second factor, by one of the `methods`. */
export class MfaRequired extends StepRequired {}

/** The person must go on in a browser; `uri` is where, when the server says so. */
export class WebSignInRequired extends SignInError {
  constructor(readonly uri: string | undefined) {
    super("This sign-in can only be finished in a browser.");
  }
}

/** An access token that is not to be accepted. The text says why; it is for logs, not for who sent the token. */
export class InvalidToken extends AuthSecError {}

/** A valid access token that does not suffice for what is asked. */
export class InsufficientScope extends AuthSecError {
  constructor(readonly lacks: { scope?: string; permission?: string }) {
    super(`The access token lacks the ${lacks.scope ? "scope" : "permission"} ${lacks.scope ?? lacks.permission}.`);
  }
}

/** The issuer's keys could not be fetched, so that no token can be judged for the moment. */
export class KeysUnavailable extends AuthSecError {}

/** A webhook that is not to be trusted: not signed with the secret, or too old. */
export class InvalidWebhook extends AuthSecError {}
