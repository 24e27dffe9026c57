export { TidemarkLevel, type TidemarkLevelOptions } from "./level.ts";
