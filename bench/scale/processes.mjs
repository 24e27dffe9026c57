// What the browser's processes use, as Linux tells; elsewhere the answers are `undefined`.
import { readdir, readFile } from "node:fs/promises";

/** @param {import("playwright").BrowserContext} context */
async function processesOf(context) {
  const session = await context.browser()?.newBrowserCDPSession();
  if (!session) return [];
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.map(({ id }) => id);
}

/** @param {string} file */
const textOf = (file) => readFile(file, "utf8").catch(() => undefined);

/**
 * Processor time of all workers so far.
 * @param {import("playwright").BrowserContext} context
 * @returns {Promise<number | undefined>} milliseconds
 */
export async function workerCpuMs(context) {
  let [ns, found] = [0, false];
  for (const pid of await processesOf(context)) {
    for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
      const at = `/proc/${pid}/task/${thread}`;
      if ((await textOf(`${at}/comm`))?.trim() !== "DedicatedWorker") continue;
      const used = Number((await textOf(`${at}/schedstat`))?.split(" ")[0]);
      if (Number.isNaN(used)) continue;
      [ns, found] = [ns + used, true];
    }
  }
  return found ? ns / 1e6 : undefined;
}

/**
 * Memory of all processes of the browser; what several share is counted once, in parts.
 * @param {import("playwright").BrowserContext} context
 * @returns {Promise<number | undefined>} bytes
 */
export async function browserBytes(context) {
  let [kilobytes, found] = [0, false];
  for (const pid of await processesOf(context)) {
    const share = /^Pss:\s+(\d+) kB/m.exec((await textOf(`/proc/${pid}/smaps_rollup`)) ?? "")?.[1];
    if (share === undefined) continue;
    [kilobytes, found] = [kilobytes + Number(share), true];
  }
  return found ? kilobytes * 1024 : undefined;
}
