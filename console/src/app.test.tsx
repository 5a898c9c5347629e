// @vitest-environment happy-dom
import { act, cleanup, configure, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import vectors from "./api/fixtures/folds.json" with { type: "json" };
import { Client } from "./api/client.ts";
import type { BoardCall, StampedFact } from "./api/types.gen.ts";
import { App } from "./app.tsx";
import { fakeEdge, FakeSocket, inside, outside, refusal } from "./fake-edge.ts";
import { SessionProvider } from "./features/session/session.tsx";
import { navigate } from "./routing/router.tsx";

const facts = vectors.cases.find((one) => one.name === "a call with a barge-in")?.facts as StampedFact[];
const CALL = "call_01kdvvx4000000000000000001";
const row: BoardCall = {
  call: CALL,
  callSid: null,
  direction: "inbound",
  from: "+15550100123",
  to: "+15550100199",
  agent: "front-desk",
  status: "in-progress",
  node: "iad-1",
  openedAt: Date.now() - 8000,
  answeredAt: Date.now() - 5000,
  version: 3,
};
const noCall = () => refusal(404, "not_found", "no such call");

function open(path: string): void {
  history.replaceState(null, "", path);
  render(
    <SessionProvider client={new Client()}>
      <App />
    </SessionProvider>,
  );
}
const say = (path: string, ...messages: unknown[]) =>
  act(() => {
    for (const message of messages) FakeSocket.last(path).send(message);
  });

// A loaded machine is no reason to fail: what is waited for comes, or never does.
configure({ asyncUtilTimeout: 15_000 });
beforeEach(() => history.replaceState(null, "", "/"));
afterEach(cleanup);

describe("the door", () => {
  it("opens with the right password and leads to where one wanted to go", async () => {
    fakeEdge({
      "GET /api/session": () => ({ body: outside }),
      "POST /api/session": ({ body }) =>
        (body as { password: string }).password === "right" ? { body: inside } : refusal(401, "wrong", "the e-mail or the password is wrong"),
      "GET /api/calls": () => ({ body: { calls: [], nextCursor: null } }),
    });
    open("/calls");
    fireEvent.change(await screen.findByLabelText("E-mail"), { target: { value: "operator@example.com" } });
    const password = screen.getByLabelText("Password");
    fireEvent.change(password, { target: { value: "wrong" } });
    fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect((await screen.findByRole("alert")).textContent).toBe("The e-mail or the password is wrong.");
    fireEvent.change(password, { target: { value: "right" } });
    fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
    await screen.findByText("No calls yet");
  });

  it("asks again when the session has ended meanwhile", async () => {
    fakeEdge({
      "GET /api/session": () => ({ body: inside }),
      "GET /api/calls": () => refusal(401, "unauthorized", "sign in first"),
    });
    open("/calls");
    await screen.findByText(/Your session has ended/);
  });

  it("offers the setup when there is no administrator, and checks before sending", async () => {
    const { asked } = fakeEdge({
      "GET /api/session": () => ({ body: { ...outside, needsSetup: true } }),
      "POST /api/setup": () => refusal(403, "wrong_token", "this is not the setup token"),
    });
    open("/");
    fireEvent.click(await screen.findByRole("button", { name: "Create administrator" }));
    await screen.findByText("Use at least 12 characters.");
    fireEvent.change(screen.getByLabelText("Setup token"), { target: { value: "guess" } });
    fireEvent.change(screen.getByLabelText("Your e-mail"), { target: { value: "operator@example.com" } });
    fireEvent.change(screen.getByLabelText("Password"), { target: { value: "correct horse battery" } });
    expect(asked).not.toContain("POST /api/setup");
    fireEvent.click(screen.getByRole("button", { name: "Create administrator" }));
    await screen.findByText("This is not the setup token.");
  });
});

describe("the live board", () => {
  it("shows calls as they come and go", async () => {
    fakeEdge({ "GET /api/session": () => ({ body: inside }) });
    open("/");
    await screen.findByText("Loading the board …");
    await say("/ws/calls", { type: "board", protocol: 1, calls: [], nodes: [] });
    screen.getByText("No calls at the moment");
    screen.getByText("No media node is connected");
    await say("/ws/calls", { type: "call", call: row });
    const link = screen.getByRole("link", { name: "+1 555 010 0123" });
    expect(link.getAttribute("href")).toBe(`/calls/${CALL}`);
    expect(link.closest("tr")?.textContent).toContain("In progress");
    await say("/ws/calls", { type: "gone", call: CALL });
    screen.getByText("No calls at the moment");
  });

  it("asks for the session when the socket is refused again and again", async () => {
    let session: unknown = inside;
    fakeEdge({ "GET /api/session": () => ({ body: session }) });
    open("/");
    await screen.findByText("Loading the board …");
    session = outside;
    const lose = () => act(() => FakeSocket.last("/ws/calls").lose());
    lose();
    await waitFor(() => expect(FakeSocket.all).toHaveLength(2));
    lose();
    await screen.findByText(/Your session has ended/);
  });
});

describe("a call's page", () => {
  it("grows with the facts, asks again where one is missing, and ends as the entry of the history", async () => {
    const { asked } = fakeEdge({ "GET /api/session": () => ({ body: inside }), [`GET /api/calls/${CALL}`]: noCall });
    open(`/calls/${CALL}`);
    await waitFor(() => expect(FakeSocket.last("/ws/transcriptions").url.search).toBe(`?callSid=${CALL}&fromSeq=0`));
    await say("/ws/transcriptions", { type: "facts", facts: facts.slice(0, 9) });
    screen.getByRole("heading", { level: 1, name: "+1 555 010 0123" });
    const log = screen.getByRole("log", { name: "Transcript" });
    within(log).getByText("Good morning, how can I help you today?");
    await say("/ws/transcriptions", { type: "live", speaker: "caller", key: "1:c1", text: "When are", startedAt: facts[12]?.at });
    within(log).getByText(/When are/);

    const first = FakeSocket.last("/ws/transcriptions");
    await say("/ws/transcriptions", { type: "facts", facts: facts.slice(11) });
    expect(first.closed).toBe(true);
    await waitFor(() => expect(FakeSocket.last("/ws/transcriptions").url.searchParams.get("fromSeq")).toBe("9"));
    expect(within(log).queryByText("When are you open?")).toBeNull();
    await say("/ws/transcriptions", { type: "facts", facts: facts.slice(9) });
    within(log).getByText("When are you open?");
    expect(within(log).getAllByText(/When are/)).toHaveLength(1);
    const mark = within(log).getByRole("button", { name: /^Interrupted after 1\.0\ss$/ });
    expect(document.getElementById(mark.getAttribute("aria-describedby") ?? "")?.textContent).toContain(
      "The caller heard 1.0\u00a0s of the 2.0\u00a0s",
    );
    expect(log.querySelector(".unheard")?.textContent).toBe(" can I help you today?");
    within(log).getByText("#");

    const before = asked.length;
    const last = FakeSocket.last("/ws/transcriptions");
    await say("/ws/transcriptions", { type: "ended", seq: facts.length });
    expect(last.closed).toBe(true);
    expect(screen.queryByRole("button", { name: "Hang up" })).toBeNull();
    screen.getAllByText("The caller hung up");
    await waitFor(() => expect(asked.slice(before)).toContain(`GET /api/calls/${CALL}`));
  });

  it("hangs up after asking", async () => {
    const { asked } = fakeEdge({
      "GET /api/session": () => ({ body: inside }),
      [`GET /api/calls/${CALL}`]: noCall,
      [`POST /api/calls/${CALL}/hangup`]: () => ({ status: 202 }),
    });
    open(`/calls/${CALL}`);
    await waitFor(() => FakeSocket.last("/ws/transcriptions"));
    await say("/ws/transcriptions", { type: "facts", facts: facts.slice(0, 9) });
    fireEvent.click(screen.getByRole("button", { name: "Hang up" }));
    const dialog = screen.getByRole("dialog", { name: "Hang up this call?" });
    expect(asked).not.toContain(`POST /api/calls/${CALL}/hangup`);
    fireEvent.click(within(dialog).getByRole("button", { name: "Hang up" }));
    await waitFor(() => expect(asked).toContain(`POST /api/calls/${CALL}/hangup`));
  });

  it("says so when there is no such call", async () => {
    fakeEdge({ "GET /api/session": () => ({ body: inside }), [`GET /api/calls/${CALL}`]: noCall });
    open(`/calls/${CALL}`);
    await waitFor(() => FakeSocket.last("/ws/transcriptions"));
    act(() => FakeSocket.last("/ws/transcriptions").lose(4404));
    await screen.findByText("This call is not known here");
  });

  it("shows what the history kept when the room gives nothing", async () => {
    const vector = vectors.cases.find((one) => one.name === "a call with a barge-in");
    const call = {
      ...{ call: CALL, callSid: null, direction: "inbound", from: "+15550100123", to: "+15550100199", agent: "front-desk" },
      ...{ openedAt: "2026-01-01T00:00:00.000Z", answeredAt: null, endedAt: "2026-01-01T00:00:09.000Z", durationS: 9 },
      ...{ status: "completed", termination: vector?.termination },
    };
    fakeEdge({
      "GET /api/session": () => ({ body: inside }),
      [`GET /api/calls/${CALL}`]: () => ({ body: { call, state: vector?.state, transcript: vector?.lines } }),
    });
    open(`/calls/${CALL}`);
    await screen.findByText("When are you open?");
    act(() => FakeSocket.last("/ws/transcriptions").lose(4404));
    screen.getByText("When are you open?");
    screen.getByText("The details of this call’s course are no longer kept.");
    expect(screen.queryByRole("button", { name: "Hang up" })).toBeNull();
  });
});

describe("placing a call", () => {
  it("asks twice with one key when no answer came, and with another for another number", async () => {
    const keys: (string | null)[] = [];
    let answers = 0;
    fakeEdge({
      "GET /api/session": () => ({ body: inside }),
      "GET /api/agents": () => ({ body: { agents: [], defaultAgent: "line-test" } }),
      "POST /api/calls": ({ headers, body }) => {
        keys.push(headers.get("Idempotency-Key"));
        answers += 1;
        if (answers === 1) return new TypeError("network");
        if (answers === 3) return refusal(422, "not_permitted", "Twilio does not call this number", "to");
        return { status: 201, body: { success: true, callSid: null, call: CALL, status: "queued", asked: body } };
      },
    });
    open("/calls/new");
    const number = await screen.findByLabelText("Number");
    const place = async (typed: string) => {
      fireEvent.change(number, { target: { value: typed } });
      fireEvent.click(screen.getByRole("button", { name: "Call" }));
    };
    await place("555 0100");
    screen.getByText(/Begin with \+ and the country code/);
    expect(keys).toEqual([]);
    await place("+1 (415) 555-0100");
    await screen.findByText(/cannot be reached/);
    await place("+14155550100");
    expect((await screen.findByRole("link", { name: "Open the call" })).getAttribute("href")).toBe(`/calls/${CALL}`);
    await place("+14155550101");
    await screen.findByText("Twilio does not call this number.");
    expect(number.getAttribute("aria-invalid")).toBe("true");
    expect(keys[0]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(2);
  });
});

describe("the history", () => {
  const entry = (n: number) => ({
    ...row,
    call: `call_${n}`,
    from: `+1 555 010 ${1000 + n}`.replaceAll(" ", ""),
    openedAt: new Date(2026, 0, 1, 0, n).toISOString(),
    answeredAt: null,
    endedAt: null,
    durationS: 61,
    status: "completed",
    termination: { reason: "silence", result: "limited" },
  });

  it("turns pages from the cursor and starts anew with another filter", async () => {
    const queries: string[] = [];
    fakeEdge({
      "GET /api/session": () => ({ body: inside }),
      "GET /api/calls": ({ query }) => {
        queries.push(query.toString());
        if (query.get("status") === "busy") return { body: { calls: [], nextCursor: null } };
        const body = query.get("cursor") ? { calls: [entry(2), entry(1)], nextCursor: null } : { calls: [entry(3), entry(2)], nextCursor: "c" };
        return { body };
      },
    });
    open("/calls?direction=inbound");
    fireEvent.click(await screen.findByRole("button", { name: "Show older calls" }));
    await screen.findByText("+1 555 010 1001");
    expect(document.querySelectorAll("tr[data-call]")).toHaveLength(3);
    expect(screen.queryByRole("button", { name: "Show older calls" })).toBeNull();
    expect(screen.getAllByText("Ended after a long silence")).toHaveLength(3);
    fireEvent.change(screen.getByLabelText("Status"), { target: { value: "busy" } });
    await screen.findByText("No call fits this filter");
    expect(queries).toEqual(["direction=inbound&limit=50", "direction=inbound&limit=50&cursor=c", "direction=inbound&status=busy&limit=50"]);
    expect(location.search).toBe("?direction=inbound&status=busy");
    fireEvent.change(screen.getByLabelText("Number"), { target: { value: "+1555" } });
    await waitFor(() => expect(location.search).toBe("?direction=inbound&status=busy&number=%2B1555"));
  });
});

it("a page that is none says so", async () => {
  fakeEdge({ "GET /api/session": () => ({ body: inside }) });
  open("/");
  await screen.findByRole("navigation", { name: "Console" });
  act(() => navigate("/nowhere"));
  await screen.findByText("There is no such page");
  expect(document.title).toBe("Not found · Trunkline");
});
