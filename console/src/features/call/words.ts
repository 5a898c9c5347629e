// A call's states, ends and happenings in plain words: what pages show and screen readers say. The sentences of the ends
// are those of `shared::api::describe`; a test compares them.

import type {
  CallStatus,
  Direction,
  EndReason,
  RecordingPhase,
  StampedFact,
  StreamPhase,
  TranscriptionPhase,
} from "../../api/types.gen.ts";
import { tenths } from "../../components/format.ts";

/** How something stands: the colour of its mark. */
export type Tone = "live" | "waiting" | "good" | "warn" | "bad" | "quiet";

export const STATUS_WORDS: Readonly<Record<CallStatus, readonly [word: string, tone: Tone]>> = {
  queued: ["Queued", "waiting"],
  initiated: ["Dialling", "waiting"],
  ringing: ["Ringing", "waiting"],
  "in-progress": ["In progress", "live"],
  canceled: ["Cancelled", "quiet"],
  "no-answer": ["No answer", "quiet"],
  busy: ["Busy", "quiet"],
  failed: ["Failed", "bad"],
  completed: ["Completed", "good"],
};

export const DIRECTION_WORDS: Readonly<Record<Direction, string>> = {
  inbound: "Inbound",
  outbound: "Outbound",
  browser: "From a browser",
};

export const END_SENTENCES: Readonly<Record<EndReason, string>> = {
  carrier_reported: "The call ended",
  stream_lost: "The audio connection was lost",
  no_answer: "Nobody answered",
  busy: "The line was busy",
  canceled: "Cancelled before it was answered",
  dial_failed: "The call could not be connected",
  no_capacity: "All lines were busy on our side",
  caller_hung_up: "The caller hung up",
  agent_hung_up: "The agent ended the call",
  operator_hung_up: "An operator ended the call",
  silence: "Ended after a long silence",
  max_duration: "Ended at the longest allowed duration",
  node_stopped: "The media node stopped",
  invalid_stream: "The audio stream was not valid",
  provider_refused: "The AI provider refused the connection",
  provider_unavailable: "The AI provider was unavailable",
  internal_error: "An internal error",
};

const PROVIDERS: Readonly<Record<string, string>> = {
  openai: "OpenAI",
  echo: "Line test",
  elevenlabs: "ElevenLabs",
  gemini: "Gemini",
  deepgram: "Deepgram",
  xai: "xAI",
  azure: "Azure",
};

/** A provider's name as people write it. */
export const providerName = (provider: string): string => PROVIDERS[provider] ?? provider;

const STREAM_WORDS: Readonly<Record<StreamPhase, readonly [string, Tone]>> = {
  started: ["Twilio reports the audio stream started", "quiet"],
  stopped: ["Twilio reports the audio stream stopped", "quiet"],
  error: ["Twilio reports an error of the audio stream", "bad"],
};
const RECORDING_WORDS: Readonly<Record<RecordingPhase, readonly [string, Tone]>> = {
  "in-progress": ["Recording started", "quiet"],
  absent: ["There is no recording", "warn"],
  completed: ["Recording ready", "good"],
};
const TRANSCRIPTION_WORDS: Readonly<Record<TranscriptionPhase, readonly [string, Tone]>> = {
  running: ["Transcription started", "quiet"],
  stopped: ["Transcription stopped", "quiet"],
  error: ["Transcription failed", "bad"],
};

/** What happened, for the timeline; nothing for facts that tell a person nothing. */
export function happening({ fact }: StampedFact): readonly [what: string, tone: Tone] | null {
  switch (fact.type) {
    case "opened":
      return [fact.direction === "outbound" ? "Call requested" : "Call came in", "quiet"];
    case "bound":
      return null;
    case "owner":
      return [fact.epoch > 1 ? `Moved to node ${fact.node}` : `Carried by node ${fact.node}`, fact.epoch > 1 ? "warn" : "quiet"];
    case "transcribed":
      return null;
    case "life": {
      const event = fact.event;
      switch (event.kind) {
        case "status":
          return event.status === "in-progress" ? ["Answered", "live"] : (STATUS_WORDS[event.status] ?? null);
        case "stream":
          return STREAM_WORDS[event.phase] ?? null;
        case "recording":
          return RECORDING_WORDS[event.phase] ?? null;
        case "transcription":
          return TRANSCRIPTION_WORDS[event.phase] ?? null;
        case "ended":
          return [END_SENTENCES[event.reason] ?? "The call ended", "quiet"];
        default:
          return null;
      }
    }
    case "node": {
      const event = fact.event;
      switch (event.kind) {
        case "stream_started":
          return ["Audio connected", "quiet"];
        case "provider_ready":
          return [`${providerName(event.provider)} ready`, "good"];
        case "provider_lost":
          return [`${providerName(event.provider)} lost: ${event.reason}`, "bad"];
        case "barged_in":
          return [`Caller spoke over the agent after ${tenths(event.heardMs)}`, "warn"];
        case "digit":
          return [`Key ${event.digit} pressed`, "quiet"];
        // The verdict comes as a `life` fact as well; said and heard are the transcript's.
        case "ended":
        case "said":
        case "heard":
        case "unknown":
          return null;
        default:
          return null;
      }
    }
    default:
      return null;
  }
}
