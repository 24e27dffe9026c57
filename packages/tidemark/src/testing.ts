export { createMemoryStorage } from "./storage/memory.ts";
export type { MemoryMedium, MemoryOptions } from "./storage/memory.ts";
export { storageConformance } from "./storage/conformance.ts";
export type { Storage, StorageFactory } from "./storage/contract.ts";
export { Verifier, watched } from "./verifier.ts";
export type { Removal, VerifierStats, Violation } from "./verifier.ts";
