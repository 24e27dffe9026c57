/** Writes random records until there are so many bytes of them, a megabyte to a commit. */
import { stress } from "./database.ts";

const randomBytes = 3072;
/** Of the text of one record: base64 has four characters for three bytes. */
const recordBytes = (randomBytes / 3) * 4;
const recordsToCommit = 256;
export const commitBytes: number = recordBytes * recordsToCommit;

const randomText = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(randomBytes))));

/** `committed` is told how long each commit took. Ends early, without an error, when the signal is aborted. */
export async function fill(bytes: number, committed: (tookMs: number) => void, signal: AbortSignal): Promise<void> {
  const filling = stress.collection("filling");
  const last = await filling.where().reverse().first();
  let id = (last?.id ?? -1) + 1;
  for (let written = 0; written < bytes && !signal.aborted; written += commitBytes) {
    const records = Array.from({ length: recordsToCommit }, () => ({ id: id++, text: randomText() }));
    const startedAt = performance.now();
    await filling.putMany(records);
    committed(performance.now() - startedAt);
  }
}
