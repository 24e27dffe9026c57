/** Names the place of what is refused, as a developer would write it: `.tags[3].fn`. Only errors need it. */
export type Step = string | number;

export interface Place {
  readonly path: string;
  /** Whether the way leads through one object twice; the path then ends where it comes back. */
  readonly cycle: boolean;
}

const maxShown = 200;
const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * @param steps leads from `root` through the skeleton: two steps, entry and side, to a part of a Map and to a field of
 * an object that is kept as entries; and positions among the elements that exist in an array with holes.
 */
export function nameOfPlace(root: unknown, steps: readonly Step[]): Place {
  const seen = new Set<unknown>();
  let node = root;
  let path = "";
  for (let i = 0; i < steps.length; i++) {
    seen.add(node);
    const step = steps[i]!;
    const tag = Object.prototype.toString.call(node);
    if (tag === "[object Map]") {
      const side = steps[++i] === 0 ? 0 : 1;
      path += side === 0 ? `<key ${step}>` : `<value ${step}>`;
      node = [...(node as Map<unknown, unknown>)][Number(step)]?.[side];
    } else if (tag === "[object Set]") {
      path += `<element ${step}>`;
      node = [...(node as Set<unknown>)][Number(step)];
    } else {
      const name = typeof step === "number" ? (Object.keys(node as object)[step] ?? "") : step;
      if (typeof step === "number" && !Array.isArray(node)) i++;
      path += typeof step === "number" && Array.isArray(node) ? `[${name}]` : nameStep(name);
      node = (node as Record<string, unknown> | null | undefined)?.[name];
    }
    if (seen.has(node) && typeof node === "object" && node !== null) return { path: cut(path), cycle: true };
  }
  return { path: cut(path), cycle: false };
}

const nameStep = (name: string): string => (identifier.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`);
const cut = (path: string): string => (path.length > maxShown ? `${path.slice(0, maxShown)}…` : path);
