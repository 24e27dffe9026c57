/**
 * What a tab within the demo does, by its address:
 *
 *   tab.html?role=draft                      a document that every keystroke commits
 *   tab.html?role=writer&tab=A&watched=B     writes when it is told to, as tab A, and watches tab B
 */
import { Writer } from "./frames/writer.ts";
import { Draft } from "./tabs/draft.ts";

const root = document.querySelector<HTMLElement>("#tab")!;
const address = new URLSearchParams(location.search);

if (address.get("role") === "writer") {
  new Writer(root, address.get("tab") ?? "A").start(address.get("watched") ?? "B");
} else {
  new Draft(root).start();
}
