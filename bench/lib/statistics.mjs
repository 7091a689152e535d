// Medians and spreads.
export const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

/** A figure of several rounds. */
export const figure = (list) => (
  { median: median(list), min: Math.min(...list), max: Math.max(...list) });

/** Adds up objects of counts. */
export function sumCounts(list) {
  const sum = {};
  for (const one of list) {
    for (const [key, count] of Object.entries(one)) sum[key] = (sum[key] ?? 0) + count;
  }
  return sum;
}
