// Tidemark under abstract-level beside browser-level, the implementation on plain IndexedDB:
//
//   node bench/level.mjs [rounds]
import { withBrowser } from "./browser.mjs";
import { quantile, time } from "./scale/report.mjs";

const rounds = Number(process.argv[2] ?? 5);
const peers = /** @type {const} */ (["browser-level", "@tidemark/level"]);
/** @type {Record<string, Record<string, number[]>>} */
const found = {};

await withBrowser(async ({ browser, page }) => {
  console.log(browser);
  for (let round = 0; round < rounds; round++) {
    for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
      const at = await page(`${peer.replaceAll(/\W/g, "")}${round}`, "level.html");
      const figures = await at.evaluate((name) => level.run(name), peer);
      await at.close();
      for (const [what, ms] of Object.entries(figures)) ((found[what] ??= {})[peer] ??= []).push(ms);
    }
  }
});
for (const [what, by] of Object.entries(found)) {
  const [plain, tidemark] = peers.map((peer) => quantile(by[peer] ?? [], 0.5));
  console.log(`${what}: ${time(plain ?? 0)}, ${time(tidemark ?? 0)}; × ${((plain ?? 0) / (tidemark ?? 1)).toFixed(2)}`);
}
