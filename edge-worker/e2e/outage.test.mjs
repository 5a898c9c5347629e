// D1 is away: calls go on as if nothing were, and the history catches up when it is back.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring, show, tellStatus } from "./call.mjs";
import { Edge } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

suite("without D1", () => {
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

  test("a call is answered by its agent, watched and ended, and the history has it later", async () => {
    const database = await edge.database();
    const ringing = await ring(edge);
    const watcher = await Watcher.open(edge, ringing.call);
    const rename = (from, to) => database.batch(
      ["calls", "agents", "numbers", "configuration"].map((table) => database.prepare(`ALTER TABLE ${from(table)} RENAME TO ${to(table)}`)),
    );
    await rename((table) => table, (table) => `${table}_away`);
    assert.equal((await edge.api("GET", "/api/agents")).status, 503, "D1 is really away");

    // A second call begins while nothing in D1 can be read: the Switchboard mirrors the configuration.
    const second = await ring(edge);
    const media = await node.take(second.stream);
    assert.equal(media.begin.plan.agent.id, "reception");
    await media.report(said("caller", "x", "Is anybody there?"), { kind: "ended", reason: "caller_hung_up" });
    await tellStatus(edge, second.form, "completed", { CallDuration: "2" });
    await tellStatus(edge, ringing.form, "completed", { CallDuration: "1" });
    await watcher.until(({ facts }) => facts.some(({ fact }) => fact.event?.status === "completed"));
    // The API shows the room's truth meanwhile.
    assert.equal((await show(edge, second.call)).state.status, "completed");

    await rename((table) => `${table}_away`, (table) => table);
    for (const { call } of [ringing, second]) {
      const row = await eventually("the projection has caught up", () =>
        database.prepare("SELECT * FROM calls WHERE call = ?1 AND status = 'completed'").bind(call).first());
      assert.equal(row.status, "completed");
    }
  });
});
