import fc from "fast-check";
import { expect, it } from "vitest";
import { compareText } from "./text-order.ts";

it("is the order of UTF-8 bytes", () => {
  const encoder = new TextEncoder();
  const byBytes = (a: string, b: string) => Math.sign(Buffer.compare(encoder.encode(a), encoder.encode(b)));
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
      expect(Math.sign(compareText(a, b))).toBe(byBytes(a, b));
      expect(Math.sign(compareText(a, a + b))).toBe(byBytes(a, a + b));
    }),
  );
  expect(compareText("\uffe6", "\u{1f600}")).toBeLessThan(0);
});
