// A room loses its memory after every single event of a call, its sockets asleep or closed, and nobody can tell: the log is
// the one of an undisturbed call, and the watcher sees no gap.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring, tellStatus, tellStream } from "./call.mjs";
import { Edge } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

suite("a room that forgets", () => {
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

  /** A call of many events; `interrupt` is called after each of them. Returns the room's whole log without its times. */
  async function live(interrupt) {
    const ringing = await ring(edge);
    await interrupt(ringing.call);
    const watcher = await Watcher.open(edge, ringing.call);
    const media = await node.take({ ...ringing.stream, streamSid: `MZ${"7".repeat(32)}` });
    const at = 1_767_225_600_000;
    const steps = [
      () => tellStream(edge, ringing, "stream-started", media.streamSid),
      () => media.report({ kind: "stream_started", streamSid: media.streamSid }),
      () => media.report({ kind: "provider_ready", provider: "openai" }),
      () => tellStatus(edge, ringing.form, "in-progress", { Timestamp: "Thu, 01 Jan 2026 00:00:00 +0000" }),
    ];
    for (let turn = 0; turn < 6; turn++) {
      steps.push(
        () => media.report(said("agent", `a${turn}`, `Sentence ${turn}.`, at + turn * 2_000)),
        () => media.report({ kind: "heard", item: `a${turn}`, heardMs: 800, receivedMs: 800, cut: false }),
        () => media.report(said("caller", `c${turn}`, `Answer ${turn}.`, at + turn * 2_000 + 1_000)),
      );
    }
    steps.push(
      () => media.report({ kind: "digit", digit: "5" }),
      () => media.report({ kind: "ended", reason: "caller_hung_up" }),
      () => tellStream(edge, ringing, "stream-stopped", media.streamSid),
      () => tellStatus(edge, ringing.form, "completed", { CallDuration: "13", Timestamp: "Thu, 01 Jan 2026 00:00:13 +0000" }),
    );
    for (const step of steps) {
      await step();
      await interrupt(ringing.call, { media, watcher });
    }
    await watcher.until(({ ended }) => ended);
    // From the beginning, as a newcomer would get it.
    const newcomer = await Watcher.open(edge, ringing.call, { fromSeq: 0 });
    await newcomer.until(({ ended }) => ended);
    assert.deepEqual(
      newcomer.facts.slice(watcher.snapshot.seq),
      watcher.facts.filter(({ seq }) => seq > watcher.snapshot.seq),
      "the watcher saw what is stored",
    );
    return newcomer.facts.map(({ seq, fact }) => ({ seq, fact }));
  }

  /** What differs from call to call, made equal. */
  const neutral = (facts) => JSON.stringify(facts)
    .replace(/CA[0-9a-f]{32}/g, "CA")
    .replace(/"at":\d+/g, '"at":0');

  let undisturbed;
  test("an undisturbed call, to compare with", async () => {
    undisturbed = await live(async () => {});
    assert.ok(undisturbed.length >= 24, `${undisturbed.length} facts`);
  });

  test("with its sockets hibernating after each event: the same log, no gap", async () => {
    const facts = await live((call) => edge.evictRoom(call, "hibernate"));
    assert.equal(neutral(facts), neutral(undisturbed));
  });

  test("with its sockets closed after each event: the same log, no gap", async () => {
    const facts = await live(async (call, ends) => {
      await edge.evictRoom(call, "close");
      if (!ends) return;
      await ends.watcher.socket.closed;
      // What was stored is seen before the call is over; after its end the socket is not needed any more.
      if (!ends.watcher.ended) await ends.watcher.resume();
      if (ends.media.lines > 0 && ends.media.sent.at(-1).event.kind === "ended") return;
      await ends.media.room.closed;
      await ends.media.reconnect();
    });
    assert.equal(neutral(facts), neutral(undisturbed));
  });

  test("a Switchboard that forgets still knows its nodes, calls and configuration", async () => {
    const ringing = await ring(edge);
    for (const sockets of ["hibernate", "close"]) {
      await edge.evictSwitchboard(sockets);
      const again = await ring(edge);
      assert.equal(again.stream.claims.n, node.id);
      const health = await edge.api("GET", "/health");
      assert.equal(health.json.nodesAlive, 1);
    }
    const shown = await eventually("the live call is found by Twilio's name", async () => {
      const answer = await edge.api("GET", `/api/calls/${ringing.callSid}`);
      return answer.status === 200 && answer.json;
    });
    assert.equal(shown.call.call, ringing.call);
  });
});
