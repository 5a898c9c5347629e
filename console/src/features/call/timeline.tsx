// What happened on a call beside what was said, oldest first.

import { clock, exactly } from "../../components/format.ts";
import type { CallView } from "./call-reducer.ts";
import { happening } from "./words.ts";

export function Timeline({ view }: { view: CallView }) {
  const zero = view.openedAt ?? 0;
  const told = view.happenings.flatMap((stamped) => {
    const words = happening(stamped);
    return words ? [{ seq: stamped.seq, at: stamped.at, what: words[0], tone: words[1] }] : [];
  });
  if (told.length === 0) {
    return <p className="under">{view.untold > 0 ? "The details of this call’s course are no longer kept." : "Nothing yet."}</p>;
  }
  return (
    <ol className="timeline">
      {view.untold > 0 && <li className="quiet">Earlier events are not shown</li>}
      {told.map(({ seq, at, what, tone }) => (
        <li key={seq} className={tone}>
          <time dateTime={new Date(at).toISOString()} title={exactly(at)}>
            {clock((at - zero) / 1000)}
          </time>
          <span>{what}</span>
        </li>
      ))}
    </ol>
  );
}
