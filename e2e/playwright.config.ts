import { defineConfig } from "@playwright/test";
import { chromiumLaunch, firefoxLaunch } from "../tools/browser-paths.mjs";
import { port } from "./port.ts";

/** Specs that run in WebKit, too. */
const everywhere = [
  "bfcache",
  "damage",
  "deletion",
  "gc-frozen",
  "lost-storage",
  "many-tabs",
  "offline",
  "private",
  "stopped-tab",
  "two-builds",
].map((name) => `${name}.spec.ts`);

const baseURL = `http://localhost:${port}`;

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.ts",
  workers: 1, // tests freeze and kill browsers, and measure: they want the machine to themselves
  timeout: 30_000,
  globalTimeout: 25 * 60_000,
  retries: process.env["CI"] ? 1 : 0, // what a busy machine made fail is told as flaky, and does not stop a landing
  forbidOnly: Boolean(process.env["CI"]),
  reporter: "list",
  outputDir: "../node_modules/.cache/e2e-results",
  use: { baseURL },
  globalSetup: "./serve-playground.ts",
  projects: [
    {
      name: "chromium",
      testIgnore: ["*.firefox.spec.ts", "*.webkit.spec.ts"],
      use: { browserName: "chromium", launchOptions: chromiumLaunch },
    },
    {
      name: "firefox",
      testIgnore: ["*.chromium.spec.ts", "*.webkit.spec.ts"],
      use: { browserName: "firefox", launchOptions: firefoxLaunch },
    },
    {
      name: "webkit",
      testMatch: ["*.webkit.spec.ts", ...everywhere],
      grepInvert: /\(all\)$/, // of two builds "(whole)" will do
      use: { browserName: "webkit" },
    },
  ],
});
