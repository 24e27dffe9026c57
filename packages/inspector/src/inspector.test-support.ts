/** An inspector on a real database, on a worker and IndexedDB. */
import axe from "axe-core";
import { collection, createDatabase, type Database, deleteDatabase } from "tidemark";
import { expect } from "vitest";
import type { TidemarkInspector } from "./index.ts";
import "./index.ts";

interface Note {
  readonly id: string;
  readonly text: string;
  readonly tags?: readonly string[];
}
const collections = { notes: collection<Note>()({ key: "id", indexes: { text: "text" } }) };
export type Notes = Database<typeof collections>;

let n = 0;
const ends: (() => unknown)[] = [];

export function open(name = `inspector ${n++} ${Date.now()}`): Notes {
  const db = createDatabase({ name, collections, gc: { mode: "manual" } });
  ends.push(async () => {
    await db.close();
    await deleteDatabase(name, { worker: false });
  });
  return db;
}

/** As another tab would have it open: with options of its own it has a worker of its own. */
export function openElsewhere(name: string): Notes {
  const db = createDatabase({ name, collections, gc: { mode: "manual" }, cacheMaxBytes: 2 ** 20 });
  ends.unshift(() => db.close());
  return db;
}

export class Shown {
  readonly element: TidemarkInspector;

  constructor(db: TidemarkInspector["database"], panel: TidemarkInspector["panel"] = "overview") {
    this.element = document.createElement("tidemark-inspector");
    this.element.database = db;
    this.element.panel = panel;
    document.body.append(this.element);
    ends.unshift(() => this.element.remove());
  }

  get root(): ShadowRoot {
    return this.element.shadowRoot!;
  }

  find(selector: string): HTMLElement | null {
    return this.root.querySelector<HTMLElement>(selector);
  }
  all(selector: string): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>(selector)];
  }
  text(selector: string): string {
    return plain(this.find(selector)?.textContent ?? "");
  }

  /** Of the first that is there, and can be pressed. */
  async click(selector: string): Promise<void> {
    await expect.poll(() => this.find(selector)?.matches(":enabled") ?? false, { message: selector }).toBe(true);
    this.find(selector)!.click();
  }

  press(key: string, on: string): void {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true });
    this.find(on)!.dispatchEvent(event);
  }

  /** What axe-core objects to, by rule and place. */
  async violations(): Promise<string[]> {
    const { violations } = await axe.run(document.body, {
      rules: { region: { enabled: false }, "page-has-heading-one": { enabled: false } },
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html} ${node.failureSummary ?? ""}`),
    );
  }

  /** Elements whose text does not fit them, or the element. */
  clipped(): string[] {
    const right = this.element.getBoundingClientRect().right;
    return this.all('[role="tabpanel"]:not([hidden]) *, header *, footer').flatMap((e) => {
      if (e.closest(".records, thead, .uplot, svg") || e.getClientRects().length === 0) return [];
      return e.getBoundingClientRect().right > right + 0.5 ? [`${e.tagName}.${e.className}: ${e.textContent}`] : [];
    });
  }
}

export const plain = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

export async function endAll(): Promise<void> {
  for (const end of ends.splice(0)) await end();
}
