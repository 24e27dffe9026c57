export { describeDexie, importFromDexie } from "./client/transfer/dexie.ts";
export type {
  DexieDescription,
  DexieImportOptions,
  DexieImportProgress,
  DexieTable,
  DexieTableOptions,
} from "./client/transfer/dexie.ts";
