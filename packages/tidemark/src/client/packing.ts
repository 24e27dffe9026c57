import { minMovedBytes } from "../protocol/calls.ts";
import type { Request } from "../protocol/messages.ts";

/** Requests of one message: their small writes in one buffer, and the large ones among `moved`, to be moved with it. */
export function packed(requests: readonly Request[], moved: ArrayBuffer[]): readonly Request[] {
  let small = 0;
  let smallBytes = 0;
  for (const request of requests) {
    const writes = writesOf(request);
    if (!writes) continue;
    if (isMoved(writes)) moved.push(writes.buffer as ArrayBuffer);
    else {
      small++;
      smallBytes += writes.length;
    }
  }
  if (small < 2) return requests;
  const all = new Uint8Array(smallBytes);
  let at = 0;
  return requests.map((request) => {
    if (!("writes" in request) || isMoved(request.writes)) return request;
    const writes = all.subarray(at, (at += request.writes.length));
    writes.set(request.writes);
    return { ...request, writes };
  });
}

const isMoved = ({ buffer }: Uint8Array): boolean => buffer.byteLength >= minMovedBytes;

function writesOf(request: Request): Uint8Array | undefined {
  if (request.op === "part") return request.part.writes;
  return "writes" in request ? request.writes : undefined;
}
