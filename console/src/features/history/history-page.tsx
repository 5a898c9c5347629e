// The calls that were: newest first, narrowed by number, direction and status, page after page from a cursor. The filter
// lives in the address, so that it can be kept, shared and gone back to.

import { useEffect, useRef, useState } from "react";
import { type CallFilter, explain } from "../../api/client.ts";
import type { CallRow, CallStatus, Direction } from "../../api/types.gen.ts";
import { clock, exactly, isoDuration, moment, numberPart, party, spoken } from "../../components/format.ts";
import { DirectionIcon, StatusBadge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Empty, Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { useNow } from "../../components/use-now.ts";
import { Link, navigate, useAddress } from "../../routing/router.tsx";
import { DIRECTION_WORDS, END_SENTENCES, STATUS_WORDS } from "../call/words.ts";
import { useClient } from "../session/session.tsx";
import { addPage, NO_HISTORY, type HistoryView } from "./history-pages.ts";

const PAGE = 50;
const TYPING_MS = 300;

const isStatus = (text: string | null): text is CallStatus => text !== null && Object.hasOwn(STATUS_WORDS, text);
const isDirection = (text: string | null): text is Direction => text !== null && Object.hasOwn(DIRECTION_WORDS, text);

function filterOf(query: URLSearchParams): CallFilter {
  const [number, direction, status] = [query.get("number"), query.get("direction"), query.get("status")];
  return {
    ...(numberPart(number ?? "") ? { number: numberPart(number ?? "") } : {}),
    ...(isDirection(direction) ? { direction } : {}),
    ...(isStatus(status) ? { status } : {}),
  };
}

function addressOf(filter: CallFilter): string {
  const query = new URLSearchParams({ ...filter }).toString();
  return query ? `/calls?${query}` : "/calls";
}

export function HistoryPage() {
  const client = useClient();
  const filter = filterOf(useAddress().query);
  const key = addressOf(filter);
  const [view, setView] = useState<HistoryView>(NO_HISTORY);
  const [busy, setBusy] = useState(true);
  const [error, setError] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const leave = useRef(new AbortController());

  const fetchPage = async (cursor: string | null) => {
    const { signal } = leave.current;
    setBusy(true);
    setError(null);
    try {
      const page = await client.calls(filter, { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal);
      if (signal.aborted) return;
      setView((old) => addPage(cursor === null ? NO_HISTORY : old, page));
    } catch (fault) {
      if (signal.aborted) return;
      setError(explain(fault));
    }
    setBusy(false);
  };

  useEffect(() => {
    leave.current = new AbortController();
    void fetchPage(null);
    return () => leave.current.abort();
    // `key` stands for the filter.
  }, [client, key, round]);

  const narrowed = Object.keys(filter).length > 0;
  return (
    <Page
      title="History"
      actions={
        <Button icon="refresh" busy={busy} onClick={() => setRound((old) => old + 1)}>
          Refresh
        </Button>
      }
    >
      <Filters filter={filter} />
      {error && <Notice tone="error">{error}</Notice>}
      {view.first && !error && <Loading what="the history" />}
      {!view.first && view.calls.length === 0 && (
        <Empty title={narrowed ? "No call fits this filter" : "No calls yet"}>
          <p>{narrowed ? "Try a shorter number or fewer conditions." : "Every call is kept here with how it went and what was said."}</p>
          {narrowed && <Button onClick={() => navigate("/calls")}>Clear the filter</Button>}
        </Empty>
      )}
      {view.calls.length > 0 && <Rows calls={view.calls} />}
      {view.cursor !== null && (
        <div className="more">
          <Button busy={busy} onClick={() => void fetchPage(view.cursor)}>
            Show older calls
          </Button>
        </div>
      )}
    </Page>
  );
}

function Filters({ filter }: { filter: CallFilter }) {
  const [typed, setTyped] = useState(filter.number ?? "");
  // What settles later must not undo what was chosen meanwhile.
  const latest = useRef(filter);
  latest.current = filter;
  const change = (part: { [Name in keyof CallFilter]: CallFilter[Name] | undefined }) => {
    const next = Object.entries({ ...latest.current, ...part }).filter(([, value]) => value);
    navigate(addressOf(Object.fromEntries(next)), { replace: true });
  };
  // Typing settles before the address and the list follow it.
  useEffect(() => {
    const wanted = numberPart(typed);
    if (wanted === (filter.number ?? "")) return;
    const timer = setTimeout(() => change({ number: wanted || undefined }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  // The way back, or “Clear the filter”, changes what is in the box as well.
  useEffect(() => {
    setTyped((old) => (numberPart(old) === (filter.number ?? "") ? old : (filter.number ?? "")));
  }, [filter.number]);
  return (
    <form className="filters" role="search" aria-label="Filter calls" onSubmit={(event) => event.preventDefault()}>
      <Field label="Number">
        {(control) => (
          <input
            {...control}
            type="search"
            inputMode="tel"
            placeholder="All or part of a number"
            autoComplete="off"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
      </Field>
      <Field label="Direction">
        {(control) => (
          <select
            {...control}
            value={filter.direction ?? ""}
            onChange={({ target: { value } }) => change({ direction: isDirection(value) ? value : undefined })}
          >
            <option value="">All</option>
            {Object.entries(DIRECTION_WORDS).map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Status">
        {(control) => (
          <select
            {...control}
            value={filter.status ?? ""}
            onChange={({ target: { value } }) => change({ status: isStatus(value) ? value : undefined })}
          >
            <option value="">All</option>
            {Object.entries(STATUS_WORDS).map(([value, [word]]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </select>
        )}
      </Field>
    </form>
  );
}

function Rows({ calls }: { calls: readonly CallRow[] }) {
  const now = useNow(false);
  return (
    <div className="table-frame">
      <table className="rows history-rows">
        <caption className="sr-only">Calls, newest first</caption>
        <thead>
          <tr>
            <th scope="col" className="wide">
              Status
            </th>
            <th scope="col">Party</th>
            <th scope="col" className="wide">
              Agent
            </th>
            <th scope="col" className="wide">
              How it ended
            </th>
            <th scope="col" className="wide">
              Started
            </th>
            <th scope="col" className="number">
              Duration
            </th>
          </tr>
        </thead>
        <tbody>
          {calls.map((call) => (
            <Row key={call.call} call={call} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ call, now }: { call: CallRow; now: number }) {
  const theirs = call.direction === "outbound" ? call.to : call.from;
  const started = (
    <time dateTime={call.openedAt} title={exactly(call.openedAt)}>
      {moment(call.openedAt, now)}
    </time>
  );
  return (
    <tr data-call={call.call}>
      <td className="wide">
        <StatusBadge status={call.status} />
      </td>
      <td>
        <div className="who">
          <DirectionIcon direction={call.direction} />
          <div>
            <Link className="row-link" to={`/calls/${call.call}`}>
              {party(theirs)}
            </Link>
            <div className="under">
              <span className="wide">
                {call.direction === "outbound" ? "from" : "to"} {party(call.direction === "outbound" ? call.from : call.to)}
              </span>
              <span className="narrow">
                <StatusBadge status={call.status} /> {started}
              </span>
            </div>
          </div>
        </div>
      </td>
      <td className="wide">{call.agent ?? <span className="none">None</span>}</td>
      <td className="wide">{call.termination ? END_SENTENCES[call.termination.reason] : <span className="none">Not over yet</span>}</td>
      <td className="wide">{started}</td>
      <td className="number">
        {call.durationS === null ? (
          <span className="none">–</span>
        ) : (
          <time dateTime={isoDuration(call.durationS)}>
            <span aria-hidden="true">{clock(call.durationS)}</span>
            <span className="sr-only">{spoken(call.durationS)}</span>
          </time>
        )}
      </td>
    </tr>
  );
}
