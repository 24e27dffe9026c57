/**
 * UUIDv7 (RFC 9562): the time in ms, a counter of 12 bits, and 62 random bits. Within a realm each is greater than the
 * one before, even where the clock falls or stands still.
 */
let lastMs = 0;
let counter = 0;

export function newId(nowMs: number = Date.now()): string {
  const random = crypto.getRandomValues(new Uint8Array(10));
  if (nowMs > lastMs) {
    lastMs = nowMs;
    counter = ((random[8]! << 8) | random[9]!) & 0x7ff; // the upper half is left to count in
  } else if (++counter > 0xfff) {
    lastMs++;
    counter = 0;
  }
  const time = hex(lastMs, 12);
  const variant = hex(0x80 | (random[0]! & 0x3f), 2) + hex(random[1]!, 2);
  const node = Array.from(random.subarray(2, 8), (byte) => hex(byte, 2)).join("");
  return `${time.slice(0, 8)}-${time.slice(8)}-${hex(0x7000 | counter, 4)}-${variant}-${node}`;
}

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, "0");
