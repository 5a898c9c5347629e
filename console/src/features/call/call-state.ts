// A call's life as a join, the same as `shared::call`: events may come in any order, late or twice, and every order of
// one set ends in one state. fixtures/folds.json holds what the Rust side makes of the same events.

import type {
  CallEvent,
  CallState,
  CallStatus,
  EndReason,
  EndResult,
  RecordingPhase,
  StreamPhase,
  Termination,
  TranscriptionPhase,
} from "../../api/types.gen.ts";

type Ranks<T extends string> = Readonly<Record<T, number>>;

/** In the order of a call's life; of two reports the later one wins. */
const STATUS: Ranks<CallStatus> = {
  queued: 0,
  initiated: 1,
  ringing: 2,
  "in-progress": 3,
  canceled: 4,
  "no-answer": 5,
  busy: 6,
  failed: 7,
  completed: 8,
};

const STREAM: Ranks<StreamPhase> = { started: 0, stopped: 1, error: 2 };
const RECORDING: Ranks<RecordingPhase> = { "in-progress": 0, absent: 1, completed: 2 };
const TRANSCRIPTION: Ranks<TranscriptionPhase> = { running: 0, stopped: 1, error: 2 };

/** In order of how much a reason tells, with the result that belongs to it. */
const REASONS: Readonly<Record<EndReason, readonly [rank: number, result: EndResult]>> = {
  carrier_reported: [0, "completed"],
  stream_lost: [1, "failed"],
  no_answer: [2, "unanswered"],
  busy: [3, "unanswered"],
  canceled: [4, "unanswered"],
  dial_failed: [5, "failed"],
  no_capacity: [6, "failed"],
  caller_hung_up: [7, "completed"],
  agent_hung_up: [8, "completed"],
  operator_hung_up: [9, "completed"],
  silence: [10, "limited"],
  max_duration: [11, "limited"],
  node_stopped: [12, "failed"],
  invalid_stream: [13, "failed"],
  provider_refused: [14, "failed"],
  provider_unavailable: [15, "failed"],
  internal_error: [16, "failed"],
};

export const NO_STATE: CallState = {
  status: "queued",
  firstAt: null,
  answeredAt: null,
  endedAt: null,
  durationS: null,
  sipCode: null,
  streams: {},
  recordings: {},
  transcriptions: {},
  verdict: null,
};

const lower = (old: number | null, value: number): number => (old === null ? value : Math.min(old, value));
const raise = (old: number | null, value: number | null): number | null =>
  old === null || value === null ? (old ?? value) : Math.max(old, value);
const further = <T extends string>(ranks: Ranks<T>, old: T | undefined, value: T): T =>
  old === undefined || ranks[value] > ranks[old] ? value : old;
/** A report of a kind or phase that this version does not know must not stand above those it knows. */
const known = <T extends string>(ranks: Readonly<Record<T, unknown>>, value: T): boolean => Object.hasOwn(ranks, value);

function betterReason(old: EndReason | null, value: EndReason): EndReason {
  return old === null || REASONS[value][0] > REASONS[old][0] ? value : old;
}

/** The state with the event joined in. */
export function joinEvent(state: CallState, event: CallEvent): CallState {
  switch (event.kind) {
    case "status": {
      if (!known(STATUS, event.status)) return state;
      return {
        ...state,
        status: further(STATUS, state.status, event.status),
        firstAt: lower(state.firstAt, event.at),
        durationS: raise(state.durationS, event.durationS),
        sipCode: raise(state.sipCode, event.sipCode),
        answeredAt: event.status === "in-progress" ? lower(state.answeredAt, event.at) : state.answeredAt,
        endedAt: isTerminal(event.status) ? lower(state.endedAt, event.at) : state.endedAt,
      };
    }
    case "stream": {
      if (!known(STREAM, event.phase)) return state;
      const phase = further(STREAM, state.streams[event.streamSid], event.phase);
      return { ...state, streams: { ...state.streams, [event.streamSid]: phase } };
    }
    case "recording": {
      if (!known(RECORDING, event.phase)) return state;
      const old = state.recordings[event.recordingSid];
      const recording = {
        phase: further(RECORDING, old?.phase, event.phase),
        durationS: raise(old?.durationS ?? null, event.durationS),
      };
      return { ...state, recordings: { ...state.recordings, [event.recordingSid]: recording } };
    }
    case "transcription": {
      if (!known(TRANSCRIPTION, event.phase)) return state;
      const phase = further(TRANSCRIPTION, state.transcriptions[event.transcriptionSid], event.phase);
      return { ...state, transcriptions: { ...state.transcriptions, [event.transcriptionSid]: phase } };
    }
    case "ended":
      if (!known(REASONS, event.reason)) return state;
      return { ...state, verdict: betterReason(state.verdict, event.reason), endedAt: lower(state.endedAt, event.at) };
    default:
      return state;
  }
}

/** Whether a status is one that a call does not leave. */
export function isTerminal(status: CallStatus): boolean {
  return STATUS[status] >= STATUS.canceled;
}

/** Whether the call is over: Twilio said so, or a verdict was given. */
export function isOver(state: CallState): boolean {
  return isTerminal(state.status) || state.verdict !== null;
}

const IMPLIED: Readonly<Record<CallStatus, EndReason | null>> = {
  queued: null,
  initiated: null,
  ringing: null,
  "in-progress": null,
  canceled: "canceled",
  "no-answer": "no_answer",
  busy: "busy",
  failed: "dial_failed",
  completed: "carrier_reported",
};

/** The one termination of a call that is over: the verdict, or what Twilio's status implies. */
export function terminationOf(state: CallState): Termination | null {
  const implied = IMPLIED[state.status];
  const reason = implied === null ? state.verdict : betterReason(state.verdict, implied);
  return reason === null ? null : { reason, result: REASONS[reason][1] };
}

/** Seconds connected: Twilio's figure, else from answer to end by our marks (rounded down); null while unknown. */
export function connectedSeconds(state: CallState): number | null {
  if (state.durationS !== null) return state.durationS;
  if (state.answeredAt === null || state.endedAt === null) return null;
  return Math.floor(Math.max(0, state.endedAt - state.answeredAt) / 1000);
}
