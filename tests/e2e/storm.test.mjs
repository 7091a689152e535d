// Everything at once, at random: a node with every fault, reorganizations, dropped
// transactions, a base fee that jumps, kill -9 of the settlers, and callers of both kinds.
// When it is over, whoever was served has paid once, and whoever paid was served once.
//
//   X402_SEED=N       this seed alone; X402_ALL=1 more of them

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask } from './lib/ask.mjs';
import { Miner } from './lib/miner.mjs';
import { FAULTS, Faults } from './lib/node-faults.mjs';
import { sleep, using, waitFor } from './lib/process.mjs';
import { randomNumbers, seedOfRun } from './lib/random.mjs';
import { settlerKey } from './lib/settler.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import { decode, payment } from './lib/wallet.mjs';
import { paymentsByNonce } from './lib/x402.mjs';

const SEED = seedOfRun();
const SEEDS = process.env.X402_SEED ? 1 : process.env.X402_ALL === '1' ? 32 : 6;
const AT_ONCE = 6;
const SAFE_DEPTH = 10;
const DEPTH_MAX = 8;
const STORM_MILLISECONDS = 25_000;
const CLIENTS = 4;
const CHEAP = 5_000_000n; // wei a gas
const PRESENTED_MAX = 40; // times, one payment

// What the node does, by seed. A hang would make a settler wait for most of a storm, and
// what breaks a question makes it wait twice as long each time; what lies does not.
const NODES = [
  { every: 20, list: FAULTS.filter((fault) => fault !== 'hang') },
  { every: 4, list: ['stale', 'behind', 'lost', 'denied', 'delay'] },
  { every: 1_000_000, list: ['delay'] },
];

const locations = (upstream) => `
    location /after/ { x402_price 0.001; proxy_pass ${upstream}; }
    location /first/ { x402_price 0.001; x402_settle before; proxy_pass ${upstream}; }`;

class Storm {
  constructor(seed) {
    this.seed = seed;
    this.random = randomNumbers(seed);
    this.calls = []; // {id, way, path, paid, stubborn, status, failed}
    this.settlers = [];
    this.taken = 0; // how often the chain took transactions back
  }

  async open() {
    this.shop = await openShop({
      safeDepth: SAFE_DEPTH, contract: this.seed % 2 === 0,
      gateway: (upstream) => ({ locations: locations(upstream), settleTimeout: '3s' }),
    });
    this.chain = this.shop.chain;
    this.payers = [];
    for (let i = 0; i < CLIENTS; i++) this.payers.push(await this.shop.newPayer('10'));
    this.keys = [this.shop.key];
    if (this.random(2)) this.keys.push(await settlerKey(this.chain, `second of ${this.shop.payee}`));
    await this.chain.mine(SAFE_DEPTH + DEPTH_MAX); // no reorganization takes their money
    this.miner = new Miner(this.chain, { baseFee: CHEAP });
    this.shop.later(() => this.miner.stop());
    await this.miner.start();
    this.faults = new Faults();
    this.node = await this.shop.nodeProxy(this.faults.rule);
    this.keys.forEach((_, i) => this.startSettler(i));
  }

  async close() {
    await this.shop?.close();
  }

  startSettler(i) {
    const args = ['--batch-age', '1'];
    this.settlers[i] = this.shop.runSettler({ node: this.node, key: this.keys[i], args });
  }

  // ----------------------------------------------------------------------- the callers

  async client(payer) {
    while (!this.over) {
      const call = await this.newCall(payer);
      await this.present(call);
      await sleep(this.random(400));
    }
  }

  async newCall(payer) {
    const id = `call${this.calls.length}`;
    const way = this.random(2) ? 'first' : 'after';
    const call = { id, way, path: `/${way}/x?id=${id}&do=ok`, stubborn: this.random(2) === 1 };
    this.calls.push(call);
    call.paid = await payment(payer, { message: { to: this.shop.payee, value: PRICE } });
    return call;
  }

  /** Until it is served, or a settlement failed and the caller gives up. */
  async present(call) {
    for (let times = 1; times <= PRESENTED_MAX; times++) {
      const got = await ask(this.shop.gateway, call.path, { payment: call.paid });
      call.status = got.status;
      if (got.status === 200) return;
      assert.equal(call.way, 'first', `${got.status} ${got.body}`);
      call.failed = got.status === 402;
      assert.ok([402, 503].includes(got.status), `${got.status} ${got.body}`);
      assert.equal(decode(got.headers['payment-response']).success, false);
      if (call.failed && !call.stubborn) return;
      await sleep(500);
    }
    assert.fail(`presented ${PRESENTED_MAX} times: ${JSON.stringify(call.paid.message.nonce)}`);
  }

  // ----------------------------------------------------------------------- the weather

  async weather() {
    const kinds = ['reorg', 'reorg', 'kill', 'kill', 'drop', 'fee', 'calm', 'calm'];
    const end = Date.now() + STORM_MILLISECONDS;
    while (Date.now() < end) {
      await this[kinds[this.random(kinds.length)]]();
      await sleep(300 + this.random(1500));
    }
  }

  reorg() {
    this.taken++;
    return this.chain.rpc('anvil_reorg', 1 + this.random(DEPTH_MAX), []);
  }

  async kill() {
    const i = this.random(this.settlers.length);
    await this.settlers[i].kill();
    this.startSettler(i);
  }

  drop() {
    this.taken++;
    return this.chain.rpc('anvil_dropAllTransactions');
  }

  fee() {
    this.miner.baseFee = [CHEAP, CHEAP, 2n * CHEAP, 10n * CHEAP][this.random(4)];
  }

  calm() {}

  async rage() {
    this.faults.atRandom(this.seed, NODES[this.seed % NODES.length]);
    const clients = this.payers.map((payer) => this.client(payer));
    const all = Promise.all(clients);
    await Promise.race([this.weather(), all]);
    this.over = true;
    this.lies = this.faults.fired.filter((one) => /(stale|behind) eth_call/.test(one)).length;
    this.faults.clear();
    this.miner.baseFee = CHEAP;
    await all;
  }

  // ----------------------------------------------------------------------- the calm after

  rows() {
    return paymentsByNonce(this.shop.gateway);
  }

  async settleDown() {
    let left;
    await waitFor(async () => {
      left = [...(await this.rows()).values()].filter((row) => !['final', 'failed'].includes(row.money));
      return left.length === 0;
    }, 'all to be final', 90_000, 500).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(left.slice(0, 3), null, 1)}\n${this.log()}`);
    });
    for (const settler of this.settlers) await settler.stop();
    await this.miner.stop();
  }

  log() {
    return this.settlers[0].log().slice(-3000);
  }

  async check() {
    const rows = await this.rows();
    assert.equal(rows.size, this.calls.length);
    let paid = 0n;
    for (const call of this.calls) {
      const row = rows.get(call.paid.message.nonce);
      const about = JSON.stringify({ ...call, paid: undefined, row });
      const served = this.shop.upstream.count(call.id);
      assert.equal(served, call.status === 200 ? 1 : 0, about);
      assert.equal(row.money, served ? 'final' : 'failed', about);
      paid += served ? PRICE : 0n;
    }
    assert.equal(await this.chain.balance(this.shop.payee), paid, 'what the payee has');
    let left = 0n;
    for (const { address } of this.payers) left += await this.chain.balance(address);
    assert.equal(left, BigInt(CLIENTS) * 10_000_000n - paid);
    await this.shop.checkBooks();
    return this.checkTransactions(new Set([...rows.values()].map((row) => row.transaction)));
  }

  /**
   * Some are in vain: one for a lie about what is used, and one for each time that the chain
   * took transactions back, whose places others had to fill.
   */
  async checkTransactions(useful) {
    useful.delete(null);
    let sent = 0;
    for (const { address } of this.keys) {
      sent += Number(await this.chain.rpc('eth_getTransactionCount', address, 'latest'));
    }
    const wasted = sent - useful.size;
    assert.ok(wasted <= this.lies + this.taken, `${wasted} moved nothing`);
    return `${this.calls.length} calls, ${sent} transactions, ${wasted} of them in vain`;
  }
}

describe('a storm', { concurrency: AT_ONCE }, () => {
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    test(`leaves_everything_paid_and_served_once_with_X402_SEED=${seed}`, (context) =>
      using(new Storm(seed), async (storm) => {
        await storm.open();
        await storm.rage();
        await storm.settleDown();
        const summary = await storm.check();
        context.diagnostic(`${summary} (${storm.taken} taken, ${storm.lies} lies)`);
      }));
  }
});
