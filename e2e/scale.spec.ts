import { expect, type Page, test } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { openTab, openTwoTabs } from "./lab.ts";

interface Session {
  readonly startContent: string;
  readonly txns: readonly { readonly patches: readonly (readonly [at: number, deleted: number, inserted: string])[] }[];
}

const sessionFile = new URL("../apps/playground/public/data/typing-session.json.gzip", import.meta.url);

/** The recorded session's text after so many transactions. */
async function textAfter(transactions: number): Promise<string> {
  const session = JSON.parse(gunzipSync(await readFile(sessionFile)).toString()) as Session;
  let text = session.startContent;
  for (const [at, deleted, inserted] of session.txns.slice(0, transactions).flatMap(({ patches }) => patches)) {
    text = text.slice(0, at) + inserted + text.slice(at + deleted);
  }
  return text;
}

/** Types the session, a commit of the whole text for each transaction; answers the largest store there was. */
const type = (page: Page, transactions: number): Promise<{ peakBytes: number; peakAllowed: number }> =>
  page.evaluate(async (limit) => {
    const { body } = await fetch("/data/typing-session.json.gzip");
    const unpacked = new Response(body?.pipeThrough(new DecompressionStream("gzip")));
    const session = (await unpacked.json()) as Session;
    let text = session.startContent;
    const worst = { peakBytes: 0, peakAllowed: 1 };
    for (const [i, { patches }] of session.txns.slice(0, limit).entries()) {
      for (const [at, deleted, inserted] of patches) text = text.slice(0, at) + inserted + text.slice(at + deleted);
      await lab.items.put({ id: "document", value: text });
      if (i % 250 !== 0) continue;
      const { logBytes, blockBytes, metaBytes } = await lab.db.storage.metrics();
      const [bytes, allowed] = [logBytes + blockBytes + metaBytes, 3 * text.length + 8 * 2 ** 20];
      if (bytes / allowed > worst.peakBytes / worst.peakAllowed)
        Object.assign(worst, { peakBytes: bytes, peakAllowed: allowed });
    }
    return worst;
  }, transactions);

const textIn = (page: Page): Promise<unknown> =>
  page.evaluate(async () => {
    const view = await lab.db.readView({ fresh: true });
    const found = await view.collection("items").get("document");
    view.release();
    return found?.value;
  });

test("a typing session leaves little more than its text, with a second tab idle all the while", async ({ context }) => {
  test.setTimeout(120_000);
  const transactions = 10_000;
  const [idle, page] = await openTwoTabs(context);
  const startedAt = performance.now();
  const { peakBytes, peakAllowed } = await type(page, transactions);
  const ms = performance.now() - startedAt;
  console.log(
    `  ${transactions} transactions: ${Math.round(ms)} ms, at most ${(peakBytes / 2 ** 20).toFixed(1)} MB stored`,
  );
  expect(peakBytes).toBeLessThan(peakAllowed);
  const text = await textAfter(transactions);
  expect(await textIn(idle)).toBe(text);
  await idle.evaluate(() => lab.db.checkpoint());
  const { logBytes, blockBytes, metaBytes } = await idle.evaluate(() => lab.db.storage.metrics());
  expect(logBytes + blockBytes + metaBytes).toBeLessThan(3 * text.length + 64 * 1024);
  await Promise.all([page.close(), idle.close()]);
  expect(await textIn(await openTab(context))).toBe(text);
});

test("20 000 records, imported in random order, answer queries as plain arrays do", async ({ context }) => {
  test.setTimeout(60_000);
  const page = await openTab(context);
  const import20k = async (): Promise<number> => {
    const startedAt = performance.now();
    for (let i = 0; i < 20_000; i += 2000) {
      // 7919 is a prime: each id once, in an order of its own.
      const numbers = Array.from({ length: 2000 }, (_, j) => ((i + j) * 7919) % 20_000);
      await lab.items.putMany(
        numbers.map((n) => ({
          id: n,
          n: n % 977,
          group: (n * 31) % 1000,
          email: `${(n * 7) % 20_000}@example.org`,
          tags: [`t${n % 13}`, `u${n % 101}`],
        })),
      );
    }
    return performance.now() - startedAt;
  };
  /** What queries answer, and what filtering and sorting arrays answers. */
  const answers = async (): Promise<[string, unknown, unknown][]> => {
    const all = Array.from({ length: 20_000 }, (_, id) => ({
      id,
      group: (id * 31) % 1000,
      email: `${(id * 7) % 20_000}@example.org`,
      tags: [`t${id % 13}`, `u${id % 101}`],
    }));
    const ids = (records: readonly { id: string | number }[]): (string | number)[] => records.map(({ id }) => id);
    const byGroup = all.toSorted((a, b) => a.group - b.group || a.id - b.id);
    const byEmail = all.toSorted((a, b) => (a.email < b.email ? -1 : 1));
    const { items } = lab;
    return [
      ["count", await items.count(), all.length],
      ["all, by key", ids(await items.all()), ids(all)],
      ["a group", ids(await items.where("group").equals(500).toArray()), ids(all.filter((r) => r.group === 500))],
      [
        "a range of groups",
        ids(await items.where("group").between(100, 130).toArray()),
        ids(byGroup.filter((r) => r.group >= 100 && r.group < 130)),
      ],
      [
        "its count",
        await items.where("group").between(100, 700).count(),
        all.filter((r) => r.group >= 100 && r.group < 700).length,
      ],
      [
        "the last 50 groups",
        ids(await items.where("group").reverse().limit(50).toArray()),
        ids(byGroup.toReversed().slice(0, 50)),
      ],
      [
        "a prefix",
        ids(await items.where("email").startsWith("123").toArray()),
        ids(byEmail.filter((r) => r.email.startsWith("123"))),
      ],
      ["a tag", ids(await items.where("tags").equals("u7").toArray()), ids(all.filter((r) => r.tags.includes("u7")))],
      [
        "keys",
        await items.getMany([0, 19_999, 20_000, 7]).then((found) => found.map((r) => r?.email)),
        [all[0], all[19_999], undefined, all[7]].map((r) => r?.email),
      ],
    ];
  };
  const ms = await page.evaluate(import20k);
  console.log(`  20 000 records in four indexes: ${Math.round(ms)} ms`);
  for (const state of ["as imported", "folded"]) {
    for (const [what, found, expected] of await page.evaluate(answers))
      expect(found, `${what}, ${state}`).toEqual(expected);
    await page.evaluate(() => lab.db.checkpoint());
  }
  await page.close();
  const again = await openTab(context);
  for (const [what, found, expected] of await again.evaluate(answers)) expect(found, what).toEqual(expected);
  expect((await again.evaluate(() => lab.db.verify())).damage).toEqual([]);
});
