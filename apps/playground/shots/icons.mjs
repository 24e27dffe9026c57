// The icons of the installed demo, drawn from its SVG, which is what is to be changed:
//
//   pnpm --filter @tidemark/playground run icons
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { chromiumLaunch } from "../../../tools/browser-paths.mjs";

const folder = fileURLToPath(new URL("../public/icons/", import.meta.url));
const drawing = readFileSync(new URL("../public/tidemark.svg", import.meta.url), "utf8");
mkdirSync(folder, { recursive: true });

const browser = await chromium.launch(chromiumLaunch);
for (const [name, px, isFull] of /** @type {const} */ ([
  ["192", 192, false],
  ["512", 512, false],
  ["180", 180, true],
  ["maskable-512", 512, true],
])) {
  const page = await browser.newPage({ viewport: { width: px, height: px } });
  // Systems cut their own shape out of a full square, and keep the middle four fifths of it.
  const svg = isFull ? drawing.replace(' rx="9"', "") : drawing;
  const size = isFull && name !== "180" ? "80%" : "100%";
  const ground = isFull ? "#0a5f6b" : "transparent";
  await page.setContent(`<body style="margin:0;height:100vh;display:grid;place-items:center;background:${ground}">
    <div style="width:${size};height:${size}">${svg}</div></body>`);
  await page.screenshot({ path: `${folder}${name}.png`, omitBackground: true });
  await page.close();
}
await browser.close();
console.log(`see ${folder}`);
