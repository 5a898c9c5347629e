// A stand-in for the edge while somebody works on the console: the same API and sockets with made-up data in memory, and
// the built pages under the policy they get in service. For development and for rehearsing e2e/watch.mjs only.
//
//   npm run console:mock            serves console/dist and the API on 127.0.0.1:8799
//   PORT=0 READY_FILE=… START_FILE=… node console/dev/edge.ts     as the simulator does: writes how to sign in, then waits
//   FRESH=1 has no administrator yet; EMPTY=1 has no calls

import { existsSync, readFileSync, unwatchFile, watchFile, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import type {
  Agent,
  BoardCall,
  BoardMessage,
  CallDetail,
  CallRow,
  CallSnapshot,
  KeyView,
  NodeView,
  NumberView,
  ServerMessage,
  StampedFact,
} from "../src/api/types.gen.ts";
import { NO_CALL, reduceCall } from "../src/features/call/call-reducer.ts";
import { connectedSeconds, isOver, terminationOf } from "../src/features/call/call-state.ts";
import { orderedLines } from "../src/features/call/transcript.ts";
import { inboundCall, stamp, type Step } from "./conversation.ts";

const env = process.env;
const dist = join(import.meta.dirname, "../dist");
const PASSWORD = "correct horse battery";
const EMAIL = "operator@example.com";

const voice = (provider: string, name: string | null): Agent["voice"] => ({
  provider,
  model: null,
  voice: name,
  turnDetection: { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 },
});
const agent = (id: string, name: string, more: Partial<Agent>): Agent => ({
  id,
  version: 1,
  name,
  voice: voice("openai", "marin"),
  fallback: null,
  instructions: "",
  greeting: null,
  language: "en-US",
  limits: { maxDurationS: 3600, silenceS: 60 },
  ...more,
});
const INSTRUCTIONS =
  "You answer the telephone of Harbour Bicycles, a repair shop. Be brief and friendly.\n\nYou can tell callers whether their bicycle is ready, what it costs and when the shop is open. Take a message when you do not know.";
const agents = new Map<string, Agent>([
  ["line-test", agent("line-test", "Line test", { version: 0, voice: voice("echo", null) })],
  ["front-desk", agent("front-desk", "Front desk", { greeting: "Good morning, Harbour Bicycles. How can I help you?", instructions: INSTRUCTIONS })],
  ["bookings", agent("bookings", "Bookings", { voice: voice("openai", "cedar"), greeting: "Hello! Would you like to book a service?", limits: { maxDurationS: 900, silenceS: 30 } })],
]);
let defaultAgent = "front-desk";
const numbers = new Map<string, NumberView>([
  ["+15550100199", { number: "+15550100199", agent: "front-desk" }],
  ["+15550100142", { number: "+15550100142", agent: "bookings" }],
]);
const keys: KeyView[] = [{ id: "k1", name: "CRM", last4: "x7Qe", createdAt: new Date(Date.now() - 8e9).toISOString() }];
const nodes: NodeView[] = [
  { node: "iad-1", region: "iad", capacity: 60, liveCalls: 4, draining: false, alive: true, seenAt: Date.now(), version: "0.1.0" },
  { node: "iad-2", region: "iad", capacity: 60, liveCalls: 53, draining: false, alive: true, seenAt: Date.now(), version: "0.1.0" },
  { node: "ord-1", region: "ord", capacity: 40, liveCalls: 2, draining: true, alive: true, seenAt: Date.now(), version: "0.0.9" },
];

/** A call with its facts; the fold of the console does a room's work. */
class Room {
  readonly id: string;
  readonly facts: StampedFact[] = [];
  readonly watchers = new Set<WebSocket>();
  view = NO_CALL;
  version = 0;
  constructor(id: string) {
    this.id = id;
  }
  take(fact: StampedFact): void {
    this.facts.push(fact);
    this.tell({ type: "facts", facts: [fact] });
    this.view = reduceCall(this.view, { type: "facts", facts: [fact] });
    this.version += 1;
  }
  tell(message: ServerMessage): void {
    for (const socket of this.watchers) socket.send(JSON.stringify(message));
  }
  end(): void {
    this.tell({ type: "ended", seq: this.facts.length });
    for (const socket of this.watchers) socket.close(1000);
  }
  get row(): CallRow {
    const { state, openedAt, direction, from, to } = this.view;
    const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString());
    return {
      call: this.id,
      callSid: this.view.callSid,
      direction: direction ?? "inbound",
      from: from ?? "anonymous",
      to: to ?? "anonymous",
      agent: this.view.agent,
      openedAt: iso(openedAt) ?? "",
      answeredAt: iso(state.answeredAt),
      endedAt: iso(state.endedAt),
      durationS: isOver(state) ? connectedSeconds(state) : null,
      status: state.status,
      termination: isOver(state) ? terminationOf(state) : null,
    };
  }
  get board(): BoardCall {
    const { callSid, state, node, openedAt, direction, from, to } = this.view;
    const parties = { direction: direction ?? "inbound", from: from ?? "anonymous", to: to ?? "anonymous" };
    return { call: this.id, callSid, ...parties, agent: this.view.agent, status: state.status, node, openedAt: openedAt ?? 0, answeredAt: state.answeredAt, version: this.version };
  }
  get detail(): CallDetail {
    return { call: this.row, state: this.view.state, transcript: orderedLines(this.view.lines) };
  }
  get snapshot(): CallSnapshot {
    const { call: _, ...rest } = this.board;
    return { ...rest, call: this.id, openedAt: rest.openedAt, state: this.view.state, epoch: this.view.epoch, transcript: orderedLines(this.view.lines), seq: this.facts.length };
  }
}

const rooms = new Map<string, Room>();
const boardWatchers = new Set<WebSocket>();
let made = 0;
const nextId = () => `call_01k${String(++made).padStart(23, "0")}`;
const tellBoard = (message: BoardMessage) => {
  for (const socket of boardWatchers) socket.send(JSON.stringify(message));
};
const isFact = (step: Step): step is Step & { fact: StampedFact["fact"] } => "fact" in step;

/** A number that is nobody’s, by its last four digits. */
const telephone = (last: number) => `+1 555 010 ${String(last).padStart(4, "0")}`.replaceAll(" ", "");

/** Calls that were, and a few that go on since a while. */
function past(count: number): void {
  const ends = ["caller_hung_up", "agent_hung_up", "silence", "operator_hung_up", "provider_unavailable"] as const;
  for (let n = count; n > 0; n--) {
    const room = new Room(nextId());
    const zero = Date.now() - n * 4_100_000;
    const outbound = n % 3 === 0;
    const unanswered = n % 7 === 0;
    const caller = telephone(110 + (n % 40));
    let facts = stamp(inboundCall(zero).filter(isFact), zero);
    facts = facts.map((stamped): StampedFact => {
      const { fact } = stamped;
      if (fact.type === "opened" && outbound) return { ...stamped, fact: { ...fact, direction: "outbound", from: fact.to, to: caller } };
      if (fact.type === "opened") return { ...stamped, fact: { ...fact, from: n % 11 === 0 ? "anonymous" : caller } };
      if (fact.type === "bound") return { ...stamped, fact: { ...fact, callSid: `CA${String(n).padStart(32, "0")}` } };
      const reason = ends[n % ends.length] ?? "silence";
      if (fact.type === "life" && fact.event.kind === "ended") return { ...stamped, fact: { ...fact, event: { ...fact.event, reason } } };
      return stamped;
    });
    if (unanswered) {
      const event = { kind: "status", status: n % 2 ? "busy" : "no-answer", at: zero + 20_000, durationS: null, sipCode: 486 } as const;
      facts = [...facts.slice(0, 3), { seq: 4, at: zero + 20_000, fact: { type: "life", event } }];
    }
    for (const fact of facts) room.take(fact);
    rooms.set(room.id, room);
  }
  for (let n = 0; n < 3; n++) {
    const room = new Room(nextId());
    const zero = Date.now() - 40_000 - n * 95_000;
    const steps = inboundCall(zero).filter(isFact).slice(0, n === 0 ? 3 : 14 + n);
    for (const stamped of stamp(steps, zero)) {
      const { fact } = stamped;
      if (fact.type === "opened") {
        const other = n === 1 ? { direction: "outbound" as const, from: fact.to, to: "+14155550117", agent: "bookings" } : { from: telephone(160 + n) };
        room.take({ ...stamped, fact: { ...fact, ...other } });
      } else if (fact.type === "bound") room.take({ ...stamped, fact: { ...fact, callSid: `CA${String(900 + n).padStart(32, "0")}` } });
      else room.take(stamped);
    }
    rooms.set(room.id, room);
  }
}

/** Plays the call in real time. */
function play(): Room {
  const zero = Date.now();
  const room = new Room(nextId());
  rooms.set(room.id, room);
  for (const step of inboundCall(zero)) {
    setTimeout(() => {
      if (isOver(room.view.state) && !(isFact(step) && step.fact.type === "life")) return;
      if (isFact(step)) room.take({ seq: room.facts.length + 1, at: zero + step.at, fact: step.fact });
      else room.tell(step.live);
      tellBoard(room.view.state.status === "completed" ? { type: "gone", call: room.id } : { type: "call", call: room.board });
      if (room.view.state.status === "completed") room.end();
    }, step.at);
  }
  return room;
}

let administrator: { email: string; password: string } | null = env["FRESH"] ? null : { email: EMAIL, password: PASSWORD };
const sessions = new Set<string>();
const cookieOf = (request: IncomingMessage) => /(?:^|; )sid=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
const signedIn = (request: IncomingMessage) => sessions.has(cookieOf(request));
const sessionView = (inside: boolean) => ({ email: inside ? (administrator?.email ?? null) : null, csrfToken: inside ? "csrf-token" : null, needsSetup: administrator === null });

function send(response: ServerResponse, status: number, body?: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...(body === undefined ? {} : { "Content-Type": "application/json" }), "Cache-Control": "no-store", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
const refuse = (response: ServerResponse, status: number, code: string, message: string, field?: string) =>
  send(response, status, { error: { code, message, ...(field ? { field } : {}) } });

function enter(response: ServerResponse, status: number): void {
  const id = `s${Math.random()}`;
  sessions.add(id);
  send(response, status, sessionView(true), { "Set-Cookie": `sid=${id}; HttpOnly; Path=/; SameSite=Strict` });
}

async function api(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const body = text ? JSON.parse(text) : {};
  const route = `${request.method} ${url.pathname}`;
  if (route === "GET /api/session") return send(response, 200, sessionView(signedIn(request)));
  if (route === "POST /api/session") {
    if (body.email === administrator?.email && body.password === administrator?.password) return enter(response, 200);
    return refuse(response, 401, "wrong_credentials", "the e-mail or the password is wrong");
  }
  if (route === "POST /api/setup") {
    if (administrator) return refuse(response, 409, "already_set_up", "an administrator exists already");
    if (body.token !== "let-me-in") return refuse(response, 403, "wrong_token", "this is not the setup token of this deployment");
    administrator = { email: body.email, password: body.password };
    return enter(response, 201);
  }
  if (!signedIn(request)) return refuse(response, 401, "unauthorized", "sign in first");
  if (request.method !== "GET" && request.headers["x-csrf-token"] !== "csrf-token") return refuse(response, 403, "csrf", "the CSRF token is missing");
  const [, , noun, id = "", verb] = url.pathname.split("/").map(decodeURIComponent);
  switch (`${request.method} ${noun}${id ? "/:" : ""}${verb ? `/${verb}` : ""}`) {
    case "DELETE session":
      sessions.delete(cookieOf(request));
      return send(response, 204);
    case "GET calls": {
      const query = url.searchParams;
      const rows = [...rooms.values()]
        .map((room) => room.row)
        .sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1))
        .filter((row) => !query.get("direction") || row.direction === query.get("direction"))
        .filter((row) => !query.get("status") || row.status === query.get("status"))
        .filter((row) => !query.get("number") || `${row.from} ${row.to}`.includes(query.get("number") ?? ""));
      const from = Number(query.get("cursor") ?? 0);
      const limit = Number(query.get("limit") ?? 50);
      return send(response, 200, { calls: rows.slice(from, from + limit), nextCursor: from + limit < rows.length ? String(from + limit) : null });
    }
    case "GET calls/:": {
      const room = rooms.get(id);
      return room ? send(response, 200, room.detail) : refuse(response, 404, "not_found", "there is no such call");
    }
    case "POST calls": {
      if (String(body.to).endsWith("999")) return refuse(response, 422, "not_permitted", "Twilio does not call this number: the account has no permission for its region", "to");
      const room = play();
      return send(response, 201, { success: true, callSid: null, call: room.id, status: "queued" });
    }
    case "POST calls/:/hangup": {
      const room = rooms.get(id);
      if (!room) return refuse(response, 404, "not_found", "there is no such call");
      const at = Date.now();
      const life = (event: Extract<StampedFact["fact"], { type: "life" }>["event"]) => room.take({ seq: room.facts.length + 1, at, fact: { type: "life", event } });
      life({ kind: "ended", reason: "operator_hung_up", at });
      life({ kind: "status", status: "completed", at, durationS: null, sipCode: null });
      tellBoard({ type: "gone", call: room.id });
      room.end();
      return send(response, 202, {});
    }
    case "GET agents":
      return send(response, 200, { agents: [...agents.values()], defaultAgent });
    case "PUT agents/:":
      if (id === "default") {
        defaultAgent = body.agent;
        return send(response, 200, body);
      }
      agents.set(id, { ...body, version: body.version + 1 });
      return send(response, 200, agents.get(id));
    case "DELETE agents/:":
      agents.delete(id);
      return send(response, 204);
    case "GET numbers":
      return send(response, 200, { numbers: [...numbers.values()] });
    case "PUT numbers/:":
      numbers.set(id, { number: id, agent: body.agent });
      return send(response, 200, numbers.get(id));
    case "DELETE numbers/:":
      numbers.delete(id);
      return send(response, 204);
    case "GET keys":
      return send(response, 200, { keys });
    case "POST keys": {
      const view = { id: `k${Date.now()}`, name: body.name, last4: "9fTz", createdAt: new Date().toISOString() };
      keys.push(view);
      return send(response, 201, { key: "tl_live_example-of-a-key-9fTz", view });
    }
    case "DELETE keys/:":
      keys.splice(keys.findIndex((key) => key.id === id), 1);
      return send(response, 204);
    default:
      return refuse(response, 404, "not_found", "no such address");
  }
}

/** Headers of `public/_headers`, as Cloudflare's static assets would send them. */
function assetHeaders(path: string): Record<string, string> {
  const headers: Record<string, string> = {};
  let applies = false;
  for (const line of readFileSync(join(dist, "_headers"), "utf8").split("\n")) {
    if (line.startsWith("/")) applies = new RegExp(`^${line.trim().replaceAll("*", ".*")}$`).test(path);
    else if (applies && line.includes(":")) headers[line.slice(0, line.indexOf(":")).trim()] = line.slice(line.indexOf(":") + 1).trim();
  }
  return headers;
}
const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain" };

function asset(response: ServerResponse, path: string): void {
  const wanted = join(dist, normalize(path));
  const file = path !== "/" && wanted.startsWith(dist) && existsSync(wanted) ? wanted : join(dist, "index.html");
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", ...assetHeaders(path) });
  response.end(readFileSync(file));
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://edge.local");
  if (url.pathname.startsWith("/api/")) api(request, response, url).catch((error: unknown) => refuse(response, 500, "internal", String(error)));
  else asset(response, url.pathname);
});

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url ?? "/", "http://edge.local");
  if (!signedIn(request)) {
    socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (peer) => {
    if (url.pathname === "/ws/calls") {
      boardWatchers.add(peer);
      peer.on("close", () => boardWatchers.delete(peer));
      const calls = [...rooms.values()].filter((room) => !isOver(room.view.state)).map((room) => room.board);
      peer.send(JSON.stringify({ type: "board", protocol: 1, calls, nodes: env["EMPTY"] ? [] : nodes } satisfies BoardMessage));
      return;
    }
    const room = rooms.get(url.searchParams.get("callSid") ?? "");
    if (!room) return peer.close(4404);
    room.watchers.add(peer);
    peer.on("close", () => room.watchers.delete(peer));
    const from = url.searchParams.get("fromSeq");
    const first: ServerMessage = from === null ? { type: "snapshot", protocol: 1, call: room.snapshot } : { type: "facts", facts: room.facts.slice(Number(from)) };
    peer.send(JSON.stringify(first));
    if (isOver(room.view.state)) {
      peer.send(JSON.stringify({ type: "ended", seq: room.facts.length } satisfies ServerMessage));
      peer.close(1000);
    }
  });
});

if (!env["EMPTY"]) past(127);
server.listen(Number(env["PORT"] ?? 8799), "127.0.0.1", () => {
  const address = server.address();
  const listening = typeof address === "object" && address ? `127.0.0.1:${address.port}` : "";
  console.log(JSON.stringify({ listening }));
  const { READY_FILE: ready, START_FILE: start } = env;
  if (ready) writeFileSync(ready, JSON.stringify({ edge: `http://${listening}`, email: EMAIL, password: PASSWORD, apiKey: "tl_live_none", number: "+15550100199" }));
  if (start) {
    watchFile(start, { interval: 50 }, () => {
      if (!existsSync(start)) return;
      unwatchFile(start);
      play();
    });
  }
});
