import { defineConfig } from "vite";

// Cross-origin isolation gives finer timers and performance.measureUserAgentSpecificMemory.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
// A browser window helps only someone who sits in front of a screen.
const screen = process.platform !== "linux" || Boolean(process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"]);
const interactive = process.stdout.isTTY && !process.env["CI"] && screen;

export default defineConfig({
  // "source" takes tidemark from its TypeScript, so that an edit there is seen at once.
  resolve: { conditions: ["source", "module", "browser", "development|production"] },
  // The worker's dependencies too, or the first use of the worker reloads the page.
  optimizeDeps: { entries: ["index.html", "../../packages/tidemark/src/*.ts"] },
  worker: { format: "es" },
  build: {
    target: "es2023",
    sourcemap: true,
    rolldownOptions: { input: ["index.html", "lab.html", "isolation.html"] }, // the demo, and the pages that tests drive
  },
  server: { port: 5173, strictPort: true, headers, open: interactive },
  preview: { port: 4173, strictPort: true, headers },
});
