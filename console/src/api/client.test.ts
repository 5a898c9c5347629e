import { describe, expect, it, vi } from "vitest";
import { ApiError, Client, explain, Unreachable } from "./client.ts";

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
const session = (csrfToken: string | null) => ({ email: csrfToken ? "op@example.com" : null, csrfToken, needsSetup: false });

/** A client whose requests are recorded and answered in turn. */
function scripted(...answers: (Response | Error)[]) {
  const requests: { method: string; path: string; headers: Record<string, string>; body: unknown }[] = [];
  const client = new Client(async (input, init = {}) => {
    const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    const headers = init.headers as Record<string, string>;
    requests.push({ method: init.method ?? "GET", path: String(input), headers, body });
    const answer = answers.shift();
    if (!answer) throw new Error("nothing more was expected");
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return { client, requests };
}

const refused = async (promise: Promise<unknown>): Promise<ApiError> => {
  const error = await promise.then(() => null, (e: unknown) => e);
  if (!(error instanceof ApiError)) throw new Error(`not refused but ${String(error)}`);
  return error;
};

describe("the CSRF token", () => {
  it("goes with unsafe requests from sign-in until sign-out", async () => {
    const { client, requests } = scripted(
      json(200, session("t1")),
      json(200, { agents: [], defaultAgent: "line-test" }),
      json(201, { success: true, callSid: null, call: "call_1", status: "queued" }),
      new Response(null, { status: 204 }),
      json(200, session("t2")),
    );
    await client.signIn({ email: "op@example.com", password: "correct horse battery" });
    await client.agents();
    await client.placeCall({ to: "+15550100123" }, "key-1");
    await client.signOut();
    await client.signIn({ email: "op@example.com", password: "correct horse battery" });
    expect(requests.map((r) => r.headers["X-CSRF-Token"])).toEqual([undefined, undefined, "t1", "t1", undefined]);
    expect(requests[2]).toMatchObject({
      method: "POST",
      path: "/api/calls",
      body: { to: "+15550100123" },
      headers: { "Idempotency-Key": "key-1", "Content-Type": "application/json" },
    });
  });

  it("is renewed, once, when another tab has signed in anew", async () => {
    const stale = () => json(403, { error: { code: "csrf", message: "not this session's" } });
    const { client, requests } = scripted(
      json(200, session("old")),
      stale(),
      json(200, session("new")),
      new Response(null, { status: 204 }),
      stale(),
      json(200, session("new")),
    );
    await client.session();
    await client.deleteKey("k");
    expect(requests.map((r) => r.headers["X-CSRF-Token"])).toEqual([undefined, "old", undefined, "new"]);
    expect((await refused(client.deleteKey("k"))).code).toBe("csrf");
    expect(requests).toHaveLength(6);
  });

  it("is taken from a session that was there already", async () => {
    const { client, requests } = scripted(json(200, session("t7")), new Response(null, { status: 204 }));
    await client.session();
    await client.deleteKey("k/1");
    expect(requests[1]).toMatchObject({ path: "/api/keys/k%2F1", headers: { "X-CSRF-Token": "t7" } });
  });
});

describe("refusals", () => {
  it("carry code, field and a sentence", async () => {
    const body = { error: { code: "invalid_field", message: "must be a number in E.164", field: "to" } };
    const error = await refused(scripted(json(400, body)).client.placeCall({ to: "5" }, "k"));
    expect(error).toMatchObject({ status: 400, code: "invalid_field", field: "to", retryAfterS: null });
    expect(explain(error)).toBe("Must be a number in E.164.");
  });

  it("say when to come again", async () => {
    const body = { error: { code: "too_many", message: "Too many attempts." } };
    const error = await refused(scripted(json(429, body, { "Retry-After": "30" })).client.signIn({ email: "", password: "" }));
    expect(error).toMatchObject({ retryAfterS: 30, field: null, message: "Too many attempts." });
  });

  it("that are no JSON are put into words by their status", async () => {
    const error = await refused(scripted(new Response("<h1>Bad gateway</h1>", { status: 502 })).client.numbers());
    expect(error.code).toBe("http_502");
    expect(explain(error)).toMatch(/server failed \(status 502\)/);
  });
});

describe("the end of the session", () => {
  const body = { error: { code: "unauthorized", message: "sign in" } };

  it("is told once a request is answered 401", async () => {
    const { client } = scripted(json(401, body));
    client.onSignedOut = vi.fn();
    await refused(client.keys());
    expect(client.onSignedOut).toHaveBeenCalledOnce();
  });

  it("is not a wrong password", async () => {
    const { client } = scripted(json(401, body));
    client.onSignedOut = vi.fn();
    await refused(client.signIn({ email: "op@example.com", password: "wrong" }));
    expect(client.onSignedOut).not.toHaveBeenCalled();
  });
});

describe("no answer", () => {
  it("is one kind of error, whatever the cause", async () => {
    for (const cause of [new TypeError("failed to fetch"), new DOMException("t", "TimeoutError")]) {
      await expect(scripted(cause).client.calls({}, { limit: 5 })).rejects.toBeInstanceOf(Unreachable);
    }
    await expect(scripted(new Response("<html>", { status: 200 })).client.calls({}, { limit: 5 })).rejects.toThrow(Unreachable);
  });

  it("is none when the page was left", async () => {
    const leave = new AbortController();
    leave.abort();
    const { client } = scripted(new DOMException("left", "AbortError"));
    await expect(client.keys(leave.signal)).rejects.toMatchObject({ name: "AbortError" });
  });
});

it("asks for the history with its filters and cursor", async () => {
  const { client, requests } = scripted(json(200, { calls: [], nextCursor: null }));
  await client.calls({ number: "+1555", direction: "inbound", status: "completed" }, { cursor: "a+b", limit: 50 });
  const url = new URL(requests[0]?.path ?? "", "https://edge.test");
  expect(Object.fromEntries(url.searchParams)).toEqual({
    number: "+1555",
    direction: "inbound",
    status: "completed",
    cursor: "a+b",
    limit: "50",
  });
});
