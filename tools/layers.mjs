// Who may import whom. Prints every import that breaks a rule, and fails if there is one.
//
// In packages/tidemark/src imports go down only. A room is a folder, `uses` says what it may import besides itself.
// The files directly in src are the doors: they wire the rooms together and are all that other packages may import.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const contract = "storage/contract.ts"; // the rooms above storage know no medium; the doors hand one down

/** @type {Readonly<Record<string, readonly string[]>>} */
const uses = {
  base: [],
  codec: ["base"],
  storage: ["base"],
  wal: [contract, "codec", "base"],
  segments: ["wal", contract, "codec", "base"],
  mvcc: ["segments", "wal", contract, "codec", "base"],
  collections: ["mvcc", "segments", "wal", contract, "codec", "base"],
  gc: ["mvcc", "segments", "wal", contract, "codec", "base"],
  protocol: ["codec", "base"],
  host: ["protocol", "gc", "collections", "mvcc", "segments", "wal", "storage", "codec", "base"],
  client: ["protocol", "codec", "base"],
  testing: ["client", "host", "protocol", "gc", "collections", "mvcc", "segments", "wal", "storage", "codec", "base"],
};
/** A test may also run on a real medium. */
const testsUse = ["storage"];
/** What other packages may import. */
const doors = ["tidemark", "tidemark/worker", "tidemark/testing", "tidemark/dexie"];

const engine = "packages/tidemark";
const src = `${engine}/src`;

/**
 * The modules a file names in imports, re-exports, `import()` and `new URL(…, import.meta.url)`, with their lines.
 * @param {string} source
 */
const importsOf = (source) => {
  // Comments and templates become blanks, since they may quote code; lines and strings stay where they are.
  const code = source.replaceAll(
    /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (found) => (/^["']/.test(found) ? found : found.replaceAll(/[^\n]/g, " ")),
  );
  const named = [
    /^[ \t]*(?:import|export)\b[^;"'()]*?\bfrom\s*["']([^"'\n]+)["']/gm,
    /^[ \t]*import\s*["']([^"'\n]+)["']/gm,
    /\bimport\s*\(\s*["']([^"'\n]+)["']/g,
    /\bnew\s+URL\s*\(\s*["']([^"'\n]+)["']\s*,\s*import\.meta/g,
  ];
  return named
    .flatMap((pattern) => [...code.matchAll(pattern)])
    .map((match) => ({
      module: match[1] ?? "",
      line: code.slice(0, match.index + match[0].length).split("\n").length,
    }))
    .toSorted((a, b) => a.line - b.line);
};

/** @param {string} inSrc a path relative to src */
const roomOf = (inSrc) => (inSrc.includes("/") ? inSrc.slice(0, inSrc.indexOf("/")) : "");

/**
 * Why this file of tidemark may not import that module; `undefined` if it may.
 * @param {string} file
 * @param {string} module
 */
const objectionInside = (file, module) => {
  const inSrc = path.posix.relative(src, file);
  const room = roomOf(inSrc);
  const isTest = inSrc.endsWith(".test.ts");
  if (room === "") return undefined;
  const allowed = uses[room];
  if (!allowed) return `${room} is no room of tools/layers.mjs: give it a line there`;
  if (module === "tidemark" || module.startsWith("tidemark/")) return "a room may not import a door";
  if (!module.startsWith(".")) return module.startsWith("node:") && !isTest ? "it must run in browsers" : undefined;

  const target = path.posix.relative(src, path.posix.join(path.posix.dirname(file), module));
  if (target.startsWith("..")) return "tidemark may not import from outside its src";
  if (roomOf(target) === "") return "a room may not import a door";
  const ok = [room, ...allowed, ...(isTest ? testsUse : [])];
  if (ok.includes(roomOf(target)) || ok.includes(target)) return undefined;
  return isTest
    ? `tests in ${room} may only import ${ok.join(", ")}; a wider test stands beside the doors`
    : `${room} may only import ${allowed.join(", ") || "itself"}`;
};

/**
 * The same for files of all other packages.
 * @param {string} file
 * @param {string} module
 */
const objectionOutside = (file, module) => {
  const target = module.startsWith(".") ? path.posix.join(path.posix.dirname(file), module) : module;
  if (target.startsWith(`${engine}/examples/`)) return undefined;
  if (target.startsWith(`${engine}/rolldown.`) && file.startsWith(`${engine}/`)) return undefined; // how it is built
  const reaches = target.startsWith(`${engine}/`) || target.startsWith("tidemark/");
  return reaches && !doors.includes(target) ? `other packages may only import ${doors.join(", ")}` : undefined;
};

/**
 * All violations in one file, as lines to print.
 * @param {string} file relative to the repository, with forward slashes
 * @param {string} source
 */
export const violations = (file, source) => {
  const isInside = file.startsWith(`${src}/`);
  const found = importsOf(source).flatMap(({ module, line }) => {
    const objection = isInside ? objectionInside(file, module) : objectionOutside(file, module);
    return objection ? [`${file}:${line}: imports ${module}, but ${objection}`] : [];
  });
  const inRoom = isInside && roomOf(path.posix.relative(src, file)) !== "";
  if (inRoom && path.posix.basename(file).startsWith("index.")) {
    found.push(`${file}: a room has no index; importers name the file they mean`);
  }
  return found;
};

/**
 * Every source file below a folder, relative to `root`.
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
const sourcesBelow = (root, folder) =>
  readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.name.startsWith(".") || entry.name === "node_modules" || entry.name === "dist") return [];
    if (entry.isDirectory()) return sourcesBelow(root, file);
    return /\.[cm]?[jt]sx?$/.test(entry.name) ? [file] : [];
  });

const main = () => {
  const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
  const files = sourcesBelow(root, "");
  const found = files.flatMap((file) => violations(file, readFileSync(path.join(root, file), "utf8")));
  for (const violation of found) console.error(violation);
  console.log(`${files.length} files, ${found.length} imports against the rules`);
  if (found.length > 0) process.exitCode = 1;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
