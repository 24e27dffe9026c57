import { collection, createDatabase } from "tidemark";

type Task = { id: string; done: boolean };
const db = createDatabase({ name: "chores", collections: { tasks: collection<Task>()({ key: "id" }) } });

/** Nothing of the inspector is loaded before this is called. */
export async function toggleInspector(): Promise<void> {
  const shown = document.querySelector("tidemark-inspector");
  if (shown) {
    shown.remove();
    return;
  }
  await import("@tidemark/inspector");
  const inspector = document.createElement("tidemark-inspector");
  inspector.database = db;
  inspector.panel = "floor";
  inspector.theme = "dark";
  document.body.append(inspector);
}

addEventListener("keydown", (e) => {
  if (e.ctrlKey && e.shiftKey && e.key === "Y") void toggleInspector();
});
