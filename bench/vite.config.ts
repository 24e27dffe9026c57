import { defineConfig } from "vite";

// No "source" condition here: the benchmarks measure tidemark as it is published, against its peers as they are.
export default defineConfig({
  worker: { format: "es" },
  build: { target: "es2023" },
  server: {
    headers: {
      // Cross-origin isolation gives finer timers.
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    },
  },
});
