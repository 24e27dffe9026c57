export { useLiveQuery } from "./use-live-query.ts";
export { useRecord } from "./use-record.ts";
export { type QueryKey, useSuspenseLiveQuery } from "./use-suspense-live-query.ts";
