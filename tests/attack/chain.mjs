// Money that goes elsewhere, or nowhere, between the call and its settlement.

import { cancel, drain, useElsewhere } from '../e2e/lib/elsewhere.mjs';
import { sleep } from '../e2e/lib/process.mjs';
import { isServed, tally } from './target.mjs';

const PAYMENTS = 20;
const SETTLE_MILLISECONDS_MAX = 30_000;

/** What was served to payments of one payer, and what of it the payer still has. */
async function lossOf(target, path, { payer, list, early }) {
  const localAddress = target.client();
  const before = await target.chain.balance(payer.address);
  const answers = await Promise.all(list.map((paid) =>
    target.send(target.call(path), { payment: paid, localAddress })));
  const owed = BigInt(answers.filter(isServed).length) * target.price;
  const uncollected = await settled(async () =>
    owed - early - (before - await target.chain.balance(payer.address)));
  return { answers, uncollected };
}

/** Waits until nothing is missing, or nothing more comes for a while. */
async function settled(missing) {
  let least = await missing();
  const end = Date.now() + SETTLE_MILLISECONDS_MAX;
  for (let last = Date.now(); least > 0n && Date.now() < end && Date.now() - last < 5_000;) {
    await sleep(250);
    const now = await missing();
    if (now < least) [least, last] = [now, Date.now()];
  }
  return least;
}

async function loss(target, path, bound, payments) {
  const { answers, uncollected } = await lossOf(target, path, payments);
  return {
    ok: uncollected <= bound,
    did: `${tally(answers)}; ${uncollected > 0n ? uncollected : 0n} units uncollected, ${bound} may be`,
  };
}

/** Payments of one payer, and what is done behind the server's back before they are presented. */
async function prepared(target, behind) {
  const payer = await target.payer();
  const list = await Promise.all(Array.from({ length: PAYMENTS }, () => target.sign(payer)));
  await behind(payer, list);
  return { payer, list, early: 0n };
}

const canceled = (target) => prepared(target, async (payer, list) => {
  for (const paid of list) await cancel(target.chain, payer, paid);
});

const drained = (target) => prepared(target, (payer) => drain(target.chain, payer));

/** The money is with the payee before the payments are presented, twice each. */
async function frontRun(target, path) {
  const all = await prepared(target, async (payer, list) => {
    for (const paid of list) await useElsewhere(target.chain, paid);
  });
  all.early = target.price * BigInt(PAYMENTS);
  return loss(target, path, 0n, { ...all, list: [...all.list, ...all.list] });
}

const credit = (target) => BigInt(Math.round(Number(target.options.credit ?? 0) * 1e6));

export const chain = [
  { name: 'canceled authorizations of one payer', correct: 'loses its stated credit at most',
    needs: ['chain'], run: async (target) =>
      loss(target, target.path, credit(target), await canceled(target)) },
  { name: 'a payer drained before its payments settle', correct: 'loses its stated credit at most',
    needs: ['chain'], run: async (target) =>
      loss(target, target.path, credit(target), await drained(target)) },
  { name: 'authorizations front-run by a stranger, each presented twice',
    correct: 'serves what it has the money for, once',
    needs: ['chain'], run: (target) => frontRun(target, target.path) },
  { name: 'canceled authorizations where it settles first', correct: 'loses nothing',
    needs: ['chain', 'upfront'], run: async (target) =>
      loss(target, target.options.upfront, 0n, await canceled(target)) },
  { name: 'a drained payer where it settles first', correct: 'loses nothing',
    needs: ['chain', 'upfront'], run: async (target) =>
      loss(target, target.options.upfront, 0n, await drained(target)) },
  { name: 'front-run authorizations where it settles first, each presented twice',
    correct: 'serves what it has the money for, once',
    needs: ['chain', 'upfront'], run: (target) => frontRun(target, target.options.upfront) },
];
