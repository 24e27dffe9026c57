import { expect, test } from "@playwright/test";
import {
  everyRecordAt,
  expectClean,
  explain,
  keepView,
  kilobytes,
  metrics,
  numbersIn,
  openThreeTabs,
  pinOf,
  records,
  roundBytes,
  runGc,
  writeRounds,
} from "./gc.ts";
import { allItems } from "./lab.ts";
import { waysToEnd } from "./processes.ts";

const { "a crash": _, ...others } = waysToEnd;
const waysToRelease: typeof waysToEnd = {
  "its release": async (_browser, _context, page) => () => void page.evaluate(() => kept.release()),
  ...others,
};

const rounds = 5;

for (const [way, prepare] of Object.entries(waysToRelease)) {
  test(`[TB4][VG13] what a view of another tab holds back is told, and goes after ${way}`, async ({
    browser,
    browserName,
    context,
  }) => {
    const isOfEveryBrowser = way === "its release" || way === "being closed";
    test.skip(browserName !== "chromium" && !isOfEveryBrowser, "Chromium alone lets a single tab be killed");
    const [a, b, c] = await openThreeTabs(context);
    await writeRounds(a, 0, 0);
    await runGc(a);
    const release = await prepare(browser, context, b);
    const [seq, id] = [await keepView(b), await pinOf(b)];
    await writeRounds(a, 1, rounds);
    await allItems(c); // or it may not have heard of the last of them when it is asked how far it is

    const report = await runGc(a);
    const full = await metrics(a);
    const { floor, head, holders } = await explain(a);
    const [first] = holders;
    expect(first).toMatchObject({ id, kind: "pin", seq, behind: head - seq });
    expect(floor).toBe(seq);
    const { bytesHeld, frees } = first!;
    console.log(`  held back ${kilobytes(bytesHeld)}, ${kilobytes(frees)} would go`);
    expect(bytesHeld).toBeGreaterThan(rounds * roundBytes);
    expect(bytesHeld).toBeLessThan(rounds * roundBytes * 1.1);
    expect(frees).toBe(bytesHeld);
    expect(report).toMatchObject({ deleted: 0, heldBack: [{ id, kind: "pin", bytes: bytesHeld }] });
    expect(full.versions).toBeGreaterThanOrEqual((rounds + 1) * records);
    expect(await b.evaluate(async () => (await kept.collection("items").all()).map(({ n }) => n))).toEqual(
      everyRecordAt(0),
    );

    const from = Date.now();
    release();
    // Nobody asks for it.
    await expect.poll(async () => (await metrics(a)).versions, { timeout: 8000 }).toBeLessThan(records + 10);
    console.log(`  gone ${Date.now() - from} ms after ${way}`);
    const after = await metrics(a);
    expect(after.floor).toBeGreaterThan(seq);
    expect(after.blockBytes).toBeLessThan(full.blockBytes / rounds);
    const [advance] = await a.evaluate(() => lab.db.gc.advances());
    expect(advance).toMatchObject({ floor: after.floor, evicted: [], released: way === "its release" ? [] : [id] });
    expect((await explain(a)).holders.map((holder) => holder.id).includes(id)).toBe(way === "its release");
    expect(await numbersIn(a)).toEqual(everyRecordAt(rounds));
    await expectClean(a);
  });
}
