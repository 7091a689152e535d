// One soak: stretches of traffic with what happens meanwhile, a rest and a measurement after
// each, and in the end the accounts.

import { sleep, waitFor } from '../e2e/lib/process.mjs';
import { payments, paymentsByNonce, x402Output } from '../e2e/lib/x402.mjs';
import { account, compareBalances } from './accounts.mjs';
import { Chaos } from './chaos.mjs';
import { checkAll } from './checks.mjs';
import { ledgerOf, logBytes, processesOf } from './measure.mjs';
import { sabotages } from './sabotage.mjs';
import { WORKERS, openStand } from './stand.mjs';
import { Traffic } from './traffic.mjs';

const EVERYTHING = ['reload', 'reload', 'worker', 'worker', 'settler', 'settler', 'storm', 'down'];

/**
 * The stretches, by their share of the time. In the steady ones the workers stay, so that one
 * can be held against itself; in the last of them the settler stays, too. Its memory and
 * theirs is that after `level` against that after `steady`: caches have filled by `level`.
 */
const STRETCHES = [
  { name: 'rough', share: 0.3, kinds: EVERYTHING },
  { name: 'level', share: 0.2, kinds: ['settler', 'storm', 'down'] },
  { name: 'steady', share: 0.3, kinds: ['storm', 'down'] },
  { name: 'rough again', share: 0.2, kinds: EVERYTHING },
];

const WARM_MILLISECONDS = 4000;
const REST_MILLISECONDS = 2500; // two writings of what workers count
const SAMPLE_MILLISECONDS = 1000;
const KEPT_MAX = 500; // what the node's stand-ins remember
const KILL_SLACK_MILLISECONDS = 500;
const BOOKS_MILLISECONDS = 300_000; // each payment is looked for on the chain
const LEASE_MILLISECONDS = 32_000; // of a worker that was killed

export class Soak {
  /** `say` hears of progress; `sabotage` names what shall go wrong (sabotage.mjs). */
  constructor({ seconds, seed, rate, sabotage, say = () => {} }) {
    Object.assign(this, { seconds, seed, rate, say });
    this.sabotage = sabotages[sabotage] ?? {};
    this.rests = [];
    this.executions = new Map(); // by nonce
    this.most = { log: 0, worker: 0 };
    this.fired = {}; // faults of the node, by name
  }

  async open() {
    Object.assign(this, await openStand(this.seed));
    this.traffic = new Traffic(this);
    this.chaos = new Chaos(this);
    this.chaos.start();
  }

  close() {
    clearInterval(this.sampling);
    return this.shop?.close();
  }

  // -------------------------------------------------------------------- what is measured

  /** Each second; and keeps the test's own memory in bounds. */
  sample() {
    const { workers } = processesOf(this.shop.gateway, null);
    this.most.worker = Math.max(this.most.worker, ...workers.map(({ anonymous }) => anonymous));
    this.most.log = Math.max(this.most.log, logBytes(this.shop.gateway));
    this.harvest();
  }

  harvest() {
    for (const { headers } of this.shop.upstream.calls.splice(0)) {
      const nonce = headers['x-nonce'];
      if (nonce) this.executions.set(nonce, (this.executions.get(nonce) ?? 0) + 1);
    }
    for (const one of this.faults.fired.splice(0)) {
      const [name] = one.split(' ');
      this.fired[name] = (this.fired[name] ?? 0) + 1;
    }
    this.proxy.calls.splice(0);
    if (this.faults.answers.size > KEPT_MAX) this.faults.answers.clear();
  }

  /** Nobody asks, all is settled, no worker of before is left: what there is then. */
  async rest(name) {
    this.faults.clear();
    await this.traffic.rest();
    const { gateway } = this.shop;
    await waitFor(() => gateway.workers({ all: true }).length === WORKERS, 'the old workers to end', 30_000);
    await this.none('due', 'submitted');
    await sleep(REST_MILLISECONDS);
    const rest = {
      name, ...processesOf(gateway, this.chaos.running), ledger: await ledgerOf(gateway),
      answers: new Map(this.traffic.byWorker), requests: this.traffic.total, at: Date.now(),
    };
    this.rests.push(rest);
    this.say(`at rest after "${name}": ${rest.requests} calls, ${rest.ledger.payments} payments`);
    await this.sabotage.afterRest?.(this, name);
  }

  /** Waits until no payment is of any of these states. */
  async none(...states) {
    let left = [];
    await waitFor(async () => {
      left = (await Promise.all(states.map((state) =>
        payments(this.shop.gateway, '--status', state, '--limit', '3')))).flat();
      return left.length === 0;
    }, `no payment to be ${states.join(' or ')}`, 90_000, 250).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(left, null, 1)}`);
    });
  }

  // ------------------------------------------------------------------------- the stretches

  async run() {
    await this.traffic.run(WARM_MILLISECONDS);
    await this.rest('warming up');
    this.began = Date.now();
    await this.sabotage.begin?.(this);
    this.sampling = setInterval(() => this.sample(), SAMPLE_MILLISECONDS);
    for (const stretch of STRETCHES) await this.stretch(stretch);
    clearInterval(this.sampling);
    await this.sabotage.end?.(this);
  }

  async stretch({ name, share, kinds }) {
    const milliseconds = this.seconds * share * 1000;
    this.say(`${name}, for ${Math.round(milliseconds / 1000)} s`);
    await Promise.all([this.traffic.run(milliseconds), this.chaos.run(milliseconds, kinds)]);
    await this.rest(name);
  }

  // ---------------------------------------------------------------------------- the end

  /** Serves what is owed, waits until all is final, and stops. */
  async finish() {
    await this.passLeases();
    await waitFor(() => this.serveOwed(), 'all that is owed to be served', 60_000, 500);
    await this.none('due', 'submitted', 'settled');
    this.harvest();
    await this.chaos.running.stop();
    await this.shop.gateway.quit();
  }

  /** What killed workers left is abandoned by whoever tidies up: a settler, when it starts. */
  async passLeases() {
    const last = Math.max(0, ...this.chaos.killed.map(({ at }) => at));
    await sleep(Math.max(0, last + LEASE_MILLISECONDS - Date.now()));
    await this.chaos.running.stop();
    this.chaos.start();
    await this.none('pending');
  }

  /** What was charged and not served, presented again; whether nothing is left. */
  async serveOwed() {
    const owed = await payments(this.shop.gateway, '--status', 'owed', '--limit', '1000');
    for (const { nonce } of owed) await this.traffic.presentWell(this.traffic.sales.get(nonce));
    return owed.length === 0;
  }

  /** {faults, accounts, books, excused}: all that is not as it must be, and what is to be told. */
  async judge() {
    const { shop, traffic, chaos } = this;
    const rows = await paymentsByNonce(shop.gateway);
    const books = await this.checkBooks();
    const accounts = account({
      sales: traffic.sales, rows, executions: this.executions, killed: chaos.killed,
    });
    const balances = await compareBalances(shop, this.payers, this.money, accounts.charged);
    const odd = traffic.odd.filter((one) => !this.isExcused(one));
    return {
      accounts, books: books.said, excused: traffic.odd.length - odd.length,
      faults: [
        ...odd.map((one) => `an answer: ${JSON.stringify(one)}`), ...accounts.faults,
        ...balances, ...books.faults, ...checkAll(this.figures()),
      ],
    };
  }

  /** `x402 check --books --rpc`: what it said, or the fault that it found. */
  async checkBooks() {
    const { gateway, chain } = this.shop;
    const args = ['check', '--data', gateway.data, '--books', '--rpc', `base-sepolia=${chain.url}`];
    try {
      return { said: await x402Output(args, { gateway, within: BOOKS_MILLISECONDS }), faults: [] };
    } catch (error) {
      return { said: '', faults: [`the books: ${error.message}`] };
    }
  }

  figures() {
    return { rests: this.rests, most: this.most, reloads: this.chaos.counts.reload };
  }

  /** No answer, where a worker was killed meanwhile, or an HTTP/2 connection ended in a reload. */
  isExcused({ broken, from, to, protocol }) {
    if (!broken) return false;
    const meets = (start, end) =>
      start <= to + KILL_SLACK_MILLISECONDS && end >= from - KILL_SLACK_MILLISECONDS;
    return this.chaos.killed.some(({ at }) => meets(at, at))
      || (protocol === 'http2' && this.chaos.reloads.some((one) => meets(one.from, one.to)));
  }
}
