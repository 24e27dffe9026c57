/**
 * A bare page for tests in real browsers: the whole API as `tidemark`, and as `lab` a database that is opened as the
 * page's address says. Nothing happens before the test asks for it.
 *
 *   lab.html?db=notes&memtableMaxBytes=65536&durability=strict&gc={"mode":"manual"}
 */
import * as api from "tidemark";

export type { GcSettings } from "tidemark";

export interface Item {
  readonly id: string | number;
  readonly group?: number;
  readonly n?: number;
  readonly email?: string;
  readonly tags?: readonly string[];
  readonly value?: unknown;
}

const collections = {
  items: api.collection<Item>()({
    key: "id",
    indexes: {
      group: "group",
      email: { path: "email", unique: true },
      tags: { path: "tags", multi: true },
    },
  }),
  others: api.collection<{ id: string; n: number }>()({ key: "id" }),
};

const address = new URLSearchParams(location.search);
const bytesAt = (name: string): number | undefined => {
  const text = address.get(name);
  return text === null ? undefined : Number(text);
};
const memtableMaxBytes = bytesAt("memtableMaxBytes");
const gc = address.get("gc");
const options = {
  name: address.get("db") ?? "lab",
  collections,
  durability: address.get("durability") === "strict" ? "strict" : "relaxed",
  ...(memtableMaxBytes === undefined ? {} : { memtableMaxBytes }),
  ...(gc === null ? {} : { gc: JSON.parse(gc) as api.GcSettings }),
} as const;

/** Who has come to which place, in any tab. */
const arrivals = new BroadcastChannel("lab/arrivals");
const arrived = new Map<string, Set<string>>();
const waiting = new Set<() => void>();
const arrive = ({ place, who }: { readonly place: string; readonly who: string }): void => {
  arrived.set(place, (arrived.get(place) ?? new Set()).add(who));
  for (const look of waiting) look();
};
arrivals.addEventListener("message", (e: MessageEvent<{ place: string; who: string }>) => arrive(e.data));

/** Resolves when so many parties, each under a name of its own, have come to this place. */
const meet = (place: string, who: string, parties: number): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if ((arrived.get(place)?.size ?? 0) < parties) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    arrivals.postMessage({ place, who });
    arrive({ place, who });
  });

const db = api.createDatabase(options);
const page = {
  collections,
  options,
  db,
  items: db.collection("items"),
  meet,
  /** A clock that all tabs of one browser share. */
  now: (): number => performance.timeOrigin + performance.now(),
};

declare global {
  var tidemark: typeof api;
  var lab: typeof page;
}
globalThis.tidemark = api;
globalThis.lab = page;
