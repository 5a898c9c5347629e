import { describe, expect, it } from "vitest";
import type { Agent } from "../../api/types.gen.ts";
import { draftOf, idFor, NEW_AGENT, NEW_VOICE, readDraft } from "./agent-draft.ts";

const agent: Agent = {
  id: "front-desk",
  version: 3,
  name: "Front desk",
  voice: { provider: "openai", model: "gpt-realtime", voice: "marin", turnDetection: { type: "semantic_vad", eagerness: "low" } },
  fallback: {
    provider: "echo",
    model: null,
    voice: null,
    turnDetection: { type: "server_vad", threshold: 0.30000001192092896, prefix_padding_ms: 300, silence_duration_ms: 500 },
  },
  instructions: "You answer for the workshop.\nBe brief.",
  greeting: null,
  language: "en-US",
  limits: { maxDurationS: 600, silenceS: 30 },
};
const faults = (draft: Parameters<typeof readDraft>[0]) => {
  const read = readDraft(draft, 0);
  return "faults" in read ? Object.keys(read.faults) : [];
};

describe("an agent in a form", () => {
  it("comes back as it was", () => {
    const read = readDraft(draftOf(agent), agent.version);
    const rounded = structuredClone(agent);
    if (rounded.fallback?.turnDetection.type === "server_vad") rounded.fallback.turnDetection.threshold = 0.3;
    expect(read).toEqual({ agent: rounded });
  });

  it("needs a name and an id and nothing else", () => {
    expect(faults(NEW_AGENT)).toEqual(["id", "name"]);
    expect(faults({ ...NEW_AGENT, id: "a", name: "A" })).toEqual([]);
  });

  it("names each fault by its field", () => {
    const voice = { ...NEW_VOICE, threshold: "2", prefixMs: "-1", silenceMs: "" };
    const found = faults({ ...NEW_AGENT, id: "new", name: " ", language: "english!", voice, fallback: voice, maxDurationS: "9", silenceS: "1e3" });
    expect(found.sort()).toEqual(
      [
        ...["id", "name", "language", "limits.maxDurationS", "limits.silenceS"],
        ...["voice", "fallback"].flatMap((at) => [`${at}.threshold`, `${at}.prefixMs`, `${at}.silenceMs`]),
      ].sort(),
    );
  });
});

it("suggests an id from a name", () => {
  expect(["Front desk", " Köln – Büro 2 ", "!!!"].map(idFor)).toEqual(["front-desk", "koln-buro-2", ""]);
});
