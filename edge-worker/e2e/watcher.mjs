// A browser that watches one call: it builds what it shows from the snapshot and the facts after it, and notices any gap or
// repetition in their numbers. Written from the documentation of the console API.
import { Conversation } from "./socket.mjs";

export class Watcher {
  /** The seq of the last fact seen. */
  seq = 0;
  /** Every fact in order, by seq; those inside a snapshot are not repeated as facts. */
  facts = [];
  snapshot = null;
  ended = false;

  constructor(edge, call) {
    this.edge = edge;
    this.call = call;
  }

  static async open(edge, call, options) {
    const watcher = new Watcher(edge, call);
    await watcher.connect(options);
    return watcher;
  }

  async connect({ fromSeq, headers = { authorization: `Bearer ${this.edge.bearer}` } } = {}) {
    const from = fromSeq === undefined ? "" : `&fromSeq=${fromSeq}`;
    this.socket = await Conversation.open(
      this.edge.socketUrl(`/ws/transcriptions?callSid=${this.call}${from}`),
      headers,
      "the watcher's socket",
    );
    await this.#read();
  }

  /** The socket again, going on after the last fact seen. */
  async resume() {
    await this.connect({ fromSeq: this.seq });
  }

  async #read() {
    const message = await this.socket.take();
    switch (message.type) {
      case "snapshot":
        this.snapshot = message.call;
        this.seq = message.call.seq;
        break;
      case "facts":
        for (const fact of message.facts) {
          if (fact.seq !== this.seq + 1) throw new Error(`fact ${fact.seq} came after ${this.seq}`);
          this.seq = fact.seq;
          this.facts.push(fact);
        }
        break;
      case "live":
        this.live = message;
        break;
      case "ended":
        if (message.seq !== this.seq) throw new Error(`ended at ${message.seq}, but the last fact seen is ${this.seq}`);
        this.ended = true;
        break;
    }
    return message;
  }

  /** Reads on until `wanted` is true of the watcher. */
  async until(wanted) {
    while (!wanted(this)) await this.#read();
    return this;
  }

  /** What was said according to the facts, in the order of their arrival. */
  said() {
    return this.facts
      .map(({ fact }) => fact)
      .filter((fact) => fact?.type === "node" && fact.event.kind === "said")
      .map(({ event }) => `${event.speaker}: ${event.text}`);
  }
}
