/** How many of `numbers`, ascending, are below `at`: the position of the first that is not. It is `from` or further on. */
export function countBelow(numbers: ArrayLike<number>, at: number, from = 0): number {
  let low = from;
  for (let high = numbers.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
