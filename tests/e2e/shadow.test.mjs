// x402_enforce off: calls pass as if there were no price; what there would have been is
// counted and logged. Nothing of it is in the ledger's payments, so that a payment which
// was only shown here still buys its call once the price is on.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isOffer, isPaid, isProblem, isUsed } from './lib/ask.mjs';
import { startGateway } from './lib/gateway.mjs';
import { waitFor } from './lib/process.mjs';
import { startServe } from './lib/serve.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { checkBooks, delivered, payments } from './lib/x402.mjs';

const FORMAT = `log_format words '$uri $status "$x402_result" "$x402_reason" "$x402_price" '
    '"$x402_payer" "$x402_value" "$x402_receipt" "$x402_verify_time" "$x402_admit_time" "$x402_call_time"';`;

let upstream;
before(async () => { upstream = await startUpstream(); });
after(() => upstream?.stop());

const pages = `
    location = /x402/stats { x402_price off; x402_stats; }
    location = /x402/health { x402_price off; return 200; }`;

/** More for the server, with its log. */
const logging = (server = '') => (gateway) => `access_log ${gateway.folder}/access.log words; ${server}`;

const start = (options) => startGateway({
  http: FORMAT, price: '0.001', ...options, server: logging(options.server),
  locations: `${pages}\n${options.locations ?? `location / { proxy_pass ${upstream.url}; }`}`,
});

/** What the status document says of a route. */
async function route(gateway, name) {
  const { json } = await ask(gateway, '/x402/stats');
  return json.routes.find((row) => row.route === name);
}

/** Waits until it says so. */
const counted = (gateway, name, wanted) => waitFor(async () => {
  const row = await route(gateway, name);
  return row !== undefined && Object.entries(wanted).every(([key, value]) =>
    JSON.stringify(row[key]) === JSON.stringify(value));
}, `${name} to be ${JSON.stringify(wanted)}`, 10_000);

/** The log's line of a path, as words. */
async function logged(gateway, where) {
  const line = await waitFor(() => gateway.accessLog().split('\n')
    .find((text) => text.startsWith(`${where} `)), `a line of ${where}`);
  const [, status, ...quoted] = /^\S+ (\d+) (.*)$/.exec(line);
  const [result, reason, price, payer, value, receipt, verify, admit, call] =
    quoted[0].split(' ').map((word) => word.slice(1, -1));
  return { status: Number(status), result, reason, price, payer, value, receipt, verify, admit, call };
}

describe('a call without a payment', () => {
  let gateway;
  before(async () => { gateway = await start({ server: 'x402_enforce off;' }); });
  after(() => gateway?.stop());

  test('is_forwarded_and_says_nothing_of_x402', async () => {
    const got = await ask(gateway, '/nothing?do=echo');
    assert.equal(got.status, 200);
    for (const name of ['payment-required', 'payment-response', 'x-payment-response', 'cache-control']) {
      assert.equal(got.headers[name], undefined, name);
    }
  });

  test('is_logged_as_what_would_have_been_asked', async () => {
    await ask(gateway, '/asked');
    const line = await logged(gateway, '/asked');
    assert.deepEqual([line.status, line.result, line.reason, line.price], [200, 'shadow', 'payment_required', '0.001']);
    assert.equal(line.payer, '-');
    assert.match(line.call, /^0\.\d{6}$/);
  });

  test('counts_as_offered_and_as_what_it_would_have_earned', async () => {
    const other = await start({ server: 'x402_enforce off;' });
    for (let i = 0; i < 3; i++) await ask(other, `/${i}`);
    await counted(other, '/', { offered: 3, calls: 0, refused: 0, shadow: { count: 3, value: '3000' } });
    await other.stop();
  });

  test('a_preflight_goes_to_the_upstream', async () => {
    const got = await ask(gateway, '/preflight?do=echo', {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'GET' },
    });
    assert.equal(got.status, 200);
    assert.equal(got.json.method, 'OPTIONS');
  });

  test('its_forged_payer_is_removed', async () => {
    const got = await ask(gateway, '/forged?do=echo', { headers: { 'x-402-payer': newAccount().address } });
    assert.equal(got.json.headers['x-402-payer'], undefined);
  });

  test('a_path_that_can_be_read_twice_is_not_refused', async () => {
    const got = await ask(gateway, '/a//b?do=echo');
    assert.equal(got.status, 200);
    const { reason } = await logged(gateway, '/a/b');
    assert.equal(reason, 'ambiguous_path');
  });

  test('satisfy_any_still_asks_for_the_password', async () => {
    const other = await start({
      locations: `location / { x402_enforce off; satisfy any; deny all; proxy_pass ${upstream.url}; }`,
    });
    assert.equal((await ask(other, '/locked')).status, 403);
    await other.stop();
  });
});

describe('a call with a payment', () => {
  let gateway;
  before(async () => {
    gateway = await start({
      server: 'x402_enforce off;', http: `${FORMAT} proxy_set_header X-402-Payer $x402_payer;`,
    });
  });
  after(() => gateway?.stop());

  test('is_forwarded_without_it_and_without_a_payer', async () => {
    const paid = await payment(newAccount());
    const got = await ask(gateway, '/paid?do=echo', { payment: paid });
    assert.equal(got.status, 200);
    for (const name of ['payment-signature', 'x-payment', 'x-402-payer']) {
      assert.equal(got.json.headers[name], undefined, name);
    }
    const line = await logged(gateway, '/paid');
    assert.deepEqual([line.result, line.reason, line.payer, line.receipt, line.admit],
      ['shadow', 'paid', '-', '-', '-']);
    assert.match(line.verify, /^0\.\d{6}$/);
  });

  test('is_in_no_ledger_however_often_it_comes', async () => {
    const payer = newAccount();
    const paid = await payment(payer);
    for (let i = 0; i < 3; i++) assert.equal((await ask(gateway, '/again', { payment: paid })).status, 200);
    assert.deepEqual(await payments(gateway, '--payer', payer.address), []);
    assert.equal((await checkBooks(gateway)).length > 0, true);
  });

  const refusals = {
    'a_wrong_price': [() => payment(newAccount(), { message: { value: '999' } }),
      'invalid_exact_evm_payload_authorization_value_mismatch'],
    'no_base64': [() => ({ headers: { 'payment-signature': '{' } }), 'invalid_base64'],
    'a_wrong_signature': [async () => payment(newAccount(), { message: { from: newAccount().address } }),
      'invalid_exact_evm_signature'],
  };
  for (const [what, [make, code]] of Object.entries(refusals)) {
    test(`${what}_is_forwarded_and_named`, async () => {
      const got = await ask(gateway, `/${what}?do=echo`, { payment: await make() });
      assert.equal(got.status, 200);
      assert.equal(got.json.headers['payment-signature'], undefined);
      const line = await logged(gateway, `/${what}`);
      assert.deepEqual([line.result, line.reason], ['shadow', code]);
    });
  }

  test('what_would_be_refused_is_counted_so_and_earns_nothing', async () => {
    const other = await start({ server: 'x402_enforce off;' });
    await ask(other, '/', { payment: await payment(newAccount(), { message: { value: '1' } }) });
    await ask(other, '/', { payment: await payment(newAccount()) });
    await counted(other, '/', { offered: 0, refused: 1, shadow: { count: 1, value: '1000' } });
    const { json } = await ask(other, '/x402/stats');
    assert.deepEqual(json.refusals.map(({ code, count }) => [code, count]),
      [['invalid_exact_evm_payload_authorization_value_mismatch', 1]]);
    await other.stop();
  });
});

test('what_a_client_presents_beyond_its_refusal_rate_is_forwarded_unverified', async () => {
  const gateway = await start({ server: 'x402_enforce off; x402_refusal_rate 1r/m burst=2;' });
  for (const [i, reason] of ['paid', 'paid', 'rate_limited'].entries()) {
    assert.equal((await ask(gateway, `/${i}`, { payment: await payment(newAccount()) })).status, 200);
    assert.equal((await logged(gateway, `/${i}`)).reason, reason);
  }
  await gateway.stop();
});

test('a_payment_only_shown_in_shadow_buys_its_call_when_the_price_is_on', async () => {
  const gateway = await start({ server: 'x402_enforce off;' });
  const payer = newAccount();
  const paid = await payment(payer);
  assert.equal((await ask(gateway, '/', { payment: paid })).headers['payment-response'], undefined);
  gateway.configure({ server: logging() });
  await gateway.reload();
  isOffer(await ask(gateway, '/'));
  isPaid(await ask(gateway, '/', { payment: paid }), paid);
  isUsed(await ask(gateway, '/', { payment: paid }));
  await delivered(gateway, payer.address, 1);
  await counted(gateway, '/', { calls: 1, revenue: '1000', offered: 1, refused: 1 });
  await checkBooks(gateway);
  await gateway.stop();
});

describe('what is delivered', () => {
  let gateway;
  before(async () => {
    gateway = await start({
      server: 'x402_enforce off;',
      locations: `
        location / { proxy_pass ${upstream.url}; }
        location /missing/ { proxy_pass ${upstream.url}; }
        location /paged/ { proxy_pass ${upstream.url}; proxy_intercept_errors on; error_page 404 = /page/; }
        location /page/ { proxy_pass ${upstream.url}; }
        location /jump/ { proxy_pass ${upstream.url}; }
        location /goods/ { internal; proxy_pass ${upstream.url}; }
        location /sold/ { internal; x402_enforce on; proxy_pass ${upstream.url}; }`,
    });
  });
  after(() => gateway?.stop());

  test('an_error_of_the_upstream_earns_nothing', async () => {
    assert.equal((await ask(gateway, '/missing/?do=status&n=404')).status, 404);
    await counted(gateway, '/missing/', { offered: 1, shadow: { count: 0, value: '0' } });
  });

  test('an_error_page_is_counted_once_and_earns_nothing', async () => {
    await ask(gateway, '/paged/?do=status&n=404');
    await counted(gateway, '/paged/', { offered: 1, shadow: { count: 0, value: '0' } });
    assert.equal(await route(gateway, '/page/'), undefined);
  });

  test('an_internal_redirect_is_counted_once', async () => {
    await ask(gateway, '/jump/?do=ok&header=X-Accel-Redirect:/goods/');
    await counted(gateway, '/jump/', { offered: 1, shadow: { count: 1, value: '1000' } });
    assert.equal(await route(gateway, '/goods/'), undefined);
  });

  test('an_internal_redirect_to_what_is_enforced_is_to_be_paid', async () => {
    isOffer(await ask(gateway, '/jump/?do=ok&header=X-Accel-Redirect:/sold/'));
    const line = await logged(gateway, '/sold/');
    assert.deepEqual([line.result, line.payer, line.value, line.verify], ['payment_required', '-', '-', '-']);
  });

  test('an_internal_redirect_to_what_is_enforced_is_paid_by_what_came_along', async () => {
    const payer = newAccount();
    const paid = await payment(payer);
    isPaid(await ask(gateway, '/jump/?do=ok&header=X-Accel-Redirect:/sold/', { payment: paid }), paid);
    await delivered(gateway, payer.address, 1);
  });
});

test('beside_an_enforced_location_an_ambiguous_path_is_refused', async () => {
  const gateway = await start({
    locations: `
      location / { x402_enforce off; proxy_pass ${upstream.url}; }
      location /sold { proxy_pass ${upstream.url}; }`,
  });
  isProblem(await ask(gateway, '/a//b'), {
    status: 400, code: 'ambiguous_path', field: 'path',
  });
  isOffer(await ask(gateway, '/sold'));
  assert.equal((await ask(gateway, '/unsold')).status, 200);
  await gateway.stop();
});

test('a_price_that_cannot_be_told_keeps_nobody_out', async () => {
  const gateway = await start({
    price: null,
    locations: `location / { x402_enforce off; x402_price $arg_price; proxy_pass ${upstream.url}; }`,
  });
  assert.equal((await ask(gateway, '/?price=x&do=echo')).status, 200);
  await ask(gateway, '/?price=0.25');
  await counted(gateway, '/', { shadow: { count: 1, value: '250000' } });
  await gateway.stop();
});

test('calls_pass_while_the_ledger_is_gone_and_are_counted_when_it_is_back', async () => {
  const gateway = await start({ server: 'x402_enforce off;' });
  await ask(gateway, '/one');
  await counted(gateway, '/', { offered: 1 });
  const away = path.join(gateway.folder, 'away');
  const files = fs.readdirSync(gateway.data).filter((name) => name.startsWith('ledger.db'));
  execFileSync('mkdir', [away]);
  const [worker] = gateway.workers();
  for (const name of files) fs.renameSync(path.join(gateway.data, name), path.join(away, name));
  await gateway.killWorker(worker); // the next one has no ledger to open
  for (let i = 0; i < 3; i++) assert.equal((await ask(gateway, '/gone')).status, 200);
  await waitFor(() => /counted for the status page waits/.test(gateway.errorLog()), 'the complaint');
  for (const name of files) fs.renameSync(path.join(away, name), path.join(gateway.data, name));
  await counted(gateway, '/', { offered: 4 });
  await gateway.stop();
});

test('what_was_counted_last_is_told_at_the_end', async () => {
  const gateway = await start({ server: 'x402_enforce off;' });
  for (let i = 0; i < 5; i++) await ask(gateway, '/');
  await gateway.quit();
  await gateway.start();
  await counted(gateway, '/', { offered: 5, shadow: { count: 5, value: '5000' } });
  await gateway.stop();
});

describe('x402 serve --shadow', () => {
  let gateway;
  before(async () => { gateway = await startServe(upstream, { args: ['--shadow'] }); });
  after(() => gateway?.stop());

  test('says_that_nothing_is_charged', () => {
    assert.match(gateway.log(), /x402 would sell/);
    assert.match(gateway.log(), /nothing is charged/);
    assert.doesNotMatch(gateway.log(), /no chain to settle on/);
  });

  test('forwards_unpaid_and_shows_what_it_would_have_earned', async () => {
    const got = await ask(gateway, '/any?do=echo', { payment: await payment(newAccount()) });
    assert.equal(got.status, 200);
    assert.equal(got.json.headers['x-402-payer'], undefined);
    await counted(gateway, '/', { shadow: { count: 1, value: '1000' } });
    const { json } = await ask(gateway, '/x402/stats');
    assert.equal(json.enforced, false);
  });
});
