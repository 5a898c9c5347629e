import { expect, it } from "vitest";
import type { BoardCall, NodeView } from "../../api/types.gen.ts";
import { boardRows, NO_BOARD, reduceBoard } from "./board-reducer.ts";

const call = (n: number, version: number, more: Partial<BoardCall> = {}): BoardCall => ({
  call: `call_${n}`,
  callSid: null,
  direction: "inbound",
  from: "+15550100123",
  to: "+15550100199",
  agent: null,
  status: "ringing",
  node: null,
  openedAt: n * 1000,
  answeredAt: null,
  version,
  ...more,
});
const board = (...calls: BoardCall[]) => ({ type: "board", protocol: 1, calls, nodes: [] as NodeView[] }) as const;

it("shows the newest call first, wherever its report stood", () => {
  let view = reduceBoard(NO_BOARD, board(call(2, 1), call(1, 1)));
  view = reduceBoard(view, { type: "call", call: call(3, 1) });
  expect(boardRows(view).map((row) => row.call)).toEqual(["call_3", "call_2", "call_1"]);
});

it("keeps the higher version of a call", () => {
  let view = reduceBoard(NO_BOARD, board(call(1, 4, { status: "in-progress" })));
  expect(reduceBoard(view, { type: "call", call: call(1, 3) })).toBe(view);
  expect(reduceBoard(view, { type: "call", call: call(1, 4) })).toBe(view);
  view = reduceBoard(view, { type: "call", call: call(1, 5, { node: "iad-1" }) });
  expect(boardRows(view)[0]?.node).toBe("iad-1");
});

it("does not revive a call that is gone, until the whole board is sent again", () => {
  let view = reduceBoard(NO_BOARD, board(call(1, 1), call(2, 1)));
  view = reduceBoard(view, { type: "gone", call: "call_1" });
  view = reduceBoard(view, { type: "call", call: call(1, 9) });
  expect(boardRows(view).map((row) => row.call)).toEqual(["call_2"]);
  view = reduceBoard(view, board(call(1, 10)));
  expect(boardRows(view).map((row) => row.call)).toEqual(["call_1"]);
});

it("replaces all nodes at once and passes over messages of a later version", () => {
  const node: NodeView = {
    node: "iad-1",
    region: "iad",
    capacity: 20,
    liveCalls: 1,
    draining: false,
    alive: true,
    seenAt: 1,
    version: "0.1.0",
  };
  const view = reduceBoard(NO_BOARD, { type: "nodes", nodes: [node] });
  expect(view.nodes).toEqual([node]);
  expect(reduceBoard(view, { type: "weather" } as never)).toBe(view);
});
