// The Worker's process is killed in a call, without a word, and started again on the same address and storage: the node and
// the watcher come back, and the transcript ends complete.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, suite, test } from "node:test";
import { openForBusiness, ring, show, tellStatus } from "./call.mjs";
import { Client, ROOT, variables } from "./edge.mjs";
import { eventually } from "./inbox.mjs";
import { MediaNode, said } from "./media-node.mjs";
import { Watcher } from "./watcher.mjs";

/** A port that was free a moment ago: the public address must be known before the Worker starts, and stay. */
const freePort = () => new Promise((resolve, reject) => {
  const server = createServer();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** Every process of a group that is still there. */
const members = (group) => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
  try {
    const [, , pgrp] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(/\s+/);
    return Number(pgrp) === group;
  } catch {
    return false;
  }
});

/** `wrangler dev` in a process group of its own. */
class DevServer {
  constructor({ port, state, config, values }) {
    const vars = Object.entries(values).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
    this.process = spawn(
      process.execPath,
      [
        join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "dev", "--config", config, "--ip", "127.0.0.1", "--port", String(port),
        "--inspector-port", "0", "--persist-to", join(state, "storage"), "--show-interactive-dev-session=false", ...vars,
      ],
      {
        cwd: ROOT,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, EDGE_PREBUILT: "1", WRANGLER_REGISTRY_PATH: join(state, "registry") },
      },
    );
    this.output = "";
    this.ended = new Promise((resolve) => this.process.on("exit", resolve));
    this.ready = new Promise((resolve, reject) => {
      for (const stream of [this.process.stdout, this.process.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          this.output += `${line}\n`;
          if (line.includes("Ready on")) resolve();
        });
      }
      this.ended.then((code) => reject(new Error(`wrangler ended with ${code}:\n${this.output}`)));
    });
  }

  /** Kills every process of the group at once, as a machine that loses its power would. */
  async kill() {
    try {
      process.kill(-this.process.pid, "SIGKILL");
    } catch {
      // All gone already.
    }
    await this.ended;
    await eventually("the whole group is gone", () => members(this.process.pid).length === 0);
  }
}

suite("the Worker's process is killed in a call", () => {
  let state;
  let server;
  let node;
  before(() => {
    state = mkdtempSync(join(tmpdir(), "trunkline-restart-"));
  });
  after(async () => {
    node?.stop();
    await server?.kill();
    rmSync(state, { recursive: true, force: true });
  });

  test("the transcript ends complete", async () => {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const values = variables({ PUBLIC_BASE_URL: base });
    const config = join(ROOT, "wrangler.toml");
    execFileSync(
      process.execPath,
      [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "d1", "migrations", "apply", "trunkline", "--local", "--config", config, "--persist-to", join(state, "storage")],
      { cwd: ROOT, stdio: "pipe", env: { ...process.env, CI: "1" } },
    );
    server = new DevServer({ port, state, config, values });
    await server.ready;
    const edge = new Client(base, { publicBase: base, values });
    await openForBusiness(edge);
    node = await new MediaNode(edge).inService();

    const ringing = await ring(edge);
    const watcher = await Watcher.open(edge, ringing.call);
    const media = await node.take(ringing.stream);
    await tellStatus(edge, ringing.form, "in-progress");
    await media.report(said("agent", "a", "Before the crash.", 1_000));
    // On its way when the process dies: acknowledged or not, it must be there afterwards, once.
    media.tell(said("caller", "b", "During the crash.", 2_000));

    const [nodeGone, watcherGone] = [media.room.closed, watcher.socket.closed];
    await server.kill();
    await Promise.all([nodeGone, watcherGone]);
    // Whatever arrived before the end is read; what did not, comes after `resume`.
    server = new DevServer({ port, state, config, values });
    await server.ready;

    await eventually("the node has its call again", () => media.reconnect().then(() => true, () => false));
    await watcher.resume();
    await media.report(said("agent", "c", "After the crash.", 3_000), { kind: "ended", reason: "caller_hung_up" });
    await tellStatus(edge, ringing.form, "completed", { CallDuration: "5" });
    await watcher.until(({ ended }) => ended);
    const shown = await eventually("the history has the call", async () => {
      const detail = await show(edge, ringing.call);
      return detail.call.termination && detail;
    });
    assert.deepEqual(shown.transcript.map(({ text }) => text), ["Before the crash.", "During the crash.", "After the crash."]);
    assert.equal(shown.call.durationS, 5);
    const newcomer = await Watcher.open(edge, ringing.call, { fromSeq: 0 });
    await newcomer.until(({ ended }) => ended);
    const ofWatcher = watcher.facts.map(({ seq }) => seq);
    assert.deepEqual(newcomer.facts.filter(({ seq }) => seq > watcher.snapshot.seq).map(({ seq }) => seq), ofWatcher);
  });
});
