// A stream ends although the call should not: Twilio asks how to go on, and another node takes over where the first one left.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { RECEPTION, openForBusiness, ring, show, tellStatus } from "./call.mjs";
import { Edge, PUBLIC } from "./edge.mjs";
import { MediaNode, said, streamOf } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

suite("after a stream", () => {
  let edge;
  let nodes;
  before(async () => {
    edge = await Edge.start();
    await openForBusiness(edge);
    nodes = [await new MediaNode(edge, { id: "node-a" }).inService(), await new MediaNode(edge, { id: "node-b" }).inService()];
  });
  after(async () => {
    for (const node of nodes ?? []) node.stop();
    await edge?.close();
  });

  const nodeOf = (stream) => nodes.find(({ id }) => id === stream.claims.n);
  const other = (stream) => nodes.find(({ id }) => id !== stream.claims.n);

  /** Twilio requests the action of a `<Connect>` whose stream has ended. */
  async function afterStream({ form, stream }, over = {}) {
    const answer = await edge.webhook(stream.action.replace(PUBLIC, ""), { ...form, CallStatus: "in-progress", ...over });
    const twiml = await answer.text();
    assert.equal(answer.status, 200, twiml);
    return twiml;
  }

  test("another node gets what was heard, and greets nobody twice", async () => {
    const ringing = await ring(edge);
    const watcher = await Watcher.open(edge, ringing.call);
    const lost = await nodeOf(ringing.stream).take(ringing.stream);
    await tellStatus(edge, ringing.form, "in-progress");
    await lost.report(
      { kind: "stream_started", streamSid: lost.streamSid },
      said("agent", "g", RECEPTION.greeting, 1_000),
      { kind: "heard", item: "g", heardMs: 1_500, receivedMs: 1_500, cut: false },
      said("caller", "q", "Are you open on Sunday?", 3_000),
    );
    await lost.room.vanish();

    const twiml = await afterStream(ringing);
    const stream = streamOf(twiml);
    assert.equal(stream.call, ringing.call);
    assert.equal(stream.claims.e, 2);
    assert.equal(stream.claims.n, other(ringing.stream).id);
    const rescuer = await nodeOf(stream).take(stream);
    assert.equal(rescuer.begin.epoch, 2);
    assert.equal(rescuer.begin.plan.greeted, true);
    assert.deepEqual(rescuer.begin.plan.heard, [
      { speaker: "agent", text: RECEPTION.greeting },
      { speaker: "caller", text: "Are you open on Sunday?" },
    ]);

    // The first node comes back with what it had not yet reported: kept as that epoch's history, but it owns nothing.
    assert.equal(await lost.handIn(said("agent", "i", "Late words.", 4_000)), "superseded");
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.epoch === 1 && fact.event?.text === "Late words."));
    assert.equal(rescuer.room.unread, 0, "the owner noticed nothing");
    await rescuer.report(said("agent", "h", "We are, from ten.", 5_000), { kind: "ended", reason: "agent_hung_up" });
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.epoch === 2 && fact.event?.kind === "ended"));

    // Twilio asks again for the first stream: nothing may happen, the second has taken over.
    const stale = await afterStream(ringing);
    assert.doesNotMatch(stale, /<Stream/);
    // And for the second, which ended as it should.
    const done = await afterStream({ form: ringing.form, stream });
    assert.match(done, /<Hangup/);
    await tellStatus(edge, ringing.form, "completed", { CallDuration: "9" });
    const { call } = await show(edge, ringing.call);
    assert.deepEqual(call.termination, { reason: "agent_hung_up", result: "completed" });
  });

  test("a call that ended by design is hung up, not rescued", async () => {
    const ringing = await ring(edge);
    const media = await nodeOf(ringing.stream).take(ringing.stream);
    await media.report({ kind: "ended", reason: "max_duration" });
    const twiml = await afterStream(ringing);
    assert.match(twiml, /<Hangup/);
    assert.doesNotMatch(twiml, /<Stream/);
  });

  test("after three rescues the caller hears an apology", async () => {
    const ringing = await ring(edge);
    let { stream } = ringing;
    let epoch = 0;
    for (; epoch < 6; epoch++) {
      const media = await nodeOf(stream).take(stream);
      await tellStatus(edge, ringing.form, "in-progress");
      await media.room.vanish();
      const next = streamOf(await afterStream({ form: ringing.form, stream }));
      if (!next) break;
      stream = next;
    }
    assert.equal(epoch, 3, "three rescues");
    const twiml = await afterStream({ form: ringing.form, stream });
    assert.match(twiml, /<Hangup/);
  });

  test("a call that nobody knows gets valid TwiML", async () => {
    const ringing = await ring(edge);
    const path = ringing.stream.action.replace(PUBLIC, "").replace(ringing.call, "call_00000000000000000000000000");
    const answer = await edge.webhook(path, ringing.form);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /<Response>/);
    const fallback = await edge.webhook("/voice/fallback", { ...ringing.form, ErrorCode: "11200", ErrorUrl: `${PUBLIC}/voice` });
    assert.equal(fallback.status, 200);
    assert.match(await fallback.text(), /<Response>/);
  });
});
