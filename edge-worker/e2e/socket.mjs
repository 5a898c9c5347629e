// A WebSocket client as a conversation: JSON messages are taken in order, and the end is a fact with its code. What is said
// on the socket lives with those who say it.
import WebSocket from "ws";
import { Inbox } from "./inbox.mjs";

export class Conversation {
  #socket;
  #inbox;

  constructor(socket, name) {
    this.#socket = socket;
    this.#inbox = new Inbox(name);
    this.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: String(reason) })));
    socket.on("message", (data) => this.#inbox.put(JSON.parse(String(data))));
    socket.on("error", () => {});
    this.closed.then(({ code }) => this.#inbox.close(`the socket was closed with ${code}`));
  }

  /** Opens a socket; when the server refuses, the error has its `status` and `body`. */
  static open(url, headers, name = String(url.pathname)) {
    // The local runtime says goodbye but leaves the connection open; how long the client waits for that is no fact of ours.
    const socket = new WebSocket(url, { headers, perMessageDeflate: false, closeTimeout: 1_000 });
    const conversation = new Conversation(socket, name);
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(conversation));
      socket.once("error", reject);
      socket.once("unexpected-response", (request, response) => {
        let body = "";
        response.on("data", (chunk) => (body += chunk));
        response.on("end", () => {
          const error = new Error(`${name}: refused with ${response.statusCode}`);
          reject(Object.assign(error, { status: response.statusCode, body, headers: response.headers }));
          request.destroy();
        });
      });
    });
  }

  send(message) {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }
  take() {
    return this.#inbox.take();
  }
  takeUntil(wanted) {
    return this.#inbox.takeUntil(wanted);
  }
  /** Messages that have arrived and nobody has taken. */
  get unread() {
    return this.#inbox.length;
  }
  /** The raw socket, for what a well-behaved client would not do. */
  get raw() {
    return this.#socket;
  }
  close(code = 1000) {
    this.#socket.close(code);
    return this.closed;
  }
  /** Gone without a word, as when a process dies. */
  vanish() {
    this.#socket.terminate();
    return this.closed;
  }
}
