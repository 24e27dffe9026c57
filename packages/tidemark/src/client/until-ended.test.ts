import { expect, test } from "vitest";
import { untilEnded } from "./until-ended.ts";

const never = new Promise<never>(() => undefined);

test("what is answered in time is answered as it is", async () => {
  const orEnded = untilEnded(never);
  expect(await orEnded(Promise.resolve(1))).toBe(1);
  const refused = new Error("refused");
  await expect(orEnded(Promise.reject(refused))).rejects.toBe(refused);
});

test("what is not fails with the end, and so does what is asked after it", async () => {
  let end: (why: Error) => void = () => undefined;
  const orEnded = untilEnded(new Promise((resolve) => (end = resolve)));
  const [one, other] = [orEnded(never), orEnded(never)];
  const why = new Error("it died");
  end(why);
  await expect(one).rejects.toBe(why);
  await expect(other).rejects.toBe(why);
  await expect(orEnded(Promise.resolve(1))).rejects.toBe(why);
});
