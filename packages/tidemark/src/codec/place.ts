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
 * @param steps leads from `root` through the skeleton: two steps to a part of a Map, entry and side; and positions
 * among the elements that exist in an array with holes.
 */
export function nameOfPlace(root: unknown, steps: readonly Step[]): Place {
  const seen = new Set<unknown>();
  let node = root;
  let path = "";
  for (let i = 0; i < steps.length; i++) {
    seen.add(node);
    const step = steps[i]!;
    if (node instanceof Map) {
      const side = steps[++i] === 0 ? 0 : 1;
      path += side === 0 ? `<key ${step}>` : `<value ${step}>`;
      node = [...node][Number(step)]?.[side];
    } else if (node instanceof Set) {
      path += `<element ${step}>`;
      node = [...node][Number(step)];
    } else {
      const name = Array.isArray(node) && typeof step === "number" ? Object.keys(node)[step] : step;
      path += typeof step === "number" ? `[${name}]` : nameStep(step);
      node = (node as Record<Step, unknown> | null | undefined)?.[name ?? step];
    }
    if (seen.has(node) && typeof node === "object" && node !== null) return { path: cut(path), cycle: true };
  }
  return { path: cut(path), cycle: false };
}

const nameStep = (name: string): string => (identifier.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`);
const cut = (path: string): string => (path.length > maxShown ? `${path.slice(0, maxShown)}…` : path);
