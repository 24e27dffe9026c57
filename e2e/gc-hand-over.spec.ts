import { expect, test } from "@playwright/test";
import {
  beginRun,
  everyRecordAt,
  executions,
  expectClean,
  keepView,
  metrics,
  numbersIn,
  openThreeTabs,
  records,
  storedRows,
  writeRounds,
} from "./gc.ts";
import { waysToEnd } from "./processes.ts";

const rounds = 20;

/** What ends the tab that does the run, and which tab asked for that: itself, or another one. */
const endings = [
  { way: "being closed", asker: "itself", index: 0 },
  { way: "a SIGKILL of its renderer", asker: "another", index: 2 },
] as const;

for (const { way, asker, index } of endings) {
  test(`[TB2][VG10] a cycle goes on in another tab after ${way} of the one that does it, asked by ${asker}`, async ({
    browser,
    browserName,
    context,
  }) => {
    test.skip(browserName !== "chromium" && way !== "being closed", "Chromium alone lets a single tab be killed");
    const tabs = await openThreeTabs(context, { gc: { mode: "manual" } });
    const [a, b] = tabs;
    const end = await waysToEnd[way]!(browser, context, a);
    await writeRounds(a, 0, 0);
    await keepView(b);
    await writeRounds(a, 1, rounds);
    await a.evaluate(() => lab.db.checkpoint());
    await b.evaluate(() => kept.release());
    expect((await metrics(b)).versions).toBeGreaterThanOrEqual((rounds + 1) * records);

    const page = tabs[index];
    await beginRun(page);
    await expect.poll(() => page.evaluate(() => steps), { intervals: [5] }).toBeGreaterThan(2);
    const ended = Promise.race([a.waitForEvent("crash"), a.waitForEvent("close")]);
    end();
    await ended;
    const [before] = await executions(b);
    expect(before!.status).toBe("RUNNING");
    const atKill = (await metrics(b)).versions;
    await expect.poll(async () => (await executions(b)).every(({ status }) => status === "COMPLETED")).toBe(true);
    if (index !== 0) {
      // It asked anew, so a run of its own followed on what was left.
      expect(await page.evaluate(() => outcome)).toMatchObject({ cycleId: before!.id + 1, dryRun: false });
    }
    const after = await executions(b);
    const first = after.find(({ id }) => id === before!.id)!;
    console.log(`  ${atKill} versions left ${way}, ${first.swept} swept by the cycle; ${after.length} executions`);
    expect(first.started).toBe(before!.started);
    expect(first.swept).toBe(rounds * records);
    expect((await metrics(b)).versions).toBeLessThan(records + 10);
    expect(await numbersIn(b)).toEqual(everyRecordAt(rounds));
    expect(await storedRows(b, "blocks")).toBe((await metrics(b)).blocks);
    await expectClean(b);
  });
}
