/** Adds a service worker to the build that knows all of its files. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Plugin } from "vite";

const code = readFileSync(new URL("./service-worker.js", import.meta.url), "utf8");
/** Pages that only tests open. */
const notOfTheDemo = /\.map$|^(lab|isolation)\.html$|^assets\/(lab|isolation)-/;

let publicDir = "";

export const offline: Plugin = {
  name: "offline",
  apply: "build",
  configResolved: (config) => {
    publicDir = config.publicDir;
  },
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      const hash = createHash("sha256");
      const built = Object.values(bundle).filter(({ fileName }) => !notOfTheDemo.test(fileName));
      for (const file of built) hash.update(file.type === "chunk" ? file.code : file.source);
      const shipped = readdirSync(publicDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
      const names = shipped.map(({ parentPath, name }) => path.relative(publicDir, path.join(parentPath, name)));
      for (const name of names) hash.update(readFileSync(path.join(publicDir, name)));
      // Servers answer for the folder with its index.
      const files = [...built.map(({ fileName }) => fileName), ...names].map((file) =>
        file === "index.html" ? "./" : file.replaceAll("\\", "/"),
      );
      const version = hash.digest("hex").slice(0, 16);
      this.emitFile({
        type: "asset",
        fileName: "sw.js",
        source: `const version = ${JSON.stringify(version)};\nconst files = ${JSON.stringify(files)};\n${code}`,
      });
    },
  },
};
