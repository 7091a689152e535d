// kill -9 at every named step of the workers and of the settler (src/core/failpoint.h), then
// a restart: nothing is served twice, what was charged has arrived, what has arrived is
// charged but for the calls in flight, and ledger and chain agree.
//
//   X402_ALL=1              each point at more of its passages
//   X402_CASE=NAME          only this point

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { callOn, presentAgain } from './lib/calls.mjs';
import { runThrough, startFacilitator } from './lib/facilitator.mjs';
import { Lanes } from './lib/lanes.mjs';
import { Miner } from './lib/miner.mjs';
import { ROOT, sleep, waitFor } from './lib/process.mjs';
import { RawConnection } from './lib/raw.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import { nowSeconds, payment } from './lib/wallet.mjs';
import { paymentsByNonce } from './lib/x402.mjs';

const LANES = 4; // shops at work at once
const CLIENTS = 4; // of a shop
const LEASE = 31; // seconds; a little more than one
const SAFE_DEPTH = 5;
const PASSAGES = process.env.X402_ALL === '1' ? [1, 2, 3, 4, 5, 6, 8, 13, 21] : [1, 2, 5];
// Points at which a settler comes by once in some seconds: up to this passage.
const SLOW = { settler_replaced: 2, settler_finalized: 2, settler_balances: 2 };
const CHARGED = ['settled', 'final'];
const DECIDED = [...CHARGED, 'released'];

/** The points in the header's list. */
function failpoints() {
  const header = fs.readFileSync(path.join(ROOT, 'src/core/failpoint.h'), 'utf8');
  const list = /#define X402_FAILPOINTS\(X\)([\s\S]*?)\n\n/.exec(header)[1];
  return [...list.matchAll(/\bX\((\w+)\)/g)].map(([, name]) => name);
}

const locations = (upstream) => `
    location /after/ { x402_price 0.001; proxy_pass ${upstream}; }
    location /first/ { x402_price 0.001; x402_settle before; proxy_pass ${upstream}; }`;

let opened = 0;

/** A shop that sells both ways, its clients, and all they called; every other in batches. */
class Lane {
  async open() {
    this.shop = await openShop({
      safeDepth: SAFE_DEPTH, contract: opened++ % 2 === 0,
      gateway: (upstream) => ({ locations: locations(upstream) }),
    });
    this.gateway = this.shop.gateway;
    this.gateway.allow(/exited on signal 9/);
    this.payers = [];
    for (let i = 0; i < CLIENTS; i++) this.payers.push(await this.shop.newPayer('10'));
    this.calls = []; // {id, path, way, paid, status, whole, open, again}
    this.clock = 0;
    this.miner = new Miner(this.shop.chain);
    return this;
  }

  async close() {
    await this.miner.stop();
    await this.shop.close();
  }

  /** Time passes for gateway and settler: leases of the dead run out. */
  pass(seconds) {
    this.clock += seconds;
    this.gateway.setClock(this.clock);
  }

  /** With the shop's key. */
  startSettler(env) {
    return this.shop.runSettler({ env, args: ['--batch-age', '1'] });
  }

  /** Without a key, through somebody who has one. */
  async startRemote(env) {
    if (!this.facilitator) {
      this.facilitator = await startFacilitator(this.shop.chain);
      this.shop.later(() => this.facilitator.stop());
    }
    return runThrough(this.shop, this.facilitator, { env, node: this.shop.chain });
  }

  /** Workers with these lines in the main context; nothing is being served. */
  async restartGateway(main) {
    await this.gateway.quit();
    this.gateway.configure({ main });
    await this.gateway.start();
  }

  // ------------------------------------------------------------------------- the clients

  /** Clients call until `over` is said, or their connection breaks; gives their calls. */
  async callUntil(over, ways) {
    const first = this.calls.length;
    await Promise.all(this.payers.map((payer) => this.client(payer, over, ways)));
    return this.calls.slice(first);
  }

  async client(payer, over, ways) {
    const connection = await RawConnection.open(this.gateway.port);
    while (!over.said && !connection.ended) {
      const call = await this.newCall(payer, ways[this.calls.length % ways.length]);
      await this.make(call, connection);
      await sleep(20);
    }
    connection.end();
  }

  async newCall(payer, way) {
    const id = `call${this.calls.length}`;
    const call = { id, path: `/${way}/x?id=${id}&do=ok`, way, whole: false };
    this.calls.push(call);
    call.paid = await payment(payer, { message: {
      to: this.shop.payee, value: PRICE, validBefore: BigInt(nowSeconds() + this.clock + 600),
    } });
    return call;
  }

  async make(call, connection) {
    await callOn(connection, call);
    // Its outcome is in memory only, until the next call is executed: that was admitted in
    // the transaction that holds the outcome, or a later one.
    call.open = true;
    if (connection.before && (call.whole || this.executed(call))) connection.before.open = false;
    connection.before = call;
  }

  presentAgain(calls) {
    return presentAgain(this.gateway, calls, 8 * CLIENTS);
  }

  executed(call) {
    return this.shop.upstream.count(call.id);
  }

  // ------------------------------------------------------------------------- in the end

  rows() {
    return paymentsByNonce(this.gateway);
  }

  /** Waits until the money of everything is decided; blocks come. */
  async decided() {
    let rows;
    await waitFor(async () => {
      rows = [...(await this.rows()).values()];
      return rows.every((row) => DECIDED.includes(row.money) && row.delivery !== 'owed');
    }, 'all money to be decided', 60_000, 250).catch((error) => {
      const left = rows.filter((row) => !DECIDED.includes(row.money) || row.delivery === 'owed');
      throw new Error(`${error.message}: ${JSON.stringify(left.slice(0, 3), null, 1)}`);
    });
  }

  /**
   * What became of some calls, after all of them were presented again: by callers, upstream
   * and ledger; then all there ever was, by ledger and chain. Gives in how many
   * transactions their money moved.
   */
  async check(calls) {
    const rows = await this.rows();
    const charged = (call) => CHARGED.includes(rows.get(call.paid.message.nonce)?.money);
    const none = (what, test) => {
      const found = calls.filter(test).slice(0, 5).map((call) => ({
        ...call, paid: undefined, again: call.again.status, executed: this.executed(call),
        row: rows.get(call.paid.message.nonce),
      }));
      assert.equal(found.length, 0, `${what}: ${JSON.stringify(found, null, 1)}`);
    };
    const arrived = (call) => (call.whole && call.status === 200) || call.again.status === 200;
    // What was paid first and may not have arrived is owed: served once more.
    const most = (call) => (call.way === 'first' && call.open ? 2 : 1);

    none('served twice', (call) => this.executed(call) > most(call));
    none('charged and not delivered', (call) => charged(call) && !arrived(call));
    none('delivered, not in flight, and not charged', (call) =>
      call.whole && call.status === 200 && !call.open && !charged(call));
    none('served after the crash and not charged', (call) =>
      call.again.status === 200 && !charged(call));
    none('answered otherwise than a used, abandoned or good payment', (call) =>
      ![200, 400, 402].includes(call.again.status));
    await this.checkMoney([...rows.values()].filter((row) => CHARGED.includes(row.money)));
    const useful = calls.filter(charged).map((call) => rows.get(call.paid.message.nonce).transaction);
    return new Set(useful).size;
  }

  async checkMoney(charged) {
    const { chain, payee } = this.shop;
    const worth = (list) => list.reduce((sum, row) => sum + BigInt(row.value), 0n);
    assert.equal(await chain.balance(payee), worth(charged), 'what the payee has');
    for (const { address } of this.payers) {
      const own = charged.filter((row) => row.payer.toLowerCase() === address.toLowerCase());
      assert.equal(await chain.balance(address), 10_000_000n - worth(own), 'a payer');
    }
    await this.shop.checkBooks();
  }
}

const lanes = new Lanes(() => new Lane().open());
before(() => lanes.open(LANES));
after(() => lanes.close());

// ----------------------------------------------------------------------------- the workers

/** A worker dies at the nth passage of a point, and all that was called is called again. */
async function killWorker(lane, name, nth) {
  const { gateway, shop } = lane;
  const sentBefore = await shop.transactionCount();
  const settler = lane.startSettler();
  await lane.miner.start();
  await lane.restartGateway(`env X402_FAILPOINT=${name}:${nth};`);
  const logged = gateway.errorLog().length;
  const over = {};
  const death = waitFor(
    () => gateway.errorLog().slice(logged).includes('exited on signal 9'),
    `a worker to die at ${name}`, 20_000).finally(() => { over.said = true; });
  const [, calls] = await Promise.all([death, lane.callUntil(over, ['after', 'first'])]);
  await lane.restartGateway('');
  lane.pass(LEASE);
  await lane.presentAgain(calls);
  await lane.decided();
  await settler.stop();
  await lane.miner.stop();
  const useful = await lane.check(calls);
  assert.equal(await shop.transactionCount(), sentBefore + useful, 'transactions');
}

// ------------------------------------------------------------------------------ the settler

/** What it takes to get to a point that blocks and calls alone do not reach. */
const arrangements = {
  /** No block comes, and time passes. */
  async settler_replaced(lane, isOver) {
    await lane.miner.stop();
    await waitFor(async () => [...(await lane.rows()).values()]
      .some((row) => row.money === 'submitted'), 'a transaction', 20_000);
    for (let seconds = 40; !isOver(); seconds *= 2) {
      lane.pass(seconds);
      await sleep(3_000);
    }
  },
};

/** The settler dies at the nth passage of a point while calls are made; another takes over. */
async function killSettler(lane, name, nth) {
  const isRemote = name.startsWith('settler_remote_');
  const startOne = (env) => (isRemote ? lane.startRemote(env) : lane.startSettler(env));
  const sentBefore = await lane.shop.transactionCount();
  await lane.miner.start();
  const settler = await startOne({ X402_FAILPOINT: `${name}:${nth}` });
  const over = {};
  const arrange = arrangements[name];
  const making = lane.callUntil(over, arrange ? ['after'] : ['after', 'after', 'first']);
  const timer = setTimeout(() => settler.stop(), 25_000);
  await arrange?.(lane, () => !settler.isRunning());
  const status = await settler.exited;
  clearTimeout(timer);
  over.said = true;
  if (arrange) await lane.miner.start();
  const next = await startOne();
  const calls = await making;
  assert.equal(status.signal, 'SIGKILL', `did not die at ${name}`);
  calls.forEach((call) => { call.open = false; }); // no worker died
  await sleep(100); // the last outcomes, 5 ms
  await lane.presentAgain(calls);
  await lane.decided();
  await next.stop();
  await lane.miner.stop();
  const useful = await lane.check(calls);
  const sent = (await lane.shop.transactionCount()) - sentBefore;
  assert.equal(sent, isRemote ? 0 : useful, 'transactions');
}

// ---------------------------------------------------------------------------------- all

const killers = { worker: killWorker, settler: killSettler };

describe('kill -9', { concurrency: LANES }, () => {
  for (const name of failpoints()) {
    if (process.env.X402_CASE && process.env.X402_CASE !== name) continue;
    for (const nth of PASSAGES.filter((n) => n <= (SLOW[name] ?? n))) {
      test(`at_${name}_passed_${nth}_times_loses_and_doubles_nothing`, () =>
        lanes.with((lane) => killers[name.split('_')[0]](lane, name, nth)));
    }
  }
});
