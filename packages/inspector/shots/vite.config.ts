import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  resolve: { conditions: ["source", "module", "browser", "development|production"] },
  build: { outDir: "../../../node_modules/.cache/inspector-shots", emptyOutDir: true, target: "es2023" },
  worker: { format: "es" },
});
