// All records, page by page through an index and one at a time, and all of them in a new index: what it takes, and that
// neither heap grows with it.
import { HeapWatch } from "./heap.mjs";
import { atMost, figure, grouped, megabytes, median, most, quantile, time } from "./report.mjs";
import { nameOf, open, openLoaded, origin } from "./rows.mjs";

/** The worker's cache of blocks is 16 MB, its memtable 4 MB. */
const goals = { worker: 64 * 2 ** 20, page: 16 * 2 ** 20, lastToFirst: 2 };
const size = 1000;
const compared = 50;

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const paging = ({ launch, settings }) =>
  launch(async (served) => {
    await (await openLoaded(served, settings)).close();
    const page = await served.page(origin, "scale.html");
    const watch = await HeapWatch.of(page);
    await open(page, nameOf(settings));
    const pages = await watch.during("by an index, page by page", () =>
      page.evaluate(([all, n]) => scale.pages(all, n), /** @type {const} */ ([settings.records, size])),
    );
    const each = await watch.during("one at a time", () =>
      page.evaluate((all) => scale.iterate(all), settings.records),
    );
    await page.evaluate(() => scale.close());
    const built = await watch.during("while an index is built", () =>
      page.evaluate(
        ([name, all]) => scale.buildIndex(name, all),
        /** @type {const} */ ([nameOf(settings), settings.records]),
      ),
    );
    await page.evaluate((name) => scale.remove(name), nameOf(settings)); // the others want it without that index
    await page.close();
    const { openMs, ms: builtMs, gets } = built.result;
    const some = Math.min(compared, Math.ceil(pages.result.length / 2));
    const [first, last] = [median(pages.result.slice(0, some)), median(pages.result.slice(-some))];
    const phases = [pages, each, built];
    return [
      figure(`pages of ${grouped(size)} by an index: all of them`, time(pages.result.reduce((n, ms) => n + ms, 0))),
      figure(`… median of the first ${some} · of the last ${some}`, `${time(first)} · ${time(last)}`),
      atMost("… last to first", last / first, goals.lastToFirst, (n) => `${n.toFixed(2)} ×`),
      figure("for await over all", time(each.result.ms)),
      figure("another index: open · built, while records are read", `${time(openMs)} · ${time(builtMs)}`),
      figure(
        "… a get meanwhile: p50 · p99 · most",
        `${time(quantile(gets, 0.5))} · ${time(quantile(gets, 0.99))} · ${time(most(gets))}`,
      ),
      ...phases.map(({ phase, peak, held }) =>
        figure(
          `heaps, ${phase}: worker · page, held (with garbage)`,
          `${both(held.worker, peak.worker)} · ${both(held.page, peak.page)}`,
        ),
      ),
      atMost("worker's heap at most, held", most(phases.map((p) => p.held.worker)), goals.worker, megabytes),
      atMost("page's heap at most, held", most(phases.map((p) => p.held.page)), goals.page, megabytes),
    ];
  });

/** @param {number} held @param {number} peak */
const both = (held, peak) => `${megabytes(held)} (${megabytes(peak)})`;
