// Eight tabs on the large database.
import { HeapWatch } from "./heap.mjs";
import { browserBytes } from "./processes.mjs";
import { figure, median, megabytes, most } from "./report.mjs";
import { nameOf, open, openLoaded, origin, Queries } from "./rows.mjs";

const tabs = 8;
const queried = 10;

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export async function manyTabs({ launch, settings }) {
  await launch(async (served) => (await openLoaded(served, settings)).close());
  return launch(async (served) => {
    const queries = new Queries(settings, 3);
    const pages = [];
    for (let tab = 0; tab < tabs; tab++) {
      const page = await served.page(origin, "scale.html");
      pages.push({ page, watch: await HeapWatch.of(page) });
    }
    const without = await browserBytes(served.context);
    for (const { page } of pages) await open(page, nameOf(settings));
    for (const { page } of pages) for (let i = 0; i < queried; i++) await queries.each(page);
    const using = await browserBytes(served.context);
    const heaps = [];
    for (const { watch } of pages) heaps.push(await watch.held());
    const [workers, onPages] = [heaps.map(({ worker }) => worker), heaps.map(({ page }) => page)];
    const total = [...workers, ...onPages].reduce((sum, bytes) => sum + bytes, 0);
    const grown = without === undefined || using === undefined ? undefined : using - without;
    return [
      figure(
        `worker's heap, one of ${tabs} tabs`,
        `${megabytes(median(workers))}, at most ${megabytes(most(workers))}`,
      ),
      figure("page's heap", `${megabytes(median(onPages))}, at most ${megabytes(most(onPages))}`),
      figure("heaps of all of them", megabytes(total)),
      figure(
        "the browser's processes grew by, for each tab",
        megabytes(grown === undefined ? undefined : grown / tabs),
      ),
    ];
  });
}
