/** Standard normal quantile of a two-sided 95 % interval. */
const Z = 1.959964;

export interface Interval {
  low: number;
  high: number;
}

/** The 95 % score interval of a proportion (Wilson 1927); [0, 1] when nothing was tried. */
export function wilson(successes: number, trials: number): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const middle = share + (Z * Z) / (2 * trials);
  const half = Z * Math.sqrt((share * (1 - share)) / trials + (Z * Z) / (4 * trials * trials));
  const whole = 1 + (Z * Z) / trials;
  return { low: Math.max(0, (middle - half) / whole), high: Math.min(1, (middle + half) / whole) };
}
