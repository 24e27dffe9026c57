import { type ChangeSet, collection, isTidemarkError, openDatabase } from "tidemark";

type Note = { id: string; text: string };
const collections = { notes: collection<Note>()({ key: "id" }) };
const db = await openDatabase({ name: "notebook", collections });

/** Sends one message to a backend of your own, again until it answers. What it had before it knows by the key. */
async function send(key: string, body: unknown, signal: AbortSignal): Promise<void> {
  for (let waitMs = 500; ; waitMs = Math.min(2 * waitMs, 60_000)) {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const sent = fetch("/sync", { method: "POST", headers, body: JSON.stringify(body), signal });
    const response = await sent.catch(() => undefined); // offline
    if (response?.ok === true) return;
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, waitMs * (0.5 + Math.random() / 2)));
  }
}

const isOurs = ({ tag }: ChangeSet<typeof collections>): boolean => tag !== "pulled";

/** Sends every commit once and in order, in one tab at a time, and goes on where it was after a reload. */
async function push(signal: AbortSignal): Promise<void> {
  for (let after: number | undefined; ;) {
    try {
      for await (const commit of db.changes({ consumer: "push", signal, ...(after === undefined ? {} : { after }) })) {
        if (isOurs(commit)) await send(`${commit.seq}`, commit.changes, signal);
        await commit.ack(); // only now it may be forgotten
      }
    } catch (e) {
      if (!isTidemarkError(e, "RESYNC_REQUIRED")) throw e;
      // It was away for too long: everything as it is now, and on from there.
      const view = await db.readView({ fresh: true });
      await send(`all-${view.seq}`, await view.collection("notes").all(), signal);
      after = view.seq;
      view.release();
    }
  }
}

const stop = new AbortController();
const pushing = push(stop.signal);

const fromServer: Note = { id: "n2", text: "Written elsewhere" };
await db.collection("notes").put({ id: "n1", text: "Written offline" });
// What came from the server is tagged, so that it is not sent back.
await db.transaction((tx) => tx.collection("notes").put(fromServer), { tag: "pulled" });
await db.collection("notes").delete("n2");

setTimeout(() => stop.abort(), 3000);
await pushing.catch((e: unknown) => console.log("stopped", stop.signal.aborted, e === stop.signal.reason));
