// What the Worker costs: the size of its bundle, the time to its first answer, and the time of a signed `POST /voice` at a
// fixed rate in bare workerd, beside a Worker in plain JavaScript that takes the same steps in the same run. Called by
// `cargo xtask bench worker`, which has built `edge-worker/build` before. On a busy machine only the ratios mean anything.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Client, PUBLIC, ROOT, inboundForm, signature, variables } from "../edge.mjs";
import { MediaNode } from "../media-node.mjs";
import { STORAGE, serve } from "./workerd.mjs";

const RATE = Number(process.env.RATE ?? 50);
const SECONDS = Number(process.env.SECONDS ?? 5);
const ROUNDS = Number(process.env.ROUNDS ?? 4);
const STARTS = 7;

const BUILD = join(ROOT, "edge-worker/build");
const values = variables();
const kinds = {
  ours: {
    modules: [join(BUILD, "index.js"), join(BUILD, "index_bg.wasm")],
    objects: { CALL_ROOM: "CallRoom", SWITCHBOARD: "Switchboard", CAMPAIGN: "Campaign" },
    vars: values,
  },
  javascript: {
    modules: [fileURLToPath(new URL("reference.js", import.meta.url))],
    objects: { BOARD: "Board", ROOM: "Room" },
    vars: values,
  },
};

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
const median = (numbers) => quantile([...numbers].sort((a, b) => a - b), 0.5);
const ms = (number) => `${number.toFixed(2)} ms`;

/** One signed webhook about a call that nobody knows yet, ready to be sent. */
function webhook(path) {
  const form = inboundForm();
  return { path, body: new URLSearchParams(form).toString(), signature: signature(PUBLIC + path, form) };
}

/** Sends one request; the milliseconds to its whole answer. */
function send(base, agent, { path, body, signature: signed }) {
  return new Promise((resolve, reject) => {
    const asked = performance.now();
    const sent = request(base + path, {
      method: "POST", agent,
      headers: { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body), "x-twilio-signature": signed },
    }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        const took = performance.now() - asked;
        if (answer.statusCode !== 200 || !text.includes("<Stream ")) reject(new Error(`${path}: ${answer.statusCode} ${text}`));
        else resolve(took);
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Sends at a fixed rate, whether or not earlier requests have been answered; every request's milliseconds. */
async function drive(base, path, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const requests = Array.from({ length: RATE * seconds }, () => webhook(path));
  const answers = [];
  const begun = performance.now();
  await new Promise((done) => {
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begun) / 1000) * RATE);
      while (answers.length < Math.min(due, requests.length)) {
        const answer = send(base, agent, requests[answers.length]);
        // Looked at below, when all have been sent.
        answer.catch(() => {});
        answers.push(answer);
      }
      if (answers.length === requests.length) {
        clearInterval(timer);
        done();
      }
    }, 1);
  });
  const took = await Promise.all(answers);
  agent.destroy();
  return took;
}

/** From the start of the process to the first answer, milliseconds. */
async function start(kind) {
  const served = await serve(kinds[kind]);
  const answer = await fetch(`${served.base}/health`);
  await answer.text();
  const took = performance.now() - served.started;
  await served.stop();
  return took;
}

/** Waits until the process has used hardly any CPU for half a second. */
async function idle(served) {
  for (let before = served.cpu(), after; ; before = after) {
    await new Promise((resume) => setTimeout(resume, 500));
    after = served.cpu();
    if (after - before <= 20) return;
  }
}

/** CPU of one sign-in, milliseconds: an unknown name costs as much as a wrong password. */
async function signIns(served) {
  const COUNT = 40;
  const before = served.cpu();
  for (let n = 0; n < COUNT; n++) {
    const answer = await fetch(`${served.base}/api/session`, {
      method: "POST",
      body: JSON.stringify({ email: `nobody${n}@example.test`, password: "correct horse battery staple" }),
      // Each from another address, as the platform would say it: nobody is slowed down.
      headers: { "content-type": "application/json", "cf-connecting-ip": `192.0.2.${n}` },
    });
    if (answer.status !== 401) throw new Error(`sign-in: ${answer.status} ${await answer.text()}`);
    await answer.text();
  }
  return (served.cpu() - before) / COUNT;
}

const files = kinds.ours.modules.map((file) => readFileSync(file));
const total = (sizes) => sizes.reduce((sum, size) => sum + size, 0);
const raw = total(files.map(({ length }) => length));
const gzip = total(files.map((file) => gzipSync(file, { level: 9 }).length));
console.log(`bundle               ${(raw / 1024).toFixed(0)} KiB raw, ${(gzip / 1024).toFixed(0)} KiB gzip (module and glue)`);

const starts = { ours: [], javascript: [] };
for (let n = 0; n < STARTS; n++) for (const kind of ["ours", "javascript"]) starts[kind].push(await start(kind));
console.log(`first answer         ${ms(median(starts.ours))} after the process began; JavaScript ${ms(median(starts.javascript))} (medians of ${STARTS})`);

const ours = await serve(kinds.ours);
const javascript = await serve(kinds.javascript);
const node = await new MediaNode(new Client(ours.base, { values }), { capacity: 10_000 }).inService();
try {
  const lines = [
    { name: "POST /voice", served: ours, path: "/voice", took: [], cpu: 0 },
    { name: "JavaScript, same steps", served: javascript, path: "/voice", took: [], cpu: 0 },
    { name: "JavaScript, no objects", served: javascript, path: "/plain", took: [], cpu: 0 },
  ];
  for (const { served, path } of lines) await drive(served.base, path, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const line of lines) {
      const before = line.served.cpu();
      line.took.push(...(await drive(line.served.base, line.path, SECONDS)));
      // What a webhook leaves to be done (the board, the history) is part of its cost.
      await idle(line.served);
      line.cpu += line.served.cpu() - before;
    }
  }
  const figures = lines.map(({ name, took, cpu }) => {
    const sorted = took.sort((a, b) => a - b);
    return { name, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), count: sorted.length, cpu: cpu / sorted.length };
  });
  console.log(`${RATE} requests a second, ${ROUNDS} rounds of ${SECONDS} s each, in turn, a new call each time, storage in ${STORAGE}:`);
  for (const { name, p50, p99, count, cpu } of figures) {
    console.log(`  ${name.padEnd(24)} p50 ${ms(p50)}  p99 ${ms(p99)}  CPU ${ms(cpu)} each, with all that follows  (${count} answers)`);
  }
  console.log(`ratio of the medians    ${(figures[0].p50 / figures[1].p50).toFixed(2)} of JavaScript with the same steps, ${(figures[0].p50 / figures[2].p50).toFixed(2)} of JavaScript without objects`);
  console.log(`a sign-in             ${ms(await signIns(ours))} of CPU (one Argon2id hash among it)`);
} finally {
  node.stop();
  await ours.stop();
  await javascript.stop();
}
