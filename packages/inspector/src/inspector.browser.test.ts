import { afterEach, describe, expect, test, vi } from "vitest";
import { formatBytes } from "./format.ts";
import { endAll, open, openElsewhere, plain, Shown } from "./inspector.test-support.ts";

vi.setConfig({ testTimeout: 40_000, expect: { poll: { timeout: 15_000 } } });
afterEach(endAll);

const text = "x".repeat(2000);

describe("the element", () => {
  test("without a database says so, and with one shows it; its tabs are walked through by keys", async () => {
    const shown = new Shown(undefined);
    await expect.poll(() => plain(shown.root.textContent)).toContain("No database");
    const db = open();
    shown.element.database = db;
    await expect.poll(() => shown.text("h2")).toBe(db.name);
    const selected = () => shown.all('[role="tab"][aria-selected="true"]').map((tab) => tab.id);
    expect(selected()).toEqual(["tab-overview"]);
    for (const [key, tab] of [
      ["ArrowRight", "records"],
      ["ArrowRight", "floor"],
      ["End", "live"],
      ["ArrowRight", "overview"],
      ["ArrowLeft", "live"],
      ["Home", "overview"],
    ] as const) {
      shown.press(key, '[aria-selected="true"]');
      await shown.element.updateComplete;
      expect(selected()).toEqual([`tab-${tab}`]);
      expect(shown.root.activeElement?.id).toBe(`tab-${tab}`);
      expect(shown.all('[role="tabpanel"]:not([hidden])').map(({ id }) => id)).toEqual([`panel-${tab}`]);
      expect(shown.all('[role="tab"]').filter(({ tabIndex }) => tabIndex === 0)).toHaveLength(1);
    }
  });

  test("looks only while it can be seen", async () => {
    const db = open();
    const metrics = vi.spyOn(db.storage, "metrics");
    const shown = new Shown(db);
    await expect.poll(() => metrics.mock.calls.length).toBeGreaterThan(1);
    shown.element.style.display = "none";
    await expect.poll(() => shown.text("[data-test=cost]")).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = metrics.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(metrics.mock.calls.length).toBe(before);
    shown.element.style.display = "";
    await expect.poll(() => metrics.mock.calls.length).toBeGreaterThan(before);
    shown.element.remove();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const after = metrics.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(metrics.mock.calls.length).toBe(after);
  });

  test("a database that closed is told as such, above what was seen last", async () => {
    const db = open();
    const shown = new Shown(db);
    await expect.poll(() => shown.text("[data-test=head]")).not.toBe("");
    await db.close();
    await expect.poll(() => shown.text(".failure")).toContain("The database is closed.");
    expect(shown.text("[data-test=head]")).not.toBe("");
  });

  test.each(["light", "dark"] as const)(
    "in %s, at 360 px, nothing is clipped and axe-core objects to nothing",
    async (theme) => {
      const db = open();
      await db
        .collection("notes")
        .putMany(Array.from({ length: 60 }, (_, i) => ({ id: `note ${i}`, text: `${i}`, tags: ["a"] })));
      await db.snapshots.create("a snapshot with a name that is rather long, as people give them");
      await db.collection("notes").put({ id: "note 1", text });
      db.collection("notes")
        .where("text")
        .equals("1")
        .subscribe(() => undefined);
      const shown = new Shown(db);
      shown.element.theme = theme;
      shown.element.style.width = "360px";
      document.body.style.background = theme === "dark" ? "#000" : "#fff";
      for (const panel of ["overview", "records", "floor", "gc", "storage", "live"] as const) {
        shown.element.panel = panel;
        await expect.poll(() => shown.find(`#panel-${panel} .skeleton`)).toBeNull();
        await expect.poll(() => shown.find(`#panel-${panel} h3, #panel-${panel} .record-key`)).not.toBeNull();
        if (panel === "records") {
          shown.find(".record")!.click();
          await expect.poll(() => shown.find(".version")).not.toBeNull();
        }
        expect([panel, shown.clipped()]).toEqual([panel, []]);
        expect([panel, await shown.violations()]).toEqual([panel, []]);
      }
    },
  );
});

test("overview: counts and bytes are those of the metrics", async () => {
  const db = open();
  const notes = db.collection("notes");
  await notes.putMany(Array.from({ length: 1234 }, (_, i) => ({ id: `${i}`, text: `${i}` })));
  await notes.put({ id: "1", text: "again" });
  await notes.deleteMany(["2", "3"]);
  await db.checkpoint();
  const shown = new Shown(db);
  await expect.poll(() => shown.text("[data-collection=notes] [data-name=Records]")).toBe("1,232");
  const { head, checkpoint, upkeep } = await db.storage.metrics();
  expect(shown.text("[data-test=head]")).toBe(head.toLocaleString("en"));
  expect(shown.text("[data-test=fence]")).toBe(checkpoint.toLocaleString("en"));
  expect(shown.text("[data-test=upkeep]")).toBe(upkeep ? "This tab" : "Another tab");
  expect(shown.text("[data-test=estimate]")).toMatch(/bytes|KB|MB|unknown/);
});

describe("records", () => {
  test("a list of any length is walked through by keys, and gone into by key", async () => {
    const db = open();
    const id = (i: number): string => `note ${String(i).padStart(5, "0")}`;
    await db.collection("notes").putMany(Array.from({ length: 5000 }, (_, i) => ({ id: id(i), text: `${i}` })));
    const shown = new Shown(db, "records");
    const chosen = () => shown.text('.record[aria-selected="true"] .record-key');
    await expect.poll(() => shown.all(".record-key").length).toBeGreaterThan(5);
    expect(shown.all(".record").length).toBeLessThan(40);
    shown.press("ArrowDown", ".records");
    await expect.poll(chosen).toBe(`"${id(0)}"`);
    shown.press("ArrowDown", ".records");
    await expect.poll(chosen).toBe(`"${id(1)}"`);
    shown.press("End", ".records");
    await expect.poll(chosen).toBe(`"${id(4999)}"`);
    expect(shown.find('.record[aria-selected="true"]')!.getAttribute("aria-posinset")).toBe("5000");
    (shown.find("[data-test=key]") as HTMLInputElement).value = "note 0321";
    await shown.click("#panel-records form button");
    await expect.poll(chosen).toBe(`"${id(3210)}"`);
    await expect.poll(() => shown.text(".detail h2")).toBe(`"${id(3210)}"`);
    await db.collection("notes").put({ id: "a note before all others", text });
    await expect.poll(() => shown.find('.record[aria-selected="true"]')?.getAttribute("aria-posinset")).toBe("3212");
    expect(chosen()).toBe(`"${id(3210)}"`);
    const all = shown.find(".records")!.getBoundingClientRect();
    const row = shown.find('.record[aria-selected="true"]')!.getBoundingClientRect();
    expect(row.top >= all.top && row.bottom <= all.bottom + 1).toBe(true);
  });

  test("a record's chain: live, kept by a snapshot that is named, and reclaimable with its proof", async () => {
    const db = open();
    const notes = db.collection("notes");
    await notes.put({ id: "a", text: "first" });
    await db.snapshots.create("monday");
    await notes.put({ id: "a", text: "second" });
    await db.checkpoint(); // so that the fold finds the first version held
    const shown = new Shown(db, "records");
    await expect.poll(() => shown.find(".record-key")).not.toBeNull();
    shown.find(".record")!.click();
    const states = () => shown.all(".version").map((version) => version.dataset["state"]);
    const why = () => shown.text(".version:nth-child(2) [data-test=why]");
    await expect.poll(states).toEqual(["live", "held"]);
    expect(why()).toMatch(/Superseded by \d+\. Kept by .*Snapshot “monday”/);
    expect(shown.text(".version [data-test=changed]")).toBe("Changed: text.");
    await db.snapshots.delete("monday");
    const [second] = await notes.history("a");
    await shown.click("[data-test=prove]");
    await expect.poll(why).toContain(`replaced at ${second!.seq}, and nobody reads below`);
    expect(states()).toEqual(["live", "reclaimable"]);
    await db.gc.run();
    await expect.poll(states).toEqual(["live"]);
    await notes.delete("a");
    await expect.poll(() => states()[0]).toBe("deleted");
    await notes.put({ id: "b", text: "the next" });
    (shown.find("[data-test=key]") as HTMLInputElement).value = "a";
    await shown.click("#panel-records form button");
    await expect.poll(() => shown.text("#panel-records [role=status]")).toContain('No record has the key "a"');
    expect(states()[0]).toBe("deleted");
  });

  test("a value is read as a tree", async () => {
    const db = open();
    await db.collection("notes").put({ id: "a", text, tags: ["one", "two"] });
    const shown = new Shown(db, "records");
    await expect.poll(() => shown.find(".record-key")).not.toBeNull();
    shown.find(".record")!.click();
    await expect.poll(() => shown.text(".detail > tidemark-inspector-tree")).toContain("3 fields");
    const tags = shown.all(".detail summary").find((summary) => summary.textContent.includes("tags"))!;
    tags.click();
    await expect.poll(() => shown.text(".detail > tidemark-inspector-tree")).toMatch(/tags 2 items 0 "one" 1 "two"/);
  });
});

describe("floor", () => {
  test("a held snapshot is named with its bytes, and released by one click", async () => {
    const db = open();
    const notes = db.collection("notes");
    await notes.putMany(Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, text })));
    await db.snapshots.create("monday");
    await notes.putMany(Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, text: "short" })));
    await db.gc.run(); // the tab's own pin rises, so that the snapshot alone keeps them
    const shown = new Shown(db, "floor");
    const holder = ".holder[data-kind=snapshot]";
    const { holders } = await db.gc.explain();
    const { frees } = holders.find(({ kind }) => kind === "snapshot")!;
    expect(frees).toBeGreaterThan(50 * text.length);
    await expect.poll(() => shown.text(holder)).toContain(plain(`releasing it frees ${formatBytes(frees)}`));
    expect(shown.text(holder)).toContain("Snapshot “monday”");
    expect(shown.find("#panel-floor .plot")).not.toBeNull();
    await expect.poll(() => shown.find("#panel-floor canvas")).not.toBeNull();
    await shown.click(`${holder} [aria-expanded]`);
    await expect.poll(() => shown.text(`${holder} .explanation`)).toContain("readable until it is deleted");
    await shown.click("[data-test=delete-snapshot]");
    await expect.poll(() => shown.find(holder)).toBeNull();
    await expect.poll(() => shown.text("[data-test=floor-outcome]")).toMatch(/“monday” was deleted: .* KB can go/);
    expect(await db.snapshots.list()).toEqual([]);
  });

  test("another tab is evicted once that is confirmed", async () => {
    const db = open();
    const notes = db.collection("notes");
    await notes.put({ id: "a", text });
    const view = await openElsewhere(db.name).readView();
    await notes.put({ id: "a", text: "short" });
    const shown = new Shown(db, "floor");
    await shown.click("[data-test=evict]");
    await shown.click("[data-test=evict-no]");
    await expect.poll(() => shown.find("[data-test=evict-yes]")).toBeNull();
    const evict = vi.spyOn(db.gc, "evict");
    await shown.click("[data-test=evict]");
    await shown.click("[data-test=evict-yes]");
    await expect.poll(() => shown.text("[data-test=floor-outcome]")).toMatch(/^Tab .*… was evicted/);
    expect(evict.mock.calls).toEqual([[expect.stringMatching(/^pin/)]]);
    view.release();
  });
});

describe("gc", () => {
  test("a dry run changes nothing, its proofs are listed, and a run tells progress and result", async () => {
    const db = open();
    const notes = db.collection("notes");
    for (const round of ["first", "second"]) {
      await notes.putMany(Array.from({ length: 300 }, (_, i) => ({ id: `${i}`, text: round + text })));
      await db.checkpoint();
    }
    await db.snapshots.create("held");
    await notes.putMany(Array.from({ length: 300 }, (_, i) => ({ id: `${i}`, text: "third" })));
    await db.checkpoint();
    await db.snapshots.delete("held");
    const shown = new Shown(db, "gc");
    await shown.click("[data-test=dry-run]");
    await expect
      .poll(() => shown.text("[data-test=result]"))
      .toMatch(/^Dry run: [\d,]+ versions of .* nothing was changed/);
    await shown.click("[data-test=proofs]");
    await expect
      .poll(() => shown.text("[data-test=proof-table]"))
      .toMatch(/was replaced at \d+, and nobody reads below \d+/);
    expect(await shown.violations()).toEqual([]);
    const seen: string[] = [];
    const watching = new MutationObserver(() => seen.push(shown.text("[data-test=progress]")));
    watching.observe(shown.root, { subtree: true, childList: true, characterData: true });
    await shown.click("[data-test=run]");
    await expect
      .poll(() => shown.text("[data-test=result]"))
      .toMatch(/^[1-9][\d,]* versions of .* went, .*: \d+ slices?/);
    watching.disconnect();
    expect(seen.join("\n")).toMatch(/Sweeping: \d+ steps?|Done: \d+ steps?/);
    await expect.poll(() => shown.all("[data-run]").length).toBeGreaterThan(0);
    expect(shown.text("[data-run]")).toMatch(/completed/);
    await expect.poll(() => shown.find("#panel-gc .strip .frames rect")).not.toBeNull();
    await expect.poll(() => shown.find("#panel-gc .strip .run")).not.toBeNull();
  });

  test("a run is paused, goes on, and is cancelled", async () => {
    const db = open();
    const shown = new Shown(db, "gc");
    const steered: string[] = [];
    let finish: (error: Error) => void = () => undefined;
    const report = new Promise<never>((_, reject) => (finish = reject));
    report.catch(() => undefined);
    const steer = (what: string) => () => Promise.resolve(void steered.push(what));
    vi.spyOn(db.gc, "start").mockReturnValue({
      report,
      pause: steer("pause"),
      resume: steer("resume"),
      cancel: steer("cancel"),
      onProgress: () => () => undefined,
    } as unknown as ReturnType<typeof db.gc.start>);
    await shown.click("[data-test=run]");
    await shown.click("[data-test=pause]");
    await expect.poll(() => shown.text("[data-test=pause]")).toBe("Resume");
    await shown.click("[data-test=pause]");
    await shown.click("[data-test=cancel]");
    expect(steered).toEqual(["pause", "resume", "cancel"]);
    finish(new Error("Another run is under way"));
    await expect.poll(() => shown.text("[data-test=result]")).toBe("Another run is under way");
  });
});

test("storage: what is stored by part and by level, and its growth", async () => {
  const db = open();
  await db.collection("notes").putMany(Array.from({ length: 2000 }, (_, i) => ({ id: `${i}`, text: `${i} of many` })));
  await db.checkpoint();
  const shown = new Shown(db, "storage");
  await expect.poll(() => shown.all("[data-level]").length).toBeGreaterThan(0);
  const { levels, blocks } = await db.storage.metrics();
  expect(levels.reduce((n, level) => n + level.blocks, 0)).toBe(blocks);
  expect(shown.all("[data-level] .cells i")).toHaveLength(blocks);
  await expect.poll(() => shown.find("#panel-storage canvas")).not.toBeNull();
  expect(shown.find("#panel-storage .plot")!.getAttribute("aria-label")?.replaceAll("\u00a0", " ")).toMatch(
    /Blocks take .* KB/,
  );
});

test("live: queries with their runs, and what was reported", async () => {
  const db = open();
  const shown = new Shown(db, "live");
  await expect.poll(() => shown.text("#panel-live")).toContain("No live query");
  db.collection("notes")
    .where("text")
    .equals("x")
    .subscribe(() => undefined);
  const row = '[data-query="notes.where(\\"text\\")"]';
  await expect.poll(() => shown.text(`${row} [data-name=Runs]`)).toBe("1");
  await db.collection("notes").put({ id: "a", text: "x" });
  await expect.poll(() => shown.text(`${row} [data-name=Runs]`)).toBe("2");
  expect(shown.text(`${row} [data-name=Told]`)).toBe("2");
  expect(shown.text("#panel-live")).toContain("Nothing was reported");
});
