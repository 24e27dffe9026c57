import { expect } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, openPage } from "./lab.ts";
import { type Answer, openSite } from "./site.ts";

/** Keeps whatever it has fetched once, and answers with that where nobody else answers. */
const serviceWorker = `
  const kept = caches.open("app");
  addEventListener("install", (e) => e.waitUntil(skipWaiting()));
  addEventListener("activate", (e) => e.waitUntil(clients.claim()));
  addEventListener("fetch", (e) => e.respondWith(answer(e.request)));
  async function answer(request) {
    try {
      const response = await fetch(request);
      await (await kept).put(request, response.clone());
      return response;
    } catch {
      return (await (await kept).match(request)) ?? Response.error();
    }
  }`;

const answerWithIt: Answer = (_request, response) => {
  response.writeHead(200, { "content-type": "text/javascript" }).end(serviceWorker);
};

test("[MV1][TB1][TB3] with no server there, an installed app opens in new tabs, and reads, writes and tells them", async ({
  browser,
}) => {
  const site = await openSite({ "/service-worker.js": answerWithIt });
  const context = await browser.newContext({ baseURL: site.origin });
  const first = await openPage(context);
  await first.evaluate(async () => {
    await navigator.serviceWorker.register("/service-worker.js");
    await navigator.serviceWorker.ready;
  });
  await first.reload(); // once through the service worker
  await first.evaluate(async () => {
    await lab.items.putMany(Array.from({ length: 100 }, (_, n) => ({ id: n, n, group: n % 7 })));
    await lab.db.checkpoint();
    await lab.items.put({ id: 100, n: 100, group: 2 });
  });

  await site.close();
  await expect(fetch(site.origin)).rejects.toThrow();
  await first.reload();
  expect((await allItems(first)).map(({ n }) => n)).toEqual(Array.from({ length: 101 }, (_, n) => n));
  const second = await openPage(context);
  await second.evaluate(async () => {
    globalThis.seen = [];
    lab.db.live((q) => q.collection("items").where("group").equals(2).count()).subscribe((n) => void seen.push(n));
    await lab.items.put({ id: 101, n: 101, group: 1 });
  });
  await first.evaluate(() => lab.items.put({ id: 102, n: 102, group: 2 }));
  await expect.poll(() => second.evaluate(() => seen.at(-1))).toBe(16);
  for (const page of [first, second]) {
    expect((await allItems(page)).map(({ n }) => n)).toEqual(Array.from({ length: 103 }, (_, n) => n));
  }
  await first.reload();
  expect(await first.evaluate(() => lab.items.count())).toBe(103);
  expect((await first.evaluate(() => lab.db.verify())).damage).toEqual([]);
  await context.close();
});

declare global {
  var seen: number[];
}
