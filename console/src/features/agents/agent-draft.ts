// An agent as a form holds it: every value a text or a choice, read back into an agent only when it is whole. The limits
// are those of `shared::agent`; the edge checks them again.

import type { Agent, TurnDetection, VoicePlan } from "../../api/types.gen.ts";

/** The agent that every deployment has; it cannot be changed. */
export const BUILT_IN = "line-test";

export interface VoiceDraft {
  provider: string;
  model: string;
  voice: string;
  turns: TurnDetection["type"];
  threshold: string;
  prefixMs: string;
  silenceMs: string;
  eagerness: string;
}

export interface AgentDraft {
  id: string;
  name: string;
  language: string;
  greeting: string;
  instructions: string;
  voice: VoiceDraft;
  fallback: VoiceDraft | null;
  maxDurationS: string;
  silenceS: string;
}

export type Faults = Readonly<Record<string, string>>;

export const NEW_VOICE: VoiceDraft = {
  provider: "openai",
  model: "",
  voice: "",
  turns: "server_vad",
  threshold: "0.5",
  prefixMs: "300",
  silenceMs: "500",
  eagerness: "auto",
};

export const NEW_AGENT: AgentDraft = {
  id: "",
  name: "",
  language: "en-US",
  greeting: "",
  instructions: "",
  voice: NEW_VOICE,
  fallback: null,
  maxDurationS: "3600",
  silenceS: "60",
};

function voiceDraft(plan: VoicePlan): VoiceDraft {
  const draft: VoiceDraft = {
    ...NEW_VOICE,
    provider: plan.provider,
    model: plan.model ?? "",
    voice: plan.voice ?? "",
    turns: plan.turnDetection.type,
  };
  if (plan.turnDetection.type === "semantic_vad") return { ...draft, eagerness: plan.turnDetection.eagerness };
  const { threshold, prefix_padding_ms, silence_duration_ms } = plan.turnDetection;
  return {
    ...draft,
    // A 32-bit float comes as 0.30000001192092896; nobody entered that.
    threshold: String(Math.round(threshold * 1e6) / 1e6),
    prefixMs: String(prefix_padding_ms),
    silenceMs: String(silence_duration_ms),
  };
}

export function draftOf(agent: Agent): AgentDraft {
  return {
    id: agent.id,
    name: agent.name,
    language: agent.language,
    greeting: agent.greeting ?? "",
    instructions: agent.instructions,
    voice: voiceDraft(agent.voice),
    fallback: agent.fallback && voiceDraft(agent.fallback),
    maxDurationS: String(agent.limits.maxDurationS),
    silenceS: String(agent.limits.silenceS),
  };
}

const whole = (text: string): number => (/^\d{1,6}$/.test(text.trim()) ? Number(text) : NaN);
const within = (value: number, least: number, most: number): boolean => value >= least && value <= most;
const length = (text: string): number => [...text].length;

function readVoice(draft: VoiceDraft, at: string, faults: Record<string, string>): VoicePlan {
  if (!/^[a-z0-9]{1,32}$/.test(draft.provider)) faults[`${at}.provider`] = "Choose who provides the voice.";
  if (draft.model.trim().length > 128) faults[`${at}.model`] = "Use at most 128 characters.";
  if (draft.voice.trim().length > 128) faults[`${at}.voice`] = "Use at most 128 characters.";
  const plan = { provider: draft.provider, model: draft.model.trim() || null, voice: draft.voice.trim() || null };
  if (draft.turns === "semantic_vad") {
    return { ...plan, turnDetection: { type: "semantic_vad", eagerness: draft.eagerness } };
  }
  const threshold = draft.threshold.trim() === "" ? NaN : Number(draft.threshold);
  const [prefix, silence] = [whole(draft.prefixMs), whole(draft.silenceMs)];
  if (!within(threshold, 0, 1)) faults[`${at}.threshold`] = "Enter a number from 0 to 1.";
  if (!within(prefix, 0, 5000)) faults[`${at}.prefixMs`] = "Enter 0 to 5000 milliseconds.";
  if (!within(silence, 100, 5000)) faults[`${at}.silenceMs`] = "Enter 100 to 5000 milliseconds.";
  return {
    ...plan,
    turnDetection: { type: "server_vad", threshold, prefix_padding_ms: prefix, silence_duration_ms: silence },
  };
}

/** The agent that the form describes, or what is wrong with it by field. `version` is that of the agent being changed. */
export function readDraft(draft: AgentDraft, version: number): { agent: Agent } | { faults: Faults } {
  const faults: Record<string, string> = {};
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(draft.id)) {
    faults["id"] = "Use 1 to 64 letters, digits, hyphens, underscores or stops.";
  } else if (draft.id === "new" || draft.id === "default") faults["id"] = "This id is reserved. Choose another.";
  if (draft.name.trim() === "" || length(draft.name) > 120) faults["name"] = "Enter a name of at most 120 characters.";
  if (!/^[A-Za-z0-9-]{2,35}$/.test(draft.language)) faults["language"] = "Enter a language tag such as en-US.";
  if (length(draft.greeting) > 16_000) faults["greeting"] = "Use at most 16,000 characters.";
  if (length(draft.instructions) > 16_000) faults["instructions"] = "Use at most 16,000 characters.";
  const [maxDurationS, silenceS] = [whole(draft.maxDurationS), whole(draft.silenceS)];
  if (!within(maxDurationS, 10, 14_400)) faults["limits.maxDurationS"] = "Enter 10 to 14400 seconds (4 hours).";
  if (!within(silenceS, 5, 3600)) faults["limits.silenceS"] = "Enter 5 to 3600 seconds.";
  const voice = readVoice(draft.voice, "voice", faults);
  const fallback = draft.fallback && readVoice(draft.fallback, "fallback", faults);
  if (Object.keys(faults).length > 0) return { faults };
  return {
    agent: {
      id: draft.id,
      version,
      name: draft.name.trim(),
      voice,
      fallback,
      instructions: draft.instructions,
      greeting: draft.greeting.trim() === "" ? null : draft.greeting,
      language: draft.language,
      limits: { maxDurationS, silenceS },
    },
  };
}

/** An id that fits a name: what people write, in lower case and with hyphens. */
export function idFor(name: string): string {
  return name
    .normalize("NFD")
    .replace(/\p{Mark}+/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 64);
}
