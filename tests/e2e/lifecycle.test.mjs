// nginx's own life, with paid calls under way: reload, graceful and fast stop, killed
// workers. No call is lost or served twice, and each payment ends as it should.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  Caller, PROTOCOLS, holdLedger, isDelivered, isPending, isVoid, newPayment, outcomeOf, rowOf,
} from './lib/calls.mjs';
import { startGateway } from './lib/gateway.mjs';
import { isRunning, signal, sleep, waitFor, waitForExit } from './lib/process.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { decode } from './lib/wallet.mjs';
import { checkBooks, payments } from './lib/x402.mjs';

let upstream;
let calls = 0;

before(async () => { upstream = await startUpstream(); });
after(() => upstream?.stop());

/** A gateway of the test's own; its books must balance in the end. */
async function open(t, options = {}) {
  const gateway = await startGateway({
    price: '0.001',
    locations: `
    location / { proxy_pass ${upstream.url}; proxy_buffering off; add_header X-Worker $pid always; }`,
    ...options,
  });
  t.after(async () => {
    await checkBooks(gateway);
    await gateway.stop();
  });
  return gateway;
}

const newTarget = (options) => `/x?id=call${++calls}${options ? `&${options}` : ''}`;
const idOf = (target) => new URLSearchParams(target.split('?')[1]).get('id');
const executions = ({ target }) => upstream.count(idOf(target));

/** A paid call that is under way at the upstream: {target, paid, answer, caller}. */
async function underWay(t, gateway, { protocol = 'http1', options = 'do=hold' } = {}) {
  const caller = new Caller(gateway, protocol);
  t.after(() => caller.close());
  const [target, paid] = [newTarget(options), await newPayment()];
  const answer = caller.call(target, { paid });
  await waitFor(() => executions({ target }) === 1, 'the call to reach the upstream');
  if (options.startsWith('do=half')) await waitFor(() => upstream.executions(idOf(target))[0].half, 'half');
  await isPending(gateway, paid);
  return { target, paid, answer, caller };
}

const release = ({ target }) => upstream.release(idOf(target));

/** A call over HTTP/1.1 on a connection of its own. */
const buy = (gateway, target, paid) => new Caller(gateway, 'http1').call(target, { paid });

/** The authorization of a call that is void buys it, where the upstream does well. */
async function buysAgain(gateway, { target, paid }) {
  upstream.script(idOf(target), { do: 'ok' });
  const answer = await buy(gateway, target, paid);
  assert.equal(answer.status, 200, answer.body);
  await isDelivered(gateway, paid, { attempts: 2 });
}

/** Many paid calls at once, all answered; their payments. */
async function manyAnswered(gateway, count) {
  const paid = await Promise.all(Array.from({ length: count }, () => newPayment()));
  const answers = await Promise.all(paid.map((one) => buy(gateway, newTarget(), one)));
  for (const { status } of answers) assert.equal(status, 200);
  return paid;
}

/** Every row of the ledger, counted by delivery. */
async function deliveries(gateway) {
  const rows = await payments(gateway, '--limit', '10000');
  const counts = {};
  for (const { delivery } of rows) counts[delivery] = (counts[delivery] ?? 0) + 1;
  return counts;
}

describe('a reload', () => {
  test('under_paid_load_loses_no_call_serves_none_twice_and_records_every_outcome', async (t) => {
    const gateway = await open(t, { workers: 3 });
    const [good, bad, workers] = [[], [], new Set()];
    let loading = true;

    async function client(number) {
      for (let i = 0; loading; i++) {
        const fails = (i + number) % 4 === 0;
        const [target, paid] = [newTarget(fails ? 'do=status&n=500' : 'delay=5'), await newPayment()];
        const answer = await buy(gateway, target, paid);
        assert.equal(answer.status, fails ? 500 : 200, `call ${target}: ${answer.body}`);
        workers.add(answer.headers['x-worker']);
        (fails ? bad : good).push(target);
      }
    }

    const clients = Promise.all(Array.from({ length: 6 }, (_, number) => client(number)));
    try {
      for (let reloads = 0; reloads <= 3; reloads++) {
        if (reloads > 0) await gateway.reload();
        const soFar = good.length;
        await Promise.race([clients, waitFor(() => good.length >= soFar + 60, 'more calls', 20_000)]);
      }
    } finally {
      loading = false;
    }
    await clients;

    assert.ok(workers.size >= 6, `${workers.size} workers`);
    for (const target of [...good, ...bad]) assert.equal(executions({ target }), 1, target);
    await waitFor(async () => !(await deliveries(gateway)).pending, 'the outcomes');
    assert.deepEqual(await deliveries(gateway), { delivered: good.length, void: bad.length });
  });

  for (const protocol of PROTOCOLS) {
    test(`lets_the_old_worker_finish_what_it_serves_over_${protocol}`, async (t) => {
      const gateway = await open(t);
      const waiting = await underWay(t, gateway, { protocol });
      const stream = await underWay(t, gateway, { protocol, options: 'do=half&framing=chunked' });
      const broken = await underWay(t, gateway, { protocol, options: 'do=half&framing=chunked&then=reset' });
      await gateway.reload();
      for (const call of [waiting, stream, broken]) await isPending(gateway, call.paid);
      for (const call of [waiting, stream, broken]) release(call);
      assert.equal((await waiting.answer).status, 200);
      assert.match((await stream.answer).body, /^x+y+$/);
      assert.equal((await broken.answer).broken, true);
      await isDelivered(gateway, waiting.paid);
      await isDelivered(gateway, stream.paid);
      await isVoid(gateway, broken.paid);
      await buysAgain(gateway, broken);
    });
  }

  test('cuts_at_its_shutdown_timeout_what_is_then_void', async (t) => {
    const gateway = await open(t, { main: 'worker_shutdown_timeout 300ms;' });
    const call = await underWay(t, gateway);
    await gateway.reload();
    assert.equal((await call.answer).broken, true);
    await isVoid(gateway, call.paid);
    await buysAgain(gateway, call);
  });
});

describe('a graceful stop', () => {
  for (const protocol of PROTOCOLS) {
    test(`waits_for_the_call_under_way_and_records_its_outcome_over_${protocol}`, async (t) => {
      const gateway = await open(t);
      const call = await underWay(t, gateway, { protocol });
      signal(gateway.master, 'SIGQUIT');
      await sleep(200);
      assert.ok(isRunning(gateway.master));
      release(call);
      assert.equal((await call.answer).status, 200);
      assert.equal((await waitForExit(gateway.master)).code, 0);
      await isDelivered(gateway, call.paid);
    });

    test(`waits_for_the_call_under_way_that_fails_over_${protocol}`, async (t) => {
      const gateway = await open(t);
      const call = await underWay(t, gateway, { protocol, options: 'do=half&framing=chunked&then=reset' });
      signal(gateway.master, 'SIGQUIT');
      await sleep(100);
      release(call);
      assert.equal((await waitForExit(gateway.master)).code, 0);
      await isVoid(gateway, call.paid);
      await gateway.start();
      await buysAgain(gateway, call);
    });

    for (const [when, options] of [
      ['before_its_header', 'do=hold'], ['amid_its_body', 'do=half&framing=chunked'],
    ]) {
      test(`cuts_a_call_off_${when}_at_its_shutdown_timeout_and_does_not_charge_it_over_${protocol}`, async (t) => {
        const gateway = await open(t, { main: 'worker_shutdown_timeout 300ms;' });
        const call = await underWay(t, gateway, { protocol, options });
        await gateway.quit();
        assert.equal((await call.answer).broken, true);
        await isVoid(gateway, call.paid);
        await gateway.start();
        await buysAgain(gateway, call);
      });
    }
  }

  test('right_after_the_answers_loses_no_outcome', async (t) => {
    const gateway = await open(t, { workers: 2 });
    const paid = await manyAnswered(gateway, 50);
    await gateway.quit();
    assert.deepEqual(await deliveries(gateway), { delivered: paid.length });
  });

  test('waits_until_the_ledger_can_record_the_outcome', async (t) => {
    const gateway = await open(t);
    const call = await underWay(t, gateway);
    const held = await holdLedger(gateway);
    release(call);
    assert.equal((await call.answer).status, 200);
    signal(gateway.master, 'SIGQUIT');
    await sleep(300);
    assert.ok(isRunning(gateway.master));
    await held.release();
    assert.equal((await waitForExit(gateway.master)).code, 0);
    await isDelivered(gateway, call.paid);
  });
});

describe('a fast stop', () => {
  for (const protocol of PROTOCOLS) {
    for (const [when, options] of [
      ['before_its_header', 'do=hold'], ['amid_its_body', 'do=half&framing=chunked'],
    ]) {
      test(`${when}_makes_a_call_void_and_its_payment_buys_it_afterwards_over_${protocol}`, async (t) => {
        const gateway = await open(t);
        const call = await underWay(t, gateway, { protocol, options });
        await gateway.terminate();
        assert.equal((await call.answer).broken, true);
        await isVoid(gateway, call.paid);
        await gateway.start();
        await buysAgain(gateway, call);
      });
    }
  }

  test('right_after_the_answers_loses_no_outcome', async (t) => {
    const gateway = await open(t, { workers: 2 });
    const paid = await manyAnswered(gateway, 50);
    await gateway.terminate();
    assert.deepEqual(await deliveries(gateway), { delivered: paid.length });
  });

  test('while_the_ledger_is_asked_serves_nothing_and_charges_nothing', async (t) => {
    const gateway = await open(t);
    const held = await holdLedger(gateway);
    const waiting = [];
    for (let i = 0; i < 3; i++) { // the first is with the ledger, the others are next
      const [target, paid] = [newTarget(), await newPayment()];
      waiting.push({ target, paid, answer: buy(gateway, target, paid) });
      await sleep(100);
    }
    signal(gateway.master, 'SIGTERM');
    await waitFor(() => /#\d+: exiting$/m.test(gateway.errorLog()), 'the worker to have stopped serving');
    await held.release();
    await waitForExit(gateway.master);
    for (const call of waiting) {
      assert.equal((await call.answer).status, 0);
      assert.equal(executions(call), 0);
      const row = await rowOf(gateway, call.paid);
      assert.ok(!row || row.delivery === 'void', row?.delivery);
    }
    await gateway.start();
    for (const { target, paid } of waiting) {
      assert.equal((await buy(gateway, target, paid)).status, 200);
      assert.equal((await outcomeOf(gateway, paid)).delivery, 'delivered');
    }
  });

  test('keeps_what_was_captured', async (t) => {
    const gateway = await open(t, { window: '10 min=2' });
    const validBefore = BigInt(Math.floor(Date.now() / 1000) + 8);
    const paid = await newPayment({ message: { validBefore } });
    const answer = buy(gateway, newTarget('do=half&framing=chunked'), paid);
    await outcomeOf(gateway, paid); // it is captured when it nears its end
    await gateway.terminate();
    assert.equal((await answer).broken, true);
    await isDelivered(gateway, paid);
  });
});

describe('a killed worker', () => {
  /** Presented again, the payment is refused with an offer, as abandoned, and not served. */
  async function isAbandoned(gateway, call) {
    const before = executions(call);
    const answer = await buy(gateway, call.target, call.paid);
    assert.equal(answer.status, 402, answer.body);
    assert.equal(decode(answer.headers['payment-required']).error, 'payment_abandoned');
    const { delivery, money, attempts } = await rowOf(gateway, call.paid);
    assert.deepEqual({ delivery, money, attempts }, { delivery: 'abandoned', money: 'released', attempts: 1 });
    assert.equal(executions(call), before);
  }

  /** Until the lease has run out, nobody knows whether the worker lives. */
  async function isInProgress(gateway, { target, paid }) {
    const answer = await buy(gateway, target, paid);
    assert.equal(answer.status, 409, answer.body);
    assert.equal(answer.headers['retry-after'], '1');
  }

  for (const [when, options] of [
    ['before_its_header', 'do=hold'], ['amid_its_body', 'do=half&framing=chunked'],
  ]) {
    test(`${when}_leaves_a_payment_that_is_abandoned_after_the_lease_and_never_served`, async (t) => {
      const gateway = await open(t);
      const call = await underWay(t, gateway, { options });
      await gateway.killWorker();
      assert.equal((await call.answer).broken, true);
      await isInProgress(gateway, call);
      gateway.setClock(20);
      await isInProgress(gateway, call);
      gateway.setClock(31);
      await isAbandoned(gateway, call);
      gateway.setClock(100);
      await isAbandoned(gateway, call);
      await gateway.terminate();
      await gateway.start();
      await isAbandoned(gateway, call);
    });
  }

  test('with_all_of_the_gateway_leaves_a_payment_that_is_abandoned_after_the_lease', async (t) => {
    const gateway = await open(t, { workers: 2 });
    const call = await underWay(t, gateway);
    await gateway.kill();
    await gateway.start();
    await isInProgress(gateway, call);
    gateway.setClock(31);
    await isAbandoned(gateway, call);
  });

  test('does_not_touch_what_was_recorded_before', async (t) => {
    const gateway = await open(t);
    const [delivered] = await manyAnswered(gateway, 1);
    await isDelivered(gateway, delivered);
    const failed = { target: newTarget('do=status&n=500'), paid: await newPayment() };
    assert.equal((await buy(gateway, failed.target, failed.paid)).status, 500);
    await isVoid(gateway, failed.paid);
    await gateway.killWorker();
    gateway.setClock(31);
    await isDelivered(gateway, delivered);
    assert.equal((await buy(gateway, newTarget(), delivered)).status, 400);
    await buysAgain(gateway, failed);
  });

  test('does_not_touch_the_calls_of_the_others', async (t) => {
    const gateway = await open(t, { workers: 2, listen: 'reuseport' });
    const held = [];
    while (held.length < 20) held.push(await underWay(t, gateway)); // some of them with either worker
    await gateway.killWorker();
    held.forEach(release);
    const lost = [];
    for (const call of held) {
      if ((await call.answer).broken) lost.push(call);
      else await isDelivered(gateway, call.paid);
    }
    assert.ok(lost.length > 0 && lost.length < held.length, `${lost.length} of ${held.length} lost`);
    gateway.setClock(31);
    for (const call of lost) await isAbandoned(gateway, call);
    assert.deepEqual(await deliveries(gateway), { delivered: held.length - lost.length, abandoned: lost.length });
  });
});

// These wait for real seconds, so they wait together.
describe('with patience', { concurrency: true }, () => {
  test('a_graceful_stop_waits_for_a_ledger_that_fails_until_it_records_the_outcome', async (t) => {
    const gateway = await open(t);
    const call = await underWay(t, gateway);
    const held = await holdLedger(gateway);
    release(call);
    assert.equal((await call.answer).status, 200);
    signal(gateway.master, 'SIGQUIT');
    await waitFor(() => /payments cannot be recorded/.test(gateway.errorLog()), 'a try to fail', 15_000);
    await sleep(200);
    assert.ok(isRunning(gateway.master));
    await held.release();
    assert.equal((await waitForExit(gateway.master)).code, 0);
    await isDelivered(gateway, call.paid);
  });

  test('a_call_that_takes_longer_than_a_lease_stays_its_living_workers', async (t) => {
    const gateway = await open(t, { workers: 2, listen: 'reuseport' });
    const call = await underWay(t, gateway);
    gateway.setClock(20);
    await sleep(10_500); // it renews its lease in this time
    gateway.setClock(40);
    for (let i = 0; i < 8; i++) { // of both workers
      assert.equal((await buy(gateway, call.target, call.paid)).status, 409);
    }
    release(call);
    assert.equal((await call.answer).status, 200);
    await isDelivered(gateway, call.paid);
  });
});
