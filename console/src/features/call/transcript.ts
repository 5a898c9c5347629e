// The transcript as a fold over facts, the same as `shared::transcript`: the result depends on the set of facts, not on
// their order. Interim words are not facts; call-reducer.ts keeps them beside this.

import type { CallFact, HeardPart, Speaker, TranscriptLine } from "../../api/types.gen.ts";
import { compareText } from "../../api/text-order.ts";

/** Lines by their key. Lines whose text is still unknown are in it, too. */
export type Lines = ReadonlyMap<string, TranscriptLine>;

type Change =
  | { is: "said"; speaker: Speaker; text: string; startedAt: number }
  | { is: "heard"; part: HeardPart };

/** The key of a provider's item in the transcript. */
export const itemKey = (epoch: number, item: string): string => `${epoch}:${item}`;

function read(fact: CallFact): [key: string, change: Change] | undefined {
  switch (fact.type) {
    case "node": {
      const event = fact.event;
      if (event.kind === "said") {
        const { speaker, text, startedAt } = event;
        return [itemKey(fact.epoch, event.item), { is: "said", speaker, text, startedAt }];
      }
      if (event.kind === "heard") {
        const { heardMs, receivedMs, cut } = event;
        return [itemKey(fact.epoch, event.item), { is: "heard", part: { heardMs, receivedMs, cut } }];
      }
      return undefined;
    }
    case "transcribed":
      return [
        `${fact.transcriptionSid}:${fact.track}:${fact.sequence}`,
        {
          is: "said",
          speaker: fact.track === "inbound_track" ? "caller" : "agent",
          text: fact.text,
          startedAt: fact.at,
        },
      ];
    default:
      return undefined;
  }
}

function moreHeard(a: HeardPart | null, b: HeardPart): HeardPart {
  if (a === null) return b;
  const order = a.heardMs - b.heardMs || a.receivedMs - b.receivedMs || Number(a.cut) - Number(b.cut);
  return order >= 0 ? a : b;
}

/** Takes the fact into `lines`; gives the line that it is about, or nothing when it says nothing about the transcript. */
export function foldLine(lines: Map<string, TranscriptLine>, fact: CallFact): TranscriptLine | undefined {
  const found = read(fact);
  if (found === undefined) return undefined;
  const [key, change] = found;
  const line: TranscriptLine = lines.get(key) ?? {
    key,
    speaker: "agent",
    text: "",
    startedAt: Number.MAX_SAFE_INTEGER,
    heard: null,
  };
  const next: TranscriptLine =
    change.is === "heard"
      ? { ...line, heard: moreHeard(line.heard, change.part) }
      : {
          ...line,
          speaker: change.speaker,
          startedAt: Math.min(line.startedAt, change.startedAt),
          text: compareText(change.text, line.text) > 0 ? change.text : line.text,
        };
  lines.set(key, next);
  return next;
}

type Place =
  | { is: "item"; epoch: number; item: string }
  | { is: "transcribed"; sid: string; track: string; sequence: number };

/** What a key says about its line's place: `epoch:item`, or `GT…:track:sequence`. */
function placeOf(key: string): Place {
  const item = /^(\d+):/.exec(key);
  if (item) return { is: "item", epoch: Number(item[1]), item: key.slice(item[0].length) };
  const [sid = "", track = "", sequence = "0"] = key.split(":");
  return { is: "transcribed", sid, track, sequence: Number(sequence) };
}

/** The order in which things were said, of lines and of words still being said. */
export function bySaid(a: { key: string; startedAt: number }, b: { key: string; startedAt: number }): number {
  const [x, y] = [placeOf(a.key), placeOf(b.key)];
  if (x.is === "item" && y.is === "item") {
    return a.startedAt - b.startedAt || x.epoch - y.epoch || compareText(x.item, y.item);
  }
  if (x.is === "transcribed" && y.is === "transcribed") {
    // Twilio numbers a transcription's results; its timestamps may disagree with the numbers.
    return compareText(x.sid, y.sid) || x.sequence - y.sequence || compareText(x.track, y.track);
  }
  return x.is === "item" ? -1 : 1;
}

/** The lines that have a text, in the order in which they were said. */
export function orderedLines(lines: Lines): TranscriptLine[] {
  return [...lines.values()].filter((line) => line.text !== "").sort(bySaid);
}

const bytes = new TextEncoder();

/** Where the part of an agent's line ends that `heard` of `received` milliseconds can hold: a word's end, UTF-16 units. */
export function heardEnd(text: string, heardMs: number, receivedMs: number): number {
  if (receivedMs === 0) return 0;
  const size = bytes.encode(text).length;
  const limit = Math.floor((size * Math.min(heardMs, receivedMs)) / receivedMs);
  if (limit >= size) return text.length;
  let [at, units, end] = [0, 0, 0];
  for (const char of text) {
    if (at > limit) break;
    if (/\p{White_Space}/u.test(char)) end = units;
    at += bytes.encode(char).length;
    units += char.length;
  }
  return text.slice(0, end).replace(/\p{White_Space}+$/u, "").length;
}

/** A line as the caller experienced it: what was heard of it, and what was not. */
export function splitHeard(line: TranscriptLine): [heard: string, unheard: string] {
  if (line.speaker !== "agent" || line.heard === null || !line.heard.cut) return [line.text, ""];
  const end = heardEnd(line.text, line.heard.heardMs, line.heard.receivedMs);
  return [line.text.slice(0, end), line.text.slice(end)];
}
