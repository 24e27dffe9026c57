import { defineConfig } from "rolldown";

export default defineConfig({
  input: { index: "src/index.ts", worker: "src/worker.ts", testing: "src/testing.ts", dexie: "src/dexie.ts" }, // index.ts refers to "./worker.js"
  platform: "browser",
  output: { dir: "dist", chunkFileNames: "[name].js", sourcemap: true },
});
