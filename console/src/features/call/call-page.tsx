// A call's page: while it lives, what is said and what happens as it happens, and a way to end it; afterwards the same
// as its entry in the history, with how it ended.

import { type ReactNode, useEffect, useState } from "react";
import type { CallView } from "./call-reducer.ts";
import { clock, exactly, isoDuration, moment, party, spoken, timeOfDay } from "../../components/format.ts";
import { Badge, DirectionIcon, StatusBadge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Confirm } from "../../components/ui/confirm.tsx";
import { Icon } from "../../components/ui/icons.tsx";
import { LinkState } from "../../components/ui/link-state.tsx";
import { Empty, Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { useNow } from "../../components/use-now.ts";
import { Link } from "../../routing/router.tsx";
import { useClient } from "../session/session.tsx";
import { connectedSeconds, isOver, terminationOf } from "./call-state.ts";
import { Timeline } from "./timeline.tsx";
import { TranscriptPanel } from "./transcript-panel.tsx";
import { useCall } from "./use-call.ts";
import { DIRECTION_WORDS, END_SENTENCES, type Tone } from "./words.ts";

/** How long a call that was told to end may take before the button can be used again. */
const HANG_UP_MS = 10_000;

const RESULT_TONE = { completed: "good", unanswered: "quiet", limited: "warn", failed: "bad" } as const satisfies Record<string, Tone>;

export function CallPage({ id }: { id: string }) {
  const client = useClient();
  const { view, socket, error, missing, reload } = useCall(id);
  const [asking, setAsking] = useState(false);
  const [ending, setEnding] = useState(false);
  const over = isOver(view.state) || view.complete;
  // An order that was lost on its way may be given again.
  useEffect(() => {
    if (!ending) return;
    const timer = setTimeout(() => setEnding(false), HANG_UP_MS);
    return () => clearTimeout(timer);
  }, [ending]);
  const above = (
    <Link className="back" to={over ? "/calls" : "/"}>
      <Icon name="back" /> {over ? "History" : "Live board"}
    </Link>
  );
  if (missing) {
    return (
      <Page title="No such call" above={above}>
        <Empty title="This call is not known here">
          <p>It may have been erased, or the address has a mistake in it.</p>
        </Empty>
      </Page>
    );
  }
  if (view.openedAt === null) {
    return (
      <Page title="Call" above={above}>
        {error ? (
          <>
            <Notice tone="error">{error}</Notice>
            <Button icon="refresh" onClick={reload}>
              Try again
            </Button>
          </>
        ) : (
          <Loading what="the call" />
        )}
      </Page>
    );
  }
  const theirs = (view.direction === "outbound" ? view.to : view.from) ?? "anonymous";
  const ended = terminationOf(view.state);
  return (
    <Page
      title={`Call with ${party(theirs)}`}
      heading={party(theirs)}
      above={above}
      lead={
        <div className="call-lead">
          <StatusBadge status={view.state.status} />
          {view.direction && (
            <span className="with-icon">
              <DirectionIcon direction={view.direction} />
              <span aria-hidden="true">{DIRECTION_WORDS[view.direction]}</span>
            </span>
          )}
          {over && ended && <Badge tone={RESULT_TONE[ended.result]}>{END_SENTENCES[ended.reason]}</Badge>}
          <Duration view={view} over={over} />
          {!over && <LinkState state={socket} />}
        </div>
      }
      actions={
        over ? null : (
          <Button look="danger" icon="hangup" busy={ending} onClick={() => setAsking(true)}>
            Hang up
          </Button>
        )
      }
    >
      {asking && !over && (
        <Confirm
          title="Hang up this call?"
          deed="Hang up"
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await client.hangUp(view.call ?? id);
            setEnding(true);
          }}
        >
          <p>{party(theirs)} is disconnected at once. This cannot be undone.</p>
        </Confirm>
      )}
      <div className="call-columns">
        <section aria-labelledby="transcript-heading">
          <h2 id="transcript-heading">Transcript</h2>
          <TranscriptPanel view={view} zero={view.state.answeredAt ?? view.openedAt} />
        </section>
        <div className="call-side">
          <section aria-labelledby="facts-heading">
            <h2 id="facts-heading">Details</h2>
            <Details view={view} id={id} />
          </section>
          <section aria-labelledby="timeline-heading">
            <h2 id="timeline-heading">Timeline</h2>
            <Timeline view={view} />
          </section>
        </div>
      </div>
    </Page>
  );
}

function Duration({ view, over }: { view: CallView; over: boolean }) {
  const now = useNow(!over && view.state.answeredAt !== null);
  const { answeredAt } = view.state;
  const seconds = over ? connectedSeconds(view.state) : answeredAt === null ? null : (now - answeredAt) / 1000;
  if (seconds === null) return null;
  return (
    <time className="call-clock" dateTime={isoDuration(seconds)}>
      <span aria-hidden="true">{clock(seconds)}</span>
      <span className="sr-only">{spoken(seconds)}</span>
    </time>
  );
}

function Details({ view, id }: { view: CallView; id: string }) {
  const now = useNow(false);
  const seconds = connectedSeconds(view.state);
  const rows: [string, ReactNode][] = [
    ["From", party(view.from ?? "anonymous")],
    ["To", party(view.to ?? "anonymous")],
    ["Agent", view.agent ? <Link to={`/agents/${view.agent}`}>{view.agent}</Link> : "None"],
  ];
  if (view.node) rows.push(["Media node", view.node]);
  if (view.openedAt !== null) {
    rows.push(["Started", <time key="t" dateTime={new Date(view.openedAt).toISOString()} title={exactly(view.openedAt)}>{moment(view.openedAt, now)}</time>]);
  }
  if (view.state.answeredAt !== null) rows.push(["Answered", timeOfDay(view.state.answeredAt)]);
  if (view.state.endedAt !== null) rows.push(["Ended", timeOfDay(view.state.endedAt)]);
  if (seconds !== null && isOver(view.state)) rows.push(["Duration", spoken(seconds)]);
  return (
    <dl className="details">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      <div className="tall">
        <dt>Call id</dt>
        <dd className="code">{view.call ?? id}</dd>
      </div>
      {view.callSid && (
        <div className="tall">
          <dt>Twilio’s SID</dt>
          <dd className="code">{view.callSid}</dd>
        </div>
      )}
    </dl>
  );
}
