import { describe, expect, it } from "vitest";
import { clock, isoDuration, moment, numberPart, party, readNumber, spoken, tenths } from "./format.ts";

it("durations tick as on a clock", () => {
  expect([0, 7.9, 59, 60, 754, 3723, -4].map(clock)).toEqual(["0:00", "0:07", "0:59", "1:00", "12:34", "1:02:03", "0:00"]);
});

it("durations can be said", () => {
  expect([7, 60, 200, 3600, 3720].map(spoken)).toEqual(["7 s", "1 min", "3 min 20 s", "1 h", "1 h 2 min"]);
  expect(isoDuration(61.7)).toBe("PT61S");
  expect([0, 1040, 12_350].map(tenths)).toEqual(["0.0\u00a0s", "1.0\u00a0s", "12.3\u00a0s"]);
});

it("parties are named as people write them", () => {
  expect(["+15550100123", "+49123", "client:rep_7", "sip:desk@office.example", "anonymous"].map(party)).toEqual([
    "+1 555 010 0123",
    "+49123",
    "rep_7",
    "desk@office.example",
    "Number withheld",
  ]);
});

describe("a typed number", () => {
  it("may be grouped", () => {
    for (const typed of ["+15550100123", " +1 (555) 010-0123 ", "+1.555.010.0123", "+1 555\u00a0010\u20110123"]) {
      expect(readNumber(typed)).toBe("+15550100123");
    }
  });
  it("must have its country code and nothing else", () => {
    for (const typed of ["", "+", "5550100123", "+05550100123", "+1555010012345678", "+1 555 CALL", "tel:+15550100123"]) {
      expect(readNumber(typed)).toBeNull();
    }
  });
});

it("a part of a number is searched by its digits", () => {
  expect(["(415) 555", " +1 415", "", "abc", "+"].map(numberPart)).toEqual(["415555", "+1415", "", "", "+"]);
});

it("moments name the day only when it is another", () => {
  const now = new Date(2026, 2, 4, 15, 0).getTime();
  expect(moment(new Date(2026, 2, 4, 14, 5).getTime(), now)).toMatch(/05/);
  expect(moment(new Date(2026, 2, 4, 14, 5).getTime(), now)).not.toMatch(/Mar/);
  expect(moment(new Date(2026, 2, 3, 14, 5).getTime(), now)).toMatch(/Mar/);
  expect(moment(new Date(2026, 2, 3, 14, 5).getTime(), now)).not.toMatch(/2026/);
  expect(moment(new Date(2025, 2, 3, 14, 5).getTime(), now)).toMatch(/2025/);
});
