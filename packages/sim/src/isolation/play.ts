/** Plays a script, wherever its transactions are. */
import type { Action, Ended, Item, Name, Outcome, Step } from "./script.ts";

export interface Part {
  act(action: Action): Promise<void>;
  end(how: "commit" | "rollback"): Promise<Ended>;
}

export interface Theatre {
  /** Another transaction. */
  part(who: Name): Part;
  /** Done between every two steps. */
  between(): Promise<void>;
  /** What there is now. */
  items(): Promise<readonly Item[]>;
}

export async function play(steps: readonly Step[], theatre: Theatre): Promise<Outcome> {
  const parts = new Map<Name, Part>();
  const ended: { [who in Name]?: Ended } = {};
  for (const { who, what } of steps) {
    const part = parts.get(who) ?? theatre.part(who);
    parts.set(who, part);
    if (typeof what === "string") ended[who] = await part.end(what);
    else await part.act(what);
    await theatre.between();
  }
  const items = await theatre.items();
  return { ended, items: Object.fromEntries(items.map((item) => [item.id, item])) };
}
