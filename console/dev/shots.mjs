// Pictures of every page, wide and narrow, light and dark, from a running stand-in (`npm run console:mock`):
//   node console/dev/shots.mjs OUTPUT_FOLDER [page …]

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";

const [out = "shots", ...only] = process.argv.slice(2);
const edge = process.env.EDGE ?? "http://127.0.0.1:8799";

/** Name, path, and what to do there before the picture. */
const PAGES = [
  ["board", "/"],
  ["place", "/calls/new", async (page) => {
    await page.getByLabel("Number").fill("555 0100");
    await page.getByRole("button", { name: "Call" }).click();
  }],
  ["history", "/calls"],
  ["history-none", "/calls?number=777&direction=inbound"],
  ["call", "/calls?status=completed", async (page) => {
    await page.locator("tr[data-call] a").nth(1).click();
    const mark = page.getByRole("button", { name: /Interrupted/ });
    await mark.waitFor();
    await mark.hover();
  }],
  ["live-call", "/", async (page) => {
    await page.locator("tbody a").nth(1).click();
    await page.getByRole("log").waitFor();
  }],
  ["hangup", "/", async (page) => {
    await page.locator("tbody a").nth(1).click();
    await page.getByRole("button", { name: "Hang up" }).click();
  }],
  ["agents", "/agents"],
  ["agent", "/agents/front-desk"],
  ["new-agent", "/agents/new", async (page) => {
    await page.getByRole("button", { name: "Create agent" }).click();
  }],
  ["numbers", "/numbers"],
  ["keys", "/keys", async (page) => {
    await page.getByLabel("What is the key for?").fill("Reporting");
    await page.getByRole("button", { name: "Create a key" }).click();
    await page.getByText("It is not shown again").waitFor();
  }],
  ["missing", "/calls/call_00000000000000000000000000"],
];

await mkdir(out, { recursive: true });
for (const [size, viewport] of [["wide", { width: 1280, height: 800 }], ["narrow", { width: 390, height: 844 }]]) {
  for (const colorScheme of ["light", "dark"]) {
    await withBrowser({ viewport, colorScheme }, async (context) => {
      const page = await context.newPage();
      const shoot = async (name) => {
        await page.evaluate(() => document.fonts.ready);
        await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      };
      await page.goto(edge);
      await page.getByRole("button", { name: "Sign in" }).waitFor();
      if (only.length === 0 || only.includes("sign-in")) await shoot("sign-in");
      await page.getByLabel("E-mail").fill("operator@example.com");
      await page.getByLabel("Password").fill("correct horse battery");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("navigation").waitFor();
      for (const [name, path, before] of PAGES) {
        if (only.length > 0 && !only.includes(name)) continue;
        await page.goto(edge + path);
        await page.locator("main h1").waitFor();
        await page.waitForFunction(() => !document.querySelector("main .loading"));
        await before?.(page);
        await shoot(name);
      }
    });
  }
}
