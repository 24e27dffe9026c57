import "@tidemark/inspector";
import { collection, openDatabase } from "tidemark";

type Task = { id: string; done: boolean };
const db = await openDatabase({ name: "chores", collections: { tasks: collection<Task>()({ key: "id" }) } });
await db.collection("tasks").put({ id: "a", done: false });

const inspector = document.createElement("tidemark-inspector");
inspector.database = db;
document.body.append(inspector);
