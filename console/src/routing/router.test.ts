import { expect, it } from "vitest";
import { match } from "./router.tsx";

it("patterns fit whole paths only", () => {
  expect(match("/calls/:id", "/calls/call_1")).toEqual({ id: "call_1" });
  expect(match("/calls/:id", "/calls/a%20b/")).toEqual({ id: "a b" });
  expect(match("/", "/")).toEqual({});
  for (const path of ["/calls", "/calls/", "/calls/a/b", "/call/a", "/calls/%E0%A4%A"]) expect(match("/calls/:id", path)).toBeNull();
});
