// The HTTP API as functions: one per route that the console uses, with the generated types on both sides. It sends the
// CSRF token with every unsafe request and turns every failure into one of two errors. It keeps nothing but that token.

import type {
  Agent,
  AgentId,
  AgentList,
  CallDetail,
  CallId,
  CallPage,
  CallStatus,
  CreatedKey,
  Direction,
  ErrorBody,
  KeyList,
  NumberList,
  PhoneNumber,
  PlaceCall,
  PlacedCall,
  SessionView,
  SetUp,
  SignIn,
} from "./types.gen.ts";

/** The edge answered with a refusal. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** A stable word, for example `invalid_field`. */
  readonly code: string;
  /** The field at fault, as the request names it. */
  readonly field: string | null;
  /** Seconds after which to try again, if the edge said so. */
  readonly retryAfterS: number | null;

  constructor(status: number, code: string, message: string, field: string | null, retryAfterS: number | null) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
    this.retryAfterS = retryAfterS;
  }
}

/** The edge gave no answer that can be understood: no network, a timeout, a page in between. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";

  constructor(cause: unknown) {
    super("The server cannot be reached. Check the connection and try again.", { cause });
  }
}

/** A failure as a sentence for people. */
export function explain(error: unknown): string {
  if (error instanceof ApiError || error instanceof Unreachable) return error.message;
  return "Something went wrong in this page. Reload it and try again.";
}

/** What `GET /api/calls` may be narrowed to. */
export interface CallFilter {
  /** A part of either party's number. */
  number?: string;
  direction?: Direction;
  status?: CallStatus;
}

const TIMEOUT_MS = 20_000;

type Method = "GET" | "POST" | "PUT" | "DELETE";
interface Request {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export class Client {
  /** The edge said that nobody is signed in (any more). */
  onSignedOut: (() => void) | null = null;
  #csrf: string | null = null;
  readonly #fetch: typeof fetch;

  constructor(fetcher: typeof fetch = (input, init) => fetch(input, init)) {
    this.#fetch = fetcher;
  }

  async session(signal?: AbortSignal): Promise<SessionView> {
    return this.#entered(await this.#call<SessionView>("GET", "/api/session", { signal }));
  }
  async setUp(body: SetUp): Promise<SessionView> {
    return this.#entered(await this.#call<SessionView>("POST", "/api/setup", { body }));
  }
  async signIn(body: SignIn): Promise<SessionView> {
    return this.#entered(await this.#call<SessionView>("POST", "/api/session", { body }));
  }
  async signOut(): Promise<void> {
    await this.#call("DELETE", "/api/session");
    this.#csrf = null;
  }

  calls(filter: CallFilter, page: { cursor?: string; limit: number }, signal?: AbortSignal): Promise<CallPage> {
    const query = new URLSearchParams({ ...filter, ...page, limit: String(page.limit) });
    return this.#call("GET", `/api/calls?${query}`, { signal });
  }
  call(id: string, signal?: AbortSignal): Promise<CallDetail> {
    return this.#call("GET", `/api/calls/${encodeURIComponent(id)}`, { signal });
  }
  /** `key` makes a repeated request place one call only. */
  placeCall(body: PlaceCall, key: string): Promise<PlacedCall> {
    return this.#call("POST", "/api/calls", { body, headers: { "Idempotency-Key": key } });
  }
  async hangUp(call: CallId): Promise<void> {
    await this.#call("POST", `/api/calls/${encodeURIComponent(call)}/hangup`);
  }

  agents(signal?: AbortSignal): Promise<AgentList> {
    return this.#call("GET", "/api/agents", { signal });
  }
  async saveAgent(agent: Agent): Promise<void> {
    await this.#call("PUT", `/api/agents/${encodeURIComponent(agent.id)}`, { body: agent });
  }
  async deleteAgent(agent: AgentId): Promise<void> {
    await this.#call("DELETE", `/api/agents/${encodeURIComponent(agent)}`);
  }
  async setDefaultAgent(agent: AgentId): Promise<void> {
    await this.#call("PUT", "/api/agents/default", { body: { agent } });
  }

  numbers(signal?: AbortSignal): Promise<NumberList> {
    return this.#call("GET", "/api/numbers", { signal });
  }
  async pointNumber(number: PhoneNumber, agent: AgentId): Promise<void> {
    await this.#call("PUT", `/api/numbers/${encodeURIComponent(number)}`, { body: { agent } });
  }
  async releaseNumber(number: PhoneNumber): Promise<void> {
    await this.#call("DELETE", `/api/numbers/${encodeURIComponent(number)}`);
  }

  keys(signal?: AbortSignal): Promise<KeyList> {
    return this.#call("GET", "/api/keys", { signal });
  }
  createKey(name: string): Promise<CreatedKey> {
    return this.#call("POST", "/api/keys", { body: { name } });
  }
  async deleteKey(id: string): Promise<void> {
    await this.#call("DELETE", `/api/keys/${encodeURIComponent(id)}`);
  }

  #entered(view: SessionView): SessionView {
    this.#csrf = view.csrfToken;
    return view;
  }

  async #call<Answer>(method: Method, path: string, request: Request = {}): Promise<Answer> {
    const sent = this.#csrf;
    try {
      return await this.#once<Answer>(method, path, request);
    } catch (error) {
      // Signed in anew in another tab: the cookie is that session's now, and the token that is kept here is not.
      if (!(error instanceof ApiError && error.code === "csrf" && sent !== null)) throw error;
      await this.session();
      if (this.#csrf === null || this.#csrf === sent) throw error;
      return this.#once<Answer>(method, path, request);
    }
  }

  async #once<Answer>(method: Method, path: string, request: Request): Promise<Answer> {
    const headers: Record<string, string> = { Accept: "application/json", ...request.headers };
    const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
    if (request.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    if (method !== "GET" && this.#csrf !== null) headers["X-CSRF-Token"] = this.#csrf;
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    init.signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;

    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(path, init);
      text = await response.text();
    } catch (error) {
      // Somebody left the page: theirs to ignore, not a fault of the network.
      if (request.signal?.aborted) throw error;
      throw new Unreachable(error);
    }
    const answer = readJson(text);
    if (response.ok) {
      if (text !== "" && answer === undefined) throw new Unreachable(new Error("not JSON"));
      return answer as Answer;
    }
    // A wrong password is refused with 401, too; only elsewhere does it mean that the session has ended.
    if (response.status === 401 && !(path === "/api/session" && method === "POST")) {
      this.#csrf = null;
      this.onSignedOut?.();
    }
    throw refusal(response, answer);
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response: Response, answer: unknown): ApiError {
  const after = Number(response.headers.get("Retry-After") ?? NaN);
  const retryAfterS = Number.isFinite(after) && after >= 0 ? after : null;
  const detail = (answer as Partial<ErrorBody> | null | undefined)?.error;
  if (typeof detail?.code === "string" && typeof detail.message === "string") {
    return new ApiError(response.status, detail.code, sentence(detail.message), detail.field ?? null, retryAfterS);
  }
  const message =
    response.status >= 500
      ? `The server failed (status ${response.status}). Try again in a moment.`
      : `The server refused the request (status ${response.status}).`;
  return new ApiError(response.status, `http_${response.status}`, message, null, retryAfterS);
}

/** A message as a sentence: a capital at its beginning, a stop at its end. */
function sentence(message: string): string {
  const text = message.trim();
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
