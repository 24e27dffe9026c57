/** What opening loads: a file that nobody imports otherwise, so that bundlers keep it apart from the page's first one. */
export { createDatabase, databaseOn } from "./realm.ts";
