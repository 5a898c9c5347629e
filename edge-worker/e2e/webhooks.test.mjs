// What arrives at the addresses that Twilio uses: odd orders, duplicates, forgeries and nonsense. Twilio always gets TwiML or
// an empty answer, and what is not Twilio's changes nothing.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring, show, statusForm, tellStatus } from "./call.mjs";
import { AUTH_TOKEN, Edge, PUBLIC, inboundForm, newCallSid, signature } from "./edge.mjs";
import { MediaNode } from "./media-node.mjs";

suite("webhooks", () => {
  let edge;
  let node;
  before(async () => {
    edge = await Edge.start({ TWILIO_AUTH_TOKEN_SECONDARY: "00112233445566778899aabbccddeeff" });
    await openForBusiness(edge);
    node = await new MediaNode(edge).inService();
  });
  after(async () => {
    node?.stop();
    await edge?.close();
  });

  /** A call's lasting traces, to see that nothing changed. */
  const traces = async (callSid) => (await edge.api("GET", `/api/calls/${callSid}`)).status;

  test("callbacks in every odd order, twice each, end in one state", async () => {
    const at = (seconds) => `Thu, 01 Jan 2026 00:00:${String(seconds).padStart(2, "0")} +0000`;
    const orders = [
      ["ringing", "in-progress", "completed"],
      ["completed", "in-progress", "ringing"],
      ["in-progress", "completed", "ringing"],
      ["completed", "ringing", "in-progress"],
    ];
    const states = [];
    for (const order of orders) {
      const { form, call } = await ring(edge);
      for (const status of [...order, ...order]) {
        const over = {
          ringing: { SequenceNumber: "1", Timestamp: at(1) },
          "in-progress": { SequenceNumber: "2", Timestamp: at(4) },
          completed: { SequenceNumber: "3", Timestamp: at(30), CallDuration: "26", SipResponseCode: "200" },
        }[status];
        await tellStatus(edge, form, status, over);
      }
      const { state } = await show(edge, call);
      // When the room first heard of the call is its own clock's matter.
      states.push({ ...state, firstAt: null });
    }
    for (const state of states) assert.deepEqual(state, states[0]);
    assert.equal(states[0].status, "completed");
    assert.equal(states[0].durationS, 26);
  });

  test("the same webhook twice is one call, with the same answer", async () => {
    const form = inboundForm();
    const [first, second] = [await edge.webhook("/voice", form), await edge.webhook("/voice", form)];
    const call = (twiml) => twiml.match(/call=(call_[0-9a-z]{26})/)[1];
    assert.equal(call(await first.text()), call(await second.text()));
    const page = await edge.api("GET", "/api/calls");
    assert.ok(page.json.calls.filter(({ callSid }) => callSid === form.CallSid).length <= 1);
  });

  test("a token in rotation is accepted beside the primary", async () => {
    const form = inboundForm();
    const answer = await edge.webhook("/voice", form, {
      sign: (url) => signature(url, form, "00112233445566778899aabbccddeeff"),
    });
    assert.equal(answer.status, 200);
  });

  test("GET asks for TwiML too, with everything in the address", async () => {
    const path = `/voice?${new URLSearchParams(inboundForm())}`;
    const answer = await edge.fetch(path, { headers: { "x-twilio-signature": signature(PUBLIC + path, {}) } });
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /<Stream /);
  });

  test("what is not signed by Twilio is refused and changes nothing", async () => {
    const form = inboundForm();
    const forged = [
      // As Twilio's own middleware does.
      ["no signature", { sign: () => "" }, 400],
      ["another key", { sign: (url) => signature(url, form, "0".repeat(32)) }],
      ["another host", { sign: () => signature("https://evil.example/voice", form) }],
      ["another path", { sign: () => signature(`${PUBLIC}/voice/fallback`, form) }],
      ["plain http", { sign: () => signature("http://line.example.test/voice", form) }],
      ["its case changed", { sign: (url) => signature(url, form).toLowerCase() }],
      ["two signatures", { sign: (url) => `${signature(url, form)}, ${signature(url, form)}` }],
      ["an unknown shared key", { headers: { "x-twilio-webhooks-signature-settings": "key=none,algorithm=HMAC_SHA256" } }],
    ];
    for (const [what, how, status = 403] of forged) {
      const answer = await edge.webhook("/voice", form, how);
      assert.equal(answer.status, status, what);
      assert.doesNotMatch(await answer.text(), /<Stream/, what);
    }
    assert.equal(await traces(form.CallSid), 404);
  });

  test("every Twilio route refuses a forgery", async () => {
    const routes = [
      "/voice", "/voice/after-stream?call=call_00000000000000000000000000&epoch=1", "/voice/fallback", "/api/calls/status",
      "/api/calls/stream-status", "/api/calls/amd", "/api/calls/recording-status", "/api/transcriptions/realtime",
      "/twiml", "/api/twilio/voice", "/api/twilio/status", "/recording-status-callback",
    ];
    for (const path of routes) {
      const answer = await edge.webhook(path, inboundForm(), { sign: () => "A".repeat(27) + "=" });
      assert.equal(answer.status, 403, path);
    }
  });

  test("a form that is signed but not sound changes nothing", async () => {
    const sid = newCallSid();
    const form = inboundForm({ CallSid: sid });
    const foreign = { ...form, AccountSid: "AC00000000000000000000000000000009" };
    const answer = await edge.webhook("/voice", foreign);
    assert.ok([400, 403].includes(answer.status), `foreign account: ${answer.status}`);
    for (const [what, bad] of [
      ["a CallSid that is none", { ...form, CallSid: "CA123" }],
      ["a missing CallSid", (({ CallSid, ...rest }) => rest)(form)],
      ["a missing AccountSid", (({ AccountSid, ...rest }) => rest)(form)],
    ]) {
      const refused = await edge.webhook("/voice", bad);
      assert.ok(refused.status >= 400 && refused.status < 500, `${what}: ${refused.status}`);
    }
    assert.equal(await traces(sid), 404);
  });

  test("duplicate keys, a wrong content type and an oversized body are refused as such", async () => {
    const form = inboundForm();
    const send = (body, type, params = form) => edge.fetch("/voice", {
      method: "POST",
      body,
      headers: { "content-type": type, "x-twilio-signature": signature(`${PUBLIC}/voice`, params) },
    });
    const urlencoded = "application/x-www-form-urlencoded";
    const twice = `${new URLSearchParams(form)}&From=%2B15550100999`;
    const duplicate = await send(twice, urlencoded, { ...form, From: [form.From, "+15550100999"] });
    assert.equal(duplicate.status, 400);
    const json = await send(JSON.stringify(form), "application/json", {});
    assert.equal(json.status, 415);
    const big = { ...form, SpeechResult: "x".repeat(70_000) };
    const oversized = await send(new URLSearchParams(big).toString(), urlencoded, big);
    assert.equal(oversized.status, 413);
    // Chunked: nothing announces the length.
    const stream = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 30; n++) controller.enqueue(new TextEncoder().encode("x".repeat(65_536)));
        controller.close();
      },
    });
    const chunked = await edge.fetch("/voice", {
      method: "POST", body: stream, duplex: "half",
      headers: { "content-type": urlencoded, "x-twilio-signature": signature(`${PUBLIC}/voice`, form) },
    }).catch(({ cause }) => ({ status: cause?.code }));
    // The runtime may also drop the connection before the rest was sent.
    assert.ok(chunked.status === 413 || typeof chunked.status === "string", `chunked: ${chunked.status}`);
    assert.equal(await traces(form.CallSid), 404);
  });

  test("a method that a route does not have is named, an address that nobody has is not found", async () => {
    const wrong = await edge.fetch("/api/calls/status", { method: "DELETE" });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.get("allow"), /POST/);
    assert.equal((await edge.fetch("/api/nothing-here")).status, 404);
  });

  test("the addresses of the replaced systems answer as ours", async () => {
    for (const path of ["/twiml", "/api/twilio/voice"]) {
      const answer = await edge.webhook(path, inboundForm());
      assert.equal(answer.status, 200, path);
      assert.match(await answer.text(), /<Stream /, path);
    }
    const { form, call } = await ring(edge);
    const status = await edge.webhook("/api/twilio/status", statusForm(form, "completed", { CallDuration: "3" }));
    assert.ok(status.status < 300);
    assert.equal((await show(edge, call)).state.status, "completed");
  });

  test("a recording's callback at the status address is taken as one", async () => {
    const { form, call } = await ring(edge);
    const recording = {
      AccountSid: form.AccountSid, CallSid: form.CallSid, RecordingSid: `RE${"a".repeat(32)}`,
      RecordingStatus: "completed", RecordingDuration: "9", RecordingChannels: "1", RecordingSource: "OutboundAPI",
      RecordingUrl: `https://api.twilio.com/2010-04-01/Accounts/${form.AccountSid}/Recordings/RE${"a".repeat(32)}`,
      RecordingStartTime: "Thu, 01 Jan 2026 00:00:00 +0000", ErrorCode: "0",
    };
    const answer = await edge.webhook("/api/calls/status", recording);
    assert.ok(answer.status < 300, `${answer.status}`);
    const { state } = await show(edge, call);
    assert.equal(state.recordings[recording.RecordingSid].phase, "completed");
  });

  test("every answer carries the security headers", async () => {
    const { form } = await ring(edge);
    const answers = {
      twiml: await edge.webhook("/voice", inboundForm()),
      callback: await edge.webhook("/api/calls/status", statusForm(form, "completed")),
      forged: await edge.webhook("/voice", form, { sign: () => "x" }),
      api: await edge.fetch("/api/calls", { headers: { authorization: `Bearer ${edge.bearer}` } }),
      unauthorised: await edge.fetch("/api/calls"),
      missing: await edge.fetch("/api/nothing-here"),
      method: await edge.fetch("/api/calls/status", { method: "DELETE" }),
      health: await edge.fetch("/health"),
      console: await edge.fetch("/some/page"),
      stream: await edge.fetch(`/api/calls/${form.CallSid}/transcript`, {
        headers: { authorization: `Bearer ${edge.bearer}`, accept: "text/event-stream" },
      }),
      noUpgrade: await edge.fetch("/ws/calls", { headers: { authorization: `Bearer ${edge.bearer}` } }),
    };
    for (const [what, answer] of Object.entries(answers)) {
      for (const [name, value] of [
        ["strict-transport-security", "max-age=63072000; includeSubDomains"],
        ["x-content-type-options", "nosniff"],
        ["referrer-policy", "no-referrer"],
        ["cross-origin-opener-policy", "same-origin"],
        ["cross-origin-resource-policy", "same-origin"],
      ]) {
        assert.equal(answer.headers.get(name), value, `${what}: ${name}`);
      }
      assert.ok(answer.headers.get("content-security-policy")?.includes("default-src 'none'"), what);
      if (what !== "console") assert.equal(answer.headers.get("cache-control"), "no-store", what);
      await answer.body?.cancel();
    }
  });

  test("nothing private was logged", () => {
    const logs = edge.logs();
    for (const secret of [AUTH_TOKEN, edge.bearer, edge.values.NODE_SECRET, edge.values.TICKET_SIGNING_KEY, "+14155550123", "+15550100100"]) {
      assert.ok(!logs.includes(secret), `the logs contain ${secret.slice(0, 4)}…`);
    }
  });
});
