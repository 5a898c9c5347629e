// The yardstick: a Worker in plain JavaScript that takes the same steps as ours on `POST /voice` (verify Twilio's signature,
// ask one object, write to a new room's SQLite, sign a ticket, answer TwiML), without our rules. `/plain` only verifies and
// answers.
import { DurableObject } from "cloudflare:workers";

const text = new TextEncoder();
const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
let keys;

async function verified(request, env) {
  keys ??= Promise.all([
    crypto.subtle.importKey("raw", text.encode(env.TWILIO_AUTH_TOKEN), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]),
    crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]),
  ]);
  const [hmac] = await keys;
  const { pathname, search } = new URL(request.url);
  const form = [...new URLSearchParams(await request.text())].sort(([a], [b]) => (a < b ? -1 : 1));
  const data = env.PUBLIC_BASE_URL + pathname + search + form.flat().join("");
  const expected = base64(await crypto.subtle.sign("HMAC", hmac, text.encode(data)));
  return expected === request.headers.get("x-twilio-signature") ? Object.fromEntries(form) : null;
}

const twiml = (ticket) => new Response(
  `<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="ws://127.0.0.1:9/media"><Parameter name="ticket" value="${ticket}"/></Stream></Connect></Response>`,
  { headers: { "content-type": "text/xml; charset=utf-8" } },
);

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/health") return Response.json({ status: "ok" });
    const form = await verified(request, env);
    if (!form) return new Response(null, { status: 403 });
    if (path === "/plain") return twiml("none");
    const board = env.BOARD.get(env.BOARD.idFromName("main"));
    const { node } = await (await board.fetch("https://object/", { method: "POST", body: JSON.stringify({ number: form.To }) })).json();
    const room = env.ROOM.get(env.ROOM.idFromName(form.CallSid));
    const { call } = await (await room.fetch("https://object/", { method: "POST", body: JSON.stringify({ form, node }) })).json();
    const claims = btoa(JSON.stringify({ call, node, epoch: 1 }));
    const [, { privateKey }] = await keys;
    return twiml(`v1.${claims}.${base64(await crypto.subtle.sign("Ed25519", privateKey, text.encode(claims)))}`);
  },
};

export class Board extends DurableObject {
  constructor(state, env) {
    super(state, env);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS nodes (id TEXT PRIMARY KEY, seen INTEGER)");
    state.storage.sql.exec("INSERT OR IGNORE INTO nodes VALUES ('node-1', 0)");
  }
  async fetch(request) {
    await request.json();
    const [node] = this.ctx.storage.sql.exec("SELECT id FROM nodes LIMIT 1").toArray();
    return Response.json({ node: node.id });
  }
}

export class Room extends DurableObject {
  async fetch(request) {
    const { form } = await request.json();
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS facts (seq INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, fact TEXT NOT NULL)");
    sql.exec("CREATE TABLE IF NOT EXISTS desk (id INTEGER PRIMARY KEY CHECK (id = 1), desk TEXT NOT NULL)");
    for (const [seq, source] of ["opened", "bound", "life"].entries()) {
      sql.exec("INSERT INTO facts VALUES (?1, ?2, ?3, ?4)", seq + 1, source, Date.now(), JSON.stringify(form));
    }
    sql.exec("INSERT INTO desk VALUES (1, ?1)", JSON.stringify(form));
    await this.ctx.storage.setAlarm(Date.now() + 60_000);
    return Response.json({ call: `call_${form.CallSid}` });
  }
  alarm() {}
}
