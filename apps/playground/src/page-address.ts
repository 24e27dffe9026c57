/** The address of this page. */
import { Address } from "./address.ts";

/** Safari refuses a page that changes its address at every keystroke. */
const quietMs = 250;
let timer: ReturnType<typeof setTimeout> | undefined;

export const address = new Address(location.href, (text) => {
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(history.state, "", location.pathname + text), quietMs);
});

// Links of the page change the fragment by themselves.
addEventListener("hashchange", () => (address.section = location.hash.slice(1)));
