import { expect, test } from "vitest";

test("the guide's components show what is stored, and follow it", async () => {
  await import("./notebook.tsx");
  const main = document.querySelector("main")!;
  await expect.poll(() => main.textContent).toBe("Pick a noteWater the plants1 notes in all");
  main.querySelector("button")!.click();
  await expect.poll(() => main.querySelector("h1")!.textContent).toBe("Water the plants");
});
