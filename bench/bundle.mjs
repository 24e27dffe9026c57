// What an application ships for each peer: a Vite build of its file in src/peers, compressed as servers do.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { build } from "vite";

/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/**
 * Compressed bytes: what a page loads at once, what more as it opens a database (where that is told apart), what later or
 * never, and workers with all that they load.
 * @typedef {{ page: number, opening?: number, later: number, worker: number }} Bundle
 */

const root = fileURLToPath(new URL(".", import.meta.url));
/** Peers whose file holds two forms of them. @type {Partial<Record<PeerName, string>>} */
const files = {
  "tidemark-memtable": "tidemark",
  "sqlite-relaxed": "sqlite",
  "pglite-strict": "pglite",
};
/** Modules that a peer loads as it opens. @type {Partial<Record<PeerName, string>>} */
const onOpening = { tidemark: "/dist/on-opening.js" };

/** @param {readonly PeerName[]} peers @returns {Promise<Partial<Record<PeerName, Bundle>>>} */
export async function bundleSizes(peers) {
  /** @type {Partial<Record<PeerName, Bundle>>} */
  const sizes = {};
  for (const peer of peers) if (!(peer in files)) sizes[peer] = await bundleOf(peer);
  return sizes;
}

/** @param {PeerName} peer @returns {Promise<Bundle>} */
async function bundleOf(peer) {
  const result = await build({
    root,
    configFile: false,
    logLevel: "error",
    publicDir: false,
    worker: { format: "es" },
    build: {
      target: "es2023",
      write: false,
      assetsInlineLimit: 0,
      rolldownOptions: { input: path.join(root, "src/peers", `${peer}.ts`), preserveEntrySignatures: "strict" },
    },
  });
  /** @type {Bundle} */
  const sizes = { page: 0, later: 0, worker: 0 };
  for (const { output } of [result].flat().filter((part) => "output" in part)) {
    const chunks = new Map(output.flatMap((part) => (part.type === "chunk" ? [[part.fileName, part]] : [])));
    /** Those chunks and all that they import. @param {(chunk: import("vite").Rolldown.OutputChunk) => boolean} isMeant */
    const closure = (isMeant) => {
      const names = new Set([...chunks.values()].filter(isMeant).map(({ fileName }) => fileName));
      for (const name of names) for (const imported of chunks.get(name)?.imports ?? []) names.add(imported);
      return names;
    };
    const atOnce = closure(({ isEntry }) => isEntry);
    const module = onOpening[peer];
    const opening = closure(({ facadeModuleId }) => module !== undefined && facadeModuleId?.endsWith(module) === true);
    for (const part of output) {
      if (part.type === "asset") sizes.worker += compressedBytes(part.source);
      else if (atOnce.has(part.fileName)) sizes.page += compressedBytes(part.code);
      else if (opening.has(part.fileName)) sizes.opening = (sizes.opening ?? 0) + compressedBytes(part.code);
      else sizes.later += compressedBytes(part.code);
    }
  }
  return sizes;
}

/** As well as it can be, but for megabytes, where that takes minutes. @param {string | Uint8Array} content */
function compressedBytes(content) {
  const quality = content.length > 2 ** 20 ? 9 : constants.BROTLI_MAX_QUALITY;
  return brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }).length;
}
