import { defineConfig } from "rolldown";

export default defineConfig({
  input: { index: "src/index.ts" },
  platform: "browser",
  external: [/^abstract-level/, /^tidemark/],
  output: { dir: "dist", sourcemap: true },
});
