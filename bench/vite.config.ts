import { defineConfig } from "vite";

// Cross-origin isolation gives finer timers.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

// No "source" condition here: the benchmarks measure tidemark as it is published, against its peers as they are.
export default defineConfig({
  // The recorded typing session.
  publicDir: "../apps/playground/public",
  worker: { format: "es" },
  // Profiles are to show names and files; the speed is the same.
  build: {
    target: "es2023",
    minify: false,
    sourcemap: true,
    rolldownOptions: { input: ["index.html", "level.html", "scale.html"] },
  },
  server: { headers },
  // Not the port of the playground's preview, which the end-to-end tests use.
  preview: { host: "127.0.0.1", port: 4180, headers },
});
