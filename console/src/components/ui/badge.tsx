// A word with a coloured dot: how something stands.

import type { CallStatus, Direction } from "../../api/types.gen.ts";
import { DIRECTION_WORDS, STATUS_WORDS, type Tone } from "../../features/call/words.ts";
import { Icon } from "./icons.tsx";

export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

export function StatusBadge({ status }: { status: CallStatus }) {
  const [word, tone] = STATUS_WORDS[status] ?? [status, "quiet"];
  return <Badge tone={tone}>{word}</Badge>;
}

export function DirectionIcon({ direction }: { direction: Direction }) {
  return (
    <span className={`direction ${direction}`}>
      <Icon name={direction} />
      <span className="sr-only">{DIRECTION_WORDS[direction]} </span>
    </span>
  );
}
