// Opening a small and a large database: in a browser just started, and in a new tab of a browser that runs.
import { atMost, figure, grouped, median, time, times } from "./report.mjs";
import { load, nameOf, open, openLoaded, origin } from "./rows.mjs";

const smallRecords = 1000;
const settleMs = 300;
const goals = { ms: 50, times: 2 };

/** @typedef {{ openMs: number, getMs: number }} Opening */

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export async function opening({ launch, settings }) {
  const [small, large] = [`small-${smallRecords}`, nameOf(settings)];
  await launch(async (served) => {
    const page = await openLoaded(served, settings);
    await page.evaluate(() => scale.close());
    await open(page, small);
    await load(page, smallRecords, false);
    await page.evaluate(async () => {
      await scale.settle();
      await scale.close();
    });
  });
  /** @type {Record<"started" | "running", Record<string, Opening[]>>} */
  const found = { started: { [small]: [], [large]: [] }, running: { [small]: [], [large]: [] } };
  for (let run = 0; run < settings.runs; run++) {
    // Whoever comes first in a browser pays for its start: they take turns.
    const order = run % 2 === 0 ? [small, large] : [large, small];
    await launch(async (served) => {
      for (const [turn, name] of [...order, ...order].entries()) {
        if (turn === 1) continue; // neither the first nor in the place of the others
        const page = await served.page(origin, "scale.html");
        await page.waitForTimeout(settleMs); // loading the page is no part of it
        const opened = await open(page, name, (run * 97) % smallRecords);
        found[turn === 0 ? "started" : "running"][name]?.push(opened);
        await page.close();
      }
    });
  }
  /** @param {"started" | "running"} when @param {string} name @param {keyof Opening} what */
  const middle = (when, name, what) => median((found[when][name] ?? []).map((opened) => opened[what]));
  const [one, many] = [grouped(smallRecords), grouped(settings.records)];
  return [
    figure(`opening ${one} records`, time(middle("running", small, "openMs"))),
    atMost(`opening ${many} records`, middle("running", large, "openMs"), goals.ms, time),
    atMost(
      "… times as long",
      middle("running", large, "openMs") / middle("running", small, "openMs"),
      goals.times,
      times,
    ),
    figure(`the first get after it, ${one} records`, time(middle("running", small, "getMs"))),
    figure(`the first get after it, ${many} records`, time(middle("running", large, "getMs"))),
    figure(`opening ${one} records in a browser just started`, time(middle("started", small, "openMs"))),
    figure(`opening ${many} records in a browser just started`, time(middle("started", large, "openMs"))),
  ];
}
