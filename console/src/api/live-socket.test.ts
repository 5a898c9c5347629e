import { beforeEach, describe, expect, it, vi } from "vitest";
import {
  DOUBTED_AFTER_MS,
  LiveSocket,
  LONGEST_WAIT_MS,
  SHORTEST_WAIT_MS,
  SILENT_ATTEMPT_MS,
  type SocketLike,
  type SocketState,
  type Surroundings,
  type Verdict,
  waitBefore,
} from "./live-socket.ts";
import { CLOSE_SIGNED_OUT, CLOSE_TOO_SLOW, CLOSE_UNKNOWN_CALL } from "./types.gen.ts";

type Note = { type: string; seq: number };

class FakeSocket implements SocketLike {
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  closedWith: number | "left" | null = null;
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }
  close(code?: number): void {
    this.closedWith = code ?? "left";
  }
  send(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) } as MessageEvent);
  }
  lose(code = 1006): void {
    this.onclose?.({ code } as CloseEvent);
  }
}

/** A browser whose clock, network and eyes the test moves. */
class World implements Surroundings {
  sockets: FakeSocket[] = [];
  states: SocketState[] = [];
  troubles: number[] = [];
  received: Note[] = [];
  verdict: (note: Note) => Verdict = () => "continue";
  isOnline = true;
  isVisible = true;
  dice = 0.5;
  #now = 0;
  #timers = new Set<{ due: number; run: () => void }>();
  #changed = new Set<() => void>();

  open(): LiveSocket<Note> {
    return new LiveSocket<Note>(
      {
        url: () => `wss://edge.test/ws?fromSeq=${this.received.at(-1)?.seq ?? 0}`,
        onMessage: (note) => {
          const verdict = this.verdict(note);
          if (verdict !== "resync") this.received.push(note);
          return verdict;
        },
        onState: (state) => this.states.push(state),
        onTrouble: (attempts) => this.troubles.push(attempts),
      },
      this,
    );
  }
  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("no socket was opened");
    return last;
  }
  get state(): SocketState | undefined {
    return this.states.at(-1);
  }
  connect(url: string): FakeSocket {
    const socket = new FakeSocket(url);
    this.sockets.push(socket);
    return socket;
  }
  random = () => this.dice;
  now = () => this.#now;
  online = () => this.isOnline;
  visible = () => this.isVisible;
  later(ms: number, run: () => void): () => void {
    const timer = { due: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
  watch(changed: () => void): () => void {
    this.#changed.add(changed);
    return () => this.#changed.delete(changed);
  }
  get watchers(): number {
    return this.#changed.size;
  }
  get timers(): number {
    return this.#timers.size;
  }
  change(what: { online?: boolean; visible?: boolean }): void {
    this.isOnline = what.online ?? this.isOnline;
    this.isVisible = what.visible ?? this.isVisible;
    for (const changed of [...this.#changed]) changed();
  }
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter((t) => t.due <= until).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.#timers.delete(next);
      this.#now = next.due;
      next.run();
    }
    this.#now = until;
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
const note = (seq: number): Note => ({ type: "note", seq });

it("connects at once, is live with the first message and hands messages on in order", () => {
  world.open();
  expect(world.states).toEqual([{ is: "connecting" }]);
  world.socket.send(note(1));
  world.socket.send(note(2));
  expect(world.state).toEqual({ is: "live" });
  expect(world.received).toEqual([note(1), note(2)]);
});

it("comes again after a loss from where it was, and hears nothing more of the old socket", () => {
  world.open();
  const first = world.socket;
  first.send(note(1));
  first.lose();
  expect(world.state).toEqual({ is: "waiting", attempt: 1, inMs: waitBefore(1, 0.5) });
  world.pass(waitBefore(1, 0.5));
  expect(world.sockets).toHaveLength(2);
  expect(world.socket.url).toContain("fromSeq=1");
  first.send(note(9));
  first.lose();
  world.socket.send(note(2));
  expect(world.received).toEqual([note(1), note(2)]);
  expect(world.sockets).toHaveLength(2);
});

it("waits longer after each failure, between the bounds, and short again after a success", () => {
  world.dice = 1;
  world.open();
  const waits = [];
  for (let i = 0; i < 9; i++) {
    world.socket.lose();
    if (world.state?.is === "waiting") waits.push(world.state.inMs);
    world.pass(LONGEST_WAIT_MS);
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]);
  expect(world.troubles).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  world.socket.send(note(1));
  world.socket.lose();
  expect(world.state).toEqual({ is: "waiting", attempt: 1, inMs: 500 });
});

it("spreads the waits over everything between 0.25 s and the ceiling", () => {
  for (const attempt of [1, 3, 7, 40, 4000]) {
    expect(waitBefore(attempt, 0)).toBe(SHORTEST_WAIT_MS);
    expect(waitBefore(attempt, 0.999_999)).toBeLessThanOrEqual(LONGEST_WAIT_MS);
    expect(waitBefore(attempt, 0.9)).toBeGreaterThan(waitBefore(attempt, 0.1));
  }
});

it("gives up an attempt that brings nothing", () => {
  world.open();
  const silent = world.socket;
  world.pass(SILENT_ATTEMPT_MS);
  expect(silent.closedWith).toBe("left");
  expect(world.state?.is).toBe("waiting");
});

describe("the receiver's verdict", () => {
  it("resync connects again from the last good place, with a growing wait", () => {
    world.dice = 1;
    world.open();
    world.socket.send(note(1));
    world.verdict = () => "resync";
    world.socket.send(note(3));
    world.pass(500);
    expect(world.socket.url).toContain("fromSeq=1");
    world.socket.send(note(3));
    expect(world.state).toEqual({ is: "waiting", attempt: 2, inMs: 1000 });
    world.verdict = () => "continue";
    world.pass(1000);
    world.socket.send(note(2));
    expect(world.received).toEqual([note(1), note(2)]);
  });

  it("finish closes for good and leaves no timer and no listener", () => {
    world.open();
    world.verdict = () => "finish";
    const socket = world.socket;
    socket.send(note(1));
    expect(socket.closedWith).toBe(1000);
    expect(world.state).toEqual({ is: "closed", why: "finished" });
    world.change({ online: false });
    world.change({ online: true });
    world.pass(1e6);
    expect(world.sockets).toHaveLength(1);
    expect([world.timers, world.watchers]).toEqual([0, 0]);
  });
});

it("passes over what is not one of ours", () => {
  world.open();
  for (const odd of ["", "nonsense", "7", "null", '{"seq":1}', '{"type":7}']) world.socket.send(odd);
  world.socket.onmessage?.({ data: new ArrayBuffer(4) } as MessageEvent);
  expect(world.received).toEqual([]);
  expect(world.state).toEqual({ is: "connecting" });
});

describe("close codes", () => {
  it.each([
    [CLOSE_UNKNOWN_CALL, "unknown_call"],
    [CLOSE_SIGNED_OUT, "signed_out"],
  ] as const)("%i ends the watch: %s", (code, why) => {
    world.open();
    world.socket.lose(code);
    expect(world.state).toEqual({ is: "closed", why });
    world.pass(1e6);
    expect(world.sockets).toHaveLength(1);
  });

  it("too slow comes again soon", () => {
    world.dice = 1;
    world.open();
    for (let i = 0; i < 4; i++) {
      world.socket.lose();
      world.pass(LONGEST_WAIT_MS);
    }
    world.socket.lose(CLOSE_TOO_SLOW);
    expect(world.state).toEqual({ is: "waiting", attempt: 1, inMs: 500 });
  });

  it("an orderly close without a last word is a loss like any other", () => {
    world.open();
    world.socket.send(note(1));
    world.socket.lose(1000);
    expect(world.state?.is).toBe("waiting");
  });
});

describe("network and page", () => {
  it("nothing is tried without a network; its return connects at once", () => {
    world.isOnline = false;
    world.open();
    world.pass(1e6);
    expect(world.sockets).toHaveLength(0);
    expect(world.state).toEqual({ is: "paused" });
    world.change({ online: true });
    expect(world.sockets).toHaveLength(1);
  });

  it("a network that goes away takes the socket with it", () => {
    world.open();
    world.socket.send(note(4));
    world.change({ online: false });
    expect(world.socket.closedWith).toBe("left");
    expect(world.state).toEqual({ is: "paused" });
    world.change({ online: true });
    expect(world.socket.url).toContain("fromSeq=4");
  });

  it("nobody is bothered while nobody looks; a look connects at once", () => {
    world.open();
    world.socket.send(note(1));
    world.change({ visible: false });
    world.socket.send(note(2));
    world.socket.lose();
    expect(world.state).toEqual({ is: "paused" });
    world.pass(1e6);
    expect(world.sockets).toHaveLength(1);
    world.change({ visible: true });
    expect(world.sockets).toHaveLength(2);
    expect(world.socket.url).toContain("fromSeq=2");
  });

  it("a waiting attempt is made at once when the page is looked at again", () => {
    world.open();
    world.socket.lose();
    world.change({ visible: true });
    expect(world.sockets).toHaveLength(2);
    world.pass(LONGEST_WAIT_MS - 1);
    expect(world.sockets).toHaveLength(2);
  });

  it("after a long absence a socket that still seems open is doubted, after a short one not", () => {
    world.open();
    world.socket.send(note(1));
    world.change({ visible: false });
    world.pass(DOUBTED_AFTER_MS - 1);
    world.change({ visible: true });
    expect(world.sockets).toHaveLength(1);
    world.change({ visible: false });
    world.pass(DOUBTED_AFTER_MS);
    world.change({ visible: true });
    expect(world.sockets).toHaveLength(2);
    expect(world.socket.url).toContain("fromSeq=1");
  });
});

it("can be stopped by its receiver, at any moment", () => {
  const socket = world.open();
  world.verdict = () => {
    socket.stop();
    return "continue";
  };
  world.socket.send(note(1));
  expect(world.state).toEqual({ is: "closed", why: "stopped" });
  const other = new World();
  const second = other.open();
  other.socket.lose();
  second.stop();
  other.pass(1e6);
  expect(other.sockets).toHaveLength(1);
});

it("can be stopped because of trouble", () => {
  const stop = vi.fn();
  const socket: LiveSocket<Note> = new LiveSocket<Note>(
    {
      url: () => "wss://edge.test/ws",
      onMessage: () => "continue",
      onTrouble: () => {
        stop();
        socket.stop();
      },
    },
    world,
  );
  world.socket.lose();
  expect(stop).toHaveBeenCalledOnce();
  expect(socket.state).toEqual({ is: "closed", why: "stopped" });
  expect(world.timers).toBe(0);
});
