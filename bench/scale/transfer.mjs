// Import from a stream of lines, export in both exact formats, salvage: how fast, and that neither heap grows with it.
import { HeapWatch } from "./heap.mjs";
import { assertSame } from "./expected.mjs";
import { atMost, figure, grouped, megabytes, most, time } from "./report.mjs";
import { open, origin } from "./rows.mjs";

const goals = { worker: 64 * 2 ** 20, page: 16 * 2 ** 20 };

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const transferring = ({ launch, settings }) =>
  launch(async (served) => {
    const { records } = settings;
    const page = await served.page(origin, "scale.html");
    const watch = await HeapWatch.of(page);
    await open(page, "transfer");
    const phases = [await watch.during("import of lines", () => page.evaluate((n) => scale.importLines(n), records))];
    await page.evaluate(() => scale.settle());
    for (const what of /** @type {const} */ (["tidemark", "ndjson", "salvage"])) {
      const title = what === "salvage" ? what : `export, ${what}`;
      phases.push(await watch.during(title, () => page.evaluate((it) => scale.exportAll(it), what)));
    }
    for (const { phase, result } of phases) assertSame(result.records, records, `records, ${phase}`);
    await page.evaluate(async () => {
      await scale.close();
      await scale.remove("transfer");
    });
    await page.close();
    return [
      ...phases.flatMap(({ phase, result: { ms, bytes }, peak, held }) => [
        figure(`${phase}: records a second`, `${grouped((records / ms) * 1000)} (${megabytes(bytes)} in ${time(ms)})`),
        figure(
          "… heaps: worker · page, held (with garbage)",
          `${both(held.worker, peak.worker)} · ${both(held.page, peak.page)}`,
        ),
      ]),
      atMost("worker's heap at most, held", most(phases.map((p) => p.held.worker)), goals.worker, megabytes),
      atMost("page's heap at most, held", most(phases.map((p) => p.held.page)), goals.page, megabytes),
    ];
  });

/** @param {number} held @param {number} peak */
const both = (held, peak) => `${megabytes(held)} (${megabytes(peak)})`;
