// A media node as far as the edge can see it: heartbeats, and for each call a socket to its room on which facts go up and
// orders come down. It carries no audio. Written from the documentation of the node API, not with the product's code.
import { randomBytes } from "node:crypto";
import { Conversation } from "./socket.mjs";

export class MediaNode {
  #timer = null;

  constructor(edge, { id = `node-${randomBytes(4).toString("hex")}`, capacity = 100 } = {}) {
    this.edge = edge;
    this.id = id;
    this.url = "wss://media.example.test";
    this.report = { protocol: 1, node: id, url: this.url, region: "test", capacity, liveCalls: 0, draining: false, version: "0.0.0" };
  }

  /** One heartbeat. */
  beat(over = {}, signing = {}) {
    const body = JSON.stringify({ ...this.report, ...over });
    return this.edge.fetch("/node/heartbeat", {
      method: "POST",
      body,
      headers: this.edge.nodeHeaders("/node/heartbeat", this.id, body, signing),
    });
  }

  /** In service until `stop`: a heartbeat now and every two seconds. */
  async inService() {
    const answer = await this.beat();
    if (answer.status !== 200) throw new Error(`heartbeat: ${answer.status} ${await answer.text()}`);
    this.#timer = setInterval(() => this.beat().catch(() => {}), 2_000);
    return this;
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Takes no more calls, and says so. */
  async leave() {
    this.stop();
    await this.beat({ draining: true });
  }

  /** Redeems the ticket of a `<Stream>`; the room has answered `begin` when this resolves. */
  async take(stream) {
    const call = new NodeCall(this, stream);
    await call.connect(stream.ticket);
    return call;
  }
}

/** A call on a node: the epoch it owns and the facts it has reported. */
export class NodeCall {
  lines = 0;
  acked = 0;

  constructor(node, { call, streamSid = `MZ${randomBytes(16).toString("hex")}` }) {
    this.node = node;
    this.call = call;
    this.streamSid = streamSid;
    this.sent = [];
  }

  async #open(token) {
    const path = `/node/calls/${this.call}`;
    this.room = await Conversation.open(
      this.node.edge.socketUrl(path),
      { ...this.node.edge.nodeHeaders(path, this.node.id, ""), authorization: `Bearer ${token}` },
      `${this.node.id}'s socket to the room`,
    );
    this.room.send({ type: "hello", protocol: 1, node: this.node.id, streamSid: this.streamSid, lastLine: this.lines });
  }

  #number(events) {
    const facts = events.map((event) => ({ line: ++this.lines, at: Date.now(), event }));
    this.sent.push(...facts);
    return facts;
  }

  /** Opens the socket and says hello; takes the room's `begin`. */
  async connect(token = this.begin?.resumeToken) {
    await this.#open(token);
    const first = await this.room.takeUntil(({ type }) => type === "begin" || type === "refused");
    if (first.type === "refused") throw Object.assign(new Error(`refused: ${first.code}`), { code: first.code });
    this.begin = first;
    this.acked = first.ackedLine;
    return first;
  }

  /** The socket again, after it was lost; what is not acknowledged is sent again. */
  async reconnect() {
    await this.connect();
    const rest = this.sent.filter(({ line }) => line > this.acked);
    if (rest.length > 0) {
      this.room.send({ type: "facts", epoch: this.begin.epoch, facts: rest });
      await this.acknowledged();
    }
  }

  /** After another node has taken over: reports what was left, and is sent away. Returns the refusal's code. */
  async handIn(...events) {
    const facts = this.#number(events);
    await this.#open(this.begin.resumeToken);
    this.room.send({ type: "facts", epoch: this.begin.epoch, facts });
    await this.acknowledged();
    return (await this.room.takeUntil(({ type }) => type === "refused")).code;
  }

  /** Puts facts on the socket, numbered; does not wait. */
  tell(...events) {
    this.room.send({ type: "facts", epoch: this.begin.epoch, facts: this.#number(events) });
  }

  /** Reports facts and waits until the room has stored them. */
  async report(...events) {
    this.tell(...events);
    await this.acknowledged();
  }

  /** Waits until every line is stored. */
  async acknowledged() {
    while (this.acked < this.lines) {
      const { line } = await this.room.takeUntil(({ type }) => type === "ack");
      this.acked = Math.max(this.acked, line);
    }
  }

  live(speaker, item, text) {
    this.room.send({ type: "live", epoch: this.begin.epoch, speaker, item, text, startedAt: Date.now() });
  }
}

/** Something that was said, as a fact. */
export const said = (speaker, item, text, startedAt = Date.now()) => ({ kind: "said", speaker, item, text, startedAt });

const attribute = (xml, pattern) => {
  const value = xml.match(pattern)?.[1];
  return value
    ?.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&apos;", "'").replaceAll("&amp;", "&");
};

/** What a `<Connect><Stream>` says, or null when the TwiML has none. Addresses are as Twilio requests and signs them: what
 * stands after `#` is for Twilio alone. */
export function streamOf(twiml) {
  const url = attribute(twiml, /<Stream[^>]*\surl="([^"]*)"/);
  if (!url) return null;
  const requested = (address) => address?.replace(/#.*$/, "");
  const action = requested(attribute(twiml, /<Connect[^>]*\saction="([^"]*)"/));
  const ticket = attribute(twiml, /<Parameter name="ticket" value="([^"]*)"/);
  const statusCallback = requested(attribute(twiml, /<Stream[^>]*\sstatusCallback="([^"]*)"/));
  const call = new URL(action).searchParams.get("call");
  const claims = JSON.parse(Buffer.from(ticket.split(".")[1], "base64url").toString());
  return { url, action, ticket, statusCallback, call, claims };
}
