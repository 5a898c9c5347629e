// A transcript as an event stream: live until the call ends, resumed with Last-Event-ID, nothing twice and nothing missing.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { ACCOUNT, Edge, inboundForm } from "./edge.mjs";
import { openForBusiness, ring, tellStatus } from "./call.mjs";
import { Inbox } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

/** A reader of server-sent events, as a browser reads them. */
class Events {
  #abort = new AbortController();
  inbox = new Inbox("the event stream");
  lastId = null;

  static async open(edge, path, { lastId, bearer = edge.bearer } = {}) {
    const events = new Events();
    const headers = { authorization: `Bearer ${bearer}`, accept: "text/event-stream" };
    if (lastId !== undefined) headers["last-event-id"] = String(lastId);
    const answer = await edge.fetch(path, { headers, signal: events.#abort.signal });
    events.status = answer.status;
    events.type = answer.headers.get("content-type");
    events.#read(answer.body).then(
      () => events.inbox.close("the stream has ended"),
      (error) => events.inbox.close(String(error)),
    );
    return events;
  }

  async #read(body) {
    let text = "";
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        const fields = text.slice(0, end).split("\n").filter((line) => !line.startsWith(":")).map((line) => line.split(/: (.*)/s));
        text = text.slice(end + 2);
        if (fields.length === 0) continue;
        const { id, event, data } = Object.fromEntries(fields);
        this.inbox.put({ id, event, data: JSON.parse(data) });
      }
    }
  }

  async take() {
    const event = await this.inbox.take();
    if (event.id) this.lastId = event.id;
    return event;
  }
  close() {
    this.#abort.abort();
  }
}

suite("the event stream of a transcript", () => {
  let edge;
  let node;
  before(async () => {
    edge = await Edge.start();
    await openForBusiness(edge);
    node = await new MediaNode(edge).inService();
  });
  after(async () => {
    node?.stop();
    await edge?.close();
  });

  test("is live, resumes where it was cut and ends with the call", async () => {
    const { stream, call, callSid, form } = await ring(edge);
    const media = await node.take(stream);
    await tellStatus(edge, form, "in-progress");
    const first = await Events.open(edge, `/api/call/transcript?callSid=${callSid}`);
    assert.equal(first.status, 200);
    assert.match(first.type, /^text\/event-stream/);
    await media.report(said("agent", "a", "One.", 1_000));
    const one = await first.take();
    assert.equal(one.event, "line");
    assert.equal(one.data.text, "One.");
    media.live("caller", "b", "Tw");
    assert.deepEqual([(await first.take()).event], ["live"]);
    first.close();

    await media.report(said("caller", "b", "Two.", 2_000));
    const second = await Events.open(edge, `/api/calls/${call}/transcript`, { lastId: first.lastId });
    assert.equal((await second.take()).data.text, "Two.");
    await media.report(said("agent", "c", "Three.", 3_000), { kind: "ended", reason: "caller_hung_up" });
    assert.equal((await second.take()).data.text, "Three.");
    await tellStatus(edge, form, "completed", { CallDuration: "3" });
    assert.equal((await second.take()).event, "ended");
    await assert.rejects(second.take(), /the stream has ended/);

    // Afterwards the whole of it, and nothing after the last event.
    const whole = await Events.open(edge, `/api/calls/${call}/transcript`);
    const texts = [];
    for (let event = await whole.take(); event.event !== "ended"; event = await whole.take()) texts.push(event.data.text);
    assert.deepEqual(texts, ["One.", "Two.", "Three."]);
    const nothing = await Events.open(edge, `/api/calls/${call}/transcript`, { lastId: whole.lastId });
    assert.equal((await nothing.take()).event, "ended");
  });

  test("needs a key and a call", async () => {
    const { callSid } = await ring(edge);
    assert.equal((await Events.open(edge, `/api/calls/${callSid}/transcript`, { bearer: "tl_live_wrong" })).status, 401);
    assert.equal((await Events.open(edge, `/api/calls/CA${"f".repeat(32)}/transcript`)).status, 404);
  });

  test("Twilio's transcription of a browser's call appears in it, final words once", async () => {
    const { identity } = (await edge.api("POST", "/api/token")).json;
    const from = (name) => inboundForm({ From: `client:${name}`, Caller: `client:${name}`, To: "+14155550177", Called: "+14155550177" });
    const stranger = await edge.webhook("/voice", from("rep_7"));
    assert.match(await stranger.text(), /<Reject/, "an identity that nobody was given");
    const form = from(identity);
    const answer = await edge.webhook("/voice", form);
    const twiml = await answer.text();
    assert.equal(answer.status, 200, twiml);
    assert.match(twiml, /<Dial[^>]*>.*\+14155550177/s);
    const callback = twiml.match(/statusCallbackUrl="([^"]*)"/)[1].replaceAll("&amp;", "&");
    const url = new URL(callback.replace(/#.*$/, ""));
    const call = url.searchParams.get("call");
    const watcher = await Watcher.open(edge, call);
    const words = (sequence, track, transcript, final = "true") => edge.webhook(url.pathname + url.search, {
      AccountSid: ACCOUNT, CallSid: form.CallSid, TranscriptionSid: `GT${"1".repeat(32)}`, TranscriptionEvent: "transcription-content",
      Timestamp: "2026-01-01T00:00:00.123456Z", SequenceId: String(sequence), Track: track, LanguageCode: "en-US", Final: final,
      TranscriptionData: JSON.stringify(final === "true" ? { transcript, confidence: 0.97 } : { transcript }),
    });
    assert.ok((await words(2, "inbound_track", "Hel", "false")).status < 300);
    await words(3, "outbound_track", "Hi, this is Bo.");
    await words(2, "inbound_track", "Hello?");
    await words(2, "inbound_track", "Hello?");
    await watcher.until(({ facts }) => facts.filter(({ fact }) => fact.type === "transcribed").length === 2);
    const { json } = await edge.api("GET", `/api/calls/${call}/transcript`);
    assert.deepEqual(json.lines.map(({ speaker, text }) => [speaker, text]), [["caller", "Hello?"], ["agent", "Hi, this is Bo."]]);
  });
});
