import { collection, isTidemarkError, openDatabase } from "tidemark";
import * as z from "zod";

const todo = z.object({
  id: z.string(),
  title: z.string().trim().min(1),
  done: z.boolean().default(false),
  due: z.date().optional(),
});
const db = await openDatabase({
  name: "todo-list",
  collections: { todos: collection({ schema: todo, key: "id", autoId: true, indexes: { due: "due" } }) },
});
db.on("upgrade", ({ index, done, total }) => console.log(`building ${index}: ${done} of about ${total}`));
const todos = db.collection("todos");

const id = await todos.add({ title: "  Swim " }); // the schema's input, and a key is given
console.log(await todos.get(id)); // its output: { id, title: "Swim", done: false }

try {
  await todos.addMany([{ title: "Run" }, { title: "" }]);
} catch (e) {
  if (!isTidemarkError(e, "VALIDATION")) throw e;
  console.log(e.message, e.details["failures"]); // by position; nothing was written
}
