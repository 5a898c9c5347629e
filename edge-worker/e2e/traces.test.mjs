// What looking leaves behind: nothing in the storage of rooms that never were, and no page under the name of a file.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring } from "./call.mjs";
import { Edge, inboundForm } from "./edge.mjs";
import { MediaNode } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

suite("looking", () => {
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

  /**
   * The tables in each database file of local runtimes, by the file's name: an object's is its id. Opening storage makes a
   * file in the local runtime; what counts is that we write nothing to it. Tables of the runtime's own begin with an underscore.
   */
  function databases() {
    const tables = new Map();
    const read = (file) => {
      const database = new DatabaseSync(file, { readOnly: true });
      try {
        const names = database.prepare("SELECT name FROM sqlite_master").all().map(({ name }) => name);
        return names.filter((name) => !name.startsWith("_"));
      } finally {
        database.close();
      }
    };
    const walk = (folder, depth) => {
      let entries = [];
      try {
        entries = readdirSync(folder, { withFileTypes: true });
      } catch {
        // Another runtime's folder, gone meanwhile.
      }
      for (const entry of entries) {
        if (entry.isDirectory() && depth < 6) walk(join(folder, entry.name), depth + 1);
        else if (entry.name.endsWith(".sqlite")) tables.set(entry.name.replace(".sqlite", ""), join(folder, entry.name));
      }
    };
    const runtimes = readdirSync(tmpdir()).filter((name) => name.startsWith("miniflare"));
    for (const name of runtimes) walk(join(tmpdir(), name), 0);
    return { written: (id) => (tables.has(id) ? read(tables.get(id)) : []) };
  }

  test("at a call that never was leaves no storage", async () => {
    const { CALL_ROOM } = await edge.worker.getEnv();
    const id = (call) => String(CALL_ROOM.idFromName(call));
    const { call } = await ring(edge);
    assert.notDeepEqual(databases().written(id(call)), [], "the file of a real call is found");
    const never = Array.from({ length: 4 }, () => `call_0${randomBytes(13).toString("hex").slice(1)}`);
    for (const [n, stranger] of never.entries()) {
      assert.equal((await edge.api("GET", `/api/calls/${stranger}`)).status, 404);
      assert.equal((await edge.api("POST", `/api/calls/${stranger}/hangup`)).status, 404);
      await edge.webhook(`/api/calls/status?call=${stranger}`, inboundForm({ CallStatus: "completed", SequenceNumber: String(n) }));
      await assert.rejects(Watcher.open(edge, stranger), /4404/);
    }
    const files = databases();
    for (const stranger of never) assert.deepEqual(files.written(id(stranger)), [], `${stranger} has left something`);
  });

  test("for a file that is gone finds no page, and nothing that is kept", async () => {
    for (const headers of [{}, { "sec-fetch-mode": "navigate" }, { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" }]) {
      const gone = await edge.fetch("/assets/index-0123abcd.js", { headers });
      assert.equal(gone.status, 404);
      assert.doesNotMatch(gone.headers.get("cache-control") ?? "", /immutable|max-age=[1-9]/);
      await gone.arrayBuffer();
    }
    const page = await edge.fetch("/calls", { headers: { "sec-fetch-mode": "navigate" } });
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-type"), /text\/html/);
    const script = (await page.text()).match(/\/assets\/[^"]+\.js/)[0];
    const kept = await edge.fetch(script);
    assert.equal(kept.status, 200);
    assert.match(kept.headers.get("cache-control"), /immutable/);
    await kept.arrayBuffer();
  });
});
