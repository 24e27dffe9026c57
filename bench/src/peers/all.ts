/** Every peer by its name, each loaded only where it runs. */
import type { Peer } from "./peer.ts";

export const peers = {
  tidemark: async () => (await import("./tidemark.ts")).tidemark,
  "tidemark-memtable": async () => (await import("./tidemark.ts")).tidemarkUnfolded,
  idb: async () => (await import("./idb.ts")).idb,
  dexie: async () => (await import("./dexie.ts")).dexie,
  rxdb: async () => (await import("./rxdb.ts")).rxdb,
  pouchdb: async () => (await import("./pouchdb.ts")).pouchdb,
  level: async () => (await import("./level.ts")).level,
  sqlite: async () => (await import("./sqlite.ts")).sqlite,
  "sqlite-relaxed": async () => (await import("./sqlite.ts")).sqliteRelaxed,
  pglite: async () => (await import("./pglite.ts")).pglite,
  "pglite-strict": async () => (await import("./pglite.ts")).pgliteStrict,
  tinybase: async () => (await import("./tinybase.ts")).tinybase,
} satisfies Record<string, () => Promise<Peer>>;

export type PeerName = keyof typeof peers;
