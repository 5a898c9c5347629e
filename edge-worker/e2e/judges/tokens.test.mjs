// Twilio's decoders judge the access token that the running Worker mints.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, suite, test } from "node:test";
import { Edge } from "../edge.mjs";
import { PythonJudge } from "./python.mjs";

const require = createRequire(import.meta.url);
// The package that Twilio's Node helper signs and reads tokens with; the helper itself has no decoder for access tokens.
const jsonwebtoken = createRequire(require.resolve("twilio"))("jsonwebtoken");

suite("access tokens", () => {
  let edge;
  let python;
  before(async () => {
    edge = await Edge.start();
    await edge.setUp();
    python = new PythonJudge();
  });
  after(async () => {
    await edge?.close();
    await python?.close();
  });

  test("both decoders accept the token and read the same grants", async () => {
    const asked = Math.floor(Date.now() / 1000);
    const minted = await edge.api("POST", "/api/token");
    assert.equal(minted.status, 200, minted.text);
    const { token, identity, expiresAt } = minted.json;
    const secret = edge.values.TWILIO_API_SECRET;

    const { header, payload } = jsonwebtoken.verify(token, secret, { algorithms: ["HS256"], complete: true });
    assert.deepEqual(header, { alg: "HS256", typ: "JWT", cty: "twilio-fpa;v=1" });
    assert.equal(payload.iss, edge.values.TWILIO_API_KEY);
    assert.equal(payload.sub, edge.values.TWILIO_ACCOUNT_SID);
    assert.equal(payload.grants.identity, identity);
    assert.equal(payload.grants.voice.outgoing.application_sid, edge.values.TWILIO_TWIML_APP_SID);
    assert.match(identity, /^[A-Za-z0-9_]{1,121}$/);
    assert.ok(payload.exp - asked >= 3_599 && payload.exp - asked <= 3_610, `expires in ${payload.exp - asked} s`);
    assert.equal(Math.floor(Date.parse(expiresAt) / 1000), payload.exp);

    const read = await python.ask({ op: "decode", jwt: token, secret });
    assert.equal(read.error, undefined);
    assert.equal(read.claims.grants.identity, identity);
    assert.equal(read.claims.exp, payload.exp);
  });

  test("both decoders refuse it with another secret", async () => {
    const { token } = (await edge.api("GET", "/api/token")).json;
    assert.throws(() => jsonwebtoken.verify(token, "another", { algorithms: ["HS256"] }), /invalid signature/);
    assert.ok((await python.ask({ op: "decode", jwt: token, secret: "another" })).error);
  });

  test("each session's identity is its own, and nobody gets one without a key", async () => {
    const first = await edge.api("POST", "/api/token");
    const second = await edge.api("POST", "/api/token");
    assert.notEqual(first.json.identity, second.json.identity);
    const anonymous = await edge.fetch("/api/token", { method: "POST" });
    assert.equal(anonymous.status, 401);
  });
});
