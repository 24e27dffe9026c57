import "@tidemark/inspector";
import type { TidemarkInspector } from "@tidemark/inspector";
import { createRoot } from "react-dom/client";
import { collection, createDatabase } from "tidemark";

declare module "react" {
  // oxlint-disable-next-line typescript/no-namespace -- this is where React looks for elements
  namespace JSX {
    interface IntrinsicElements {
      "tidemark-inspector": Partial<Pick<TidemarkInspector, "database" | "panel" | "theme">>;
    }
  }
}

type Task = { id: string; done: boolean };
const db = createDatabase({ name: "chores", collections: { tasks: collection<Task>()({ key: "id" }) } });

function App() {
  return <tidemark-inspector database={db} panel="records" />;
}

createRoot(document.body.appendChild(document.createElement("main"))).render(<App />);
