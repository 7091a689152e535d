// After it is over: what every payment got, held against what it was charged, by the ledger
// and by the chain.

import { usdc } from '../e2e/lib/chain.mjs';
import { PRICE } from '../e2e/lib/shop.mjs';

// An outcome is written at most 5 ms after its answer, and that again while the ledger is
// busy; a kill takes along what was not.
const OUTCOME_MILLISECONDS = 1000;

const isGood = (seen) => seen.status === 200 && seen.whole;

/** Whether a kill may have taken the outcome of what was seen. */
const lostByKill = (seen, killed) => killed.some(({ pid, at }) =>
  pid === seen.worker && at >= seen.from && at - seen.to < OUTCOME_MILLISECONDS);

/**
 * What is wrong with one payment: a sentence, or nothing. `row` is its row in the ledger,
 * undefined when there is none; `executed` is how often the upstream was reached with it.
 */
export function faultOf({ sale, row, executed, killed }) {
  const good = sale.presented.filter(isGood);
  const charged = row?.money === 'final';
  if (row && !charged && row.money !== 'released') return `its money is ${row.money}`;
  if (row && executed > row.attempts) return `executed ${executed} times in ${row.attempts} attempts`;
  if (good.length > 1 && !good.slice(0, -1).every((seen) => lostByKill(seen, killed))) {
    return `served ${good.length} times`;
  }
  if (charged && !sale.presented.some((seen) => isGood(seen) || (seen.left && seen.status === 200))) {
    return 'charged and not served';
  }
  if (good.length && !charged && !good.every((seen) => lostByKill(seen, killed))) {
    return `served and not charged: ${row?.delivery ?? 'not in the ledger'}`;
  }
  return undefined;
}

/**
 * All payments: {faults, charged, given, twice}. `given` are those that a kill made gifts:
 * served, and never charged; `twice` those settled first that one gave back.
 */
export function account({ sales, rows, executions, killed }) {
  const result = { faults: [], charged: 0, given: 0, twice: 0, left: 0 };
  for (const [nonce, sale] of sales) {
    const row = rows.get(nonce);
    const fault = faultOf({ sale, row, executed: executions.get(nonce) ?? 0, killed });
    if (fault) result.faults.push(`${sale.path} ${fault}: ${JSON.stringify({ row, presented: sale.presented })}`);
    const good = sale.presented.filter(isGood).length;
    if (row?.money === 'final') result.charged++;
    else if (good) result.given++;
    if (good > 1) result.twice++;
    if (row?.money === 'final' && !good) result.left++;
  }
  for (const nonce of rows.keys()) {
    if (!sales.has(nonce)) result.faults.push(`${nonce} is in the ledger and was never presented`);
  }
  return result;
}

/** What the chain says moved, against that: sentences. */
export async function compareBalances({ chain, payee }, payers, money, charged) {
  const faults = [];
  const expected = BigInt(charged) * PRICE;
  const earned = await chain.balance(payee);
  let left = 0n;
  for (const { address } of payers) left += await chain.balance(address);
  const spent = BigInt(payers.length) * usdc(money) - left;
  if (earned !== expected) faults.push(`the payee has ${earned}, the ledger says ${expected}`);
  if (spent !== expected) faults.push(`the payers spent ${spent}, the ledger says ${expected}`);
  return faults;
}
