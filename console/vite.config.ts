// How the console is built, tested and served while somebody works on it. The build has no inline script or style, so
// that the pages run under the policy in public/_headers.
import { defineConfig } from "vitest/config";

// `npm run console:dev` shows the pages of this folder with the data of a running edge: the real one of
// `cargo xtask dev`, or the stand-in of `npm run console:mock`.
const edge = process.env["EDGE"] ?? "http://127.0.0.1:8799";

export default defineConfig({
  root: import.meta.dirname,
  publicDir: "public",
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": { target: edge },
      "/health": { target: edge },
      "/ws": { target: edge, ws: true },
    },
  },
  test: {
    include: ["src/**/*.test.{ts,tsx}"],
    environment: "node",
    testTimeout: 30_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
