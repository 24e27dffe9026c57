import { Activity, type ReactNode, startTransition, Suspense, useLayoutEffect, useState } from "react";
import { flushSync } from "react-dom";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, describe, expect, test, vi } from "vitest";
import { useSuspenseLiveQuery } from "./index.ts";
import { Boundary, counted, endAll, type Note, type Notes, open, show } from "./world.test-support.tsx";

vi.setConfig({ testTimeout: 15_000, expect: { poll: { interval: 2, timeout: 8000 } } });
afterEach(endAll);

const note = (id: string, list = 1): Note => ({ id, list, text: id });

function Texts({ db, list = 1, log }: { db: Notes; list?: number; log?: string[] }): ReactNode {
  const notes = useSuspenseLiveQuery(db, (q) => q.collection("notes").where("list").equals(list).toArray(), [
    "notes of",
    list,
  ]);
  const text = `${list}: ${notes.map((n) => n.text).join()}`;
  log?.push(text);
  return <p>{text}</p>;
}
const waiting = (children: ReactNode, log?: string[]): ReactNode => (
  <Suspense fallback={<Fallback log={log} />}>{children}</Suspense>
);
function Fallback({ log }: { log: string[] | undefined }): ReactNode {
  useLayoutEffect(() => void log?.push("waiting"), [log]); // rendered for a transition it may be, and never shown
  return "waiting";
}

describe("useSuspenseLiveQuery", () => {
  test("shows the fallback, then the result, then each new one; one run for all with its key", async () => {
    const { db, subscribed, runs } = counted(open());
    const log: string[] = [];
    const shown = show(
      waiting(
        <>
          <Texts db={db} log={log} />
          <Texts db={db} />
        </>,
        log,
      ),
    );
    await expect.poll(shown.text).toBe("waiting");
    await expect.poll(shown.text).toBe("1: 1: ");
    expect([...new Set(log)]).toEqual(["waiting", "1: "]);
    await db.collection("notes").put(note("a"));
    await expect.poll(shown.text).toBe("1: a1: a");
    expect([subscribed(), runs()]).toEqual([1, 2]);
  });

  test("another key waits anew; in a transition the old result stays meanwhile", async () => {
    const db = open();
    await db.collection("notes").putMany([note("a", 1), note("b", 2), note("c", 3)]);
    const log: string[] = [];
    let set: (list: number) => void = () => undefined;
    function Switched(): ReactNode {
      const [list, setList] = useState(1);
      set = setList;
      return waiting(<Texts db={db} list={list} log={log} />, log);
    }
    const shown = show(<Switched />, false);
    await expect.poll(shown.text).toBe("1: a");
    set(2);
    await expect.poll(shown.text).toMatch(/2: b$/);
    log.splice(0);
    startTransition(() => set(3));
    await expect.poll(shown.text).toBe("3: c");
    expect(log).not.toContain("waiting");
  });

  test("mounting again, a thousand times, neither waits nor leaks: a second later nobody is subscribed", async () => {
    const { db, subscribed, runs } = counted(open());
    await db.collection("notes").put(note("a"));
    const log: string[] = [];
    const shown = show(waiting(<Texts db={db} />, log));
    await expect.poll(shown.text).toBe("1: a");
    log.splice(0);
    for (let i = 0; i < 1000; i++) {
      flushSync(() => shown.show(null));
      flushSync(() => shown.show(waiting(<Texts db={db} />, log)));
      expect(shown.text()).toBe("1: a");
    }
    expect([log, subscribed(), runs()]).toEqual([[], 1, 1]);
    flushSync(() => shown.show(null));
    await expect.poll(subscribed).toBe(0);
    await db.collection("notes").put(note("b"));
    shown.show(waiting(<Texts db={db} />));
    await expect.poll(shown.text).toBe("1: a,b"); // not what was left behind
    expect(subscribed()).toBe(1);
  });

  test("what was hidden for longer than it is kept is read anew when it is shown", async () => {
    const { db, subscribed } = counted(open());
    const hidden = (mode: "hidden" | "visible"): ReactNode => (
      <Activity mode={mode}>{waiting(<Texts db={db} />)}</Activity>
    );
    const shown = show(hidden("visible"));
    await expect.poll(shown.text).toBe("1: ");
    shown.show(hidden("hidden"));
    await expect.poll(subscribed).toBe(0);
    await db.collection("notes").put(note("a"));
    shown.show(hidden("visible"));
    await expect.poll(shown.text).toBe("1: a");
    await db.collection("notes").put(note("b"));
    await expect.poll(shown.text).toBe("1: a,b");
    expect(subscribed()).toBe(1);
  });

  test("what is never mounted is let go", async () => {
    const { db, subscribed } = counted(open());
    const shown = show(waiting(<Texts db={db} />));
    await expect.poll(subscribed).toBe(1);
    flushSync(() => shown.show(null));
    await expect.poll(subscribed).toBe(0);
  });

  test("throws what the query fails with to the error boundary, which can try again", async () => {
    const { db, subscribed, runs } = counted(open());
    let fails = true;
    let reset: () => void = () => undefined;
    function Failing(): ReactNode {
      const count = useSuspenseLiveQuery(
        db,
        async (q) => {
          if (fails) throw new Error("no such luck");
          return q.collection("notes").count();
        },
        ["failing"],
      );
      return `count ${count}`;
    }
    const shown = show(<Boundary watch={(fn) => (reset = fn)}>{waiting(<Failing />)}</Boundary>);
    await expect.poll(shown.text).toBe("failed: no such luck");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([subscribed(), runs()]).toEqual([0, 1]);
    fails = false;
    reset();
    await expect.poll(shown.text).toBe("count 0");
    await db.collection("notes").put(note("a"));
    await expect.poll(shown.text).toBe("count 1");
  });

  test("fails after it was shown, when the database is closed", async () => {
    const db = open();
    const shown = show(<Boundary>{waiting(<Texts db={db} />)}</Boundary>);
    await expect.poll(shown.text).toBe("1: ");
    await db.close();
    await expect.poll(shown.text).toMatch(/^failed: .*closed/);
  });

  test("the browser goes on from the fallback that a server rendered", async () => {
    const db = open();
    await db.collection("notes").put(note("a"));
    function OnServer(): ReactNode {
      throw new Error("as on a server");
    }
    const place = document.body.appendChild(document.createElement("div"));
    place.innerHTML = renderToString(waiting(<OnServer />));
    expect(place.textContent).toContain("waiting");
    const root = hydrateRoot(place, waiting(<Texts db={db} />), { onRecoverableError: () => undefined });
    await expect.poll(() => place.textContent).toBe("1: a");
    root.unmount();
    place.remove();
  });
});
