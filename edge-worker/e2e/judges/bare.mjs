// Our bare signature function, run natively over many requests at once.
import { spawn } from "node:child_process";
import { ROOT } from "../edge.mjs";

/** The signatures of `{token, url, params: [[name, value]]}`, in order. */
export async function ourSignatures(requests) {
  const cargo = spawn("cargo", ["run", "--quiet", "--package", "trunkline-shared", "--example", "sign"], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  let out = "";
  cargo.stdout.setEncoding("utf8").on("data", (chunk) => (out += chunk));
  const ended = new Promise((resolve, reject) => {
    cargo.on("error", reject);
    cargo.on("close", resolve);
  });
  cargo.stdin.end(requests.map((request) => `${JSON.stringify(request)}\n`).join(""));
  const code = await ended;
  if (code !== 0) throw new Error(`the example ended with ${code}`);
  return out.trimEnd().split("\n");
}
