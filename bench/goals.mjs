// What Tidemark is to reach beside its peers, judged by the median of the ratios within rounds.
import { middleOf, ratios } from "./measured.mjs";
import { digits, spread, median } from "./tables.mjs";

/** @typedef {import("./measured.mjs").Measured} Measured */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {{ title: string, goal: string, judge: (measured: Measured) => { shown: string, met: boolean } | undefined }} Goal */

/** Tidemark is at least so many times as fast. @param {string} title @param {string} figure @param {PeerName} peer @param {number} times @returns {Goal} */
const faster = (title, figure, peer, times) => ({
  title,
  goal: `≥ ${times} × ${peer}`,
  judge: ({ rounds }) => {
    const found = ratios(rounds, peer, figure);
    return found.length === 0 ? undefined : { shown: spread(found), met: median(found) >= times };
  },
});

/** Tidemark takes at most this part of the peer's time. @param {string} title @param {string} figure @param {PeerName} peer @param {number} share @returns {Goal} */
const within = (title, figure, peer, share) => ({
  title,
  goal: `≤ ${share} × ${peer}'s`,
  judge: ({ rounds }) => {
    const found = ratios(rounds, peer, figure).map((ratio) => 1 / ratio);
    return found.length === 0 ? undefined : { shown: spread(found), met: median(found) <= share };
  },
});

/** @param {string} title @param {"page" | "worker"} part @param {number} kilobytes @returns {Goal} */
const shipped = (title, part, kilobytes) => ({
  title,
  goal: `≤ ${kilobytes} KB`,
  judge: ({ bundles: { tidemark } }) => {
    if (!tidemark) return undefined;
    const { opening } = tidemark;
    const more = part === "page" && opening ? `; ${digits(opening / 1024)} KB more as it opens` : "";
    return { shown: `${digits(tidemark[part] / 1024)} KB${more}`, met: tidemark[part] <= kilobytes * 1024 };
  },
});

/** @type {readonly Goal[]} */
const goals = [
  faster("bulk insert", "bulkOne", "dexie", 25),
  faster("bulk insert", "bulkOne", "sqlite", 3),
  faster("scan", "scan", "dexie", 4),
  faster("scan", "scan", "sqlite", 2),
  faster("random keys", "keys", "dexie", 8),
  faster("random keys", "keys", "pglite", 2),
  {
    title: "concurrent puts",
    goal: "≥ 20 × any that has stored what it answers",
    judge: ({ rounds, peers }) => {
      const others = /** @type {PeerName[]} */ (Object.keys(peers)).filter(
        (name) => !name.startsWith("tidemark") && peers[name]?.isStored,
      );
      const all = others
        .map((peer) => ({ peer, found: ratios(rounds, peer, "concurrentPuts") }))
        .filter(({ found }) => found.length > 0);
      const [least] = all.toSorted((a, b) => median(a.found) - median(b.found));
      return least && { shown: `${spread(least.found)}, ${least.peer}`, met: median(least.found) >= 20 };
    },
  },
  within("awaited get", "get", "idb", 0.6),
  within("awaited put", "put", "idb", 1.3),
  faster("index range", "range", "dexie", 3),
  {
    title: "hot keys, stored once quiet",
    goal: "≤ 1.3 × once written",
    judge: ({ rounds }) => {
      const share = middleOf(rounds, "tidemark", "hotStoredBytes") / middleOf(rounds, "tidemark", "hotStoredLiveBytes");
      return Number.isNaN(share) ? undefined : { shown: digits(share), met: share <= 1.3 };
    },
  },
  within("page blocked by inserts", "blocked", "dexie", 1),
  shipped("page entry, brotli", "page", 12),
  shipped("worker, brotli", "worker", 60),
];

/** Rows of a table. @param {Measured} measured */
export const judged = (measured) =>
  goals.flatMap(({ title, goal, judge }) => {
    const verdict = judge(measured);
    return verdict ? [[title, goal, verdict.shown, verdict.met ? "met" : "**missed**"]] : [];
  });
