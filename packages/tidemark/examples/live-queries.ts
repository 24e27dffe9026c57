import { collection, openDatabase } from "tidemark";

type Todo = { id: string; list: string; text: string; done: boolean };
const db = await openDatabase({
  name: "todos",
  collections: { todos: collection<Todo>()({ key: "id", indexes: { list: "list" } }) },
});
const todos = db.collection("todos");

const home = db.live(async (q) => {
  const all = await q.collection("todos").where("list").equals("home").toArray();
  return { left: all.filter((todo) => !todo.done).map((todo) => todo.text), total: all.length };
});
const subscription = home.subscribe({
  next: ({ left, total }) => console.log(`${left.length} of ${total} left`),
  error: (e) => console.error("no more results, because of", e),
});

await todos.put({ id: "a", list: "home", text: "Water the plants", done: false }); // told, in this tab and others
await todos.put({ id: "b", list: "work", text: "Reply to Ann", done: false }); // not read: it does not run again

// For one query there is a shorter form.
todos
  .where("list")
  .equals("work")
  .subscribe((work) => console.log(work.map((todo) => todo.text)));

export function leave(): void {
  subscription.unsubscribe();
  console.log(home.current); // the last result stays
}
