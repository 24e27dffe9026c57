import { collection, type Database } from "tidemark";

type Note = { id: string; text: string };
export const collections = { notes: collection<Note>()({ key: "id" }) };

type ShowBanner = (text: string, whenClicked: () => void) => void;
export function followDeployments(db: Database<typeof collections>, showBanner: ShowBanner): void {
  db.on("outdated", () => showBanner("There is a new version", () => location.reload()));
  navigator.serviceWorker?.addEventListener("controllerchange", () => location.reload());
}
