// kill -9 of a worker, of the settler, of everything, under load and at random moments:
// nothing is executed twice, nobody pays for what did not arrive, and we lose at most the
// calls in flight. X402_SEED=N repeats a run's moments.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keccak256 } from 'viem';
import { ask, isOffer } from './lib/ask.mjs';
import { callOn, presentAgain } from './lib/calls.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { randomNumbers, seedOfRun } from './lib/random.mjs';
import { RawConnection } from './lib/raw.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import { settleOnce, startSettler } from './lib/settler.mjs';
import { nowSeconds, payment } from './lib/wallet.mjs';
import { payments, paymentsByNonce } from './lib/x402.mjs';

const CONNECTIONS = 16;
const WORKERS = 3;
const PAYERS = 4;
const KILLS = ['worker', 'settler', 'all', 'worker', 'all', 'settler', 'worker', 'all'];
const LEASE = 31; // seconds; a little more than one

// Blocks by the clock, too: anvil can leave a transaction that came before its
// predecessor waiting for the next one.
const MIXED = { args: ['--mixed-mining', '--block-time', '1'] };

const SEED = seedOfRun();

/** What the upstream does for the i-th call. */
function behaviourOf(i) {
  if (i % 10 === 9) return 'do=status&n=500';
  if (i % 4 === 3) return 'do=slow&pieces=6&size=8000&every=5';
  return `do=ok&delay=${i % 3 * 10}`;
}

const fails = (call) => call.path.includes('n=500');

describe(`kill -9 under load (X402_SEED=${SEED})`, () => {
  const random = randomNumbers(SEED);
  const calls = []; // {id, path, paid, connection, next, status, whole, executedBefore, again}
  let shop;
  const payers = [];
  let clock = 0;
  let settler;
  let connections = 0;
  const broken = new Set(); // connections that a kill broke
  let running = false;
  let rows; // by nonce, as last read

  before(async () => {
    shop = await openShop({ chain: MIXED, gateway: (upstream) => ({
      workers: WORKERS,
      listen: 'reuseport',
      locations: `
        location / {
            x402_price 0.001;
            proxy_pass ${upstream};
            proxy_set_header X-Nonce $x402_nonce;
        }`,
    }) });
    for (let i = 0; i < PAYERS; i++) payers.push(await shop.newPayer('10'));
    settler = startSettler(shop.gateway, shop.chain, shop.key);
    for (const kill of KILLS) await round(kill);
    await settler.kill();
    passLease();
    await presentAllAgain();
    await shop.gateway.quit();
    await settleOnce(shop.gateway, shop.chain, shop.key);
    rows = await paymentsByNonce(shop.gateway);
  });
  after(() => shop?.close());

  /** Leases of the dead run out; nothing is being served now, so none of the living does. */
  function passLease() {
    clock += LEASE;
    shop.gateway.setClock(clock);
  }

  async function round(kill) {
    running = true;
    const clients = Array.from({ length: CONNECTIONS }, () => client());
    await sleep(100 + random(250));
    await killers[kill]();
    await sleep(100);
    running = false;
    await Promise.all(clients);
    await outcomesKnown();
    passLease();
    if (kill !== 'worker') settler = startSettler(shop.gateway, shop.chain, shop.key);
  }

  /** Waits until the ledger has the outcomes that no kill took, before the clock takes them. */
  async function outcomesKnown() {
    const kept = calls.filter((call) =>
      call.whole && call.status === 200 && !broken.has(call.connection));
    await waitFor(async () => {
      rows = await paymentsByNonce(shop.gateway);
      return kept.every((call) => !['pending', undefined].includes(rowOf(call)?.delivery));
    }, 'the outcomes', 20_000, 50);
  }

  const killers = {
    async worker() {
      const workers = shop.gateway.workers();
      await shop.gateway.killWorker(workers[random(workers.length)]);
    },
    settler: () => settler.kill(),
    async all() {
      await Promise.all([shop.gateway.kill(), settler.kill()]);
      await shop.gateway.start();
    },
  };

  /** One client: calls, one after the other on one connection, until it breaks; then on. */
  async function client() {
    while (running) {
      const connection = await RawConnection.open(shop.gateway.port).catch(() => null);
      if (connection) await callAlong(connection, ++connections);
      else await sleep(10);
    }
  }

  async function callAlong(connection, number) {
    let last;
    while (running && !connection.ended) {
      const call = await newCall(number);
      if (!running) break;
      if (last) last.next = call;
      last = call;
      calls.push(call);
      await callOn(connection, call);
    }
    if (connection.ended) broken.add(number);
    connection.end();
  }

  async function newCall(connection) {
    const id = `call${calls.length}-${connection}`;
    const paid = await payment(payers[random(PAYERS)], { message: {
      to: shop.payee, value: PRICE, validBefore: BigInt(nowSeconds() + clock + 600),
    } });
    return { id, path: `/x?id=${id}&${behaviourOf(calls.length)}`, paid, connection, whole: false };
  }

  async function presentAllAgain() {
    for (const call of calls) call.executedBefore = shop.upstream.count(call.id);
    await presentAgain(shop.gateway, calls, CONNECTIONS);
    await sleep(50);
  }

  const rowOf = (call) => rows.get(call.paid.message.nonce);
  const isPaidFor = (call) => ['settled', 'final'].includes(rowOf(call)?.money);
  const executed = (call) => shop.upstream.count(call.id);
  const told = (list) => list.map((call) => [
    call.id, call.status ?? 'broken', `executed ${call.executedBefore}, then ${executed(call)}`,
    `again ${call.again.status}`, rowOf(call)?.delivery, rowOf(call)?.money,
  ].join(' ')).join('\n');
  const none = (list) => assert.equal(list.length, 0, told(list.slice(0, 10)));

  test('there_was_load_and_kills_broke_calls', () => {
    assert.ok(calls.length > 20 * KILLS.length, `${calls.length} calls`);
    assert.ok(broken.size > 0);
    assert.ok(calls.some((call) => !call.whole));
    assert.ok(calls.some((call) => rowOf(call)?.delivery === 'abandoned'));
  });

  test('no_payment_is_executed_twice_not_even_presented_again_after_the_restart', () => {
    none(calls.filter((call) => !fails(call) && executed(call) > 1));
  });

  test('what_the_upstream_executed_was_admitted_first', () => {
    for (const { id, headers } of shop.upstream.executions()) {
      const row = rows.get(headers['x-nonce']);
      assert.ok(row, `${id} is not in the ledger`);
      assert.equal(headers['x-402-payer'].toLowerCase(), row.payer.toLowerCase());
    }
  });

  test('what_was_abandoned_is_offered_anew_and_told_so', () => {
    const abandoned = calls.filter((call) => rowOf(call)?.delivery === 'abandoned');
    for (const { again } of abandoned) {
      isOffer(again, { reason: 'payment_abandoned', reasonV1: 'payment_abandoned' });
    }
  });

  test('nobody_is_charged_for_a_call_that_did_not_arrive', () => {
    const arrived = (call) => (call.whole && call.status === 200) || call.again.status === 200;
    none(calls.filter((call) => isPaidFor(call) && !arrived(call)));
  });

  test('every_call_that_arrived_on_a_connection_that_no_kill_broke_is_paid', () => {
    none(calls.filter((call) =>
      call.whole && call.status === 200 && !broken.has(call.connection) && !isPaidFor(call)));
  });

  // An outcome waits up to 5 ms after the answer, and is lost with its worker. But a
  // connection stays with one worker, and its next call is admitted in the transaction
  // that holds the outcome of the one before, or in a later one. So a kill can lose the
  // outcome of the last call executed on each connection to the killed, and of no other.
  test('a_call_is_paid_when_the_next_one_on_its_connection_was_executed', () => {
    none(calls.filter((call) =>
      call.whole && call.status === 200 && call.next?.executedBefore > 0 && !isPaidFor(call)));
  });

  test('at_most_one_execution_a_broken_connection_goes_unpaid', () => {
    const unpaid = calls.filter((call) => !fails(call) && executed(call) > 0 && !isPaidFor(call));
    const bereft = new Set(unpaid.map((call) => call.connection));
    assert.ok(bereft.size === unpaid.length, told(unpaid));
    assert.ok([...bereft].every((connection) => broken.has(connection)), told(unpaid));
    assert.ok(broken.size <= CONNECTIONS * KILLS.filter((kill) => kill !== 'settler').length);
  });

  test('nothing_stays_pending_or_due', () => {
    const states = new Set([...rows.values()].map((row) => `${row.delivery} ${row.money}`));
    for (const state of [
      'delivered final', 'delivered settled', 'void released', 'abandoned released',
    ]) {
      states.delete(state);
    }
    assert.deepEqual([...states], []);
  });

  test('the_books_balance_and_agree_with_the_chain', () => shop.checkBooks());

  test('the_money_that_moved_is_to_the_unit_what_the_ledger_says_is_settled', async () => {
    let settled = 0n;
    for (const row of rows.values()) {
      if (['settled', 'final'].includes(row.money)) settled += BigInt(row.value);
    }
    let left = 0n;
    for (const payer of payers) left += await shop.chain.balance(payer.address);
    assert.ok(settled > 0n);
    assert.equal(await shop.chain.balance(shop.payee), settled);
    assert.equal(left, BigInt(PAYERS) * 10_000_000n - settled);
  });

  test('no_transaction_was_sent_for_nothing', async () => {
    const settled = [...rows.values()].filter((row) => row.transaction !== null);
    assert.equal(await shop.transactionCount(), settled.length);
  });
});

// ------------------------------------------------------------------------------- settler

describe('kill -9 of the settler', () => {
  let shop;

  before(async () => { shop = await openShop(); });
  after(() => shop?.close());

  let clock = 0;
  const passLease = () => shop.gateway.setClock(clock += LEASE);

  const isSettled = (paid) => shop.until(
    paid, (row) => ['settled', 'final'].includes(row.money), 'the money');

  const sell = (options) => shop.sell({
    message: { validBefore: BigInt(nowSeconds() + clock + 3600) }, ...options });

  /** Starts a settler on a node that does `what` with transactions until it is killed. */
  async function killedOnceSent(what) {
    const proxy = await shop.nodeProxy(({ method }) =>
      (method === 'eth_sendRawTransaction' ? what : 'pass'));
    const settler = startSettler(shop.gateway, proxy, shop.key);
    await waitFor(() => proxy.sent.length > 0, 'the transaction');
    await settler.kill();
    proxy.rule = () => 'pass';
    passLease();
    return proxy;
  }

  for (const [when, what] of [
    ['between_storing_a_transaction_and_its_arrival_sends_the_same_one', 'hold'],
    ['between_sending_a_transaction_and_the_answer_pays_once', 'lose'],
  ]) {
    test(when, async () => {
      const [had, sentBefore] = [await shop.chain.balance(shop.payee), await shop.transactionCount()];
      const { payer, paid } = await sell();
      const proxy = await killedOnceSent(what);
      assert.equal((await shop.row(paid)).money, 'submitted');
      assert.equal(await shop.transactionCount(), sentBefore + (what === 'lose' ? 1 : 0));
      await settleOnce(shop.gateway, proxy, shop.key);
      assert.equal(new Set(proxy.sent).size, 1, 'another transaction was made');
      assert.equal((await isSettled(paid)).transaction, keccak256(proxy.sent[0]));
      assert.equal(await shop.transactionCount(), sentBefore + 1);
      assert.equal(await shop.chain.balance(shop.payee), had + PRICE);
      assert.equal(await shop.chain.balance(payer.address), 1_000_000n - PRICE);
    });
  }

  test('again_and_again_pays_each_call_once', async () => {
    const random = randomNumbers(SEED);
    const [had, sentBefore] = [await shop.chain.balance(shop.payee), await shop.transactionCount()];
    const payer = await shop.newPayer();
    const count = 60;
    for (let i = 0; i < count; i++) {
      const paid = await payment(payer, { message: {
        to: shop.payee, validBefore: BigInt(nowSeconds() + clock + 3600) } });
      assert.equal((await ask(shop.gateway, '/api/x', { payment: paid })).status, 200);
    }
    let kills = 0;
    const left = async () => (await payments(shop.gateway, '--status', 'due')).length
      + (await payments(shop.gateway, '--status', 'submitted')).length;
    while (kills < 100 && (await left()) > 0) {
      const settler = startSettler(shop.gateway, shop.chain, shop.key);
      await sleep(10 + random(100));
      await settler.kill();
      passLease();
      kills++;
    }
    assert.ok(kills > 2, `${kills} kills`);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal(await shop.transactionCount(), sentBefore + count);
    assert.equal(await shop.chain.balance(shop.payee), had + BigInt(count) * PRICE);
    assert.equal(await shop.chain.balance(payer.address), 1_000_000n - BigInt(count) * PRICE);
    await shop.checkBooks();
  });
});

// ------------------------------------------------------------------ in the middle of an answer

describe('kill -9 of the worker in the middle of an answer', () => {
  let shop;

  // What the client does not read stays in nginx, and not in the kernel.
  before(async () => { shop = await openShop({ gateway: { listen: 'sndbuf=16k' } }); });
  after(() => shop?.close());

  /** A client that has the head of its answer and reads no further. */
  async function beginReading(path) {
    const payer = await shop.newPayer();
    const paid = await payment(payer, { message: { to: shop.payee } });
    const connection = await RawConnection.open(shop.gateway.port);
    connection.request('GET', path, { headers: paid.headers });
    assert.equal((await connection.readHead()).status, 200);
    connection.socket.pause();
    return { payer, paid, connection };
  }

  async function isNotCharged({ payer, paid, connection }, size) {
    await sleep(300); // whatever is to be recorded is
    await shop.gateway.killWorker();
    connection.socket.resume();
    await connection.closed();
    assert.ok(connection.buffer.length < size, 'the whole answer arrived');
    shop.gateway.setClock(LEASE);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal(await shop.chain.balance(payer.address), 1_000_000n, 'charged for half an answer');
    assert.notEqual((await shop.row(paid)).delivery, 'delivered');
    shop.gateway.setClock(0);
  }

  test('that_the_upstream_still_sends_charges_nobody', async () => {
    const client = await beginReading('/api/x?id=half&do=slow&pieces=1000&size=8000&every=20');
    await isNotCharged(client, 8_000_000);
  });

  test('that_the_upstream_has_sent_and_the_client_still_reads_charges_nobody', async () => {
    const size = 4_000_000;
    await isNotCharged(await beginReading(`/api/x?id=whole&do=ok&size=${size}`), size);
  });
});
