/** Which records YCSB's workloads ask for (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, 2010). */

const theta = 0.99; // YCSB's constant
const zeta = (n: number): number => {
  let sum = 0;
  for (let i = 1; i <= n; i++) sum += 1 / i ** theta;
  return sum;
};

/** Ranks below `n`, small ones by far the most often: Gray et al., Quickly Generating Billion-Record Databases, 1994. */
export function zipfian(n: number, random: () => number): () => number {
  const [zetaN, alpha] = [zeta(n), 1 / (1 - theta)];
  const eta = (1 - (2 / n) ** (1 - theta)) / (1 - zeta(2) / zetaN);
  return () => {
    const u = random();
    if (u * zetaN < 1) return 0;
    if (u * zetaN < 1 + 0.5 ** theta) return 1;
    return Math.min(n - 1, Math.floor(n * (eta * u - eta + 1) ** alpha));
  };
}

/** 64 bits of FNV-1a over a number's bytes, as YCSB spreads its ranks over the keys. */
export function fnv(n: number): number {
  let hash = 0xcbf29ce484222325n;
  for (let rest = BigInt(n), i = 0; i < 8; i++, rest >>= 8n) {
    hash = BigInt.asUintN(64, (hash ^ (rest & 0xffn)) * 0x100000001b3n);
  }
  return Number(hash >> 11n);
}
