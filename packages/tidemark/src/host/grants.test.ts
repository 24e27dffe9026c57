import { expect, test } from "vitest";
import { Grants } from "./grants.ts";

function bench() {
  const told: boolean[] = [];
  const alarms: (() => void)[] = [];
  const grants = new Grants({
    page: "visible",
    tell: (waits) => void told.push(waits),
    ticks: () => 0,
    sleep: () => new Promise((done) => void alarms.push(done)),
  });
  return { grants, told, alarms };
}
const slice = { type: "slice", budgetMs: 4, leftMs: 10 } as const;

test("[VG10] a slice offered in a lull is kept for the next piece of work", async () => {
  const { grants, told } = bench();
  grants.waits = true;
  grants.waits = false;
  const answer = grants.offer(slice);
  grants.waits = true;
  grants.take()!.used(3);
  expect(await answer).toEqual({ usedMs: 3 });
  expect(told).toEqual([true]);
});

test("[VG10] a slice offered in a lull lapses when that ends, and the page is told", async () => {
  const { grants, told, alarms } = bench();
  grants.waits = true;
  grants.waits = false;
  const answer = grants.offer(slice);
  alarms[0]!();
  expect(await answer).toEqual({ usedMs: undefined });
  expect(told).toEqual([true, false]);
  expect(await grants.offer(slice)).toEqual({});
});
