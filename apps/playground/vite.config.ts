import { defineConfig, type Plugin } from "vite";
import { offline } from "./offline/plugin.ts";
import { dark, light } from "../../packages/inspector/src/tokens.ts";

// Cross-origin isolation gives finer timers and performance.measureUserAgentSpecificMemory.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
// A browser window helps only someone who sits in front of a screen.
const screen = process.platform !== "linux" || Boolean(process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"]);
const interactive = process.stdout.isTTY && !process.env["CI"] && screen;

/** The colours are those of the inspector, before the first paint. */
const colours: Plugin = {
  name: "colours",
  transformIndexHtml: () => [
    {
      tag: "style",
      children: `:root{${light.cssText}}@media (prefers-color-scheme:dark){:root{${dark.cssText}}}`.replaceAll(
        /\s+/g,
        " ",
      ),
    },
  ],
};

/** Vite writes the tags of scripts anew, without this attribute of theirs. */
const paintedWhole: Plugin = {
  name: "painted-whole",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    handler: (html, { path }) =>
      path === "/index.html" ? html.replace('<script type="module"', '<script type="module" blocking="render"') : html,
  },
};

export default defineConfig({
  plugins: [colours, paintedWhole, offline],
  // "source" takes tidemark from its TypeScript, so that an edit there is seen at once.
  resolve: { conditions: ["source", "module", "browser", "development|production"] },
  // The worker's dependencies too, or the first use of the worker reloads the page.
  optimizeDeps: { entries: ["index.html", "tab.html", "../../packages/tidemark/src/*.ts"] },
  worker: { format: "es" },
  build: {
    target: "es2023",
    sourcemap: true,
    // The demo and the tabs within it, and the pages that tests drive.
    rolldownOptions: { input: ["index.html", "tab.html", "lab.html", "isolation.html"] },
  },
  server: { port: 5173, strictPort: true, headers, open: interactive },
  preview: { port: 4173, strictPort: true, headers },
});
