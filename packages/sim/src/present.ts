/** The engine as it is. */
import { collection, isTidemarkError, RetentionPolicy, TidemarkError } from "tidemark";
import { Verifier, World } from "tidemark/testing";
import type { Engine } from "./engine.ts";

export const present: Engine = { collection, isTidemarkError, RetentionPolicy, TidemarkError, Verifier, World };
