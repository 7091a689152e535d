// Clients that take their time, and upstreams that do, beside somebody who pays.

import { isServed, tally } from './target.mjs';
import { sleep } from '../e2e/lib/process.mjs';

const CONNECTIONS = 200;
const HELD_MILLISECONDS = 3_000; // how long an attack goes on before honest calls are made
const CALM_MILLISECONDS_MAX = 1_000;
const TRIES = 3; // the machine may be busy with something else

/** Honest calls, one after the other, beside what is held open; then lets it go. */
async function beside(target, connections) {
  const paid = await target.newPayments(15);
  const [answers, times] = [[], []];
  for (const one of paid) {
    const began = performance.now();
    answers.push(await target.send(target.call(), { payment: one }));
    times.push(performance.now() - began);
  }
  for (const connection of connections) connection.abort();
  const slowest = Math.max(...times);
  return {
    calm: slowest < CALM_MILLISECONDS_MAX,
    ok: answers.every(isServed),
    did: `${tally(answers)}, the slowest after ${slowest.toFixed(0)} ms`,
  };
}

/** Tries an attack until nobody notices it, a few times; whoever is not served is a fault at once. */
const tried = (attack) => async (target) => {
  let seen = await attack(target);
  for (let i = 1; i < TRIES && seen.ok && !seen.calm; i++) seen = await attack(target);
  return { ok: seen.ok && seen.calm, did: seen.did };
};

/** Opens connections that have sent `first`, and go on sending `next(i)`, byte by byte. */
async function dripping(target, count, first, next) {
  const address = target.client();
  const connections = await Promise.all(Array.from({ length: count }, () => target.raw(address)));
  await Promise.all(connections.map(async (connection, i) => connection.write(await first(i))));
  for (let left = HELD_MILLISECONDS; left > 0; left -= 500) {
    for (const connection of connections) if (!connection.ended) connection.write(next);
    await sleep(500);
  }
  return connections;
}

const slowloris = async (target) => beside(target, await dripping(target, CONNECTIONS,
  () => `GET ${target.call().path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-`, 'a'));

/** Paid calls whose bodies never come to their end. */
const slowBody = async (target) => {
  const paid = await target.newPayments(100);
  return beside(target, await dripping(target, paid.length, (i) =>
    `POST ${target.call().path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${paid[i].name}: ${paid[i].value}\r\n`
    + 'Content-Length: 1000000\r\n\r\n', 'a'));
};

/** Paid calls with an answer of 4 MB that nobody reads. */
async function slowReader(target) {
  const paid = await target.newPayments(50);
  const connections = await dripping(target, paid.length, (i) =>
    `GET ${target.call(target.path, '&size=4000000').path} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
    + `${paid[i].name}: ${paid[i].value}\r\n\r\n`, '');
  for (const connection of connections) connection.socket.pause();
  return beside(target, connections);
}

/** Paid calls that the upstream does not answer. */
async function slowUpstream(target) {
  const paid = await target.newPayments(100);
  return beside(target, await dripping(target, paid.length, (i) =>
    `GET ${target.call(target.path, '&do=hang').path} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
    + `${paid[i].name}: ${paid[i].value}\r\n\r\n`, ''));
}

/** A slow call's payment, presented again and again meanwhile. */
async function slowAndAgain(target) {
  const [paid, call] = [await target.newPayment(), target.call(target.path, '&delay=4000')];
  const first = target.send(call, { payment: paid });
  await sleep(300);
  const meanwhile = await Promise.all(Array.from({ length: 20 }, () =>
    target.send(call, { payment: paid })));
  const answers = [await first, ...meanwhile, await target.send(call, { payment: paid })];
  const executed = await target.executed(call, answers);
  return {
    ok: executed === 1 && answers.filter(isServed).length === 1,
    did: `${tally(answers)}; executed ${executed}`,
  };
}

/** A paid call whose client has gone, then the payment again: it buys no second answer. */
async function gone(target) {
  const [paid, call] = [await target.newPayment(), target.call(target.path, '&do=slow&pieces=5&every=100')];
  const connection = await target.raw();
  connection.request('GET', call.path, { headers: paid.headers });
  await connection.readHead();
  connection.abort();
  await sleep(1_000);
  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(await target.send(call, { payment: paid }));
  const executed = await target.executed(call);
  return { ok: executed === 1 && !answers.some(isServed), did: `${tally(answers)}; executed ${executed}` };
}

const served = 'serves others within a second';

export const slow = [
  { name: `${CONNECTIONS} clients that never finish their headers`, correct: served, run: tried(slowloris) },
  { name: '100 paid bodies that never end', correct: served, run: tried(slowBody) },
  { name: '50 paid readers that do not read', correct: served, needs: ['testUpstream'], run: tried(slowReader) },
  { name: '100 paid calls that the upstream does not answer', correct: served, needs: ['testUpstream'], run: tried(slowUpstream) },
  { name: 'a payment again while its slow call is served', correct: 'serves one',
    needs: ['testUpstream', 'counter'], run: slowAndAgain },
  { name: 'a client that leaves amid the answer, and comes again', correct: 'executes once',
    needs: ['testUpstream', 'counter'], run: gone },
];
