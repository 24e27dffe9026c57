// Queries on the large database: the first of its kind after opening, and then in a tab that is warm.
import { figure, grouped, median, time } from "./report.mjs";
import { countedGroups, nameOf, open, openLoaded, origin, Queries } from "./rows.mjs";

const kinds = /** @type {const} */ (["get", "range", "count", "startsWith"]);
const warmRuns = 200;

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const querying = ({ launch, settings }) =>
  launch(async (served) => {
    await (await openLoaded(served, settings)).close();
    const queries = new Queries(settings, 2);
    /** @type {import("./report.mjs").Row[]} */
    const rows = [];
    for (const kind of kinds) {
      const cold = [];
      for (let run = 0; run < settings.runs; run++) {
        const page = await served.page(origin, "scale.html");
        await open(page, nameOf(settings), -1); // reads no record: the query is the first that does
        cold.push(await queries[kind](page));
        await page.close();
      }
      const page = await served.page(origin, "scale.html");
      await open(page, nameOf(settings));
      const warm = [];
      for (let run = 0; run < warmRuns; run++) warm.push(await queries[kind](page));
      await page.close();
      const title = titles(settings)[kind];
      rows.push(figure(title, `${time(median(cold))} cold, ${time(median(warm))} warm`));
    }
    return rows;
  });

/** @param {import("./rows.mjs").Settings} settings */
const titles = ({ records }) => ({
  get: "get by key",
  range: "100 records from a place in an index on",
  count: `count of an index range of about ${grouped((records * countedGroups) / 1000)}`,
  startsWith: "the about 100 records whose text begins so",
});
