// Watches a simulated call in a real browser, from the sign-in to the history, and looks at every page on the way.
//
//   READY_FILE   JSON that appears when the stack is configured: {edge, email, password, apiKey, number}
//   START_FILE   made here; the call begins when it exists
//   SHOTS        folder for pictures (optional)
//   TIMEOUT_S    the longest wait for any one fact, 60 unless said
//   CHROMIUM     the browser, /usr/bin/chromium unless said
//
// Every wait is for a fact. Prints one line per check and `N passed, M failed`; exits 1 unless M is 0.

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { withBrowser } from "./browser.mjs";

const { READY_FILE: readyFile, START_FILE: startFile, SHOTS: shots } = process.env;
if (!readyFile || !startFile) {
  console.error("READY_FILE and START_FILE must be set; the first lines of this file say what they are");
  process.exit(2);
}
const patience = Number(process.env.TIMEOUT_S ?? 60) * 1000;
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let passed = 0;
let failed = 0;

/** One check; what fails is told and, when the rest depends on it, ends the run. */
async function check(name, run, { needed = true } = {}) {
  const began = performance.now();
  try {
    const value = await run();
    passed += 1;
    console.log(`ok    ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    return value;
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error?.message ?? error).replaceAll("\n", "\n      ")}`);
    if (needed) throw new Stop();
    return undefined;
  }
}
class Stop extends Error {}
function expect(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

/** Asks again until `fact` gives something, at most as long as patience lasts. */
async function until(what, fact) {
  const deadline = performance.now() + patience;
  for (;;) {
    const value = await fact();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${patience / 1000} s for ${what}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

/** What the browser complained about: nothing of it may happen. */
function listen(page) {
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.request().method()} ${new URL(response.url()).pathname}`);
  });
  return complaints;
}

const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };

/** Axe in light and dark, and at the width of a telephone without a sideways scroll; pictures on the way. */
async function inspect(page, name, { turn = true } = {}) {
  const problems = [];
  const looks = turn
    ? [["light", wide], ["dark", wide], ["dark", narrow], ["light", narrow]]
    : [["light", wide]];
  for (const [colorScheme, viewport] of looks) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize(viewport);
    await page.evaluate(() => document.fonts.ready.then(() => undefined));
    if (shots) await page.screenshot({ path: join(shots, `${name}-${viewport.width}-${colorScheme}.png`), fullPage: turn });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wider > 0) problems.push(`${viewport.width} px ${colorScheme}: ${wider} px too wide`);
    // Over the debugger, so that the page's policy need not let it in.
    if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(`${axeSource};undefined`);
    const violations = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      });
      return violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(" ")} (${node.failureSummary ?? ""})`).join("; ")}`);
    });
    problems.push(...violations.map((one) => `${viewport.width} px ${colorScheme}: ${one}`));
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize(wide);
  expect(problems.length === 0, problems.join("\n"));
}

/** The transcript as the page shows it. */
const readTranscript = (page) =>
  page.getByRole("log", { name: "Transcript" }).evaluate((log) =>
    [...log.querySelectorAll("li.line:not(.interim)")].map((line) => ({
      key: line.dataset.key,
      speaker: line.querySelector(".speaker").textContent,
      heard: [...line.querySelector(".words").childNodes].filter((part) => part.nodeType === Node.TEXT_NODE).map((part) => part.data).join(""),
      unheard: line.querySelector(".unheard")?.textContent ?? "",
      mark: line.querySelector(".mark")?.textContent ?? "",
    })),
  );

async function watch(context) {
  const ready = await check("the stack says how to sign in", async () => {
    await until("READY_FILE", () => existsSync(readyFile));
    return until("the whole of READY_FILE", async () => {
      try {
        return JSON.parse(await readFile(readyFile, "utf8"));
      } catch {
        return null;
      }
    });
  });
  const edge = ready.edge.replace(/\/$/, "");
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(patience);
  const complaints = listen(page);
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });

  await check("the console opens with the form to sign in, under a strict policy", async () => {
    const response = await page.goto(`${edge}/`);
    const policy = response.headers()["content-security-policy"] ?? "";
    expect(policy.includes("default-src 'none'") && !policy.includes("unsafe"), `content-security-policy: ${policy || "none"}`);
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  });
  await check("sign-in page: accessible, fits a telephone", () => inspect(page, "sign-in"), { needed: false });
  await check("signs in over the form", async () => {
    await page.getByLabel("E-mail").fill(ready.email);
    await page.getByLabel("Password").fill(ready.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Live board" }).waitFor();
    await page.getByText("Live", { exact: true }).and(page.locator(".link-state")).waitFor();
  });

  const navigation = page.getByRole("navigation", { name: "Console" });
  const go = async (link, heading) => {
    await navigation.getByRole("link", { name: link }).first().click();
    await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    await page.locator("main .loading").waitFor({ state: "detached" });
  };
  await check("live board: accessible, fits a telephone", () => inspect(page, "board-empty"), { needed: false });
  await go("Place a call", "Place a call");
  await check("a number without its country code is refused before anything is sent", async () => {
    await page.getByLabel("Number", { exact: true }).fill("555 0100");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("Begin with + and the country code").waitFor();
  });
  await check("place a call: accessible, fits a telephone", () => inspect(page, "place-call"), { needed: false });
  await go("History", "History");
  await check("history: accessible, fits a telephone", () => inspect(page, "history-before"), { needed: false });
  await go("Agents", "Agents");
  await check("agents: accessible, fits a telephone", () => inspect(page, "agents"), { needed: false });
  await check("an agent can be looked at", async () => {
    await page.locator(".agent-card h2 a").last().click();
    await page.locator("main .back").waitFor();
    await page.locator("main .loading").waitFor({ state: "detached" });
  });
  await check("agent: accessible, fits a telephone", () => inspect(page, "agent"), { needed: false });
  await go("Agents", "Agents");
  await page.getByRole("link", { name: "New agent" }).click();
  await page.getByRole("button", { name: "Create agent" }).click();
  await check("an agent without a name is not sent", () => page.getByText("Enter a name of at most 120 characters.").waitFor());
  await check("new agent: accessible, fits a telephone", () => inspect(page, "new-agent"), { needed: false });
  await go("Numbers", "Numbers");
  await check("numbers: accessible, fits a telephone", () => inspect(page, "numbers"), { needed: false });
  await go("API keys", "API keys");
  await check("a key is shown once and can be deleted", async () => {
    await page.getByLabel("What is the key for?").fill("Watcher");
    await page.getByRole("button", { name: "Create a key" }).click();
    const secret = page.locator(".new-key code");
    expect(/^tl_live_/.test((await secret.textContent()) ?? ""), "the key does not look like one");
    await inspect(page, "keys");
    await page.reload();
    await page.getByRole("button", { name: "Delete the key Watcher" }).first().waitFor();
    expect((await secret.count()) === 0, "the key is shown a second time");
    const watchers = page.getByRole("button", { name: "Delete the key Watcher" });
    const before = await watchers.count();
    await watchers.first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await until("the key to be gone", async () => (await watchers.count()) < before);
  }, { needed: false });
  await page.goto(`${edge}/nowhere`);
  await check("an address that is none: accessible, fits a telephone", async () => {
    await page.getByText("There is no such page").waitFor();
    await inspect(page, "nowhere");
  }, { needed: false });

  await go("Live board", "Live board");
  const rows = page.locator(".board-rows tbody tr");
  const others = new Set(await rows.locator("a").evaluateAll((links) => links.map((link) => link.pathname)));
  const path = await check("the call appears on the board", async () => {
    await page.locator(".link-state.live").waitFor();
    await writeFile(startFile, "");
    return until("a new call on the board", async () =>
      (await rows.locator("a").evaluateAll((links) => links.map((link) => link.pathname))).find((one) => !others.has(one)),
    );
  });
  const row = rows.filter({ has: page.locator(`a[href="${path}"]`) });
  if (shots) await page.screenshot({ path: join(shots, "board-with-the-call.png") });
  await row.locator("a").click();
  await check("its page shows it in progress", async () => {
    await page.getByRole("heading", { level: 1 }).filter({ hasText: /\d{4}|withheld/ }).waitFor();
    await page.locator(".call-lead .badge", { hasText: "In progress" }).waitFor();
    await page.getByRole("button", { name: "Hang up" }).waitFor();
  });
  const inProgress = () => page.locator(".call-lead .badge", { hasText: "In progress" }).isVisible();
  for (const speaker of ["agent", "caller"]) {
    await check(`a line of the ${speaker} appears while they speak`, async () => {
      await page.locator(`.transcript li.line.${speaker}:not(.interim)`).first().waitFor();
      expect(await inProgress(), "the call was over by then");
    });
  }
  await check("the barge-in marks the agent's line, in plain words", async () => {
    const mark = page.getByRole("button", { name: /^(Interrupted|Cut off) after \d+\.\d\ss$/ }).first();
    await mark.waitFor();
    expect(await inProgress(), "the call was over by then");
    await mark.focus();
    const tip = page.locator(`[id="${await mark.getAttribute("aria-describedby")}"]`);
    await tip.waitFor({ state: "visible" });
    expect(/The caller heard \d+\.\d\ss of the \d+\.\d\ss/.test((await tip.textContent()) ?? ""), `the tip says: ${await tip.textContent()}`);
    if (shots) await page.screenshot({ path: join(shots, "call-barge-in.png") });
  });
  await check("a call that is going on: accessible", () => inspect(page, "call-live", { turn: false }), { needed: false });
  await check("the end of the call is seen", async () => {
    await page.locator(".call-lead .badge", { hasText: "Completed" }).waitFor();
    await page.getByRole("button", { name: "Hang up" }).waitFor({ state: "detached" });
    await page.locator(".link-state").waitFor({ state: "detached" });
  });
  const live = await check("both sides were heard, and every line of the agent says how much of it was", async () => {
    const lines = await until("the last marks", async () => {
      const now = await readTranscript(page);
      return now.length > 0 && now.every((line) => line.speaker === "Caller" || line.mark !== "") ? now : null;
    });
    expect(new Set(lines.map((line) => line.speaker)).size === 2, "only one side spoke");
    expect(lines.some((line) => line.unheard !== ""), "nothing is marked as not heard");
    expect(new Set(lines.map((line) => line.key)).size === lines.length, "a line shows twice");
    return lines;
  });
  await check("the finished call: accessible, fits a telephone", () => inspect(page, "call-ended"), { needed: false });

  const entry = page.locator(`tr[data-call="${path.split("/").at(-1)}"]`);
  const listed = async () => {
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === "/api/calls");
    await page.getByRole("button", { name: "Refresh" }).click();
    await answer;
    return (await entry.getByText("Completed").count()) > 0;
  };
  await check("the history has it as completed, with its duration", async () => {
    await go("History", "History");
    await until("the call in the history", listed);
    const duration = await entry.locator("td.number time").getAttribute("datetime");
    expect(/^PT[1-9]\d*S$/.test(duration ?? ""), `the duration is ${duration}`);
    if (shots) await page.screenshot({ path: join(shots, "history-with-the-call.png") });
  });
  await check("filters keep it or leave it out", async () => {
    const number = ((await entry.locator("a").textContent()) ?? "").replace(/\D/g, "");
    await page.getByLabel("Status").selectOption("busy");
    await entry.waitFor({ state: "detached" });
    await page.getByLabel("Status").selectOption("completed");
    await entry.waitFor();
    await page.getByLabel("Number").fill("9999999999");
    await entry.waitFor({ state: "detached" });
    await page.getByLabel("Number").fill(number.slice(-6));
    await entry.waitFor();
  });
  await check("its entry has the same transcript", async () => {
    await entry.locator("a").click();
    await page.getByRole("log", { name: "Transcript" }).waitFor();
    const kept = await until("all lines", async () => {
      const lines = await readTranscript(page);
      return lines.length >= live.length ? lines : null;
    });
    expect(JSON.stringify(kept) === JSON.stringify(live), `live:\n${JSON.stringify(live, null, 1)}\nkept:\n${JSON.stringify(kept, null, 1)}`);
  });
  await check("loaded anew, the page shows the same", async () => {
    await page.reload();
    const again = await until("all lines", async () => {
      const lines = (await page.getByRole("log").count()) > 0 ? await readTranscript(page) : [];
      return lines.length >= live.length ? lines : null;
    });
    expect(JSON.stringify(again) === JSON.stringify(live), "the transcript differs");
  });
  await check("the browser had nothing to complain about", () => expect(complaints.length === 0, complaints.join("\n")), { needed: false });
  await check("signs out", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  });
}

try {
  if (shots) await mkdir(shots, { recursive: true });
  await withBrowser({}, async (context) => {
    try {
      await watch(context);
    } catch (error) {
      const page = context.pages().at(-1);
      if (page) console.log(`      the page was ${page.url()} (${await page.title()})`);
      if (shots && page) await page.screenshot({ path: join(shots, "failed.png") });
      throw error;
    }
  });
} catch (error) {
  if (!(error instanceof Stop)) {
    failed += 1;
    console.log(`FAIL  ${error?.stack ?? error}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
