/** A blog post as it was typed, keystroke by keystroke: the recording that ships with this page. */
import { loadDataFile } from "../data-file.ts";

export type TextPatch = readonly [position: number, deleted: number, inserted: string];

export interface TypingSession {
  readonly startContent: string;
  readonly endContent: string;
  readonly txns: readonly { readonly patches: readonly TextPatch[] }[];
}

let loaded: Promise<TypingSession> | undefined;

/** Loaded once, unless that fails. */
export function loadTypingSession(): Promise<TypingSession> {
  loaded ??= load();
  loaded.catch(() => (loaded = undefined));
  return loaded;
}

async function load(): Promise<TypingSession> {
  const { body } = await loadDataFile("typing-session.json.gzip");
  if (!body) throw new Error("The typing session came without content.");
  return (await new Response(body.pipeThrough(new DecompressionStream("gzip"))).json()) as TypingSession;
}
