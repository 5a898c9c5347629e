// One call as a page sees it: a pure fold of what `WS /ws/transcriptions` sends. It never goes back, takes everything
// twice without harm, and does not step over a missing fact: then `gap` is set and the socket has to come again from
// `seq`. What the facts mean in words does not live here.

import type {
  AgentId,
  CallId,
  CallSid,
  CallSnapshot,
  CallState,
  Direction,
  NodeId,
  Party,
  ServerMessage,
  Speaker,
  StampedFact,
  TranscriptLine,
} from "../../api/types.gen.ts";
import { joinEvent, NO_STATE } from "./call-state.ts";
import { foldLine, itemKey, type Lines } from "./transcript.ts";

/** Words still being said. */
export interface LiveLine {
  key: string;
  speaker: Speaker;
  text: string;
  startedAt: number;
}

export interface CallView {
  /** The last fact taken in; 0: none. */
  seq: number;
  /** A fact is missing after `seq`; nothing after it was taken in. */
  gap: boolean;
  /** The call is over and every fact is here. */
  complete: boolean;
  call: CallId | null;
  callSid: CallSid | null;
  direction: Direction | null;
  from: Party | null;
  to: Party | null;
  agent: AgentId | null;
  openedAt: number | null;
  state: CallState;
  node: NodeId | null;
  epoch: number;
  lines: Lines;
  live: ReadonlyMap<string, LiveLine>;
  /** Milliseconds after which the caller spoke over an agent's line, by the line's key. */
  bargeIns: ReadonlyMap<string, number>;
  /** Facts that are not lines, oldest first. */
  happenings: readonly StampedFact[];
  /** Facts up to here came only as a snapshot, so `happenings` lacks some of them; 0: it lacks none. */
  untold: number;
}

export const NO_CALL: CallView = {
  seq: 0,
  gap: false,
  complete: false,
  call: null,
  callSid: null,
  direction: null,
  from: null,
  to: null,
  agent: null,
  openedAt: null,
  state: NO_STATE,
  node: null,
  epoch: 0,
  lines: new Map(),
  live: new Map(),
  bargeIns: new Map(),
  happenings: [],
  untold: 0,
};

/** The view with the message taken in; the same object when it brings nothing new. */
export function reduceCall(view: CallView, message: ServerMessage): CallView {
  switch (message.type) {
    case "snapshot":
      return takeSnapshot(view, message.call);
    case "facts":
      return takeFacts(view, message.facts);
    case "live": {
      const { key, speaker, text, startedAt } = message;
      if (view.complete || view.lines.get(key)?.text) return view;
      const old = view.live.get(key);
      if (old?.text === text) return view;
      return { ...view, live: new Map(view.live).set(key, { key, speaker, text, startedAt }) };
    }
    case "ended":
      if (view.complete) return view;
      if (message.seq > view.seq) return { ...view, gap: true };
      return { ...view, complete: true, live: new Map() };
    default:
      return view;
  }
}

function takeSnapshot(view: CallView, call: CallSnapshot): CallView {
  // An older one than what is shown can only be a late copy; an equal one lifts a doubt and names the call.
  if (call.seq < view.seq) return view;
  if (call.seq === view.seq && view.seq > 0) {
    return view.gap || view.call === null ? { ...view, gap: false, call: call.call } : view;
  }
  const lines = new Map(call.transcript.map((line) => [line.key, line]));
  return {
    ...view,
    seq: call.seq,
    gap: false,
    call: call.call,
    callSid: call.callSid,
    direction: call.direction,
    from: call.from,
    to: call.to,
    agent: call.agent,
    openedAt: call.openedAt,
    state: call.state,
    node: call.node,
    epoch: call.epoch,
    lines,
    live: new Map([...view.live].filter(([key]) => !lines.get(key)?.text)),
    untold: call.seq,
  };
}

function takeFacts(view: CallView, facts: readonly StampedFact[]): CallView {
  const fresh = facts.filter(({ seq }) => seq > view.seq);
  // An empty batch is the room's word that a resumed watch has missed nothing.
  if (fresh.length === 0) return view.gap && facts.length === 0 ? { ...view, gap: false } : view;
  // Copied once per batch: a long call may come back as thousands of facts.
  const draft: Draft = {
    ...view,
    lines: new Map(view.lines),
    live: new Map(view.live),
    bargeIns: new Map(view.bargeIns),
    happenings: [...view.happenings],
  };
  for (const stamped of fresh) {
    if (stamped.seq <= draft.seq) continue;
    if (stamped.seq !== draft.seq + 1) {
      draft.gap = true;
      break;
    }
    takeFact(draft, stamped);
  }
  return draft;
}

interface Draft extends CallView {
  lines: Map<string, TranscriptLine>;
  live: Map<string, LiveLine>;
  bargeIns: Map<string, number>;
  happenings: StampedFact[];
}

function takeFact(draft: Draft, stamped: StampedFact): void {
  const { fact } = stamped;
  draft.seq = stamped.seq;
  draft.gap = false;
  const line = foldLine(draft.lines, fact);
  if (line === undefined) draft.happenings.push(stamped);
  else if (line.text !== "") draft.live.delete(line.key);
  switch (fact.type) {
    case "opened":
      draft.direction = fact.direction;
      draft.from = fact.from;
      draft.to = fact.to;
      draft.agent = fact.agent;
      draft.openedAt ??= stamped.at;
      break;
    case "bound":
      draft.callSid = fact.callSid;
      break;
    case "life":
      draft.state = joinEvent(draft.state, fact.event);
      break;
    case "owner":
      if (fact.epoch >= draft.epoch) {
        draft.node = fact.node;
        draft.epoch = fact.epoch;
      }
      break;
    case "node":
      if (fact.event.kind === "barged_in") {
        draft.bargeIns.set(itemKey(fact.epoch, fact.event.item), fact.event.heardMs);
      }
      break;
    case "transcribed":
      break;
  }
}
