import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { chromiumLaunch, firefoxLaunch } from "./tools/browser-paths.mjs";

const conditions = ["source", "module", "browser", "development|production"];
const browser = (name: "chromium" | "firefox", launchOptions: object) => ({
  resolve: { conditions },
  // Finds the dependencies of the worker before tests run: to find one on the way reloads the page under the tests.
  optimizeDeps: { entries: ["packages/*/src/*.{ts,tsx}"] },
  test: {
    name,
    include: ["packages/*/{src,examples}/**/*.browser.test.{ts,tsx}"],
    expect: { poll: { timeout: 10_000 } }, // a worker takes its time to start on a busy machine
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      ui: false,
      provider: playwright({ launchOptions }),
      instances: [{ browser: name, name }],
    },
  },
});

export default defineConfig({
  test: {
    projects: [
      {
        ssr: { resolve: { conditions: ["source", "node", "module"] } },
        test: {
          name: "node",
          environment: "node",
          include: ["packages/*/{src,examples}/**/*.test.{ts,tsx}", "apps/*/src/**/*.test.ts", "tools/*.test.mjs"],
          exclude: ["**/*.browser.test.{ts,tsx}"],
        },
      },
      browser("chromium", chromiumLaunch),
      browser("firefox", firefoxLaunch),
    ],
  },
});
