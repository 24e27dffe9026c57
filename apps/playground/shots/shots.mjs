// Pictures of each view of the demo, light, dark and on a phone, to be looked at:
//
//   pnpm --filter @tidemark/playground run shots [view…]
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { build, preview } from "vite";
import { chromiumLaunch } from "../../../tools/browser-paths.mjs";
import { views } from "./views.mjs";

const asked = process.argv.slice(2);
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = fileURLToPath(new URL("../../../node_modules/.cache/demo-pictures/", import.meta.url));
mkdirSync(folder, { recursive: true });

await build({ root, logLevel: "warn" });
const server = await preview({ root, preview: { port: 0, strictPort: false } });
const address = server.httpServer.address();
if (address === null || typeof address === "string") throw new Error("it listens at no port");
const origin = `http://localhost:${address.port}`;
const browser = await chromium.launch(chromiumLaunch);

for (const [kind, colorScheme, width, height] of /** @type {const} */ ([
  ["light", "light", 1360, 860],
  ["dark", "dark", 1360, 860],
  ["tablet", "light", 820, 1100],
  ["phone", "light", 360, 780],
])) {
  for (const [name, view] of Object.entries(views)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const context = await browser.newContext({ colorScheme, viewport: { width, height }, hasTouch: width < 900 });
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error(`${name}, ${kind}:`, error));
    let part = 0;
    /** @type {import("./views.mjs").Shoot} */
    const shoot = async (what) => {
      const path = `${folder}${name}${part++ === 0 ? "" : `-${part}`}-${kind}.png`;
      if (what) await page.locator(what).screenshot({ path });
      else await page.screenshot({ path });
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wide > 0) console.error(`${name}, ${kind}: ${wide} px wider than the screen`);
    };
    try {
      await page.goto(`${origin}/${view.address ?? ""}`);
      await view.show(page, shoot);
    } catch (error) {
      console.error(`${name}, ${kind}:`, error);
      process.exitCode = 1;
    }
    await context.close();
  }
}
await browser.close();
await server.close();
console.log(`see ${folder}`);
