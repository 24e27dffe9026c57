/** The address of this page. */
import { Address } from "./address.ts";

/** Safari refuses a page that changes its address at every keystroke. */
const quietMs = 250;
let timer: ReturnType<typeof setTimeout> | undefined;
let unwritten: string | undefined;

function write(): void {
  clearTimeout(timer);
  if (unwritten !== undefined) history.replaceState(history.state, "", location.pathname + unwritten);
  unwritten = undefined;
}

export const address = new Address(location.href, (text) => {
  unwritten = text;
  clearTimeout(timer);
  timer = setTimeout(write, quietMs);
});

/** With what was chosen just now, too. */
export function reload(): void {
  write();
  location.reload();
}

// Links of the page change the fragment by themselves.
addEventListener("hashchange", () => (address.section = location.hash.slice(1)));
