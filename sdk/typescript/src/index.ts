export { AccessToken, AccessTokenValidator, type Demand, type ValidatorOptions } from "./access-tokens.js";
export { etagOf, requestIdOf, wasReplayed } from "./answers.js";
export { AuthSecClient, type ClientOptions } from "./client.js";
export {
  ApiError,
  AuthenticationFailed,
  AuthSecError,
  Conflict,
  ConnectionFailed,
  InsufficientScope,
  InvalidFields,
  InvalidRequest,
  InvalidToken,
  InvalidWebhook,
  KeysUnavailable,
  MfaRequired,
  NotAuthenticated,
  NotFound,
  NotSignedIn,
  PermissionRequired,
  PreconditionFailed,
  ServerError,
  SessionEnded,
  SignInError,
  SignInRefused,
  StepRequired,
  TooManyRequests,
  UnexpectedAnswer,
  WebSignInRequired,
} from "./errors.js";
export type { Namespaces } from "./generated/resources.js";
export type { Algorithm } from "./keys.js";
export type { Create, Options, Paging, Write } from "./resource.js";
export type { RetryOptions } from "./retries.js";
export type * from "./types.js";
export { VERSION } from "./version.js";
export { WebhookVerifier, type WebhookOptions } from "./webhooks.js";
