// The recorded typing session, a commit for each of its transactions, while a second tab is open and does nothing.
import { assertSame } from "./expected.mjs";
import { atMost, figure, grouped, megabytes, most, time, times } from "./report.mjs";
import { origin } from "./rows.mjs";

const goals = { live: 3, besides: 8 * 2 ** 20, estimate: 64 * 2 ** 20 };

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const typing = ({ launch, settings }) =>
  launch(async (served) => {
    const [page, idle] = [await served.page(origin, "scale.html"), await served.page(origin, "scale.html")];
    await page.evaluate(() => scale.remove("typing"));
    const before = await page.evaluate(() => scale.estimate());
    await idle.evaluate(() => scale.idle()); // first, so that upkeep is its task
    const typed = await page.evaluate(
      ([limit, inFlight]) => scale.type(limit, inFlight),
      /** @type {const} */ ([settings.keystrokes, settings.inFlight]),
    );
    const expected = await page.evaluate((limit) => scale.expectedText(limit), settings.keystrokes);
    assertSame(await idle.evaluate(() => scale.textNow()), expected, "The text in the idle tab");
    await page.close();
    await idle.close();
    const again = await served.page(origin, "scale.html");
    assertSame(await again.evaluate(() => scale.textNow()), expected, "The text after opening again");
    await again.evaluate(() => scale.remove("typing"));

    const { samples, commits, ms } = typed;
    /** Of what is allowed. @param {{ storedBytes: number, liveBytes: number }} sample */
    const share = ({ storedBytes, liveBytes }) => storedBytes / (goals.live * liveBytes + goals.besides);
    const last = { storedBytes: typed.endBytes, liveBytes: samples.at(-1)?.liveBytes ?? 0 };
    return [
      figure("transactions, each with the whole text", grouped(commits)),
      figure("… a second", grouped((commits / ms) * 1000)),
      figure("… in", time(ms)),
      figure("texts written in them", megabytes(typed.writtenBytes)),
      figure("the text in the end", megabytes(last.liveBytes)),
      atMost("in our stores, of 3 × live + 8 MB, at most", most([...samples, last].map(share)), 1, times),
      figure("… bytes at most", megabytes(most([...samples, last].map(({ storedBytes }) => storedBytes)))),
      figure("… at the last transaction, counted in IndexedDB", megabytes(typed.endBytes)),
      figure("… once it is quiet", `${megabytes(typed.quietBytes)} after ${time(typed.quietMs)}`),
      atMost(
        "the browser's own estimate at most",
        most(samples.map(({ estimateBytes }) => estimateBytes - before)),
        goals.estimate,
        megabytes,
      ),
      figure("… in the end", megabytes(typed.quietEstimateBytes - before)),
    ];
  });
