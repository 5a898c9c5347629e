import { expect, it } from "vitest";
import type { CallRow } from "../../api/types.gen.ts";
import { addPage, NO_HISTORY } from "./history-pages.ts";

const row = (call: string): CallRow => ({
  call,
  callSid: null,
  direction: "inbound",
  from: "+15550100123",
  to: "+15550100199",
  agent: null,
  openedAt: "2026-01-01T00:00:00.000Z",
  answeredAt: null,
  endedAt: null,
  durationS: null,
  status: "completed",
  termination: null,
});
const ids = (view: { calls: readonly CallRow[] }) => view.calls.map((one) => one.call);

it("appends older pages and shows no call twice", () => {
  let view = addPage(NO_HISTORY, { calls: [row("c"), row("b")], nextCursor: "1" });
  view = addPage(view, { calls: [row("b"), row("a")], nextCursor: null });
  expect(ids(view)).toEqual(["c", "b", "a"]);
  expect(view.cursor).toBeNull();
});

it("does not ask for ever when a page brings nothing new", () => {
  const view = addPage(NO_HISTORY, { calls: [row("a")], nextCursor: "1" });
  expect(addPage(view, { calls: [row("a")], nextCursor: "1" }).cursor).toBeNull();
  expect(addPage(NO_HISTORY, { calls: [], nextCursor: null })).toEqual({ first: false, calls: [], cursor: null });
});
