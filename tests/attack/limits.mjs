// Who spends whose budget, and who notices.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { newAccount } from '../e2e/lib/wallet.mjs';
import { sleep } from '../e2e/lib/process.mjs';
import { isServed, tally } from './target.mjs';

const FLOOD = 400;
const FLOOD_MILLISECONDS = 10_000;
const UNNOTICED_MILLISECONDS = 250;
const TRIES = 3; // the machine may be busy with something else

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

/** Forged payments that name `victim`. */
const forgeries = (target, victim, count) => Promise.all(Array.from({ length: count }, () =>
  target.sign(victim, { signer: newAccount() })));

/** A payer buys calls from one address: how many were served. */
async function buys(target, payer, count, localAddress = target.client()) {
  const answers = [];
  for (let i = 0; i < count; i++) {
    answers.push(await target.send(target.call(), { payment: await target.sign(payer), localAddress }));
  }
  return answers;
}

async function spoofedPayer(target) {
  const victim = await target.payer();
  const localAddress = target.client();
  const forged = await forgeries(target, victim, 100);
  const attack = await Promise.all(forged.map((paid) =>
    target.send(target.call(), { payment: paid, localAddress })));
  const answers = await buys(target, victim, 5);
  return {
    ok: answers.every(isServed) && !attack.some(isServed),
    did: `to the attacker ${tally(attack)}; to the victim ${tally(answers)}`,
  };
}

async function repeatedPayer(target) {
  const victim = await target.payer();
  const used = await target.sign(victim);
  await target.send(target.call(), { payment: used });
  const localAddress = target.client();
  const attack = await Promise.all(Array.from({ length: 100 }, () =>
    target.send(target.call(), { payment: used, localAddress })));
  const answers = await buys(target, victim, 5);
  return {
    ok: answers.every(isServed) && !attack.some(isServed),
    did: `to the attacker ${tally(attack)}; to the victim ${tally(answers)}`,
  };
}

/** The attacker says that it comes from the victim's address. */
async function spoofedAddress(target) {
  const [victim, attacker] = [target.client(), target.client()];
  const headers = Object.fromEntries(
    ['X-Forwarded-For', 'X-Real-IP', 'True-Client-IP', 'CF-Connecting-IP', 'Forwarded'].map((name) =>
      [name, name === 'Forwarded' ? `for=${victim}` : victim]));
  const forged = await forgeries(target, newAccount(), 200);
  const attack = await Promise.all(forged.map((paid) => target.send(target.call(), {
    headers: { ...paid.headers, ...headers }, localAddress: attacker })));
  const answers = await buys(target, await target.payer(), 5, victim);
  return {
    ok: answers.every(isServed) && !attack.some(isServed),
    did: `to the attacker ${tally(attack)}; to the victim ${tally(answers)}`,
  };
}

/** Well-behaved calls, one after the other, until told to stop: latencies, and answers. */
async function wellBehaved(target, paid, isOver) {
  const [latencies, answers, localAddress] = [[], [], target.client()];
  for (const one of paid) {
    if (isOver()) break;
    const began = performance.now();
    answers.push(await target.send(target.call(), { payment: one, localAddress }));
    latencies.push(performance.now() - began);
    await sleep(100);
  }
  return { answers, latencies: latencies.sort((a, b) => a - b) };
}

/**
 * The same beside `attack`, compared with a quiet time before. The attack comes from this very
 * process: for how long it was kept from looking at its answers, nobody made it wait.
 */
async function beside(target, attack) {
  const paid = await target.newPayments(120);
  const quiet = await wellBehaved(target, paid.splice(0, 20), () => false);
  let over = false;
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const attacked = attack().then((answers) => { over = true; return answers; });
  const busy = await wellBehaved(target, paid, () => over);
  delay.disable();
  const answers = await attacked;
  const [before, during] = [quiet, busy].map(({ latencies }) => quantile(latencies, 0.95));
  const kept = delay.max / 1e6;
  return {
    calm: during <= Math.max(3 * before, UNNOTICED_MILLISECONDS) + kept,
    ok: busy.answers.every(isServed) && !answers.some(isServed),
    did: `to the attacker ${tally(answers)}; beside it ${tally(busy.answers)}, `
      + `p95 ${during.toFixed(0)} ms (${before.toFixed(0)} ms before; `
      + `this process kept from it for ${kept.toFixed(0)} ms)`,
  };
}

/** The first try in which nobody noticed, or the last. */
async function flood(target, milliseconds) {
  let seen;
  for (let i = 0; i < TRIES && !seen?.calm; i++) seen = await floodOnce(target, milliseconds);
  return { ok: seen.ok && seen.calm, did: seen.did };
}

async function floodOnce(target, milliseconds) {
  const forged = await forgeries(target, newAccount(), FLOOD);
  const localAddress = target.client();
  return beside(target, () => Promise.all(forged.map(async (paid, i) => {
    await sleep((i * milliseconds) / FLOOD);
    return target.send(target.call(), { payment: paid, localAddress });
  })));
}

const unnoticed = 'serves the other as before';

export const limits = [
  { name: '100 forged payments that name a payer', correct: 'serves that payer', run: spoofedPayer },
  { name: '100 copies of a payer\'s used payment', correct: 'serves that payer', run: repeatedPayer },
  { name: '200 forged payments that claim to come from a client\'s address',
    correct: 'serves that client', run: spoofedAddress },
  { name: '400 forged payments in ten seconds from one address', correct: unnoticed,
    run: (target) => flood(target, FLOOD_MILLISECONDS) },
  { name: '400 forged payments in one second from one address', correct: unnoticed,
    run: (target) => flood(target, 1_000) },
];
