import { expect, it } from "vitest";
import vectors from "../../api/fixtures/folds.json" with { type: "json" };
import type { CallFact, StampedFact } from "../../api/types.gen.ts";
import { END_SENTENCES, happening, providerName } from "./words.ts";

const said = (fact: CallFact): string | undefined => happening({ seq: 1, at: 0, fact })?.[0];

it("says the ends as the Rust side says them", () => {
  expect(END_SENTENCES).toEqual(Object.fromEntries(vectors.reasons.map((one) => [one.reason, one.sentence])));
});

it("tells what happened in plain words", () => {
  const node = (event: Extract<CallFact, { type: "node" }>["event"]): CallFact => ({ type: "node", epoch: 1, line: 1, event });
  expect(said({ type: "owner", node: "iad-1", epoch: 1 })).toBe("Carried by node iad-1");
  expect(said({ type: "owner", node: "iad-2", epoch: 2 })).toBe("Moved to node iad-2");
  expect(said(node({ kind: "barged_in", item: "a", heardMs: 1240 }))).toBe("Caller spoke over the agent after 1.2\u00a0s");
  expect(said(node({ kind: "provider_lost", provider: "openai", reason: "closed" }))).toBe("OpenAI lost: closed");
  expect(said(node({ kind: "digit", digit: "#" }))).toBe("Key # pressed");
  expect(providerName("newcomer")).toBe("newcomer");
});

it("has no unreadable entry for any fact of the vectors, nor for kinds of a later version", () => {
  for (const stamped of vectors.cases.flatMap((one) => one.facts as StampedFact[])) {
    expect(happening(stamped)?.[0] ?? "nothing").not.toMatch(/undefined|null|_/);
  }
  expect(said({ type: "teleported" } as never)).toBeUndefined();
  expect(said({ type: "life", event: { kind: "status", status: "levitating", at: 1, durationS: null, sipCode: null } } as never)).toBeUndefined();
});
