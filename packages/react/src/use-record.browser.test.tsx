import { type ReactNode, useState } from "react";
import { flushSync } from "react-dom";
import { afterEach, expect, test, vi } from "vitest";
import { useRecord } from "./index.ts";
import { endAll, type Notes, open, show } from "./world.test-support.tsx";

vi.setConfig({ testTimeout: 15_000, expect: { poll: { interval: 2, timeout: 5000 } } });
afterEach(endAll);

let renders = 0;
function Text({ db, id }: { db: Notes; id: string | undefined | null }): ReactNode {
  renders++;
  const found = useRecord(db.collection("notes"), id);
  return `${id}: ${found?.text ?? "none"}`;
}

test("useRecord follows one record, through its coming and going, and no other", async () => {
  const db = open();
  const notes = db.collection("notes");
  const shown = show(<Text db={db} id="a" />, false);
  await expect.poll(shown.text).toBe("a: none");
  await notes.put({ id: "a", list: 1, text: "one" });
  await expect.poll(shown.text).toBe("a: one");
  const before = renders;
  await notes.put({ id: "b", list: 1, text: "other" });
  await notes.put({ id: "a", list: 1, text: "one" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(renders).toBe(before);
  await notes.update("a", { text: "two" });
  await expect.poll(shown.text).toBe("a: two");
  await notes.delete("a");
  await expect.poll(shown.text).toBe("a: none");
  shown.show(<Text db={db} id="b" />);
  await expect.poll(shown.text).toBe("b: other");
  for (const id of [undefined, null]) {
    shown.show(<Text db={db} id={id} />);
    await expect.poll(shown.text).toBe(`${id}: none`);
  }
});

test("useRecord takes keys that every render makes anew", async () => {
  const db = open();
  const pairs = db.collection("pairs");
  await pairs.put({ a: "x", at: new Date(5), n: 1 });
  let set: (n: number) => void = () => undefined;
  const subscribe = vi.spyOn(Object.getPrototypeOf(pairs.where().equals(["x", new Date(5)])), "subscribe");
  function Pair(): ReactNode {
    const [n, setN] = useState(0);
    set = setN;
    return `${n} ${useRecord(db.collection("pairs"), ["x", new Date(5)])?.n}`;
  }
  const shown = show(<Pair />, false);
  await expect.poll(shown.text).toBe("0 1");
  for (let i = 1; i <= 5; i++) flushSync(() => set(i));
  await pairs.update(["x", new Date(5)], { n: 2 });
  await expect.poll(shown.text).toBe("5 2");
  expect(subscribe).toHaveBeenCalledTimes(1);
  subscribe.mockRestore();
});
