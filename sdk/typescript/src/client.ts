// The client: who is signed in, and the namespaces of operations.
import { perform, type Call } from "./calls.js";
import { SignInError } from "./errors.js";
import { Namespaces } from "./generated/resources.js";
import { checkedUrl, type Fetch, type Response, type Sending } from "./http.js";
import type { Caller } from "./resource.js";
import { Retries, type RetryOptions } from "./retries.js";
import { discover, givenToken, Session, SignIn, type Credentials, type Endpoints } from "./signin.js";

export interface ClientOptions {
  /** The server's public address. */
  baseUrl: string;
  /** Where people sign in and what operations are about; the default is the platform's own, `system`. */
  tenant?: string;
  /** An access token instead of a sign-in. */
  accessToken?: string;
  /** Milliseconds that one attempt may take; 30,000. */
  timeout?: number;
  /** How often a request is sent again, and how many seconds it waits at most. */
  retries?: RetryOptions;
  /** Sends requests instead of the global `fetch`. */
  fetch?: Fetch;
}

/** What a client and its views of other tenants share. */
class Connection {
  readonly baseUrl: string;
  readonly sending: Sending;
  readonly retries: Retries;
  session: Session | undefined;
  #tenant: string;
  #endpoints: Endpoints | undefined;
  #pending: SignIn | undefined;

  constructor({ baseUrl, tenant = "system", accessToken, timeout = 30_000, retries, fetch }: ClientOptions) {
    this.baseUrl = checkedUrl(baseUrl, "baseUrl");
    this.sending = { fetch: fetch ?? ((...given) => globalThis.fetch(...given)), timeout };
    this.retries = new Retries(retries);
    this.session = accessToken === undefined ? undefined : new Session(givenToken(accessToken));
    this.#tenant = tenant;
  }

  async endpoints(): Promise<Endpoints> {
    this.#endpoints ??= await discover(this.baseUrl, this.#tenant, this.sending, this.retries);
    return this.#endpoints;
  }

  async signIn(fields: Record<string, string>): Promise<void> {
    this.#pending = new SignIn(this.baseUrl, await this.endpoints(), this.sending, this.retries);
    await this.goOn(fields);
  }

  async signInClient(credentials: Credentials): Promise<void> {
    const endpoints = await this.endpoints();
    this.session = await Session.ofClient(credentials, endpoints, this.baseUrl, this.sending, this.retries);
  }

  async goOn(fields: Record<string, string>): Promise<void> {
    if (this.#pending === undefined) {
      throw new SignInError("There is no sign-in to go on with: call login() first.");
    }
    this.session = await this.#pending.take(fields);
    this.#pending = undefined;
  }

  async signOut(): Promise<void> {
    const session = this.session;
    this.session = this.#pending = undefined;
    await session?.revoke(this.sending, this.retries);
  }

  call(call: Call): Promise<Response> {
    const source = async (refused?: string) => this.session?.token(refused, this.baseUrl, this.sending, this.retries);
    return perform(call, this.baseUrl, this.sending, this.retries, source);
  }
}

/** Calls operations about one tenant. */
class TenantCaller implements Caller {
  readonly #connection: Connection;

  constructor(
    connection: Connection,
    readonly tenant: string,
  ) {
    this.#connection = connection;
  }

  call(call: Call): Promise<Response> {
    return this.#connection.call(call);
  }
}

/**
 * The services of an AuthSec server.
 *
 *     const client = new AuthSecClient({ baseUrl });
 *     await client.login(email, password);
 *     await client.users.list();
 */
export class AuthSecClient extends Namespaces {
  readonly baseUrl: string;
  readonly tenant: string;
  readonly #connection: Connection;

  constructor(options: ClientOptions) {
    const connection = new Connection(options);
    const { tenant = "system" } = options;
    super(new TenantCaller(connection, tenant));
    this.baseUrl = connection.baseUrl;
    this.tenant = tenant;
    this.#connection = connection;
  }

  /** Signs in. Throws `MfaRequired` or another `StepRequired` where the password does not suffice. */
  login(email: string, password: string): Promise<void> {
    return this.#connection.signIn({ username: email, password });
  }

  /** Sends the fields of the step that the last `StepRequired` named, for instance `{ code: "123456" }`. */
  continueLogin(fields: Record<string, string>): Promise<void> {
    return this.#connection.goOn(fields);
  }

  /** Signs in as an application that acts for itself, with the roles that are bound to it. */
  loginAsClient(clientId: string, clientSecret: string, { scope = "authsec" }: { scope?: string } = {}): Promise<void> {
    return this.#connection.signInClient({ clientId, clientSecret, scope });
  }

  /** Forgets the tokens and ends the session at the server. */
  logout(): Promise<void> {
    return this.#connection.signOut();
  }

  /** Whether there are tokens; whether the server still accepts them shows with the next call. */
  get isSignedIn(): boolean {
    return this.#connection.session !== undefined;
  }

  /** Returns the operations about another tenant, by its slug or its id; the sign-in stays the same. */
  forTenant(tenant: string): Namespaces {
    return new Namespaces(new TenantCaller(this.#connection, tenant));
  }
}
