export { type TidemarkCollectionOptions, tidemarkCollectionOptions } from "./collection-options.ts";
