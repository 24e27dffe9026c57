// Runs a pnpm script with the pinned Node and pnpm, on a machine that has only some Node >= 20 and its npm:
//
//   node tools/run.mjs [script] [arguments...]
//
// 1. npm installs Node and pnpm into .toolchain, unless exactly these versions are there.
// 2. pnpm installs the workspace, unless this very lockfile is installed.
// 3. pnpm runs the script.
//
// This is the one file that runs on the machine's own Node; everything else may rely on the pinned one.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const pinned = ["node@24.21.0", "pnpm@12.21.0"];

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const toolchain = path.join(root, ".toolchain");
const toolchainStamp = path.join(toolchain, "stamp");
const workspaceStamp = path.join(root, "node_modules", ".tidemark-lock");
const lockFile = path.join(toolchain, "lock");
// An installation cut off by a power failure must not stop the next one for ever.
const lockExpiresAfterMs = 10 * 60_000;

const windows = process.platform === "win32";
// npm and pnpm are .cmd files on Windows, which only a shell can start; it needs its arguments quoted.
/** @param {readonly string[]} args */
const quoted = (args) => (windows ? args.map((arg) => (/^[\w@:./=-]+$/.test(arg) ? arg : JSON.stringify(arg))) : args);
/** @param {string} file */
const textOf = (file) => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

// `npm test` describes itself to its children in npm_* variables: the npm and pnpm below would obey them.
const ownEnv = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
const pathName = Object.keys(ownEnv).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
const pinnedFirst = [path.join(toolchain, "node_modules", ".bin"), ownEnv[pathName]].join(path.delimiter);
const pinnedEnv = { ...ownEnv, [pathName]: pinnedFirst };

/** @param {string} command @param {readonly string[]} args @param {import("node:child_process").SpawnSyncOptions} options */
const run = (command, args, options) => {
  const { status, error } = spawnSync(command, quoted(args), { stdio: "inherit", shell: windows, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
};

const lockfileHash = () =>
  createHash("sha256")
    .update(textOf(path.join(root, "pnpm-lock.yaml")))
    .digest("hex");
const toolchainIsReady = () => textOf(toolchainStamp) === pinned.join(" ");
const workspaceIsReady = () => textOf(workspaceStamp) === lockfileHash();

const installToolchain = () => {
  writeFileSync(path.join(toolchain, "package.json"), '{ "private": true }\n');
  const quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
  // Both packages fetch their binary in an install script.
  run("npm", ["install", ...quiet, "--ignore-scripts=false", ...pinned], { cwd: toolchain, env: ownEnv });
  writeFileSync(toolchainStamp, pinned.join(" "));
};

const installWorkspace = () => {
  const hash = lockfileHash();
  run("pnpm", ["install", "--frozen-lockfile"], { cwd: root, env: pinnedEnv });
  writeFileSync(workspaceStamp, hash);
};

/** @param {unknown} error */
const codeOf = (error) => (error instanceof Error && "code" in error ? error.code : undefined);

/** @param {number} pid */
const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM"; // alive, and somebody else's
  }
};

/** Creates the lock file with our process id; false while a living process has it. */
const takeLock = () => {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  const holder = Number(textOf(lockFile));
  const ageMs = Date.now() - (statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  // An empty file is one whose creator has not written its id yet.
  if (ageMs > lockExpiresAfterMs || (holder > 0 && !isAlive(holder))) rmSync(lockFile, { force: true });
  return false;
};

const installWhatIsMissing = async () => {
  if (toolchainIsReady() && workspaceIsReady()) return;
  mkdirSync(toolchain, { recursive: true });
  for (let waits = 0; !takeLock(); waits += 1) {
    if (waits === 0) console.error("waiting for another tools/run.mjs that is installing");
    await sleep(250);
  }
  try {
    if (!toolchainIsReady()) installToolchain();
    if (!workspaceIsReady()) installWorkspace();
  } finally {
    rmSync(lockFile, { force: true });
  }
};

/** @param {readonly string[]} args */
const runScript = (args) => {
  const child = spawn("pnpm", quoted(["run", ...args]), {
    cwd: root,
    stdio: "inherit",
    env: pinnedEnv,
    shell: windows,
  });
  const stop = /** @param {NodeJS.Signals} signal */ (signal) => void child.kill(signal);
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) process.on(signal, stop);
  // The shell that npm puts between itself and us dies of a signal without passing it on, and leaves us an orphan.
  const parent = process.ppid;
  if (process.env["npm_lifecycle_event"]) setInterval(() => process.ppid === parent || stop("SIGTERM"), 500);
  child.on("exit", (code) => process.exit(code ?? 1));
};

try {
  await installWhatIsMissing();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
const script = process.argv.slice(2);
if (script.length > 0) runScript(script);
