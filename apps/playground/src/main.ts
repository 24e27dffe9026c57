import { listDatabases } from "tidemark";

const app = document.querySelector("#app");
if (app) app.textContent = `${(await listDatabases()).length} databases`;
