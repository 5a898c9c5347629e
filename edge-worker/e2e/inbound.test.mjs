// A caller rings, a node carries the call, a browser watches, and afterwards the history has it.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { RECEPTION, openForBusiness, ring, show, tellStatus, tellStream } from "./call.mjs";
import { CALLER, Edge, OUR_NUMBER } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Conversation } from "./socket.mjs";
import { Watcher } from "./watcher.mjs";

suite("an inbound call", () => {
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

  test("goes from the webhook through a node into the history", async () => {
    const board = await Conversation.open(edge.socketUrl("/ws/calls"), { authorization: `Bearer ${edge.bearer}` });
    const first = await board.take();
    assert.equal(first.type, "board");
    assert.deepEqual(first.nodes.map(({ node: id, alive }) => [id, alive]), [[node.id, true]]);

    const ringing = await ring(edge);
    assert.equal(ringing.stream.url, `${node.url}/media/${node.id}`);
    assert.ok(ringing.stream.ticket.length <= 480);
    assert.equal(ringing.stream.claims.s, ringing.callSid);
    assert.equal(ringing.stream.claims.n, node.id);
    const entry = await board.takeUntil(({ type, call }) => type === "call" && call.call === ringing.call);
    assert.equal(entry.call.status, "ringing");
    assert.equal(entry.call.from, CALLER);

    const watcher = await Watcher.open(edge, ringing.callSid);
    assert.equal(watcher.snapshot.call, ringing.call);
    assert.equal(watcher.snapshot.agent, RECEPTION.id);

    const media = await node.take(ringing.stream);
    assert.equal(media.begin.epoch, 1);
    assert.equal(media.begin.plan.callSid, ringing.callSid);
    assert.equal(media.begin.plan.agent.instructions, RECEPTION.instructions);
    assert.equal(media.begin.plan.caller, CALLER);
    assert.deepEqual(media.begin.plan.heard, []);
    await tellStatus(edge, ringing.form, "in-progress", { SequenceNumber: "2" });
    await tellStream(edge, ringing, "stream-started", media.streamSid);

    const start = Date.now();
    media.live("caller", "item_1", "Do you");
    await watcher.until(({ live }) => live?.text === "Do you");
    await media.report({ kind: "stream_started", streamSid: media.streamSid }, said("agent", "item_0", RECEPTION.greeting, start));
    await media.report(said("caller", "item_1", "Do you repair tyres?", start + 3_000));
    await media.report({ kind: "barged_in", item: "item_2", heardMs: 640 }, said("agent", "item_2", "We do, on Mondays", start + 5_000));
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.event?.item === "item_2" && fact.event.kind === "said"));
    assert.deepEqual(watcher.said(), [
      `agent: ${RECEPTION.greeting}`,
      "caller: Do you repair tyres?",
      "agent: We do, on Mondays",
    ]);

    await media.report({ kind: "ended", reason: "caller_hung_up" });
    await tellStatus(edge, ringing.form, "completed", { SequenceNumber: "3", CallDuration: "17" });
    await watcher.until(({ ended }) => ended);
    assert.equal((await watcher.socket.closed).code, 1000);
    await board.takeUntil(({ type, call }) => type === "gone" && call === ringing.call);
    await board.close();

    // The history is D1's; ask it, not the room.
    const listed = await eventually("the call is in the history", async () => {
      const page = await edge.api("GET", "/api/calls");
      return page.json.calls.find(({ call, endedAt }) => call === ringing.call && endedAt);
    });
    assert.equal(listed.status, "completed");
    assert.equal(listed.durationS, 17);
    assert.deepEqual(listed.termination, { reason: "caller_hung_up", result: "completed" });
    assert.equal(listed.to, OUR_NUMBER);
    const database = await edge.database();
    const row = await eventually("the row is settled", () =>
      database.prepare("SELECT * FROM calls WHERE call = ?1 AND settled = 1").bind(ringing.call).first());
    assert.equal(row.status, "completed");
    assert.equal(row.duration_s, 17);
    assert.deepEqual(JSON.parse(row.transcript).map(({ speaker, text }) => [speaker, text]), [
      ["agent", RECEPTION.greeting],
      ["caller", "Do you repair tyres?"],
      ["agent", "We do, on Mondays"],
    ]);
    // By either name, and the transcript in both forms.
    for (const name of [ringing.call, ringing.callSid]) {
      const shown = await show(edge, name);
      assert.equal(shown.call.durationS, 17);
      assert.equal(shown.transcript.length, 3);
      const text = await edge.fetch(`/api/calls/${name}/transcript`, {
        headers: { authorization: `Bearer ${edge.bearer}`, accept: "text/plain" },
      });
      assert.match(text.headers.get("content-type"), /^text\/plain/);
      assert.match(await text.text(), /Do you repair tyres\?/);
      const json = await edge.api("GET", `/api/calls/${name}/transcript`);
      assert.equal(json.json.complete, true);
      assert.equal(json.json.lines.length, 3);
    }
  });

  test("is refused to a second node, and its ticket works once", async () => {
    const { stream } = await ring(edge);
    const media = await node.take(stream);
    const thief = await new MediaNode(edge).inService();
    try {
      await assert.rejects(thief.take(stream), ({ status, code }) => status === 401 || status === 403 || code !== undefined);
    } finally {
      await thief.leave();
    }
    // The same node may come again with the same ticket: its first answer may have been lost.
    const again = await node.take({ ...stream, streamSid: media.streamSid });
    assert.equal(again.begin.epoch, media.begin.epoch);
    await media.room.closed;
    await again.report({ kind: "ended", reason: "caller_hung_up" });
  });

  test("survives the loss of the node's socket: unacknowledged facts are sent again and stored once", async () => {
    const { stream, call } = await ring(edge);
    const watcher = await Watcher.open(edge, call);
    const media = await node.take(stream);
    await media.report(said("agent", "a", "First."));
    media.tell(said("caller", "b", "Second."));
    await media.room.vanish();
    media.acked = 0;
    await media.reconnect();
    await media.report(said("agent", "c", "Third."), { kind: "ended", reason: "agent_hung_up" });
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.event?.kind === "ended"));
    assert.deepEqual(watcher.said(), ["agent: First.", "caller: Second.", "agent: Third."]);
  });

  test("an operator's hang-up reaches the node as an order", async () => {
    const { stream, call, form } = await ring(edge);
    const media = await node.take(stream);
    await tellStatus(edge, form, "in-progress");
    const asked = await edge.api("POST", `/api/calls/${call}/hangup`);
    assert.ok(asked.status < 300, `${asked.status} ${asked.text}`);
    const order = await media.room.takeUntil(({ type }) => type === "order");
    assert.deepEqual(order.order, { kind: "end", reason: "operator_hung_up" });
    media.room.send({ type: "order_done", id: order.id });
    await media.report({ kind: "ended", reason: "operator_hung_up" });
    await tellStatus(edge, form, "completed", { CallDuration: "1" });
    const { call: row } = await eventually("the call is over", async () => {
      const shown = await show(edge, call);
      return shown.call.termination && shown;
    });
    assert.equal(row.termination.reason, "operator_hung_up");
  });

  test("with no node in service is answered all the same, with valid TwiML", async () => {
    const lonely = await Edge.start();
    try {
      await openForBusiness(lonely);
      const { twiml, stream } = await ring(lonely);
      assert.equal(stream, null);
      assert.match(twiml, /^<\?xml[^>]*\?>\s*<Response>.*<\/Response>\s*$/s);
      const health = await lonely.api("GET", "/health");
      assert.equal(health.json.status, "degraded");
    } finally {
      await lonely.close();
    }
  });
});
