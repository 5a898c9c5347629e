// A made-up call as the stand-in edge plays it: facts and interim words with the moment at which each comes. The real
// thing comes from a node; nothing here decides anything.

import type { CallEvent, CallFact, NodeEvent, ServerMessage, Speaker, StampedFact } from "../src/api/types.gen.ts";

/** What comes when, in milliseconds after the call was opened; facts without their number, which the room gives. */
export type Step = { at: number } & ({ fact: CallFact } | { live: Extract<ServerMessage, { type: "live" }> });

interface Utterance {
  speaker: Speaker;
  item: string;
  at: number;
  text: string;
  /** Agent only: milliseconds heard of milliseconds received. */
  heard?: [number, number];
}

const INBOUND: readonly Utterance[] = [
  { speaker: "agent", item: "a1", at: 1500, text: "Good morning, Harbour Bicycles. How can I help you?", heard: [2900, 2900] },
  { speaker: "caller", item: "c1", at: 5000, text: "Hi, I brought my bike in on Monday. Is it ready yet?" },
  {
    speaker: "agent",
    item: "a2",
    at: 8400,
    text: "Let me look. The gears are done, and the new brake pads were fitted this morning. We are open until six today, and until four on Saturday, if that suits you better.",
    heard: [4200, 8600],
  },
  { speaker: "caller", item: "c2", at: 12_600, text: "Sorry, how much is it going to be?" },
  { speaker: "agent", item: "a3", at: 15_200, text: "It comes to eighty-four dollars, parts included.", heard: [2700, 2700] },
  { speaker: "caller", item: "c3", at: 18_600, text: "Great, I’ll come by at five. Thank you!" },
  { speaker: "agent", item: "a4", at: 21_000, text: "See you at five. Goodbye!", heard: [1500, 1500] },
];

export const DURATION_MS = 23_500;
export const ANSWERED_MS = 900;

/** The steps of the call, `zero` being the wall time at which it was opened. */
export function inboundCall(zero: number): Step[] {
  const steps: Step[] = [];
  let line = 0;
  const fact = (at: number, what: CallFact) => steps.push({ at, fact: what });
  const life = (at: number, event: CallEvent) => fact(at, { type: "life", event });
  const node = (at: number, event: NodeEvent) => fact(at, { type: "node", epoch: 1, line: ++line, event });
  const status = (at: number, value: "ringing" | "in-progress" | "completed", durationS: number | null = null) =>
    life(at, { kind: "status", status: value, at: zero + at, durationS, sipCode: null });
  const streamSid = "MZ00000000000000000000000000000001";

  fact(0, { type: "opened", direction: "inbound", from: "+15550100123", to: "+15550100199", agent: "front-desk" });
  fact(0, { type: "bound", callSid: "CA00000000000000000000000000000001" });
  status(0, "ringing");
  status(ANSWERED_MS, "in-progress");
  fact(ANSWERED_MS + 120, { type: "owner", node: "iad-1", epoch: 1 });
  node(ANSWERED_MS + 130, { kind: "stream_started", streamSid });
  life(ANSWERED_MS + 200, { kind: "stream", streamSid, phase: "started" });
  node(ANSWERED_MS + 420, { kind: "provider_ready", provider: "openai" });
  for (const { speaker, item, at, text, heard } of INBOUND) {
    const words = text.split(" ");
    const pace = speaker === "agent" ? 60 : 220;
    for (let n = 2; n < words.length; n += 2) {
      const live = { type: "live", speaker, key: `1:${item}`, text: words.slice(0, n).join(" "), startedAt: zero + at } as const;
      steps.push({ at: at + n * pace, live });
    }
    const said = at + words.length * pace;
    node(said, { kind: "said", speaker, item, text, startedAt: zero + at });
    if (!heard) continue;
    const [heardMs, receivedMs] = heard;
    const cut = heardMs < receivedMs;
    if (cut) node(at + heardMs, { kind: "barged_in", item, heardMs });
    node(Math.max(said, at + heardMs) + 40, { kind: "heard", item, heardMs, receivedMs, cut });
  }
  node(14_300, { kind: "digit", digit: "1" });
  node(14_700, { kind: "digit", digit: "#" });
  node(DURATION_MS, { kind: "ended", reason: "caller_hung_up" });
  life(DURATION_MS, { kind: "ended", reason: "caller_hung_up", at: zero + DURATION_MS });
  status(DURATION_MS + 300, "completed", Math.floor((DURATION_MS - ANSWERED_MS) / 1000));
  return steps.sort((a, b) => a.at - b.at);
}

/** Facts in a row with the numbers and times that a room gives them. */
export function stamp(facts: readonly { at: number; fact: CallFact }[], zero: number): StampedFact[] {
  return facts.map(({ at, fact }, index) => ({ seq: index + 1, at: zero + at, fact }));
}
