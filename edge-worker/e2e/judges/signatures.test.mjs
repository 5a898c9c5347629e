// Twilio's own helpers judge our signatures: first the bare function, on many random requests, then the running Worker,
// which must take what they sign and refuse what they refuse. (It may refuse more: its forms are stricter.)
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, suite, test } from "node:test";
import { ACCOUNT, AUTH_TOKEN, Edge, PUBLIC, inboundForm, newCallSid } from "../edge.mjs";
import { ourSignatures } from "./bare.mjs";
import { address, dice, form, grouped } from "./dice.mjs";
import { PythonJudge } from "./python.mjs";

const twilio = createRequire(import.meta.url)("twilio");
const PAIRS = 10_000;
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

suite(`signatures (SEED=${SEED})`, () => {
  let python;
  before(async () => {
    python = new PythonJudge();
    assert.equal((await python.ask({ op: "version" })).version, "9.13.0");
    assert.equal(createRequire(import.meta.url)("twilio/package.json").version, "6.2.0");
  });
  after(() => python.close());

  test(`the bare function agrees with both helpers on ${PAIRS} requests each`, async () => {
    const d = dice(SEED);
    const requests = Array.from({ length: PAIRS }, () => ({ token: AUTH_TOKEN, url: address(d), params: form(d) }));
    const ours = await ourSignatures(requests);
    assert.equal(ours.length, PAIRS);
    for (const [index, { token, url, params }] of requests.entries()) {
      const theirs = twilio.getExpectedTwilioSignature(token, url, grouped(params));
      assert.equal(ours[index], theirs, `Node: ${url} ${JSON.stringify(params)}`);
    }
    const asked = requests.map(({ token, url, params }) => python.ask({ op: "sign", token, url, params: grouped(params) }));
    for (const [index, { signature }] of (await Promise.all(asked)).entries()) {
      assert.equal(ours[index], signature, `Python: ${JSON.stringify(requests[index])}`);
    }
  });

  suite("the running Worker", () => {
    let edge;
    before(async () => {
      edge = await Edge.start();
    });
    after(() => edge?.close());

    const status = (d, callSid) => ({
      AccountSid: ACCOUNT,
      ApiVersion: "2010-04-01",
      CallSid: callSid,
      CallStatus: d.pick(["ringing", "in-progress", "completed"]),
      Direction: "inbound",
      From: "+14155550123",
      To: "+15550100100",
      SequenceNumber: String(d.below(4)),
      CallbackSource: "call-progress-events",
      FromCity: d.many(8, () => d.pick([..."abcÄ é中🚀'&=+%"])).join(""),
      CallerName: d.many(8, () => d.pick([..."xyz \"<>~"])).join(""),
    });

    test("accepts what either helper signs, and refuses every mutant that they refuse", async () => {
      const d = dice(SEED ^ 0x5eed);
      // A call that exists, so that accepting has something to act on.
      const opening = inboundForm();
      const opened = await edge.webhook("/voice", opening);
      assert.equal(opened.status, 200);
      for (let round = 0; round < 60; round++) {
        const params = status(d, opening.CallSid);
        const path = d.pick(["/api/calls/status", "/api/calls/status?x=O'Brien", "/api/calls/status?note=a%20b&e="]);
        const url = PUBLIC + path;
        // Node fetch normalises an apostrophe in a query; Twilio asks for what it signed, and so do we.
        const asked = new URL(path, edge.base).href.slice(edge.base.length);
        const signed = PUBLIC + asked;
        const { signature } = round % 2
          ? await python.ask({ op: "sign", token: AUTH_TOKEN, url: signed, params })
          : { signature: twilio.getExpectedTwilioSignature(AUTH_TOKEN, signed, params) };
        const sent = await edge.webhook(path, params, { sign: () => signature });
        assert.ok(sent.status === 200 || sent.status === 204, `${url}: ${sent.status} ${await sent.text()}`);

        const mutant = mutate(d, { path: asked, params, signature });
        const verdicts = [
          twilio.validateRequest(AUTH_TOKEN, mutant.signature, PUBLIC + mutant.path, mutant.params),
          (await python.ask({ op: "validate", token: AUTH_TOKEN, url: PUBLIC + mutant.path, params: mutant.params, signature: mutant.signature })).valid,
        ];
        assert.deepEqual(verdicts, [false, false], `${mutant.what}: a mutant that the helpers accept proves nothing`);
        const refused = await edge.webhook(mutant.path, mutant.params, { sign: () => mutant.signature });
        assert.equal(refused.status, 403, mutant.what);
      }
    });

    test("a signature made with another account's token is refused", async () => {
      const params = inboundForm();
      const sent = await edge.webhook("/voice", params, {
        sign: (url) => twilio.getExpectedTwilioSignature("0".repeat(32), url, params),
      });
      assert.equal(sent.status, 403);
    });
  });
});

/** The request with one thing changed that the signature covers, or the signature itself. */
function mutate(d, { path, params, signature }) {
  const names = Object.keys(params);
  const name = d.pick(names);
  const bytes = Buffer.from(signature, "base64");
  switch (d.below(6)) {
    case 0:
      return { what: "a value changed", path, params: { ...params, [name]: `${params[name]}x` }, signature };
    case 1: {
      const { [name]: dropped, ...rest } = params;
      // Without an empty field the name is still missing from the data.
      return { what: `${name} (${dropped.length} characters) left out`, path, params: rest, signature };
    }
    case 2:
      return { what: "a field added", path, params: { ...params, Digits: "1" }, signature };
    case 3:
      bytes[d.below(bytes.length)] ^= 1 << d.below(8);
      return { what: "a bit of the signature flipped", path, params, signature: bytes.toString("base64") };
    case 4:
      return { what: "the query changed", path: path.includes("?") ? `${path}&y=1` : `${path}?y=1`, params, signature };
    default:
      return { what: "another call", path, params: { ...params, CallSid: newCallSid() }, signature };
  }
}
