import { defineConfig, type OutputOptions, type RolldownOptions } from "rolldown";

interface Part extends RolldownOptions {
  readonly output: OutputOptions;
}

/**
 * What a page needs at once stays apart from the client that is loaded as it opens: to the bundler of an application a file
 * of ours is one module. The worker is a single file, since many bundlers make no more of one (decision 31).
 */
export const parts: readonly Part[] = [
  {
    input: { index: "src/index.ts", testing: "src/testing.ts", dexie: "src/dexie.ts" },
    platform: "browser",
    output: {
      dir: "dist",
      sourcemap: true,
      chunkFileNames: "[name].js",
      codeSplitting: {
        groups: [
          { name: "start", test: /src\/(opening|client\/declare|codec\/retention)\.ts$/, priority: 2 },
          { name: "client", test: /src\/realm\.ts$/, priority: 1 },
        ],
      },
    },
  },
  {
    input: { worker: "src/worker.ts" }, // worker-start.ts refers to "./worker.js"
    platform: "browser",
    output: { dir: "dist", sourcemap: true },
  },
];

export default defineConfig([...parts]);
