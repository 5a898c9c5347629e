// Debian's chromium, headless and quiet, with a profile of its own that is gone afterwards. What is done in it lives in
// watch.mjs and dev/shots.mjs.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

/** Opens the browser, hands its context to `use`, and cleans up whatever happens. */
export async function withBrowser(options, use) {
  const profile = await mkdtemp(join(tmpdir(), "trunkline-console-"));
  let context;
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      headless: true,
      args: FLAGS,
      viewport: { width: 1280, height: 800 },
      locale: "en-US",
      ...options,
    });
    return await use(context);
  } finally {
    await context?.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
