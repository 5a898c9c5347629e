// e2e/watch.mjs against the stand-in edge, as a rehearsal of what `cargo xtask test` does with the real one:
//   npm run console:build && node console/dev/rehearse.mjs

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = await mkdtemp(join(tmpdir(), "trunkline-rehearsal-"));
const env = { ...process.env, PORT: "0", READY_FILE: join(folder, "ready.json"), START_FILE: join(folder, "start") };
const edge = spawn(process.execPath, [join(import.meta.dirname, "edge.ts")], { env, stdio: ["ignore", "ignore", "inherit"] });
try {
  const watch = spawn(process.execPath, [join(import.meta.dirname, "../e2e/watch.mjs")], { env, stdio: "inherit" });
  const [code] = await once(watch, "exit");
  process.exitCode = code ?? 1;
} finally {
  edge.kill();
  await once(edge, "exit");
  await rm(folder, { recursive: true, force: true });
}
