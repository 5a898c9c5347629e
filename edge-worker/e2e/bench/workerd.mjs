// A Worker in bare workerd, as the platform runs it: no development server in between. Durable Objects keep their SQLite on
// the local disk; what bare workerd does not have (D1, R2, queues) is not bound.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ROOT } from "../edge.mjs";

const text = JSON.stringify;

/** Starts `workerd serve`; resolves when it listens. `objects` maps bindings to classes. */
export async function serve({ modules, objects, vars }) {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-bench-"));
  mkdirSync(join(folder, "storage"));
  for (const file of modules) cpSync(file, join(folder, basename(file)));
  const declared = modules.map((file) => {
    const name = basename(file);
    return `(name = ${text(name)}, ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${text(name)})`;
  });
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...Object.entries(objects).map(([name, type]) => `(name = ${text(name)}, durableObjectNamespace = ${text(type)})`),
  ];
  const namespaces = Object.values(objects).map((type) => `(className = ${text(type)}, uniqueKey = ${text(`bench-${type}`)}, enableSql = true)`);
  writeFileSync(join(folder, "config.capnp"), `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "storage", disk = (path = ${text(join(folder, "storage"))}, writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [${declared.join(", ")}],
  compatibilityDate = "2026-10-20",
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [${bindings.join(", ")}],
);
`);
  const started = performance.now();
  const workerd = spawn(join(ROOT, "node_modules/.bin/workerd"), ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const ended = new Promise((resolve) => workerd.on("exit", resolve));
  const port = await new Promise((resolve, reject) => {
    let said = "";
    workerd.stdio[3].on("data", (chunk) => {
      said += chunk;
      for (const line of said.split("\n").slice(0, -1)) {
        const event = JSON.parse(line);
        if (event.event === "listen") resolve(event.port);
      }
    });
    ended.then((code) => reject(new Error(`workerd ended with ${code}`)));
  });
  return {
    base: `http://127.0.0.1:${port}`,
    pid: workerd.pid,
    started,
    async stop() {
      workerd.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
