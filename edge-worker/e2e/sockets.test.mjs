// What a room's sockets bear: clients that say nonsense or too much, many events at once, and messages in the queue that
// nobody understands. Nothing of it reaches anybody else.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring, show, tellStatus } from "./call.mjs";
import { Edge } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Conversation } from "./socket.mjs";
import { Watcher } from "./watcher.mjs";

suite("sockets", () => {
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

  test("a watcher that says too much is sent away, the others go on", async () => {
    const { stream, call } = await ring(edge);
    const media = await node.take(stream);
    const quiet = await Watcher.open(edge, call);
    for (const message of ["x".repeat(4_097), Buffer.from([1, 2, 3])]) {
      const loud = await Watcher.open(edge, call);
      loud.socket.raw.send(message);
      assert.equal((await loud.socket.closed).code, 1009);
    }
    const flood = await Watcher.open(edge, call);
    for (let n = 0; n < 60; n++) flood.socket.send({ type: "seen", seq: n });
    assert.equal((await flood.socket.closed).code, 1008);
    const polite = await Watcher.open(edge, call);
    polite.socket.send({ type: "seen", seq: 1 });
    polite.socket.send("not even JSON");
    polite.socket.send({ type: "something_newer" });
    await media.report(said("agent", "a", "Still here."));
    for (const watcher of [quiet, polite]) {
      await watcher.until(({ facts }) => facts.some(({ fact }) => fact.event?.text === "Still here."));
    }
  });

  test("a node that breaks the protocol loses its socket, not its call", async () => {
    const { stream, call } = await ring(edge);
    const watcher = await Watcher.open(edge, call);
    const media = await node.take(stream);
    await media.report(said("agent", "a", "One."));
    for (const message of ["{", JSON.stringify({ type: "facts", epoch: "x" }), Buffer.from("{}"), "x".repeat(70_000)]) {
      media.room.raw.send(message);
      assert.equal((await media.room.closed).code, 4400);
      await media.reconnect();
    }
    // A kind that a newer node may have is no fault, a gap in the lines is not filled.
    media.room.send({ type: "dance" });
    media.room.send({ type: "facts", epoch: media.begin.epoch, facts: [{ line: 9, at: Date.now(), event: said("agent", "z", "From nowhere.") }] });
    await media.report(said("agent", "b", "Two."), { kind: "ended", reason: "agent_hung_up" });
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.event?.kind === "ended"));
    assert.deepEqual(watcher.said(), ["agent: One.", "agent: Two."]);
  });

  test("a ticket that is changed, or for another call, opens nothing", async () => {
    const [{ stream }, other] = [await ring(edge), await ring(edge)];
    const flipped = stream.ticket.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const [what, ticket] of [["changed", flipped], ["none", ""], ["another call's", other.stream.ticket]]) {
      await assert.rejects(
        node.take({ ...stream, ticket }),
        ({ status, code }) => [401, 403].includes(status) || code !== undefined,
        what,
      );
    }
  });

  test("a hundred events at once leave one state and one log", async () => {
    const ringing = await ring(edge);
    const watcher = await Watcher.open(edge, ringing.call);
    const media = await node.take(ringing.stream);
    const statuses = ["ringing", "in-progress", "ringing", "in-progress"];
    const work = [];
    for (let n = 0; n < 25; n++) {
      media.tell(said("caller", `c${n}`, `Sentence ${n}.`, 1_000 + n));
      work.push(tellStatus(edge, ringing.form, statuses[n % 4], { SequenceNumber: String(n) }));
      work.push(edge.api("GET", `/api/calls/${ringing.call}`));
      work.push(edge.webhook("/voice", ringing.form));
    }
    await Promise.all(work);
    await media.acknowledged();
    await media.report({ kind: "ended", reason: "caller_hung_up" });
    await tellStatus(edge, ringing.form, "completed", { CallDuration: "8" });
    await watcher.until(({ ended }) => ended);
    assert.equal(watcher.said().length, 25);
    const { transcript, state } = await show(edge, ringing.call);
    assert.deepEqual(transcript.map(({ text }) => text), Array.from({ length: 25 }, (_, n) => `Sentence ${n}.`));
    assert.equal(state.status, "completed");
  });

  test("the board goes on after its object has slept", async () => {
    const board = await Conversation.open(edge.socketUrl("/ws/calls"), { authorization: `Bearer ${edge.bearer}` });
    await board.takeUntil(({ type }) => type === "board");
    await edge.evictSwitchboard("hibernate");
    const { call, form } = await ring(edge);
    await board.takeUntil((message) => message.type === "call" && message.call.call === call);
    await edge.evictSwitchboard("hibernate");
    await tellStatus(edge, form, "completed", { CallDuration: "1" });
    await board.takeUntil((message) => message.type === "gone" && message.call === call);
    await board.close();
  });

  test("a message in the queue that nobody understands is acknowledged and noted", async () => {
    const { DELIVERIES } = await edge.worker.getEnv();
    await DELIVERIES.send({ kind: "from another version" });
    await DELIVERIES.send("text");
    await eventually("both are noted", () => edge.logs().split("a message of an unknown kind was dropped").length === 3);
  });
});
