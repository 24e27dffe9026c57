// What looking costs a busy database, by the CPU time of its worker threads (Linux, Chromium):
//
//   pnpm --filter @tidemark/inspector run cost [records] [writes a second] [seconds]
import { readdirSync, readFileSync } from "node:fs";
import { open, ready } from "./site.mjs";

const [records = 20_000, writes = 50, seconds = 20] = process.argv.slice(2).map(Number);
const ticksPerSecond = 100;

/** @param {number} pid */
const workerCpuMs = (pid) =>
  readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    if (!stat.includes("(DedicatedWorker")) return sum;
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .map(Number);
    return sum + (((user ?? 0) + (system ?? 0)) * 1000) / ticksPerSecond;
  }, 0);

const site = await open();
const session = await site.browser.newBrowserCDPSession();
const cpuMs = async () => {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { id }) => sum + workerCpuMs(id), 0);
};

/**
 * @param {string} inspector
 * @param {string} [panel]
 */
const measure = async (inspector, panel = "overview") => {
  const context = await site.browser.newContext({ viewport: { width: 1120, height: 900 } });
  const page = await ready(context, `${site.origin}/?records=${records}&busy=${writes}&inspector=${inspector}`);
  if (inspector !== "no") await page.locator(`#tab-${panel}`).click();
  await page.waitForTimeout(3000);
  const from = await cpuMs();
  await page.waitForTimeout(seconds * 1000);
  const share = ((await cpuMs()) - from) / (seconds * 10);
  const told = inspector === "no" ? "" : await page.locator("[data-test=cost]").textContent();
  await context.close();
  return { share, told };
};

console.log(`${records} records, ${writes} writes a second, ${seconds} s each; share of one core`);
for (const round of [1, 2]) {
  const without = await measure("no");
  console.log(`${round}: without     ${without.share.toFixed(1)} %`);
  for (const panel of ["overview", "records", "floor", "gc", "storage", "live"]) {
    const { share, told } = await measure("yes", panel);
    const more = share - without.share;
    console.log(`${round}: ${panel.padEnd(11)} ${share.toFixed(1)} %, ${more.toFixed(1)} more. ${told}`);
  }
}
await site.close();
