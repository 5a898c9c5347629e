// People and keys: the first administrator, sessions with their cookie and token, keys, and the sockets that browsers open.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring } from "./call.mjs";
import { EMAIL, Edge, PASSWORD, PUBLIC } from "./edge.mjs";
import { MediaNode } from "./media-node.mjs";
import { Conversation } from "./socket.mjs";
import { Watcher } from "./watcher.mjs";

suite("people and keys", () => {
  let edge;
  let session;
  before(async () => {
    edge = await Edge.start();
  });
  after(() => edge?.close());

  const browser = (over = {}) => ({ cookie: session.cookie, origin: PUBLIC, "x-csrf-token": session.csrf, ...over });

  test("the first administrator is made once, with the token", async () => {
    assert.equal((await edge.api("GET", "/api/session")).json.needsSetup, true);
    const wrong = await edge.api("POST", "/api/setup", { token: "not-the-token-at-all", email: EMAIL, password: PASSWORD });
    assert.equal(wrong.status, 403);
    const weak = await edge.api("POST", "/api/setup", { token: edge.values.SETUP_TOKEN, email: EMAIL, password: "short" });
    assert.ok(weak.status === 400 || weak.status === 422);
    await openForBusiness(edge);
    const again = await edge.api("POST", "/api/setup", { token: edge.values.SETUP_TOKEN, email: "b@example.test", password: PASSWORD });
    assert.equal(again.status, 409);
    assert.equal((await edge.api("GET", "/api/session")).json.needsSetup, false);
  });

  test("signing in sets a cookie that scripts cannot read", async () => {
    const signedIn = await edge.api("POST", "/api/session", { email: EMAIL.toUpperCase(), password: PASSWORD }, { origin: PUBLIC });
    assert.ok(signedIn.status === 200 || signedIn.status === 201, signedIn.text);
    const [cookie] = signedIn.headers.getSetCookie();
    assert.match(cookie, /^__Host-sid=/);
    for (const part of [/HttpOnly/i, /Secure/i, /SameSite=(Lax|Strict)/i, /Path=\//i]) assert.match(cookie, part);
    session = { cookie: cookie.split(";")[0], csrf: signedIn.json.csrfToken };
    const seen = await edge.api("GET", "/api/session", undefined, { cookie: session.cookie });
    assert.equal(seen.json.email, EMAIL);
  });

  test("a wrong password and an unknown name are answered alike", async () => {
    const wrong = await edge.api("POST", "/api/session", { email: EMAIL, password: "wrong wrong wrong" });
    const unknown = await edge.api("POST", "/api/session", { email: "nobody@example.test", password: "wrong wrong wrong" });
    assert.equal(wrong.status, 401);
    assert.equal(unknown.status, 401);
    assert.deepEqual(wrong.json, unknown.json);
  });

  test("a session changes something only from its own page", async () => {
    const name = { name: "from a page" };
    for (const [what, headers] of [
      ["no token", browser({ "x-csrf-token": "" })],
      ["another's token", browser({ "x-csrf-token": "0".repeat(64) })],
      ["another origin", browser({ origin: "https://evil.example" })],
      ["an origin that begins as ours", browser({ origin: `${PUBLIC}.evil.example` })],
    ]) {
      const refused = await edge.fetch("/api/keys", {
        method: "POST", body: JSON.stringify(name), headers: { "content-type": "application/json", ...headers },
      });
      assert.equal(refused.status, 403, what);
    }
    const bearer = edge.bearer;
    edge.bearer = null;
    const made = await edge.api("POST", "/api/keys", name, browser());
    assert.equal(made.status, 201, made.text);
    assert.match(made.json.key, /^tl_live_/);
    const listed = await edge.api("GET", "/api/keys", undefined, browser());
    assert.ok(listed.json.keys.some(({ id, last4 }) => id === made.json.view.id && made.json.key.endsWith(last4)));
    assert.ok(!listed.text.includes(made.json.key));

    edge.bearer = made.json.key;
    assert.equal((await edge.api("GET", "/api/calls")).status, 200);
    const forbidden = await edge.api("GET", "/api/keys");
    assert.equal(forbidden.status, 403, "a key does not manage keys");
    edge.bearer = null;
    assert.ok((await edge.api("DELETE", `/api/keys/${made.json.view.id}`, undefined, browser())).status < 300);
    edge.bearer = made.json.key;
    assert.equal((await edge.api("GET", "/api/calls")).status, 401, "a deleted key opens nothing");
    edge.bearer = bearer;
  });

  test("nothing is stored that would open the door", async () => {
    const database = await edge.database();
    const rows = [];
    for (const table of ["users", "sessions", "keys"]) rows.push(...(await database.prepare(`SELECT * FROM ${table}`).all()).results);
    const stored = JSON.stringify(rows);
    assert.ok(!stored.includes(PASSWORD) && !stored.includes(edge.bearer) && !stored.includes(session.cookie.split("=")[1]));
    assert.match(stored, /\$argon2id\$/);
  });

  test("sockets open for a session from our page and for a key, for nobody else", async () => {
    const node = await new MediaNode(edge).inService();
    try {
      const { call } = await ring(edge);
      const watcher = await Watcher.open(edge, call, { headers: { cookie: session.cookie, origin: PUBLIC } });
      assert.equal(watcher.snapshot.call, call);
      const path = `/ws/transcriptions?callSid=${call}`;
      for (const [what, headers, status] of [
        ["nobody", {}, 401],
        ["another page", { cookie: session.cookie, origin: "https://evil.example" }, 403],
        ["no page", { cookie: session.cookie }, 403],
        ["a wrong key", { authorization: "Bearer tl_live_000000000000000000000000000000000000" }, 401],
      ]) {
        const refused = await Conversation.open(edge.socketUrl(path), headers).then(() => "open", (error) => error.status);
        assert.equal(refused, status, what);
      }
      await watcher.socket.close();
      // A text ping is answered without waking the room.
      const pinged = await Watcher.open(edge, call);
      pinged.socket.raw.removeAllListeners("message");
      const answered = new Promise((resolve) => pinged.socket.raw.once("message", (data) => resolve(String(data))));
      pinged.socket.send("ping");
      assert.equal(await answered, "pong");
    } finally {
      node.stop();
    }
  });

  test("signing out and deleting a key end what was opened with them, even while the objects slept", async () => {
    const node = await new MediaNode(edge).inService();
    const bearer = edge.bearer;
    try {
      const { call } = await ring(edge);
      edge.bearer = null;
      const signedIn = await edge.api("POST", "/api/session", { email: EMAIL, password: PASSWORD }, { origin: PUBLIC });
      const page = {
        cookie: signedIn.headers.getSetCookie()[0].split(";")[0], origin: PUBLIC, "x-csrf-token": signedIn.json.csrfToken,
      };
      const made = await edge.api("POST", "/api/keys", { name: "soon gone" }, page);
      const program = { authorization: `Bearer ${made.json.key}` };
      const board = await Conversation.open(edge.socketUrl("/ws/calls"), page);
      const watchers = [await Watcher.open(edge, call, { headers: page }), await Watcher.open(edge, call, { headers: program })];
      const events = await edge.fetch(`/api/calls/${call}/transcript`, { headers: { ...program, accept: "text/event-stream" } });
      assert.equal(events.status, 200);
      const streamed = events.text();
      const stays = await Watcher.open(edge, call, { headers: { authorization: `Bearer ${bearer}` } });
      let gone = false;
      stays.socket.closed.then(() => (gone = true));
      await edge.evictRoom(call, "hibernate");
      await edge.evictSwitchboard("hibernate");
      assert.equal((await edge.api("DELETE", `/api/keys/${made.json.view.id}`, undefined, page)).status, 204);
      assert.equal((await edge.api("DELETE", "/api/session", undefined, page)).status, 204);
      const began = Date.now();
      for (const socket of [board, ...watchers.map((watcher) => watcher.socket)]) {
        assert.equal((await socket.closed).code, 4401);
      }
      assert.doesNotMatch(await streamed, /event: ended/);
      assert.ok(Date.now() - began < 30_000, `${Date.now() - began} ms`);
      assert.equal(gone, false, "a key that lives keeps its socket");
      await stays.socket.close();
    } finally {
      edge.bearer = bearer;
      node.stop();
    }
  });

  test("signing out ends the session", async () => {
    const bearer = edge.bearer;
    edge.bearer = null;
    const out = await edge.api("DELETE", "/api/session", undefined, browser());
    assert.ok(out.status < 300, out.text);
    assert.ok(out.headers.get("clear-site-data"));
    assert.equal((await edge.api("GET", "/api/session", undefined, { cookie: session.cookie })).json.email, null);
    edge.bearer = bearer;
  });

  test("guessing is slowed down", async () => {
    // All attempts together are limited too, for a moment only: what is looked for here lasts.
    let slowed;
    for (let n = 0; n < 100 && !(slowed > 1); n++) {
      const guess = await edge.api("POST", "/api/session", { email: EMAIL, password: `guess number ${n}` });
      assert.ok([401, 429].includes(guess.status), guess.text);
      slowed = Number(guess.headers.get("retry-after") ?? 0);
      if (slowed === 1) await new Promise((resolve) => setTimeout(resolve, 340));
    }
    assert.ok(slowed > 1, "guesses at one account are not slowed down");
    const limited = await edge.api("POST", "/api/session", { email: EMAIL, password: PASSWORD });
    assert.equal(limited.status, 429);
    assert.ok(Number(limited.headers.get("retry-after")) > 0);
  });
});

suite("a Worker that was not told everything", () => {
  test("names all that is missing or malformed at once, and Twilio still gets TwiML", async () => {
    const edge = await Edge.start({ PUBLIC_BASE_URL: "ftp://nowhere", NODE_SECRET: "short", TICKET_SIGNING_KEY: "" });
    try {
      const health = await edge.fetch("/health");
      const text = await health.text();
      assert.ok(health.status >= 500);
      for (const name of ["PUBLIC_BASE_URL", "NODE_SECRET", "TICKET_SIGNING_KEY"]) assert.match(text, new RegExp(name));
      assert.doesNotMatch(text, /TWILIO_AUTH_TOKEN/);
      assert.ok(!text.includes("ftp://nowhere"));
      const voice = await edge.webhook("/voice", {});
      assert.equal(voice.status, 200);
      assert.match(await voice.text(), /<Response>/);
    } finally {
      await edge.close();
    }
  });
});

suite("nodes prove themselves", () => {
  let edge;
  before(async () => {
    edge = await Edge.start();
  });
  after(() => edge?.close());

  test("a heartbeat counts only when it is signed, fresh and new", async () => {
    const node = new MediaNode(edge);
    assert.equal((await node.beat({}, { at: Date.now() - 60_000 })).status, 401);
    const body = JSON.stringify(node.report);
    const signed = edge.nodeHeaders("/node/heartbeat", node.id, body);
    const send = (headers, what = body) => edge.fetch("/node/heartbeat", { method: "POST", body: what, headers });
    assert.equal((await send({ ...signed, "x-trunkline-signature": "0".repeat(64) })).status, 401);
    assert.equal((await send(signed, body.replace(node.id, "somebody-else"))).status, 401);
    assert.equal((await edge.api("GET", "/health")).json.nodesAlive, 0);
    const taken = await send(signed);
    assert.equal(taken.status, 200);
    assert.equal((await taken.json()).leaseMs, 6_000);
    assert.equal((await edge.api("GET", "/health")).json.nodesAlive, 1);
    assert.notEqual((await send(signed)).status, 200, "the same heartbeat again");
  });
});
