// What the gateway counts of its sales, as the status document tells it: each call once,
// under its route, with what became of it and how long it took.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, isOffer, isPaid } from './lib/ask.mjs';
import { FAULTS } from './lib/faults.mjs';
import { startGateway } from './lib/gateway.mjs';
import { waitFor } from './lib/process.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { checkBooks } from './lib/x402.mjs';

let upstream;
before(async () => { upstream = await startUpstream(); });
after(() => upstream?.stop());

const start = (options) => startGateway({
  price: '0.001',
  locations: `
    location = /x402/stats { x402_price off; x402_stats; }
    location / { proxy_pass ${upstream.url}; }
    location /dear/ { x402_price 0.01; proxy_pass ${upstream.url}; }
    location /limited/ { x402_rate 1r/m burst=1; proxy_pass ${upstream.url}; }`,
  ...options,
});

const document = async (gateway) => (await ask(gateway, '/x402/stats')).json;

/** Waits until the document passes. */
const until = (gateway, pass, what) => waitFor(async () => {
  const json = await document(gateway);
  return pass(json) && json;
}, what, 10_000);

const routeOf = (json, name) => json.routes.find(({ route }) => route === name);
const counts = ({ offered, refused, calls, revenue, failed }) => ({ offered, refused, calls, revenue, failed });

async function buy(gateway, where, options) {
  const paid = await payment(newAccount(), options);
  return { got: await ask(gateway, where, { payment: paid }), paid };
}

describe('calls', () => {
  let gateway;
  before(async () => { gateway = await start(); });
  after(() => gateway?.stop());

  test('are_counted_by_route_and_by_what_became_of_them', async () => {
    for (let i = 0; i < 2; i++) isOffer(await ask(gateway, '/dear/'));
    for (let i = 0; i < 3; i++) {
      const { got, paid } = await buy(gateway, '/dear/', { message: { value: '10000' } });
      isPaid(got, paid);
    }
    await buy(gateway, '/dear/?do=status&n=500', { message: { value: '10000' } });
    await buy(gateway, '/dear/', { message: { value: '1' } });
    const json = await until(gateway, (all) => routeOf(all, '/dear/')?.calls === 3, 'three calls');
    assert.deepEqual(counts(routeOf(json, '/dear/')),
      { offered: 2, refused: 1, calls: 3, revenue: '30000', failed: 1 });
    assert.equal(json.tokens[0].failed.value, '10000');
  });

  test('have_their_times_measured', async () => {
    const before = (await document(gateway)).measures;
    const { got, paid } = await buy(gateway, '/?delay=50');
    isPaid(got, paid);
    const { measures } = await until(gateway,
      ({ measures: now }) => now.call.count > before.call.count, 'the measure');
    assert.equal(measures.call.count, before.call.count + 1);
    assert.equal(measures.verify.count, before.verify.count + 1);
    assert.equal(measures.admit.count, before.admit.count + 1);
    assert.ok(measures.commit.count > before.commit.count);
    assert.ok(measures.call.p99 >= 50_000 * 0.85, `${measures.call.p99} us`);
    for (const name of ['verify', 'admit', 'commit']) assert.ok(measures[name].p50 > 0, name);
  });

  test('refused_ones_are_counted_by_reason', async () => {
    const paid = await payment(newAccount());
    await ask(gateway, '/', { payment: paid });
    await ask(gateway, '/', { payment: paid });
    await ask(gateway, '/a//b');
    const payer = newAccount();
    await ask(gateway, '/limited/', { payment: await payment(payer) });
    const got = await ask(gateway, '/limited/', { payment: await payment(payer) });
    assert.equal(got.status, 429);
    await ask(gateway, '/', { headers: { 'x-payment': '{' } });
    const codes = ['nonce_already_used', 'ambiguous_path', 'rate_limited', 'invalid_base64'];
    const json = await until(gateway, ({ refusals }) =>
      codes.every((code) => refusals.some((row) => row.code === code)), 'the reasons');
    for (const code of codes) assert.equal(json.refusals.find((row) => row.code === code).count, 1, code);
    assert.equal(json.refusals.some(({ code }) => code === 'Payment required'), false);
  });
});

test('all_workers_count_into_one_ledger_and_a_reload_loses_nothing', async () => {
  const gateway = await start({ workers: 2, listen: 'reuseport' });
  const all = async (count) => {
    for (let i = 0; i < count; i++) {
      const { got, paid } = await buy(gateway, '/');
      isPaid(got, paid);
    }
  };
  await all(10);
  await gateway.reload();
  await all(10);
  const json = await until(gateway, (now) => routeOf(now, '/')?.calls === 20, 'twenty calls');
  assert.equal(routeOf(json, '/').revenue, '20000');
  assert.equal(json.measures.call.count, 20);
  await checkBooks(gateway);
  await gateway.stop();
});

test('under_load_all_is_counted_once', async () => {
  const gateway = await start();
  const calls = 400;
  const payments = await Promise.all(Array.from({ length: calls }, () => payment(newAccount())));
  let next = 0;
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next < calls) {
      const paid = payments[next++];
      isPaid(await ask(gateway, '/', { payment: paid }), paid);
    }
  }));
  const json = await until(gateway, (now) => routeOf(now, '/')?.calls >= calls, 'all calls');
  assert.deepEqual(counts(routeOf(json, '/')),
    { offered: 0, refused: 0, calls, revenue: String(calls * 1000), failed: 0 });
  await gateway.stop();
});

test('a_ledger_that_was_gone_is_found_again_without_a_payment', async () => {
  const gateway = await start();
  const { got, paid } = await buy(gateway, '/');
  isPaid(got, paid);
  await until(gateway, (now) => routeOf(now, '/')?.calls === 1, 'the first call');
  const fault = FAULTS.in_a_transaction_of_another;
  await fault.begin(gateway);
  assert.equal((await buy(gateway, '/')).got.status, 503);
  await fault.end(gateway);
  isOffer(await ask(gateway, '/'));
  const json = await until(gateway, (now) => routeOf(now, '/')?.offered === 1, 'the offer');
  assert.equal(json.refusals.find(({ code }) => code === 'ledger_unavailable').count, 1);
  await gateway.stop();
});

test('what_a_server_sells_outside_its_locations_is_counted_under_no_name', async () => {
  const gateway = await start({ locations: 'location = /x402/stats { x402_price off; x402_stats; }' });
  isOffer(await ask(gateway, '/'));
  assert.equal((await buy(gateway, '/nothing-here')).got.status, 404);
  const json = await until(gateway, (now) => routeOf(now, '')?.failed === 1, 'the call that failed');
  assert.deepEqual(counts(routeOf(json, '')),
    { offered: 1, refused: 0, calls: 0, revenue: '0', failed: 1 });
  await gateway.stop();
});
