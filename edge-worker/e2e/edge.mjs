// The Worker of this checkout in the real local runtime, as wrangler would deploy it (`dist/edge`, or EDGE_BUNDLE), with empty storage and
// variables made up for tests; and the requests that its callers send. What Twilio, nodes and browsers do with the answers
// lives beside this file.
import { createHash, createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";

const twilio = createRequire(import.meta.url)("twilio");

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where Twilio and browsers believe the Worker to be; requests go to loopback all the same. */
export const PUBLIC = "https://line.example.test";
export const ACCOUNT = "AC00000000000000000000000000000001";
export const AUTH_TOKEN = "ffeeddccbbaa99887766554433221100";
export const OUR_NUMBER = "+15550100100";
export const CALLER = "+14155550123";
const API_KEY = "SK00000000000000000000000000000002";
const API_SECRET = "fakeSecretFakeSecretFakeSecret00";
const APP = "AP00000000000000000000000000000003";
const NODE_SECRET = "node-secret-for-tests-only-0123456789";
const SETUP_TOKEN = "setup-token-for-tests-only";
export const EMAIL = "admin@example.test";
export const PASSWORD = "correct horse battery staple";

/** A seed and its public key, in the forms of TICKET_SIGNING_KEY and TICKET_PUBLIC_KEY. */
export function ticketKeys() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const last32 = (key, type) => key.export({ format: "der", type }).subarray(-32).toString("base64");
  return { signing: last32(privateKey, "pkcs8"), verifying: last32(publicKey, "spki") };
}

/** Everything the Worker is told in tests; `over` replaces single values. */
export function variables(over = {}) {
  return {
    PUBLIC_BASE_URL: PUBLIC,
    TWILIO_ACCOUNT_SID: ACCOUNT,
    TWILIO_CALLER_ID: OUR_NUMBER,
    TWILIO_TWIML_APP_SID: APP,
    TWILIO_API_KEY: API_KEY,
    TWILIO_API_BASE_URL: "http://127.0.0.1:9",
    TWILIO_AUTH_TOKEN: AUTH_TOKEN,
    TWILIO_API_SECRET: API_SECRET,
    TICKET_SIGNING_KEY: ticketKeys().signing,
    NODE_SECRET,
    SETUP_TOKEN,
    ...over,
  };
}

/** A call's name at Twilio, never used before. */
export const newCallSid = () => `CA${randomBytes(16).toString("hex")}`;

/** The signature that Twilio's own helper computes. */
export const signature = (url, form, token = AUTH_TOKEN) =>
  twilio.getExpectedTwilioSignature(token, url, form);

/** The fields of a webhook about a telephone call to our number. */
export const inboundForm = (over = {}) => ({
  AccountSid: ACCOUNT,
  ApiVersion: "2010-04-01",
  CallSid: newCallSid(),
  CallStatus: "ringing",
  Called: OUR_NUMBER,
  CalledCity: "",
  Caller: CALLER,
  CallerCity: "SAN FRANCISCO",
  Direction: "inbound",
  From: CALLER,
  To: OUR_NUMBER,
  ...over,
});

/** The requests that anybody can send to a Worker at `base`. */
export class Client {
  constructor(base, { publicBase = PUBLIC, values }) {
    this.base = base;
    this.publicBase = publicBase;
    this.values = values;
    this.bearer = null;
  }

  /** A request as it is, redirects not followed. */
  fetch(path, init = {}) {
    return fetch(new URL(path, this.base), { redirect: "manual", ...init });
  }

  /** A webhook, signed as Twilio signs: form fields in the body, everything else in `path`. */
  webhook(path, form, { headers = {}, sign = (url) => signature(url, form) } = {}) {
    return this.fetch(path, {
      method: "POST",
      body: new URLSearchParams(form).toString(),
      headers: {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-twilio-signature": sign(this.publicBase + path),
        ...headers,
      },
    });
  }

  /** A request to the API with the bearer key, body and answer in JSON. */
  async api(method, path, body, headers = {}) {
    const answer = await this.fetch(path, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        ...(this.bearer ? { authorization: `Bearer ${this.bearer}` } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    const text = await answer.text();
    let json = null;
    try {
      json = text === "" ? null : JSON.parse(text);
    } catch {
      // Left null: the test that reads it sees the text.
    }
    return { status: answer.status, headers: answer.headers, text, json };
  }

  /** Makes the first administrator and an API key, which later requests carry. */
  async setUp() {
    const made = await this.api("POST", "/api/setup", { token: this.values.SETUP_TOKEN, email: EMAIL, password: PASSWORD });
    if (made.status !== 201) throw new Error(`set-up: ${made.status} ${made.text}`);
    const cookie = made.headers.getSetCookie()[0].split(";")[0];
    const created = await this.api("POST", "/api/keys", { name: "tests" }, {
      cookie,
      origin: this.publicBase,
      "x-csrf-token": made.json.csrfToken,
    });
    if (created.status !== 201) throw new Error(`key: ${created.status} ${created.text}`);
    this.bearer = created.json.key;
    return { cookie, csrf: made.json.csrfToken, key: created.json };
  }

  /** The address of a socket. */
  socketUrl(path) {
    const url = new URL(path, this.base);
    url.protocol = "ws:";
    return url;
  }

  /** The headers with which a node proves itself over plain HTTP. */
  nodeHeaders(path, node, body, { at = Date.now(), nonce = randomBytes(16).toString("hex") } = {}) {
    const digest = createHash("sha256").update(body).digest("hex");
    const head = `trunkline-1\n${path}\n${node}\n${at}\n${nonce}\n${digest}`;
    return {
      "content-type": "application/json",
      "x-trunkline-node": node,
      "x-trunkline-time": String(at),
      "x-trunkline-nonce": nonce,
      "x-trunkline-signature": createHmac("sha256", this.values.NODE_SECRET).update(head).digest("hex"),
    };
  }
}

/** The Worker in a runtime of its own, gone with `close`. */
export class Edge extends Client {
  #harness;

  static async start(over = {}) {
    const values = variables(over);
    const harness = createTestHarness({
      root: ROOT,
      workers: [{ configPath: "wrangler.toml", prebuiltWorkerDir: process.env.EDGE_BUNDLE ?? "dist/edge", secrets: values }],
    });
    const { url } = await harness.listen();
    const edge = new Edge(url.origin, { values });
    edge.#harness = harness;
    await edge.worker.applyD1Migrations("DB");
    return edge;
  }

  /** The harness's handle of the Worker: evictions, bindings. */
  get worker() {
    return this.#harness.getWorker();
  }

  /** The D1 database, to look into it and to break it. */
  async database() {
    return (await this.worker.getEnv()).DB;
  }

  /** Ends a Durable Object's memory; its sockets sleep (`hibernate`) or are closed (`close`). */
  evictRoom(call, webSockets) {
    return this.worker.evictDurableObject("CALL_ROOM", { name: call, webSockets });
  }
  evictSwitchboard(webSockets) {
    return this.worker.evictDurableObject("SWITCHBOARD", { name: SWITCHBOARD, webSockets });
  }

  /** What the Worker has logged so far, as one text. */
  logs() {
    return this.#harness.getLogs().map((entry) => entry.message).join("\n");
  }

  close() {
    return this.#harness.close();
  }
}

/** The object with the live index; another of its class hashes passwords. */
const SWITCHBOARD = "main";
