import fc from "fast-check";
import { describe, expect, it } from "vitest";
import vectors from "../../api/fixtures/folds.json" with { type: "json" };
import type {
  CallEvent,
  CallSnapshot,
  CallState,
  EndReason,
  ServerMessage,
  StampedFact,
  Termination,
  TranscriptLine,
} from "../../api/types.gen.ts";
import { type CallView, NO_CALL, reduceCall } from "./call-reducer.ts";
import { connectedSeconds, isOver, joinEvent, NO_STATE, terminationOf } from "./call-state.ts";
import { orderedLines, splitHeard } from "./transcript.ts";

interface Vector {
  name: string;
  facts: StampedFact[];
  state: CallState;
  over: boolean;
  termination: Termination | null;
  connectedS: number | null;
  lines: TranscriptLine[];
  heard: { speaker: string; text: string }[];
}
const cases = vectors.cases as Vector[];

const facts = (...batch: StampedFact[]): ServerMessage => ({ type: "facts", facts: batch });
const ofFacts = (batch: StampedFact[]): CallView => reduceCall(NO_CALL, facts(...batch));
/** The view without what differs between a snapshot and the facts it stands for. */
const shown = (view: CallView) => ({
  seq: view.seq,
  state: view.state,
  node: view.node,
  epoch: view.epoch,
  parties: [view.direction, view.from, view.to, view.agent, view.callSid],
  lines: orderedLines(view.lines),
});
const conversation = (name: string): StampedFact[] => {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`no case ${name}`);
  return found.facts;
};
const bargeIn = conversation("a call with a barge-in");

describe("the folds of both sides of the wire agree", () => {
  it.each(cases.map((one) => [one.name, one] as const))("%s", (_, vector) => {
    const view = ofFacts(vector.facts);
    expect(view.gap).toBe(false);
    expect(view.state).toEqual(vector.state);
    expect(isOver(view.state)).toBe(vector.over);
    expect(terminationOf(view.state)).toEqual(vector.termination);
    expect(connectedSeconds(view.state)).toBe(vector.connectedS);
    expect(orderedLines(view.lines)).toEqual(vector.lines);
    const heard = orderedLines(view.lines)
      .map((line) => ({ speaker: line.speaker, text: splitHeard(line)[0] }))
      .filter((line) => line.text !== "");
    expect(heard).toEqual(vector.heard);
  });

  it("ranks every reason in the same order", () => {
    const reasons = vectors.reasons.map((one) => one.reason as EndReason);
    const end = (reason: EndReason): CallEvent => ({ kind: "ended", reason, at: 1 });
    for (const [index, reason] of reasons.entries()) {
      for (const lesser of reasons.slice(0, index)) {
        const state = joinEvent(joinEvent(NO_STATE, end(reason)), end(lesser));
        expect(terminationOf(state)).toEqual({ reason, result: vectors.reasons[index]?.result });
      }
    }
  });
});

describe("facts", () => {
  it("tell who, where and what beside the transcript", () => {
    const view = ofFacts(bargeIn);
    expect(view).toMatchObject({ direction: "inbound", from: "+15550100123", agent: "front-desk", node: "iad-1" });
    expect(view.openedAt).toBe(bargeIn[0]?.at);
    expect(view.bargeIns).toEqual(new Map([["1:a1", 1000]]));
    const kinds = view.happenings.map(({ fact }) => (fact.type === "node" ? fact.event.kind : fact.type));
    expect(kinds).not.toContain("said");
    expect(kinds).toContain("digit");
    expect(view.untold).toBe(0);
  });

  it("taken twice, in pieces that overlap, change nothing the second time", () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.array(fc.tuple(fc.nat(30), fc.nat(8)), { maxLength: 12 }), (one, cuts) => {
        const whole = ofFacts(one.facts);
        let view = NO_CALL;
        for (const [overlap, size] of cuts) {
          const from = Math.max(0, view.seq - overlap);
          view = reduceCall(view, facts(...one.facts.slice(from, view.seq + size)));
          expect(view.gap).toBe(false);
        }
        view = reduceCall(view, facts(...one.facts));
        expect(view).toEqual(whole);
        expect(reduceCall(view, facts(...one.facts))).toBe(view);
      }),
    );
  });

  it("in any order and number never show a fact before those that precede it", () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.array(fc.nat(30), { maxLength: 60 }), (one, picks) => {
        let view = NO_CALL;
        for (const pick of picks) {
          const fact = one.facts[pick % Math.max(1, one.facts.length)];
          if (!fact) continue;
          const before = view;
          view = reduceCall(view, facts(fact));
          if (fact.seq > before.seq + 1) expect(view).toEqual({ ...before, gap: true });
          if (fact.seq <= before.seq) expect(view).toBe(before);
          expect(shown(view)).toEqual(shown(ofFacts(one.facts.slice(0, view.seq))));
        }
        // Whatever happened, coming again from `seq` completes the call.
        view = reduceCall(view, facts(...one.facts.slice(view.seq)));
        expect({ ...view, gap: false }).toEqual(ofFacts(one.facts));
      }),
    );
  });

  it("of a kind that this version does not know keep the count", () => {
    const strange = { seq: 1, at: 5, fact: { type: "teleported", to: "the moon" } } as unknown as StampedFact;
    const sneeze = { seq: 2, at: 6, fact: { type: "node", epoch: 1, line: 1, event: { kind: "unknown" } } } as const;
    expect(reduceCall(NO_CALL, facts(strange, sneeze))).toMatchObject({ seq: 2, gap: false });
  });
});

describe("a gap", () => {
  it("stops before the missing fact and is lifted by coming again", () => {
    const [first, , third] = bargeIn;
    if (!first || !third) throw new Error("facts");
    const view = reduceCall(NO_CALL, facts(first, third));
    expect(view).toMatchObject({ seq: 1, gap: true });
    expect(reduceCall(view, facts(...bargeIn.slice(1)))).toEqual(ofFacts(bargeIn));
    expect(reduceCall(view, facts()).gap).toBe(false);
  });

  it("is seen when the end names a fact that never came", () => {
    const view = ofFacts(bargeIn.slice(0, 3));
    expect(reduceCall(view, { type: "ended", seq: 4 })).toMatchObject({ gap: true, complete: false });
    expect(reduceCall(view, { type: "ended", seq: 3 })).toMatchObject({ gap: false, complete: true });
  });
});

describe("a snapshot", () => {
  const snapshotAt = (all: StampedFact[], seq: number): ServerMessage => {
    const view = ofFacts(all.slice(0, seq));
    const call: CallSnapshot = {
      call: "call_01kdvvx4000000000000000001",
      callSid: view.callSid,
      direction: view.direction ?? "inbound",
      from: view.from ?? "anonymous",
      to: view.to ?? "anonymous",
      agent: view.agent,
      openedAt: view.openedAt ?? 0,
      state: view.state,
      node: view.node,
      epoch: view.epoch,
      // With the lines of which only the amount heard is known, as the room's fold has them.
      transcript: [...view.lines.values()],
      seq,
    };
    return { type: "snapshot", protocol: 1, call };
  };

  it("and the facts after it show the same as all the facts", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases.filter((one) => one.facts[0]?.fact.type === "opened")),
        fc.nat(30),
        fc.nat(30),
        (one, seen, at) => {
          const seq = 1 + (at % one.facts.length);
          let view = ofFacts(one.facts.slice(0, Math.min(seen, one.facts.length)));
          view = reduceCall(view, snapshotAt(one.facts, seq));
          view = reduceCall(view, facts(...one.facts.slice(view.seq)));
          expect(shown(view)).toEqual(shown(ofFacts(one.facts)));
        },
      ),
    );
  });

  it("older than what is shown changes nothing", () => {
    const view = ofFacts(bargeIn);
    expect(reduceCall(view, snapshotAt(bargeIn, 4))).toBe(view);
  });

  it("says from where on events are untold", () => {
    const view = reduceCall(NO_CALL, snapshotAt(bargeIn, 10));
    expect(view.untold).toBe(10);
    expect(view.happenings).toEqual([]);
    expect(view.call).toBe("call_01kdvvx4000000000000000001");
  });
});

describe("words still being said", () => {
  const live = (text: string): ServerMessage => ({ type: "live", speaker: "caller", key: "1:c1", text, startedAt: 7 });

  it("are replaced by longer ones and then by their fact, and do not come back", () => {
    let view = reduceCall(NO_CALL, live("When"));
    view = reduceCall(view, live("When are you"));
    expect([...view.live.values()]).toEqual([{ key: "1:c1", speaker: "caller", text: "When are you", startedAt: 7 }]);
    view = reduceCall(view, facts(...bargeIn));
    expect(view.live.size).toBe(0);
    expect(reduceCall(view, live("When are"))).toBe(view);
  });

  it("end with the call", () => {
    const view = reduceCall(reduceCall(NO_CALL, live("When")), { type: "ended", seq: 0 });
    expect(view.live.size).toBe(0);
    expect(reduceCall(view, live("When are"))).toBe(view);
  });
});
