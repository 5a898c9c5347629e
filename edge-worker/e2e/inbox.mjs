// What has arrived and has not been looked at yet: messages are taken in order, and taking waits for one that is still
// to come. Nothing here knows where the messages come from.

/** How long a test waits for a fact before it fails, milliseconds. */
export const PATIENCE_MS = 30_000;

export class Inbox {
  #name;
  #arrived = [];
  #waiting = [];
  #closed = null;

  constructor(name) {
    this.#name = name;
  }

  put(message) {
    const taker = this.#waiting.shift();
    if (taker) taker.resolve(message);
    else this.#arrived.push(message);
  }

  /** No message will follow; whoever waits fails with the reason. */
  close(reason) {
    this.#closed ??= reason;
    for (const taker of this.#waiting.splice(0)) taker.reject(new Error(`${this.#name}: ${reason}`));
  }

  /** How many messages have arrived and not been taken. */
  get length() {
    return this.#arrived.length;
  }

  /** The next message; fails when none comes. */
  async take() {
    if (this.#arrived.length > 0) return this.#arrived.shift();
    if (this.#closed) throw new Error(`${this.#name}: ${this.#closed}`);
    const taker = Promise.withResolvers();
    this.#waiting.push(taker);
    const timer = setTimeout(
      () => taker.reject(new Error(`${this.#name}: nothing arrived in ${PATIENCE_MS} ms`)),
      PATIENCE_MS,
    );
    try {
      return await taker.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next message that satisfies `wanted`; those before it are dropped. */
  async takeUntil(wanted) {
    for (;;) {
      const message = await this.take();
      if (wanted(message)) return message;
    }
  }
}

/** Waits until `look` answers something true, and returns it: for facts that can only be asked for. */
export async function eventually(what, look, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not so within ${patience} ms`);
    await new Promise((resume) => setTimeout(resume, 50));
  }
}
