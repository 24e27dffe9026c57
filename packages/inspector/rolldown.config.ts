import { defineConfig } from "rolldown";

export default defineConfig({
  input: { index: "src/index.ts" },
  platform: "browser",
  external: [/^lit/, /^uplot/, /^tidemark/],
  output: { dir: "dist", sourcemap: true },
});
