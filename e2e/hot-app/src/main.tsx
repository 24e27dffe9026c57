import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Notes } from "./notes.tsx";

createRoot(document.querySelector("main")!).render(
  <StrictMode>
    <Notes />
  </StrictMode>,
);
