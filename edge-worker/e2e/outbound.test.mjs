// Trunkline places a call: Twilio's REST service is a stand-in here, which answers well, badly, late or not at all.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Carrier, refusal, silence, json } from "./carrier.mjs";
import { RECEPTION, openForBusiness, show, statusForm } from "./call.mjs";
import { Edge, OUR_NUMBER, PUBLIC, inboundForm } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, streamOf } from "./media-node.mjs";

let number = 0;
/** A number that no other test calls. */
const somebody = () => `+1415555${String(130 + number++).padStart(4, "0")}`;

suite("an outbound call", () => {
  let edge;
  let carrier;
  let node;
  before(async () => {
    carrier = await Carrier.start();
    edge = await Edge.start({ TWILIO_API_BASE_URL: carrier.url });
    await openForBusiness(edge);
    node = await new MediaNode(edge).inService();
  });
  after(async () => {
    node?.stop();
    await carrier?.close();
    await edge?.close();
  });

  test("is placed, answered by the agent and kept", async () => {
    const to = somebody();
    const placed = await edge.api("POST", "/api/calls", { to, agent: RECEPTION.id, variables: { name: "Ada" } });
    assert.equal(placed.status, 201, placed.text);
    assert.equal(placed.json.success, true);
    const asked = await carrier.requests.take();
    assert.equal(asked.form.get("To"), to);
    assert.equal(asked.form.get("From"), OUR_NUMBER);
    const basic = Buffer.from(asked.authorization.replace("Basic ", ""), "base64").toString();
    assert.equal(basic, `${edge.values.TWILIO_API_KEY}:${edge.values.TWILIO_API_SECRET}`);
    assert.equal(carrier.calls.has(placed.json.callSid), true);

    // Somebody answers: Twilio asks the address that it was given.
    const url = new URL(asked.form.get("Url"));
    assert.equal(url.origin, PUBLIC);
    assert.equal(url.searchParams.get("call"), placed.json.call);
    const form = inboundForm({
      CallSid: placed.json.callSid, CallStatus: "in-progress", Direction: "outbound-api", From: OUR_NUMBER, To: to,
      Caller: OUR_NUMBER, Called: to,
    });
    const answer = await edge.webhook(url.pathname + url.search, form);
    const stream = streamOf(await answer.text());
    assert.equal(stream.call, placed.json.call);
    const media = await node.take(stream);
    assert.equal(media.begin.plan.direction, "outbound");
    assert.equal(media.begin.plan.caller, to);
    assert.deepEqual(media.begin.plan.variables, { name: "Ada" });
    await media.report({ kind: "ended", reason: "agent_hung_up" });
    const callback = new URL(asked.form.get("StatusCallback"));
    await edge.webhook(callback.pathname + callback.search, statusForm(form, "completed", { CallDuration: "4" }));
    const { call } = await show(edge, placed.json.call);
    assert.equal(call.status, "completed");
    assert.equal(call.direction, "outbound");
  });

  test("the addresses of the replaced systems place calls too", async () => {
    for (const [path, body] of [
      ["/api/call", { to: somebody() }],
      ["/api/call/start", { phone: somebody() }],
      ["/api/make-call", { number: somebody() }],
      ["/api/outbound/initiate", { to: somebody() }],
    ]) {
      const placed = await edge.api("POST", path, body);
      assert.equal(placed.status, 201, `${path}: ${placed.text}`);
      await carrier.requests.take();
    }
  });

  test("a repeated Idempotency-Key rings once and answers the same; with another body it is a conflict", async () => {
    const body = { to: somebody() };
    const key = { "idempotency-key": "order-4711" };
    const first = await edge.api("POST", "/api/calls", body, key);
    assert.equal(first.status, 201);
    await carrier.requests.take();
    const again = await edge.api("POST", "/api/calls", body, key);
    assert.equal(again.status, 201);
    assert.deepEqual(again.json, first.json);
    const other = await edge.api("POST", "/api/calls", { to: somebody() }, key);
    assert.equal(other.status, 409, other.text);
    assert.equal(carrier.requests.length, 0, "Twilio was asked once");
  });

  test("Twilio's refusal is passed on, and nothing is left ringing", async () => {
    carrier.arrange(refusal(400, 21211, "The 'To' number is not a valid phone number."));
    const refused = await edge.api("POST", "/api/calls", { to: somebody() });
    assert.ok(refused.status >= 400 && refused.status < 500, `${refused.status} ${refused.text}`);
    assert.ok(refused.json.error.code);
    await carrier.requests.take();
  });

  test("too many requests is said as such, with a time, and the same key may try again", async () => {
    carrier.arrange((response) => {
      response.setHeader("retry-after", "3");
      refusal(429, 20429, "Too Many Requests")(response);
    });
    const body = { to: somebody() };
    const key = { "idempotency-key": "busy-1" };
    const limited = await edge.api("POST", "/api/calls", body, key);
    assert.equal(limited.status, 429, limited.text);
    assert.ok(Number(limited.headers.get("retry-after")) >= 1);
    await carrier.requests.take();
    const again = await edge.api("POST", "/api/calls", body, key);
    assert.equal(again.status, 201, again.text);
    await carrier.requests.take();
  });

  test("an unclear answer is 202, nobody is called twice, and the call is found afterwards", async () => {
    const to = somebody();
    // The call exists, but its answer is lost: the reply is cut short.
    carrier.arrange((response, seen, twilio) => {
      const body = seen.form;
      const sid = `CA${"b".repeat(32)}`;
      twilio.calls.set(sid, {
        call: {
          sid, status: "in-progress", to: body.get("To"), from: body.get("From"), direction: "outbound-api",
          date_created: new Date().toUTCString().replace("GMT", "+0000"), start_time: null, end_time: null, duration: null,
        },
        form: body,
      });
      response.writeHead(201, { "content-type": "application/json" });
      response.write('{"sid":"CA');
      response.destroy();
    });
    const unknown = await edge.api("POST", "/api/calls", { to });
    assert.equal(unknown.status, 202, unknown.text);
    assert.equal(unknown.json.status, "unknown");
    assert.equal(unknown.json.callSid, null);
    // The room looks after a quarter of a minute, so that Twilio's listing has caught up with itself.
    const found = await eventually("the call is found at Twilio", async () => {
      const { call } = await show(edge, unknown.json.call);
      return call.callSid && call;
    }, 60_000);
    assert.equal(found.callSid, `CA${"b".repeat(32)}`);
    const posts = [];
    while (carrier.requests.length > 0) posts.push(await carrier.requests.take());
    assert.equal(posts.filter(({ method, path }) => method === "POST" && path.endsWith("/Calls.json")).length, 1);
  });

  test("an unclear call that rings after all says its name itself", async () => {
    carrier.arrange((response) => response.destroy());
    const to = somebody();
    const unknown = await edge.api("POST", "/api/calls", { to });
    assert.equal(unknown.status, 202, unknown.text);
    const form = inboundForm({ CallStatus: "ringing", Direction: "outbound-api", From: OUR_NUMBER, To: to, Caller: OUR_NUMBER, Called: to });
    await edge.webhook(`/api/calls/status?call=${unknown.json.call}`, statusForm(form, "ringing"));
    const { call } = await show(edge, unknown.json.call);
    assert.equal(call.callSid, form.CallSid);
    assert.equal(call.status, "ringing");
  });

  test("a Twilio that never answers is 202 within the time that is promised", async () => {
    carrier.arrange(silence);
    const asked = Date.now();
    const unknown = await edge.api("POST", "/api/calls", { to: somebody() });
    assert.equal(unknown.status, 202, unknown.text);
    assert.ok(Date.now() - asked < 13_000, `${Date.now() - asked} ms`);
  });

  test("a server error at Twilio is 202 too, and is not repeated", async () => {
    while (carrier.requests.length > 0) await carrier.requests.take();
    carrier.arrange(json(500, { code: 20500, message: "An internal server error has occurred", status: 500 }));
    const to = somebody();
    const unknown = await edge.api("POST", "/api/calls", { to });
    assert.equal(unknown.status, 202, unknown.text);
    const seen = await carrier.requests.takeUntil(({ form }) => form.get("To") === to);
    assert.equal(seen.method, "POST");
  });

  test("bad input is refused with its field, and Twilio is not asked", async () => {
    const before = carrier.calls.size;
    for (const [body, status] of [
      [{}, [400, 422]],
      [{ to: "not a number" }, [400, 422]],
      [{ to: somebody(), agent: "nobody-has-made-me" }, [400, 404, 422]],
      [{ to: somebody(), surprise: 1 }, [400, 422]],
    ]) {
      const refused = await edge.api("POST", "/api/calls", body);
      assert.ok(status.includes(refused.status), `${JSON.stringify(body)}: ${refused.status} ${refused.text}`);
      assert.ok(refused.json.error.message);
    }
    assert.equal(carrier.calls.size, before);
  });
});
