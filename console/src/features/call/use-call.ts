// One call for its page: the live facts where the room still has them, else what the history kept.

import { useEffect } from "react";
import { socketUrl, type SocketState } from "../../api/live-socket.ts";
import type { CallDetail, ServerMessage } from "../../api/types.gen.ts";
import { useLive } from "../../api/use-live.ts";
import { type Loaded, useLoad } from "../../api/use-load.ts";
import { ApiError } from "../../api/client.ts";
import { useClient } from "../session/session.tsx";
import { type CallView, NO_CALL, reduceCall } from "./call-reducer.ts";

export interface WatchedCall {
  /** What is known of the call; `seq` 0 and no parties: nothing yet. */
  view: CallView;
  /** Its entry in the history, once there. */
  detail: CallDetail | null;
  socket: SocketState;
  error: string | null;
  /** There is no such call. */
  missing: boolean;
  reload(): void;
}

/** What the history kept, in the shape of a live view. */
export function viewOfDetail(detail: CallDetail): CallView {
  const { call, state, transcript } = detail;
  return {
    ...NO_CALL,
    call: call.call,
    callSid: call.callSid,
    direction: call.direction,
    from: call.from,
    to: call.to,
    agent: call.agent,
    openedAt: Date.parse(call.openedAt),
    state,
    lines: new Map(transcript.map((line) => [line.key, line])),
    complete: call.endedAt !== null,
    // Nothing of what happened beside the transcript came with it.
    untold: 1,
  };
}

export function useCall(id: string): WatchedCall {
  const client = useClient();
  const { view, socket } = useLive<CallView, ServerMessage>(id, {
    initial: NO_CALL,
    // All facts from the first one, so that the timeline is whole; a room that cannot give them sends a snapshot.
    url: (known) => socketUrl("/ws/transcriptions", { callSid: id, fromSeq: known.seq }),
    reduce: reduceCall,
    verdict: (next) => (next.complete ? "finish" : next.gap ? "resync" : "continue"),
  });
  const entry: Loaded<CallDetail | "missing"> = useLoad(
    (signal) =>
      client.call(id, signal).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) return "missing" as const;
        throw error;
      }),
    [client, id],
  );
  const { reload } = entry;
  // The entry is written a moment after the call; what the page shows until then is the same, from the facts.
  useEffect(() => {
    if (view.complete) reload();
  }, [view.complete, reload]);
  const detail = entry.data === "missing" ? null : entry.data;
  const refused = socket.is === "closed" ? socket.why === "unknown_call" : socket.is === "waiting" && socket.attempt > 1;
  return {
    view: view.openedAt === null && detail ? viewOfDetail(detail) : view,
    detail,
    socket,
    error: view.openedAt === null ? entry.error : null,
    missing: view.openedAt === null && entry.data === "missing" && refused,
    reload,
  };
}
