import { afterEach, expect, test, vi } from "vitest";
import { endAll, open, Shown } from "./inspector.test-support.ts";

vi.setConfig({ testTimeout: 40_000, expect: { poll: { timeout: 15_000 } } });
afterEach(endAll);

test("a strict content security policy refuses nothing", async () => {
  const content = "style-src 'self'";
  document.head.append(
    Object.assign(document.createElement("meta"), { httpEquiv: "Content-Security-Policy", content }),
  );
  const refused: string[] = [];
  document.addEventListener("securitypolicyviolation", (e) => refused.push(`${e.violatedDirective} ${e.sample}`));
  const db = open();
  await db.collection("notes").put({ id: "a", text: "first" });
  await db.snapshots.create("monday");
  await db.collection("notes").put({ id: "a", text: "second" });
  await db.checkpoint();
  const shown = new Shown(db);
  for (const [panel, part] of [
    ["overview", "[data-collection]"],
    ["records", ".record-key"],
    ["floor", "canvas"],
    ["gc", ".strip svg"],
    ["storage", ".cells i"],
    ["live", ".empty"],
  ] as const) {
    shown.element.panel = panel;
    await expect.poll(() => shown.find(`#panel-${panel} ${part}`)).not.toBeNull();
  }
  expect(shown.find(".share i")!.style.width).toBe("100%");
  expect(refused).toEqual([]);
});
