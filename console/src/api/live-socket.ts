// A WebSocket that stays: it comes again after every loss with full jitter between 0.25 and 10 seconds, at once when the
// network or the page returns, and not at all while there is no network or nobody looks. What a message means, and from
// where a new connection has to continue, is the caller's business: `url` is asked anew for every connection.

import { CLOSE_SIGNED_OUT, CLOSE_TOO_SLOW, CLOSE_UNKNOWN_CALL } from "./types.gen.ts";

/** What the receiver of a message wants next. */
export type Verdict =
  | "continue"
  /** Something is missing: connect again, from where the receiver is. */
  | "resync"
  /** Nothing more will come: close and stay closed. */
  | "finish";

export type SocketState =
  | { is: "connecting" }
  /** Open, and something was received on this connection. */
  | { is: "live" }
  /** Lost; the next attempt is due in `inMs`. */
  | { is: "waiting"; attempt: number; inMs: number }
  /** Lost; the browser has no network, or the page is hidden. */
  | { is: "paused" }
  | { is: "closed"; why: "finished" | "unknown_call" | "signed_out" | "stopped" };

/** The part of a WebSocket that is used here. */
export interface SocketLike {
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  close(code?: number): void;
}

/** The browser, as far as it is needed; tests bring their own. */
export interface Surroundings {
  connect(url: string): SocketLike;
  random(): number;
  now(): number;
  later(ms: number, run: () => void): () => void;
  online(): boolean;
  visible(): boolean;
  /** Calls `changed` whenever network or visibility may have changed; returns how to stop. */
  watch(changed: () => void): () => void;
}

export interface LiveSocketOptions<Message> {
  url(): string;
  onMessage(message: Message): Verdict;
  onState?(state: SocketState): void;
  /** So many connections in a row were refused or lost before anything came; the session may have ended. */
  onTrouble?(attempts: number): void;
}

export const SHORTEST_WAIT_MS = 250;
export const LONGEST_WAIT_MS = 10_000;
/** An attempt that has not brought a first message by then is given up. */
export const SILENT_ATTEMPT_MS = 10_000;
/** After the page was hidden for so long, the network may have dropped the socket without a word. */
export const DOUBTED_AFTER_MS = 60_000;

/** Full jitter: anywhere between the shortest wait and a ceiling that doubles with every attempt (from 1). */
export function waitBefore(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** Math.min(attempt, 16));
  return SHORTEST_WAIT_MS + random * (ceiling - SHORTEST_WAIT_MS);
}

export class LiveSocket<Message extends { type: string }> {
  readonly #options: LiveSocketOptions<Message>;
  readonly #around: Surroundings;
  readonly #unwatch: () => void;
  #socket: SocketLike | null = null;
  #cancelTimer: (() => void) | null = null;
  #attempt = 0;
  #hiddenSince: number | null = null;
  #state: SocketState = { is: "connecting" };

  constructor(options: LiveSocketOptions<Message>, around: Surroundings = browser) {
    this.#options = options;
    this.#around = around;
    this.#hiddenSince = around.visible() ? null : around.now();
    this.#unwatch = around.watch(() => this.#surroundingsChanged());
    this.#connectOrPause();
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Closes for good. */
  stop(): void {
    this.#finish("stopped");
  }

  #enter(state: SocketState): void {
    this.#state = state;
    this.#options.onState?.(state);
  }

  #connectOrPause(): void {
    this.#drop();
    if (!this.#around.online() || !this.#around.visible()) {
      this.#enter({ is: "paused" });
      return;
    }
    this.#enter({ is: "connecting" });
    const socket = this.#around.connect(this.#options.url());
    this.#socket = socket;
    // Events of a socket that was replaced are not heard any more: #drop has taken its handlers off.
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#closed(event.code);
    this.#cancelTimer = this.#around.later(SILENT_ATTEMPT_MS, () => this.#retry());
  }

  /** Lets go of the current connection, whatever its state, and of what was planned. */
  #drop(code?: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #received(data: unknown): void {
    const message = read<Message>(data);
    if (message === undefined) return;
    if (this.#state.is !== "live") {
      this.#cancelTimer?.();
      this.#cancelTimer = null;
      this.#enter({ is: "live" });
    }
    const verdict = this.#options.onMessage(message);
    // The receiver may have stopped us meanwhile.
    if (this.#socket === null) return;
    if (verdict === "finish") this.#finish("finished");
    // A peer that never fills the gap must not be asked in a tight loop, so this counts as an attempt.
    else if (verdict === "resync") this.#retry();
    else this.#attempt = 0;
  }

  #closed(code: number): void {
    if (code === CLOSE_UNKNOWN_CALL) this.#finish("unknown_call");
    else if (code === CLOSE_SIGNED_OUT) this.#finish("signed_out");
    else {
      if (code === CLOSE_TOO_SLOW) this.#attempt = 0;
      this.#retry();
    }
  }

  #retry(): void {
    this.#drop();
    this.#attempt += 1;
    this.#options.onTrouble?.(this.#attempt);
    if (this.#state.is === "closed") return;
    if (!this.#around.online() || !this.#around.visible()) {
      this.#enter({ is: "paused" });
      return;
    }
    const inMs = waitBefore(this.#attempt, this.#around.random());
    this.#enter({ is: "waiting", attempt: this.#attempt, inMs });
    this.#cancelTimer = this.#around.later(inMs, () => this.#connectOrPause());
  }

  #surroundingsChanged(): void {
    if (this.#state.is === "closed") return;
    const [online, visible] = [this.#around.online(), this.#around.visible()];
    const hiddenFor = this.#hiddenSince === null ? 0 : this.#around.now() - this.#hiddenSince;
    if (visible) this.#hiddenSince = null;
    else this.#hiddenSince ??= this.#around.now();
    if (this.#state.is === "paused" || this.#state.is === "waiting") {
      if (online && visible) {
        this.#attempt = 0;
        this.#connectOrPause();
      }
    } else if (!online) {
      // The browser may keep a dead socket open for minutes.
      this.#drop();
      this.#enter({ is: "paused" });
    } else if (visible && hiddenFor >= DOUBTED_AFTER_MS) {
      this.#connectOrPause();
    }
  }

  #finish(why: "finished" | "unknown_call" | "signed_out" | "stopped"): void {
    if (this.#state.is === "closed") return;
    this.#drop(1000);
    this.#unwatch();
    this.#enter({ is: "closed", why });
  }
}

/** A text message as JSON with a `type`; anything else is not ours and is passed over. */
function read<Message extends { type: string }>(data: unknown): Message | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value: unknown = JSON.parse(data);
    const typed = typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
    return typed ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

/** The path as an address of the page's own origin, for a WebSocket. */
export function socketUrl(path: string, query: Readonly<Record<string, string | number>> = {}): string {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url.href;
}

const browser: Surroundings = {
  connect: (url) => new WebSocket(url),
  random: () => Math.random(),
  now: () => performance.now(),
  later: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  online: () => navigator.onLine,
  visible: () => document.visibilityState === "visible",
  watch: (changed) => {
    window.addEventListener("online", changed);
    window.addEventListener("offline", changed);
    document.addEventListener("visibilitychange", changed);
    return () => {
      window.removeEventListener("online", changed);
      window.removeEventListener("offline", changed);
      document.removeEventListener("visibilitychange", changed);
    };
  },
};
