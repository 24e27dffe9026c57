/** What no isolation level but the weakest allows: what is not committed is seen, or written over. */
import { type Case, firstAgain, once } from "./case.ts";
import { T1, T2, T3 } from "./script.ts";

export const dirtyWrites: readonly Case[] = [
  {
    anomaly: "G0, dirty write",
    how: "puts",
    steps: [T1.puts("x", 11), T2.puts("x", 12), T2.puts("y", 22), T2.commits(), T1.puts("y", 21), T1.commits()],
    occurs: (o) => o.n("x") === 12 && o.n("y") === 21,
    runs: { serializable: [1, 1], snapshot: [2, 1] },
  },
  {
    anomaly: "G0, dirty write",
    how: "clearing",
    steps: [T1.puts("x", 11), T2.clears(), T1.puts("y", 21), T1.commits(), T2.puts("z", 30), T2.commits()],
    occurs: (o) => (o.n("x") === undefined) !== (o.n("y") === undefined),
    runs: { serializable: [1, 1], snapshot: [1, 2] },
  },
  {
    anomaly: "G0, dirty write",
    how: "deletes of a range",
    steps: [
      T1.deletesRange(10, 15),
      T2.puts("x", 12),
      T2.puts("y", 22),
      T2.commits(),
      T1.deletesRange(15, 30),
      T1.commits(),
    ],
    occurs: (o) => o.n("x") === 12 && o.n("y") === undefined,
    runs: firstAgain,
  },
  {
    anomaly: "G0, dirty write",
    how: "a unique key",
    steps: [T1.puts("x", 11, "a"), T2.puts("y", 22, "a"), T2.commits(), T1.commits()],
    occurs: (o) => o.slug("x") === "a" && o.slug("y") === "a",
    runs: once,
  },
];

export const dirtyReads: readonly Case[] = [
  {
    anomaly: "G1a, aborted read",
    how: "a key",
    steps: [T1.puts("x", 101), T2.gets("x"), T1.rollsBack(), T2.gets("x"), T2.commits()],
    occurs: (o) => o.read("T2", 0) === 101,
    runs: once,
  },
  {
    anomaly: "G1a, aborted read",
    how: "a range",
    steps: [T1.puts("x", 101), T2.ranges(100, 200), T1.rollsBack(), T2.ranges(100, 200), T2.commits()],
    occurs: (o) => !o.hasRead("T2", [], []),
    runs: once,
  },
  {
    anomaly: "G1a, aborted read",
    how: "deletes",
    steps: [T1.deletes("x"), T1.deletesRange(20, 30), T2.gets("x"), T2.gets("y"), T1.rollsBack(), T2.commits()],
    occurs: (o) => !o.hasRead("T2", 10, 20),
    runs: once,
  },
  {
    anomaly: "G1a, aborted read",
    how: "clearing",
    steps: [T1.clears(), T2.ranges(0, 100), T1.rollsBack(), T2.gets("x"), T2.commits()],
    occurs: (o) => !o.hasRead("T2", ["x=10", "y=20"], 10),
    runs: once,
  },
  {
    anomaly: "G1b, intermediate read",
    how: "a key",
    steps: [T1.puts("x", 101), T2.gets("x"), T1.puts("x", 11), T1.commits(), T2.commits()],
    occurs: (o) => o.read("T2", 0) === 101,
    runs: once,
  },
  {
    anomaly: "G1b, intermediate read",
    how: "a range",
    steps: [T1.puts("z", 101), T2.ranges(100, 200), T1.deletes("z"), T1.puts("x", 11), T1.commits(), T2.commits()],
    occurs: (o) => !o.hasRead("T2", []),
    runs: once,
  },
  {
    anomaly: "G1c, circular information flow",
    how: "keys",
    steps: [T1.puts("x", 11), T2.puts("y", 22), T1.gets("y"), T2.gets("x"), T1.commits(), T2.commits()],
    occurs: (o) => o.read("T1", 0) === 22 && o.read("T2", 0) === 11,
    runs: { serializable: [1, 2], snapshot: [1, 1] },
  },
  {
    anomaly: "G1c, circular information flow",
    how: "ranges",
    steps: [T1.puts("a", 50), T2.puts("b", 60), T1.ranges(60, 70), T2.ranges(50, 60), T1.commits(), T2.commits()],
    occurs: (o) => o.hasRead("T1", ["b=60"]) && o.hasRead("T2", ["a=50"]),
    runs: { serializable: [1, 2], snapshot: [1, 1] },
  },
];

export const vanishing: readonly Case[] = [
  {
    anomaly: "OTV, observed transaction vanishes",
    how: "keys",
    steps: [
      T1.puts("x", 11),
      T1.puts("y", 19),
      T2.puts("x", 12),
      T1.commits(),
      T3.gets("x"),
      T3.gets("y"),
      T2.puts("y", 18),
      T2.commits(),
      T3.gets("y"),
      T3.commits(),
    ],
    occurs: (o) => o.read("T3", 0) === 12 && o.read("T3", 1) === 19,
    runs: { serializable: [1, 1, 1], snapshot: [1, 2, 1] },
  },
  {
    anomaly: "OTV, observed transaction vanishes",
    how: "ranges",
    steps: [
      T1.updatesRange(0, 100, 1),
      T2.updatesRange(10, 12, 1),
      T1.commits(),
      T3.ranges(0, 15),
      T3.ranges(15, 100),
      T2.updatesRange(15, 100, 1),
      T2.commits(),
      T3.commits(),
    ],
    occurs: (o) => o.hasRead("T3", ["x=12"], ["y=21"]),
    runs: { serializable: [1, 2, 1], snapshot: [1, 2, 1] },
  },
];
