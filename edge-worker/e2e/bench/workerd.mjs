// A Worker in bare workerd: no development server in between. Durable Objects keep their SQLite on the local disk; D1 is the
// runtime's own binding over a stand-in; what else bare workerd does not have (R2, queues, assets) is not bound.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../edge.mjs";

const text = JSON.stringify;
/** In memory where there is such a folder: how fast this machine's disk commits is not the Worker's doing. */
export const STORAGE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const DATABASE = fileURLToPath(new URL("database.js", import.meta.url));

/** Starts `workerd serve`; resolves when it listens. `objects` maps bindings to classes. */
export async function serve({ modules, objects, vars }) {
  const folder = mkdtempSync(join(STORAGE, "trunkline-bench-"));
  mkdirSync(join(folder, "storage"));
  for (const file of [...modules, DATABASE]) cpSync(file, join(folder, basename(file)));
  const declared = modules.map((file) => {
    const name = basename(file);
    return `(name = ${text(name)}, ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${text(name)})`;
  });
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...Object.entries(objects).map(([name, type]) => `(name = ${text(name)}, durableObjectNamespace = ${text(type)})`),
    `(name = "DB", wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = "database")]))`,
  ];
  const namespaces = Object.values(objects).map((type) => `(className = ${text(type)}, uniqueKey = ${text(`bench-${type}`)}, enableSql = true)`);
  writeFileSync(join(folder, "config.capnp"), `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "database", worker = (
      modules = [(name = "database.js", esModule = embed "database.js")], compatibilityDate = "2026-10-20",
    )),
    (name = "storage", disk = (path = ${text(join(folder, "storage"))}, writable = true)),
  ],
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
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  // The Worker's journal and workerd's own words; only looked at when something goes wrong.
  let journal = "";
  for (const stream of [workerd.stdout, workerd.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => (journal = (journal + chunk).slice(-4_000)));
  }
  const ended = new Promise((resolve) => workerd.on("exit", resolve));
  // However this program ends, the other does not outlive it.
  const cleanUp = () => {
    workerd.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", cleanUp);
  const port = await new Promise((resolve, reject) => {
    let said = "";
    workerd.stdio[3].on("data", (chunk) => {
      said += chunk;
      for (const line of said.split("\n").slice(0, -1)) {
        const event = JSON.parse(line);
        if (event.event === "listen") resolve(event.port);
      }
    });
    ended.then((code) => reject(new Error(`workerd ended with ${code}: ${journal}`)));
  });
  return {
    base: `http://127.0.0.1:${port}`,
    started,
    journal: () => journal,
    /** CPU time that the process has used so far, milliseconds (Linux counts in hundredths of a second). */
    cpu() {
      const fields = readFileSync(`/proc/${workerd.pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    async stop() {
      workerd.kill("SIGTERM");
      await ended;
      process.off("exit", cleanUp);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
