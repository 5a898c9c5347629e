// Twilio's Python helper in a process of its own: questions go in and answers come out in order. Which Python has the helper
// installed is said by JUDGE_PYTHON.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export class PythonJudge {
  #process;
  #asked = [];

  constructor() {
    const python = process.env.JUDGE_PYTHON;
    if (!python) throw new Error("JUDGE_PYTHON must name a Python that has twilio 9.13.0 installed");
    this.#process = spawn(python, [fileURLToPath(new URL("helper.py", import.meta.url))], { stdio: ["pipe", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.#process.on("exit", resolve));
    this.ended.then((code) => {
      for (const { reject } of this.#asked.splice(0)) reject(new Error(`the Python judge ended with ${code}`));
    });
    this.#process.on("error", (error) => {
      for (const { reject } of this.#asked.splice(0)) reject(error);
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#asked.shift()?.resolve(JSON.parse(line)));
  }

  ask(question) {
    const pending = Promise.withResolvers();
    this.#asked.push(pending);
    this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    return pending.promise;
  }

  close() {
    this.#process.stdin.end();
    return this.ended;
  }
}
