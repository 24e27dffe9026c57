import { collection, openDatabase } from "tidemark";
import { createMemoryStorage, simulate } from "tidemark/testing";

type Note = { id: string; text: string };
const collections = { notes: collection<Note>()({ key: "id" }) };

/** What is left when the disk fills up, the connection breaks and the power fails. */
export async function throughFaults(report: (code: string) => void): Promise<Note[]> {
  const disk = createMemoryStorage();
  const options = { name: "app", storage: disk, collections };
  const db = await openDatabase(options);
  const notes = db.collection("notes");
  await notes.put({ id: "1", text: "a first note" });

  disk.quotaBytes = disk.usedBytes; // full: QUOTA_EXCEEDED, until there is room again
  await notes.put({ id: "2", text: "no room" }).catch((e) => report(e.code));
  disk.quotaBytes = Infinity;

  let breaks = 1; // of the connection, before a write takes effect: it is opened anew
  disk.onStep = ({ kind }) => (kind === "commit" && breaks-- > 0 ? "lost" : "go");
  await notes.put({ id: "3", text: "written after all" });
  report(breaks < 1 ? "broken" : "whole");

  await db.checkpoint(); // from here on strict; a relaxed commit behind it is at risk
  await notes.put({ id: "4", text: "lost" });
  disk.crash(); // the power fails
  await db.close().catch((e) => report(e.code));

  const again = await openDatabase(options);
  const left = await again.collection("notes").all();
  await again.close();
  return left;
}

/** Two tabs in one process, in virtual time: a story of an hour takes a moment. */
export const twoTabs = (): Promise<string[]> =>
  simulate(
    async (world) => {
      const [a, b] = [world.tab("a"), world.tab("b")];
      const [one, other] = [a, b].map((tab) => tab.createDatabase({ name: "app", collections }));
      const seen: string[] = [];
      other!.live((q) => q.collection("notes").all()).subscribe((notes) => seen.push(notes.map((n) => n.id).join()));

      await one!.collection("notes").put({ id: "1", text: "from a" });
      await world.eventually(() => seen.at(-1) === "1", 1000, "b shows it");

      b.freeze(); // as browsers freeze what nobody looks at
      await one!.collection("notes").put({ id: "2", text: "meanwhile" });
      await world.sleep(60_000);
      b.thaw();
      await world.eventually(() => seen.at(-1) === "1,2", 5000, "b has caught up");

      void one!.collection("notes").put({ id: "3", text: "perhaps" });
      a.kill(); // with all that it was about to do
      await other!.collection("notes").put({ id: "4", text: "b goes on" });
      world.medium.crash({ keepRelaxed: "all" }); // for every tab, the connection is lost
      await other!.collection("notes").get("4");
      await other!.close();
      return seen;
    },
    { seed: 1 },
  );
