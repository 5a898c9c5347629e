// One telephone call as Twilio would report it: the webhook that asks for TwiML and the callbacks that follow. The audio is
// the media node's matter.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ACCOUNT, OUR_NUMBER, PUBLIC, inboundForm } from "./edge.mjs";
import { streamOf } from "./media-node.mjs";

/** An agent that the tests' calls are answered by; no provider is ever asked. */
export const RECEPTION = {
  id: "reception",
  name: "Reception",
  voice: { provider: "openai", model: "gpt-realtime", voice: "marin" },
  instructions: "You answer the telephone of a bicycle shop.",
  greeting: "Hello, this is the bicycle shop.",
  language: "en-US",
};

/** An administrator, a key, an agent and a number that leads to it. */
export async function openForBusiness(edge, agent = RECEPTION) {
  await edge.setUp();
  const put = await edge.api("PUT", `/api/agents/${agent.id}`, agent);
  assert.ok(put.status === 200 || put.status === 201, `agent: ${put.status} ${put.text}`);
  const pointed = await edge.api("PUT", `/api/numbers/${encodeURIComponent(OUR_NUMBER)}`, { agent: agent.id });
  assert.equal(pointed.status, 200, pointed.text);
}

/** A caller dials our number; Twilio asks for TwiML. */
export async function ring(edge, over = {}) {
  const form = inboundForm(over);
  const answer = await edge.webhook("/voice", form);
  const twiml = await answer.text();
  assert.equal(answer.status, 200, twiml);
  const stream = streamOf(twiml);
  return { form, twiml, stream, call: stream?.call, callSid: form.CallSid };
}

/** The form of a status callback about the call. */
export const statusForm = (form, status, over = {}) => ({
  AccountSid: ACCOUNT,
  ApiVersion: "2010-04-01",
  CallSid: form.CallSid,
  CallStatus: status,
  Called: form.To,
  Caller: form.From,
  Direction: form.Direction,
  From: form.From,
  To: form.To,
  CallbackSource: "call-progress-events",
  SequenceNumber: "0",
  Timestamp: new Date().toUTCString().replace("GMT", "+0000"),
  ...over,
});

/** Twilio says how the leg stands. */
export async function tellStatus(edge, form, status, over = {}) {
  const answer = await edge.webhook("/api/calls/status", statusForm(form, status, over));
  assert.ok(answer.status === 200 || answer.status === 204, `${status}: ${answer.status} ${await answer.text()}`);
  return answer;
}

/** Twilio says what became of a stream. */
export function tellStream(edge, { stream, form }, event, streamSid = `MZ${randomBytes(16).toString("hex")}`) {
  const path = stream.statusCallback.replace(PUBLIC, "");
  return edge.webhook(path, {
    AccountSid: ACCOUNT,
    CallSid: form.CallSid,
    StreamSid: streamSid,
    StreamName: streamSid,
    StreamEvent: event,
    Timestamp: new Date().toISOString(),
  });
}

/** The call as the API shows it. */
export async function show(edge, call) {
  const shown = await edge.api("GET", `/api/calls/${call}`);
  assert.equal(shown.status, 200, shown.text);
  return shown.json;
}
