// The live board: every call that is going on, and how loaded the nodes are.

import { socketUrl } from "../../api/live-socket.ts";
import type { BoardCall, BoardMessage, NodeView } from "../../api/types.gen.ts";
import { useLive } from "../../api/use-live.ts";
import { clock, exactly, isoDuration, party, spoken } from "../../components/format.ts";
import { Badge, DirectionIcon, StatusBadge } from "../../components/ui/badge.tsx";
import { LinkState } from "../../components/ui/link-state.tsx";
import { Empty, Loading } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { useNow } from "../../components/use-now.ts";
import { Link } from "../../routing/router.tsx";
import { DIRECTION_WORDS } from "../call/words.ts";
import { type BoardView, boardRows, NO_BOARD, reduceBoard } from "./board-reducer.ts";

export function BoardPage() {
  const { view, socket } = useLive<BoardView, BoardMessage>("board", {
    initial: NO_BOARD,
    url: () => socketUrl("/ws/calls"),
    reduce: reduceBoard,
    verdict: () => "continue",
  });
  return (
    <Page title="Live board" actions={<LinkState state={socket} />}>
      {view.empty ? <Loading what="the board" /> : <Board view={view} />}
    </Page>
  );
}

function Board({ view }: { view: BoardView }) {
  const rows = boardRows(view);
  const now = useNow(rows.length > 0);
  const talking = rows.filter((call) => call.status === "in-progress").length;
  const serving = view.nodes.filter((node) => node.alive && !node.draining);
  const capacity = serving.reduce((sum, node) => sum + node.capacity, 0);
  const carried = serving.reduce((sum, node) => sum + node.liveCalls, 0);
  return (
    <>
      <dl className="figures">
        <Figure name="Live calls" value={rows.length} />
        <Figure name="In conversation" value={talking} />
        <Figure name="Being set up" value={rows.length - talking} />
        <Figure name="Free lines" value={Math.max(0, capacity - carried)} of={capacity} />
      </dl>
      <section aria-labelledby="calls-heading">
        <h2 id="calls-heading">Calls</h2>
        {rows.length === 0 ? (
          <Empty title="No calls at the moment">
            <p>A call appears here as soon as it comes in or is placed.</p>
            <Link className="button plain" to="/calls/new">
              Place a call
            </Link>
          </Empty>
        ) : (
          <div className="table-frame">
            <table className="rows board-rows">
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
                    Node
                  </th>
                  <th scope="col" className="number">
                    Duration
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((call) => (
                  <CallRow key={call.call} call={call} now={now} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section aria-labelledby="nodes-heading">
        <h2 id="nodes-heading">Media nodes</h2>
        {view.nodes.length === 0 ? (
          <Empty title="No media node is connected">
            <p>Calls to agents cannot be answered until one is running.</p>
          </Empty>
        ) : (
          <ul className="nodes">
            {view.nodes.map((node) => (
              <Node key={node.node} node={node} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function Figure({ name, value, of }: { name: string; value: number; of?: number }) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd>
        {value}
        {of !== undefined && <span className="of"> of {of}</span>}
      </dd>
    </div>
  );
}

function CallRow({ call, now }: { call: BoardCall; now: number }) {
  const theirs = call.direction === "outbound" ? call.to : call.from;
  const ours = call.direction === "outbound" ? call.from : call.to;
  const seconds = call.answeredAt === null ? null : (now - call.answeredAt) / 1000;
  return (
    <tr>
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
                <span aria-hidden="true">{DIRECTION_WORDS[call.direction]} </span>
                {call.direction === "outbound" ? "from" : "to"} {party(ours)}
              </span>
              <span className="narrow">
                <StatusBadge status={call.status} /> {call.agent}
              </span>
            </div>
          </div>
        </div>
      </td>
      <td className="wide">{call.agent ?? <span className="none">None</span>}</td>
      <td className="wide">{call.node ?? <span className="none">Not yet</span>}</td>
      <td className="number">
        {seconds === null ? (
          <span className="none">Not answered</span>
        ) : (
          <time dateTime={isoDuration(seconds)} title={`Answered ${exactly(call.answeredAt ?? 0)}`}>
            <span aria-hidden="true">{clock(seconds)}</span>
            <span className="sr-only">{spoken(seconds)}</span>
          </time>
        )}
      </td>
    </tr>
  );
}

function Node({ node }: { node: NodeView }) {
  const [word, tone] = !node.alive
    ? (["Not responding", "bad"] as const)
    : node.draining
      ? (["Draining", "warn"] as const)
      : (["In service", "good"] as const);
  return (
    <li className="node">
      <div className="node-head">
        <h3>{node.node}</h3>
        <Badge tone={tone}>{word}</Badge>
      </div>
      <meter
        min={0}
        max={Math.max(1, node.capacity)}
        high={node.capacity * 0.85}
        value={node.liveCalls}
        aria-label={`Load of node ${node.node}`}
      />
      <p className="under">
        {node.liveCalls} of {node.capacity} calls · {node.region} · version {node.version}
        {!node.alive && ` · last heard ${exactly(node.seenAt)}`}
      </p>
    </li>
  );
}
