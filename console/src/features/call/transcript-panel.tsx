// The conversation: what each side said, words still being said, keys pressed in between, and on the agent's lines how
// much of them the caller heard. New lines are followed while the end is in sight.

import { memo, type ReactNode, useEffect, useRef, useState } from "react";
import type { StampedFact, TranscriptLine } from "../../api/types.gen.ts";
import { clock, exactly, tenths } from "../../components/format.ts";
import { Button } from "../../components/ui/button.tsx";
import { ExplainedMark } from "../../components/ui/mark.tsx";
import type { CallView, LiveLine } from "./call-reducer.ts";
import { isOver } from "./call-state.ts";
import { bySaid, orderedLines, splitHeard } from "./transcript.ts";

type Entry =
  | { is: "line"; at: number; line: TranscriptLine }
  | { is: "live"; at: number; line: LiveLine }
  | { is: "keys"; at: number; seq: number; keys: string };

/** Lines and words in the order in which they were said; keys stand before the first line that began after them. */
export function entriesOf(view: CallView): Entry[] {
  const live = isOver(view.state) ? [] : [...view.live.values()].filter((line) => line.text.trim() !== "");
  const said: Entry[] = [
    ...orderedLines(view.lines).map((line): Entry => ({ is: "line", at: line.startedAt, line })),
    ...live.map((line): Entry => ({ is: "live", at: line.startedAt, line })),
  ].sort((a, b) => (a.is !== "keys" && b.is !== "keys" ? bySaid(a.line, b.line) : 0));
  const entries: Entry[] = [];
  const keys = view.happenings.flatMap((stamped) => keyOf(stamped));
  for (const entry of said) {
    while (keys[0] && keys[0].at < entry.at) pushKeys(entries, keys.shift());
    entries.push(entry);
  }
  for (const left of keys) pushKeys(entries, left);
  return entries;
}

function keyOf({ fact, at, seq }: StampedFact): { at: number; seq: number; keys: string }[] {
  return fact.type === "node" && fact.event.kind === "digit" ? [{ at, seq, keys: fact.event.digit }] : [];
}

function pushKeys(entries: Entry[], key: { at: number; seq: number; keys: string } | undefined): void {
  if (!key) return;
  const last = entries.at(-1);
  if (last?.is === "keys") last.keys += ` ${key.keys}`;
  else entries.push({ is: "keys", ...key });
}

interface Props {
  view: CallView;
  /** Times count from here. */
  zero: number;
}

export function TranscriptPanel({ view, zero }: Props) {
  const entries = entriesOf(view);
  const over = isOver(view.state);
  const panel = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const follow = () => {
    const box = panel.current;
    box?.scrollTo({ top: box.scrollHeight });
    setFollowing(true);
  };
  const live = !over && !view.complete;
  // Each rendering of new words moves the end.
  useEffect(() => {
    if (following && live) follow();
  }, [view.lines, view.live, following, live]);
  const watch = () => {
    const box = panel.current;
    if (box) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < 48);
  };
  return (
    <div className="transcript-frame">
      <div
        ref={panel}
        className={`transcript ${live ? "following" : ""}`}
        role="log"
        aria-label="Transcript"
        tabIndex={live ? 0 : undefined}
        onScroll={watch}
      >
        {entries.length === 0 ? (
          <p className="transcript-empty">{over || view.complete ? "Nothing was said on this call." : "Waiting for the first words …"}</p>
        ) : (
          <ol className="lines">
            {entries.map((entry) => {
              switch (entry.is) {
                case "line":
                  return <Line key={entry.line.key} line={entry.line} zero={zero} interrupted={view.bargeIns.has(entry.line.key)} />;
                case "live":
                  return <Interim key={`live ${entry.line.key}`} line={entry.line} zero={zero} />;
                case "keys":
                  return (
                    <li key={`keys ${entry.seq}`} className="keys-pressed">
                      <span>
                        Keys pressed: <kbd>{entry.keys}</kbd>
                      </span>
                    </li>
                  );
              }
            })}
          </ol>
        )}
      </div>
      {live && !following && (
        <div className="to-latest">
          <Button look="primary" icon="down" onClick={follow}>
            Latest
          </Button>
        </div>
      )}
    </div>
  );
}

interface HeadProps {
  speaker: "caller" | "agent";
  at: number;
  zero: number;
  children?: ReactNode;
}

function Head({ speaker, at, zero, children }: HeadProps) {
  return (
    <div className="line-head">
      {children}
      <span className="speaker">{speaker === "agent" ? "Agent" : "Caller"}</span>
      <time dateTime={new Date(at).toISOString()} title={exactly(at)}>
        {clock((at - zero) / 1000)}
      </time>
    </div>
  );
}

/** Drawn anew only when its own line changes: interim words come many times a second. */
const Line = memo(function Line({ line, zero, interrupted }: { line: TranscriptLine; zero: number; interrupted: boolean }) {
  const [heard, unheard] = splitHeard(line);
  const cut = line.heard?.cut ?? false;
  const mark = <HeardMark line={line} interrupted={interrupted} />;
  return (
    <li className={`line ${line.speaker}`} data-key={line.key}>
      <Head speaker={line.speaker} at={line.startedAt} zero={zero}>
        {!cut && mark}
      </Head>
      <p className="words">
        {heard}
        {unheard && (
          <>
            <span className="sr-only"> (not heard by the caller:) </span>
            <span className="unheard">{unheard}</span>
          </>
        )}
      </p>
      {cut && mark}
    </li>
  );
});

function HeardMark({ line, interrupted }: { line: TranscriptLine; interrupted: boolean }) {
  const part = line.heard;
  if (line.speaker !== "agent" || part === null) return null;
  if (!part.cut) {
    return (
      <ExplainedMark icon="check" tone="quiet" tip={`The whole line was played to the caller: ${tenths(part.heardMs)}.`}>
        Heard
      </ExplainedMark>
    );
  }
  const why = interrupted ? "The caller spoke over the agent" : "The line was cut short";
  return (
    <ExplainedMark
      icon="cut"
      tone="warn"
      tip={`${why}, so playback stopped. The caller heard ${tenths(part.heardMs)} of the ${tenths(part.receivedMs)} that were ready to be played; the words struck through are an estimate of what was not heard.`}
    >
      {interrupted ? "Interrupted" : "Cut off"} after {tenths(part.heardMs)}
    </ExplainedMark>
  );
}

function Interim({ line, zero }: { line: LiveLine; zero: number }) {
  return (
    <li className={`line interim ${line.speaker}`} aria-live="off">
      <Head speaker={line.speaker} at={line.startedAt} zero={zero} />
      <p className="words">
        {line.text}
        <span className="typing" aria-hidden="true">
          …
        </span>
      </p>
    </li>
  );
}
