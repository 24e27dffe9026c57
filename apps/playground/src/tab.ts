/**
 * What a tab within the demo does, by its address:
 *
 *   tab.html?role=draft                      a document that every keystroke commits
 *   tab.html?role=writer&tab=A&watched=B     writes when it is told to, as tab A, and watches tab B
 *   tab.html?role=neighbour&tab=1            writes a little all the time, until its worker is made to stand still
 */
import { Writer } from "./kill/writer.ts";
import { Neighbour } from "./neighbours/neighbour.ts";
import { Draft } from "./tabs/draft.ts";

const root = document.querySelector<HTMLElement>("#tab")!;
const address = new URLSearchParams(location.search);

const role = address.get("role");
if (role === "writer") {
  new Writer(root, address.get("tab") ?? "A").start(address.get("watched") ?? "B");
} else if (role === "neighbour") {
  new Neighbour(root, address.get("tab") ?? "1").start();
} else {
  new Draft(root).start();
}
