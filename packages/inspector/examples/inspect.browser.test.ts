import { deleteDatabase } from "tidemark";
import { afterEach, expect, test } from "vitest";

const inspectors = (): NodeListOf<HTMLElementTagNameMap["tidemark-inspector"]> =>
  document.querySelectorAll("tidemark-inspector");
const heading = (): string | null | undefined => inspectors()[0]?.shadowRoot?.querySelector("h2")?.textContent;

afterEach(async () => {
  for (const inspector of inspectors()) inspector.remove();
  await deleteDatabase("chores", { worker: false });
});

test("the guide's element shows its database", async () => {
  await import("./inspect.ts");
  await expect.poll(heading).toBe("chores");
});

test("the guide's toggle loads, shows and removes it", async () => {
  const { toggleInspector } = await import("./inspect-lazily.ts");
  dispatchEvent(new KeyboardEvent("keydown", { key: "Y", ctrlKey: true, shiftKey: true }));
  await expect.poll(heading).toBe("chores");
  expect(inspectors()[0]).toMatchObject({ panel: "floor", theme: "dark" });
  await toggleInspector();
  expect(inspectors()).toHaveLength(0);
});

test("the guide's React component gives it its database", async () => {
  await import("./inspect-react.tsx");
  await expect.poll(heading).toBe("chores");
  expect(inspectors()[0]!.panel).toBe("records");
});
