/** What the options that exports and imports share must be. */
import { isOneOf, type OptionCheck } from "../../protocol/options.ts";

const isName = (value: unknown): boolean => typeof value === "string";
export const areNames = (value: unknown): boolean => Array.isArray(value) && value.every(isName);

export const formatCheck: OptionCheck = [isOneOf("tidemark", "ndjson", "csv"), `"tidemark", "ndjson" or "csv"`];
export const collectionCheck: OptionCheck = [isName, "the name of a collection"];
export const collectionsCheck: OptionCheck = [areNames, "a list of names of collections"];
export const conflictCheck: OptionCheck = [isOneOf("replace", "skip", "fail"), `"replace", "skip" or "fail"`];
export const functionCheck: OptionCheck = [(value) => typeof value === "function", "a function"];
