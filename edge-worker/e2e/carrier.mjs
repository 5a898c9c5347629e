// A tiny stand-in for Twilio's REST API: it records what it is asked and answers as the test has arranged. Shapes are those
// of Twilio's documentation (2010-04-01, Calls). It places no calls; webhooks are sent by the tests themselves.
import { createServer } from "node:http";
import { ACCOUNT, newCallSid } from "./edge.mjs";
import { Inbox } from "./inbox.mjs";

export class Carrier {
  #server;
  #arranged = [];
  /** Every request: method, path, query, form, authorization. */
  requests = new Inbox("Twilio's stand-in");
  /** Every call that was created, by sid. */
  calls = new Map();

  static async start() {
    const carrier = new Carrier();
    carrier.#server = createServer((request, response) => carrier.#serve(request, response));
    await new Promise((ready) => carrier.#server.listen(0, "127.0.0.1", ready));
    carrier.url = `http://127.0.0.1:${carrier.#server.address().port}`;
    return carrier;
  }

  /** The next request to create a call is answered by `answer(response, request, carrier)` instead of as usual. */
  arrange(answer) {
    this.#arranged.push(answer);
  }

  #serve(request, response) {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      const url = new URL(request.url, "http://stand-in");
      const form = new URLSearchParams(body);
      const seen = { method: request.method, path: url.pathname, query: url.searchParams, form, authorization: request.headers.authorization };
      this.requests.put(seen);
      const creates = seen.method === "POST" && seen.path.endsWith("/Calls.json");
      const answer = (creates && this.#arranged.shift()) || usual;
      answer(response, seen, this);
    });
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

/** An answer in JSON. */
export const json = (status, body) => (response) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};

/** An error as Twilio words it. */
export const refusal = (status, code, message) =>
  json(status, { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status });

/** Never answers; the request is left hanging until the stand-in closes. */
export const silence = () => {};

function usual(response, { method, path, query, form }, carrier) {
  const base = `/2010-04-01/Accounts/${ACCOUNT}/Calls`;
  if (method === "POST" && path === `${base}.json`) {
    const sid = newCallSid();
    const call = {
      sid,
      account_sid: ACCOUNT,
      api_version: "2010-04-01",
      status: "queued",
      direction: "outbound-api",
      to: form.get("To"),
      from: form.get("From"),
      start_time: null,
      end_time: null,
      duration: null,
      price: null,
      price_unit: "USD",
      queue_time: "0",
      date_created: new Date().toUTCString().replace("GMT", "+0000"),
      uri: `${base}/${sid}.json`,
    };
    carrier.calls.set(sid, { call, form });
    return json(201, call)(response);
  }
  if (method === "GET" && path === `${base}.json`) {
    const calls = [...carrier.calls.values()].map(({ call }) => call).filter(({ to }) => !query.get("To") || to === query.get("To"));
    return json(200, { calls, page: 0, page_size: 50, start: 0, end: Math.max(0, calls.length - 1), next_page_uri: null })(response);
  }
  const known = carrier.calls.get(path.match(/\/Calls\/(CA[0-9a-f]{32})\.json$/)?.[1]);
  if (known && method === "GET") return json(200, known.call)(response);
  if (known && method === "POST") {
    if (form.get("Status")) known.call.status = form.get("Status");
    return json(200, known.call)(response);
  }
  return refusal(404, 20404, `The requested resource ${path} was not found`)(response);
}
