// The live board as a pure fold of what `WS /ws/calls` sends. Of two reports about one call the higher version wins, and a
// call that is gone does not come back with a late report.

import type { BoardCall, BoardMessage, CallId, NodeView } from "../../api/types.gen.ts";

export interface BoardView {
  /** Nothing was received yet. */
  empty: boolean;
  calls: ReadonlyMap<CallId, BoardCall>;
  nodes: readonly NodeView[];
  /** The last calls that went, so that a late report does not revive one. */
  gone: readonly CallId[];
}

export const NO_BOARD: BoardView = { empty: true, calls: new Map(), nodes: [], gone: [] };

const REMEMBERED = 200;

export function reduceBoard(view: BoardView, message: BoardMessage): BoardView {
  switch (message.type) {
    case "board": {
      const calls = new Map(message.calls.map((call) => [call.call, call]));
      return { empty: false, calls, nodes: message.nodes, gone: [] };
    }
    case "call": {
      const { call } = message;
      const old = view.calls.get(call.call);
      if ((old && old.version >= call.version) || view.gone.includes(call.call)) return view;
      return { ...view, calls: new Map(view.calls).set(call.call, call) };
    }
    case "gone": {
      const calls = new Map(view.calls);
      calls.delete(message.call);
      return { ...view, calls, gone: [...view.gone, message.call].slice(-REMEMBERED) };
    }
    case "nodes":
      return { ...view, nodes: message.nodes };
    default:
      return view;
  }
}

/** Newest first; a stable order, so that rows do not jump. */
export function boardRows(view: BoardView): BoardCall[] {
  return [...view.calls.values()].sort((a, b) => b.openedAt - a.openedAt || (a.call < b.call ? 1 : -1));
}
