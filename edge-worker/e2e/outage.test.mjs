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
    const schema = await database.prepare("SELECT sql FROM sqlite_master WHERE name IN ('calls', 'calls_by_time', 'calls_by_sid')").all();
    const ringing = await ring(edge);
    const watcher = await Watcher.open(edge, ringing.call);
    for (const table of ["calls", "agents", "numbers", "configuration"]) await database.prepare(`ALTER TABLE ${table} RENAME TO ${table}_away`).run();
    await database.prepare("DROP INDEX IF EXISTS calls_by_time").run();
    await database.prepare("DROP INDEX IF EXISTS calls_by_sid").run();

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

    for (const table of ["calls", "agents", "numbers", "configuration"]) await database.prepare(`ALTER TABLE ${table}_away RENAME TO ${table}`).run();
    assert.ok(schema.results.length > 0);
    for (const { call } of [ringing, second]) {
      const row = await eventually("the projection has caught up", () =>
        database.prepare("SELECT * FROM calls WHERE call = ?1 AND status = 'completed'").bind(call).first());
      assert.equal(row.status, "completed");
    }
  });
});
