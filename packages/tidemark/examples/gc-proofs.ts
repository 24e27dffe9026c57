import { collection, openDatabase } from "tidemark";

type Task = { id: string; done: boolean };
const db = await openDatabase({ name: "tasks", collections: { tasks: collection<Task>()({ key: "id" }) } });
const tasks = db.collection("tasks");
await tasks.put({ id: "a", done: false });
await tasks.put({ id: "a", done: true });

for await (const { collection: of, key, seq, supersededBy, floor } of db.gc.proofs()) {
  console.log(of, key, `version ${seq} may go: ${supersededBy} replaced it, and nobody reads below ${floor}`);
}

const job = db.gc.start({ budgetMs: 2 });
job.onProgress(({ scanned, deleted }) => console.log(`${deleted} of ${scanned} went`));
console.log((await job.report).deleted, "versions went");
