/** "; did you mean 'notes'?" where one of the names is close to what was asked for, else nothing. */
export function didYouMean(asked: string, names: Iterable<string>): string {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(asked.length / 3)) + 1;
  for (const name of names) {
    const distance = name.toLowerCase() === asked.toLowerCase() ? 0 : editsBetween(asked, name);
    if (distance < least) [best, least] = [name, distance];
  }
  return best === undefined ? "" : `; did you mean '${best}'?`;
}

/** How many letters have to be inserted, deleted, replaced or swapped with the next. */
function editsBetween(a: string, b: string): number {
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, replaced);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwapped) next[j] = Math.min(next[j]!, above[j - 2]! + 1);
    }
    [above, row] = [row, next];
  }
  return row[b.length]!;
}
