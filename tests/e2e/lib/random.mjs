// Numbers that look random and are the same for the same seed.

import { randomInt } from 'node:crypto';

/** The seed of a test's run: that of the environment (X402_SEED), or any. */
export const seedOfRun = () => Number(process.env.X402_SEED ?? randomInt(1_000_000));

/** A function that gives numbers below its argument (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

/** A number below n that depends on the words alone. */
export function numberOf(n, ...words) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const letter of words.join(' ')) {
    hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  }
  return randomNumbers(hash)(n);
}

/** The elements in another order. */
export function shuffled(list, random) {
  const left = [...list];
  const order = [];
  while (left.length) order.push(...left.splice(random(left.length), 1));
  return order;
}
