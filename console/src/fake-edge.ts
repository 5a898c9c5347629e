// An edge for tests of pages: answers to requests as a table, sockets that the test speaks through. Only tests import it.

import { vi } from "vitest";

type Answer = { status?: number; body?: unknown } | Error;
type Handler = (request: { body: unknown; headers: Headers; query: URLSearchParams }) => Answer;

export class FakeSocket {
  static all: FakeSocket[] = [];
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  closed = false;
  readonly url: URL;
  constructor(url: string) {
    this.url = new URL(url);
    FakeSocket.all.push(this);
  }
  close(): void {
    this.closed = true;
  }
  send(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent);
  }
  lose(code = 1006): void {
    this.onclose?.({ code } as CloseEvent);
  }
  static last(path: string): FakeSocket {
    const found = FakeSocket.all.filter((socket) => socket.url.pathname === path && !socket.closed).at(-1);
    if (!found) throw new Error(`no open socket to ${path}`);
    return found;
  }
}

/** Installs the edge for one test; `routes` may be changed while it runs. Returns what was asked. */
export function fakeEdge(routes: Record<string, Handler>): { asked: string[] } {
  FakeSocket.all = [];
  const asked: string[] = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const url = new URL(path, "http://edge.test");
    const route = `${init.method} ${url.pathname}`;
    asked.push(route);
    const handler = routes[route];
    if (!handler) throw new Error(`nothing answers ${route}`);
    const body = typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : undefined;
    const answer = handler({ body, headers: new Headers(init.headers), query: url.searchParams });
    if (answer instanceof Error) throw answer;
    const status = answer.status ?? 200;
    return new Response(status === 204 ? null : JSON.stringify(answer.body ?? {}), { status });
  });
  return { asked };
}

export const refusal = (status: number, code: string, message: string, field?: string): Answer => ({
  status,
  body: { error: { code, message, ...(field ? { field } : {}) } },
});

export const inside = { email: "operator@example.com", csrfToken: "t", needsSetup: false };
export const outside = { email: null, csrfToken: null, needsSetup: false };
