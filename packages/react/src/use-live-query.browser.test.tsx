import { Activity, memo, type ReactNode, useState } from "react";
import { flushSync } from "react-dom";
import { afterEach, describe, expect, test, vi } from "vitest";
import { useLiveQuery } from "./index.ts";
import { Boundary, counted, endAll, type Note, type Notes, open, show } from "./world.test-support.tsx";

vi.setConfig({ testTimeout: 15_000, expect: { poll: { interval: 2, timeout: 5000 } } });
afterEach(endAll);

const note = (id: string, list = 1, text = id): Note => ({ id, list, text });
const pause = (ms = 50): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function Texts({ db, list = 1, log }: { db: Notes; list?: number; log?: string[] }): ReactNode {
  const notes = useLiveQuery(db, (q) => q.collection("notes").where("list").equals(list).toArray(), [list]);
  const text = `${list}: ${notes ? notes.map((n) => n.text).join() : "loading"}`;
  log?.push(text);
  return <p>{text}</p>;
}

describe("useLiveQuery", () => {
  test("is undefined, then the result, then each new one, also from another handle", async () => {
    const db = open("react two");
    const shown = show(<Texts db={db} />);
    await expect.poll(shown.text).toBe("1: loading");
    await expect.poll(shown.text).toBe("1: ");
    await db.collection("notes").put(note("a"));
    await expect.poll(shown.text).toBe("1: a");
    await open("react two").collection("notes").put(note("b"));
    await expect.poll(shown.text).toBe("1: a,b");
  });

  test("returns the default before the first result", async () => {
    const db = open();
    const seen: number[] = [];
    function Count(): ReactNode {
      const count = useLiveQuery(db, (q) => q.collection("notes").count(), [], -1);
      seen.push(count);
      return count;
    }
    const shown = show(<Count />);
    await expect.poll(shown.text).toBe("0");
    expect(seen[0]).toBe(-1);
  });

  test("new deps: shows nothing of the old ones, and leaves their query", async () => {
    const { db, subscribed } = counted(open());
    await db.collection("notes").putMany([note("a", 1), note("b", 2)]);
    const log: string[] = [];
    const shown = show(<Texts db={db} list={1} log={log} />);
    await expect.poll(shown.text).toBe("1: a");
    shown.show(<Texts db={db} list={2} log={log} />);
    await expect.poll(shown.text).toBe("2: b");
    expect([...new Set(log)]).toEqual(["1: loading", "1: a", "2: loading", "2: b"]);
    expect(subscribed()).toBe(1);
    await db.collection("notes").put(note("c", 1));
    await pause();
    expect(log.at(-1)).toBe("2: b");
  });

  test("another database: the same", async () => {
    const [one, two] = [open(), open()];
    await one.collection("notes").put(note("of one"));
    await two.collection("notes").put(note("of two"));
    const log: string[] = [];
    const shown = show(<Texts db={one} log={log} />);
    await expect.poll(shown.text).toBe("1: of one");
    shown.show(<Texts db={two} log={log} />);
    await expect.poll(shown.text).toBe("1: of two");
    expect([...new Set(log)]).toEqual(["1: loading", "1: of one", "1: of two"]);
  });

  test("renders nothing where the result is the same, and of a list only the record that changed", async () => {
    const db = open();
    await db.collection("notes").putMany([note("a"), note("b"), note("c"), note("x", 2)]);
    const rendered: string[] = [];
    const Row = memo(({ of }: { of: Note }) => {
      rendered.push(of.id);
      return <li>{of.text}</li>;
    });
    let lists = 0;
    function List(): ReactNode {
      lists++;
      const notes = useLiveQuery(db, (q) => q.collection("notes").where("list").equals(1).toArray());
      return notes?.map((of) => <Row key={of.id} of={of} />);
    }
    const shown = show(<List />, false);
    await expect.poll(shown.text).toBe("abc");
    expect(rendered.splice(0)).toEqual(["a", "b", "c"]);
    const before = lists;
    await db.collection("notes").put(note("b"));
    await db.collection("notes").put(note("x", 2, "other"));
    await pause();
    expect(lists).toBe(before);
    await db.collection("notes").update("b", { text: "B" });
    await expect.poll(shown.text).toBe("aBc");
    expect(rendered).toEqual(["b"]);
  });

  test("all components of one render show the same state", async () => {
    const db = open();
    const seen: (readonly (number | undefined)[])[] = [];
    const live = db.live((q) => q.collection("notes").count());
    const one: Notes = new Proxy(db, {
      get: (target, name) => (name === "live" ? () => live : Reflect.get(target, name)),
    });
    const round: (number | undefined)[] = [];
    function Count({ last = false }: { last?: boolean }): ReactNode {
      round.push(useLiveQuery(one, (q) => q.collection("notes").count()));
      if (last) seen.push(round.splice(0));
      return null;
    }
    function All(): ReactNode {
      useLiveQuery(one, (q) => q.collection("notes").count());
      return [1, 2, 3, 4].map((i) => <Count key={i} last={i === 4} />);
    }
    show(<All />, false);
    for (let i = 0; i < 20; i++) await db.collection("notes").put(note(`n${i}`));
    await expect.poll(() => seen.at(-1)?.[0]).toBe(20);
    for (const counts of seen) expect(new Set(counts).size).toBe(1);
  });

  test("StrictMode's second mounting, 1 000 mountings and what is hidden leave no subscription", async () => {
    const { db, subscribed, runs } = counted(open());
    await db.collection("notes").put(note("a"));
    const shown = show(<Texts db={db} />);
    await expect.poll(shown.text).toBe("1: a");
    expect(subscribed()).toBe(1);

    const render = (what: ReactNode): void => flushSync(() => shown.show(what));
    for (let i = 0; i < 1000; i++) {
      render(null);
      expect(subscribed()).toBe(0);
      render(<Texts db={db} list={i % 3} />);
    }
    render(<Texts db={db} list={1} />);
    await expect.poll(shown.text).toBe("1: a");
    expect(subscribed()).toBe(1);

    const hidden = (mode: "hidden" | "visible"): ReactNode => (
      <Activity mode={mode}>
        <Texts db={db} />
      </Activity>
    );
    shown.show(hidden("visible"));
    await expect.poll(shown.text).toBe("1: a");
    shown.show(hidden("hidden"));
    await expect.poll(subscribed).toBe(0);
    await db.collection("notes").put(note("b"));
    shown.show(hidden("visible"));
    await expect.poll(shown.text).toBe("1: a,b");

    render(null);
    expect(subscribed()).toBe(0);
    const ran = runs();
    await db.collection("notes").put(note("c"));
    await pause();
    expect(runs()).toBe(ran);
  });

  test("throws what the query fails with to the error boundary; another mounting tries again", async () => {
    const { db, subscribed } = counted(open());
    let fails = true;
    let reset: () => void = () => undefined;
    function Failing(): ReactNode {
      const count = useLiveQuery(db, async (q) => {
        if (fails) throw new Error("no such luck");
        return q.collection("notes").count();
      });
      return `count ${count ?? "loading"}`;
    }
    const shown = show(
      <Boundary watch={(fn) => (reset = fn)}>
        <Failing />
      </Boundary>,
    );
    await expect.poll(shown.text).toBe("failed: no such luck");
    expect(subscribed()).toBe(0);
    fails = false;
    reset();
    await expect.poll(shown.text).toBe("count 0");
  });

  test("ends in the boundary when the database is closed", async () => {
    const db = open();
    const shown = show(
      <Boundary>
        <Texts db={db} />
      </Boundary>,
    );
    await expect.poll(shown.text).toBe("1: ");
    await db.close();
    await expect.poll(shown.text).toMatch(/^failed: .*closed/);
  });

  test("state set beside it does not run the query again", async () => {
    const { db, runs } = counted(open());
    let set: (n: number) => void = () => undefined;
    function Beside(): ReactNode {
      const [n, setN] = useState(0);
      set = setN;
      const count = useLiveQuery(db, (q) => q.collection("notes").count());
      return `${n} ${count ?? "loading"}`;
    }
    const shown = show(<Beside />, false);
    await expect.poll(shown.text).toBe("0 0");
    for (let i = 1; i <= 10; i++) flushSync(() => set(i));
    await expect.poll(shown.text).toBe("10 0");
    expect(runs()).toBe(1);
  });
});
