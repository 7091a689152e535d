// Rates: how many calls one payer buys in a while, and how many worthless payments one
// client may bring. Being turned away costs nothing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, isInProgress, isOffer, isPaid, isProblem, isRepeated } from './lib/ask.mjs';
import { startGateway } from './lib/gateway.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, PAYEE, newAccount, payment, wire } from './lib/wallet.mjs';

// So slow that nothing is refilled in a moment in which this machine stands still.
const PATIENT_RATE = '10r/m';
const PATIENT_SECONDS = 6;

let gateway;
let upstream;
let calls = 0;
let clients = 1;

before(async () => {
  upstream = await startUpstream();
  const sells = (path, lines) => `
        location ${path} { x402_price 0.001; ${lines} proxy_pass ${upstream.url}; }`;
  const unhindered = 'x402_refusal_rate off;';
  gateway = await startGateway({
    workers: 2,
    listen: 'reuseport',
    rate: null, // the defaults
    refusalRate: null,
    locations: [
      sells('/default/', ''),
      sells('/unlimited/', `x402_rate off; ${unhindered}`),
      sells('/fast/', `x402_rate 15r/m burst=2; ${unhindered}`),
      sells('/slow/', `x402_rate ${PATIENT_RATE} burst=1; ${unhindered}`),
      sells('/three/', `x402_rate 3r/m; ${unhindered}`),
      sells('/one/', `x402_rate 1r/m burst=1; ${unhindered}`),
      sells('/two/', `x402_rate 2r/m burst=2; ${unhindered}`),
      sells('/five/', `x402_rate 1r/m burst=5; ${unhindered}`),
      sells('/guarded/', 'x402_rate off; x402_refusal_rate 1r/m burst=3;'),
      sells('/brief/', `x402_rate off; x402_refusal_rate ${PATIENT_RATE} burst=1;`),
      sells('/proxied/', `x402_rate off; x402_refusal_rate 1r/m burst=3;
            set_real_ip_from 127.0.0.0/8; real_ip_header X-Real-IP;`),
    ].join(''),
  });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A path under `prefix` that counts its executions under an id of its own. */
function newCall(prefix, options = '') {
  const id = `call${++calls}`;
  return { id, path: `${prefix}x?id=${id}${options}` };
}

/** An address of this machine from which nobody came before. */
const newClient = () => `127.0.1.${++clients}`;

const buy = async (path, paid, options) =>
  isPaid(await ask(gateway, path, { payment: paid, ...options }), paid);

/** 429; gives the seconds after which to try again. */
function isLimited(got) {
  const retryAfter = got.headers['retry-after'];
  isProblem(got, { status: 429, code: 'rate_limited', retryAfter });
  assert.match(retryAfter, /^[1-9][0-9]*$/);
  return Number(retryAfter);
}

const signMany = (payer, count) => Promise.all(Array.from({ length: count }, () => payment(payer)));

const isForged = (got) => isOffer(got, {
  reason: 'invalid_exact_evm_signature', reasonV1: 'invalid_exact_evm_payload_signature' });

/** A payment that names `payer`, signed by somebody else. */
const forge = (payer) => payment(payer, { signer: newAccount() });

/** Forgeries until their client is turned away; gives how many were looked at. */
async function forgeriesHeard(path, options, max = 10) {
  for (let heard = 0; heard < max; heard++) {
    const got = await ask(gateway, path, { payment: await forge(newAccount()), ...options });
    if (got.status === 429) {
      isLimited(got);
      return heard;
    }
    isForged(got);
  }
  return max;
}

describe('a payer', () => {
  test('may_buy_sixty_calls_a_minute_unless_told_otherwise', async () => {
    const call = newCall('/default/');
    const paid = await signMany(newAccount(), 70);
    const start = performance.now();
    const answers = await Promise.all(paid.map((each) => ask(gateway, call.path, { payment: each })));
    const refilled = Math.ceil((performance.now() - start) / 1000); // one each second
    const served = answers.filter((got) => got.status === 200).length;
    assert.ok(served >= 60 && served <= 60 + refilled, `${served} served`);
    assert.equal(upstream.count(call.id), served);
    const waits = answers.filter((got) => got.status !== 200).map(isLimited);
    assert.ok(waits.every((seconds) => seconds === 1), waits.join(' '));
  });

  test('may_buy_as_many_at_once_as_the_rate_counts_when_no_burst_is_given', async () => {
    const paid = await signMany(newAccount(), 4);
    for (const each of paid.slice(0, 3)) await buy('/three/x', each);
    isLimited(await ask(gateway, '/three/x', { payment: paid[3] }));
  });

  test('over_its_rate_does_not_touch_another', async () => {
    const [spender, other] = [newAccount(), newAccount()];
    await buy('/one/x', await payment(spender));
    for (const paid of await signMany(spender, 5)) {
      isLimited(await ask(gateway, '/one/x', { payment: paid }));
    }
    await buy('/one/x', await payment(other));
  });

  test('has_one_budget_whatever_dialect_it_speaks', async () => {
    for (const last of DIALECTS) {
      const payer = newAccount();
      for (const dialect of DIALECTS.filter((each) => each !== last)) {
        await buy('/two/x', await payment(payer, { dialect }));
      }
      isLimited(await ask(gateway, '/two/x', { payment: await payment(payer, { dialect: last }) }));
    }
  });

  test('has_one_budget_over_all_workers_even_at_the_same_moment', async () => {
    const call = newCall('/five/');
    const paid = await signMany(newAccount(), 40);
    const answers = await Promise.all(paid.map((each) => ask(gateway, call.path, { payment: each })));
    const limited = answers.filter((got) => got.status !== 200);
    limited.forEach(isLimited);
    assert.equal(limited.length, 35);
    assert.equal(upstream.count(call.id), 5);
  });

  test('turned_away_has_used_none_of_its_payments', async () => {
    const call = newCall('/five/');
    const paid = await signMany(newAccount(), 20);
    const answers = await Promise.all(paid.map((each) => ask(gateway, call.path, { payment: each })));
    const left = paid.filter((_, i) => answers[i].status === 429);
    assert.equal(left.length, 15);
    const free = newCall('/unlimited/');
    for (const each of left) await buy(free.path, each);
    assert.equal(upstream.count(free.id), 15);
  });

  test('spends_one_call_of_its_budget_on_many_copies_of_one_payment', async () => {
    const call = newCall('/two/', '&delay=20');
    const [copied, second, third] = await signMany(newAccount(), 3);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(gateway, call.path, { payment: copied })));
    assert.equal(answers.filter((got) => got.status === 200).length, 1);
    answers.filter((got) => got.status !== 200).forEach(isRepeated);
    await buy(call.path, second);
    isLimited(await ask(gateway, call.path, { payment: third }));
  });

  test('keeps_its_token_spent_when_the_upstream_fails', async () => {
    const call = newCall('/two/', '&do=status&n=500');
    const [first, second, third] = await signMany(newAccount(), 3);
    assert.equal((await ask(gateway, call.path, { payment: first })).status, 500);
    assert.equal((await ask(gateway, call.path, { payment: second })).status, 500);
    isLimited(await ask(gateway, call.path, { payment: third }));
    assert.equal(upstream.count(call.id), 2);
  });

  test('spends_a_token_for_each_try_of_a_payment_that_was_not_charged', async () => {
    const call = newCall('/two/', '&do=status&n=500');
    const paid = await payment(newAccount());
    const failed = async () => {
      const got = await ask(gateway, call.path, { payment: paid });
      if (got.status !== 409) return got;
      isInProgress(got); // the void is on its way
      return null;
    };
    assert.equal((await failed()).status, 500);
    assert.equal((await waitFor(failed, 'the void')).status, 500);
    isLimited(await waitFor(failed, 'the void'));
    assert.equal(upstream.count(call.id), 2);
  });

  test('is_still_over_its_rate_after_a_reload', async () => {
    const payer = newAccount();
    const paid = await payment(payer);
    await buy('/one/x', await payment(payer));
    isLimited(await ask(gateway, '/one/x', { payment: paid }));
    await gateway.reload();
    isLimited(await ask(gateway, '/one/x', { payment: paid }));
  });

  test('has_no_limit_where_the_rate_is_off', async () => {
    const call = newCall('/unlimited/');
    const paid = await signMany(newAccount(), 100);
    await Promise.all(paid.map((each) => buy(call.path, each)));
    assert.equal(upstream.count(call.id), 100);
  });
});

describe('a stranger', () => {
  test('who_writes_a_payers_address_does_not_spend_its_budget', async () => {
    const payer = newAccount();
    for (let i = 0; i < 20; i++) {
      isForged(await ask(gateway, '/one/x', { payment: await forge(payer) }));
    }
    await buy('/one/x', await payment(payer));
    isLimited(await ask(gateway, '/one/x', { payment: await payment(payer) }));
  });

  test('who_repeats_a_payers_old_payments_does_not_spend_its_budget', async () => {
    const call = newCall('/two/');
    const [old, next, last] = await signMany(newAccount(), 3);
    await buy(call.path, old);
    for (let i = 0; i < 20; i++) isRepeated(await ask(gateway, call.path, { payment: old }));
    await buy(call.path, next);
    isLimited(await ask(gateway, call.path, { payment: last }));
  });

  test('who_writes_the_address_of_a_payer_over_its_rate_is_turned_away_unheard', async () => {
    const payer = newAccount();
    await buy('/one/x', await payment(payer));
    isLimited(await ask(gateway, '/one/x', { payment: await forge(payer) }));
  });

  test('who_sends_what_is_malformed_or_underpaid_does_not_spend_a_payers_budget', async () => {
    const payer = newAccount();
    for (let i = 0; i < 5; i++) {
      const paid = await payment(payer, { message: { value: 1n } });
      assert.equal((await ask(gateway, '/one/x', { payment: paid })).status, 402);
      const text = JSON.stringify(paid.payload).slice(0, -1);
      assert.equal((await ask(gateway, '/one/x', { payment: wire(paid.name, text) })).status, 400);
    }
    await buy('/one/x', await payment(payer));
  });
});

describe('a client address', () => {
  test('that_brings_bad_signatures_is_turned_away_after_its_burst_of_them', async () => {
    assert.equal(await forgeriesHeard('/guarded/x', { localAddress: newClient() }), 3);
  });

  test('that_is_turned_away_does_not_use_a_good_payment_up', async () => {
    const [call, paid, localAddress] = [newCall('/guarded/'), await payment(newAccount()), newClient()];
    await forgeriesHeard(call.path, { localAddress });
    isLimited(await ask(gateway, call.path, { payment: paid, localAddress }));
    assert.equal(upstream.count(call.id), 0);
    await buy(call.path, paid, { localAddress: newClient() });
    assert.equal(upstream.count(call.id), 1);
  });

  test('over_its_rate_does_not_touch_another', async () => {
    await forgeriesHeard('/guarded/x', { localAddress: newClient() });
    assert.equal(await forgeriesHeard('/guarded/x', { localAddress: newClient() }), 3);
  });

  test('that_repeats_used_payments_is_turned_away_after_its_burst_of_them', async () => {
    const [call, paid, localAddress] = [newCall('/guarded/'), await payment(newAccount()), newClient()];
    await buy(call.path, paid, { localAddress });
    for (let i = 0; i < 3; i++) {
      isRepeated(await ask(gateway, call.path, { payment: paid, localAddress }));
    }
    isLimited(await ask(gateway, call.path, { payment: paid, localAddress }));
    isRepeated(await ask(gateway, call.path, { payment: paid, localAddress: newClient() }));
    assert.equal(upstream.count(call.id), 1);
  });

  test('that_repeats_a_payment_in_progress_is_turned_away_after_its_burst_of_them', async () => {
    const call = newCall('/guarded/', '&do=hold');
    const [paid, localAddress] = [await payment(newAccount()), newClient()];
    const first = ask(gateway, call.path, { payment: paid, localAddress });
    await waitFor(() => upstream.count(call.id) === 1, 'the execution');
    for (let i = 0; i < 3; i++) {
      isInProgress(await ask(gateway, call.path, { payment: paid, localAddress }));
    }
    isLimited(await ask(gateway, call.path, { payment: paid, localAddress }));
    upstream.release(call.id);
    isPaid(await first, paid);
  });

  test('may_bring_any_number_of_payments_that_are_refused_before_their_signature_is_looked_at', async () => {
    const localAddress = newClient();
    const payer = newAccount();
    const underpaid = await payment(payer, {
      message: { value: 1n }, accepted: { amount: '1000', payTo: PAYEE } });
    const malformed = wire('PAYMENT-SIGNATURE', '{}');
    for (let i = 0; i < 20; i++) {
      assert.equal((await ask(gateway, '/guarded/x', { payment: underpaid, localAddress })).status, 402);
      assert.equal((await ask(gateway, '/guarded/x', { payment: malformed, localAddress })).status, 400);
      assert.equal((await ask(gateway, '/guarded/x', { localAddress })).status, 402);
    }
    await buy('/guarded/x', await payment(payer), { localAddress });
  });

  test('that_pays_well_is_never_turned_away', async () => {
    const [call, localAddress] = [newCall('/guarded/'), newClient()];
    for (const paid of await signMany(newAccount(), 20)) await buy(call.path, paid, { localAddress });
  });

  test('may_bring_a_hundred_bad_signatures_at_once_unless_told_otherwise', async () => {
    const localAddress = newClient();
    const forged = await Promise.all(Array.from({ length: 150 }, () => forge(newAccount())));
    const start = performance.now();
    const answers = await Promise.all(
      forged.map((paid) => ask(gateway, '/default/x', { payment: paid, localAddress })));
    const refilled = Math.ceil((performance.now() - start) / 100); // ten each second
    const heard = answers.filter((got) => got.status === 402).length;
    assert.ok(heard >= 100 && heard <= 100 + refilled, `${heard} heard in ${refilled} tenths`);
    answers.filter((got) => got.status !== 402).forEach(isLimited);
  });

  test('is_whom_a_trusted_proxy_names', async () => {
    const heard = (address) =>
      forgeriesHeard('/proxied/x', { headers: { 'X-Real-IP': address } });
    assert.equal(await heard('192.0.2.1'), 3);
    assert.equal(await heard('192.0.2.2'), 3);
    assert.equal(await heard('2001:db8:0:1::1'), 3);
    assert.equal(await heard('2001:db8:0:1:ffff::2'), 0, 'the same /64');
    assert.equal(await heard('2001:db8:0:2::1'), 3, 'another /64');
    assert.equal(await heard('::ffff:192.0.2.3'), 3, 'IPv4 at a socket for both');
    assert.equal(await heard('::ffff:192.0.2.4'), 3);
    assert.equal(await heard('192.0.2.4'), 0, 'the same, at a socket of its own');
  });
});

// These wait for real seconds, so they wait together.
describe('with patience', { concurrency: true }, () => {
  /** Told when there is a token again, the last of which went not before `start`; waits for it. */
  async function comeBack(got, start) {
    const seconds = isLimited(got);
    const gone = (performance.now() - start) / 1000;
    assert.ok(seconds <= PATIENT_SECONDS && seconds >= PATIENT_SECONDS - gone, `${seconds} s, ${gone} s later`);
    await sleep(seconds * 1000);
  }

  test('a_payer_over_its_rate_is_told_when_to_come_back_and_the_same_payment_buys_the_call_then', async () => {
    const call = newCall('/slow/');
    const [first, second] = await signMany(newAccount(), 2);
    const start = performance.now();
    await buy(call.path, first);
    await comeBack(await ask(gateway, call.path, { payment: second }), start);
    await buy(call.path, second);
    assert.equal(upstream.count(call.id), 2);
  });

  test('a_payer_that_keeps_asking_does_not_wait_longer', async () => {
    const call = newCall('/fast/');
    const paid = await signMany(newAccount(), 3);
    for (const each of paid.slice(0, 2)) await buy(call.path, each);
    const start = performance.now();
    let tries = 0;
    await waitFor(async () => {
      tries++;
      const got = await ask(gateway, call.path, { payment: paid[2] });
      if (got.status === 200) return true;
      isLimited(got);
      return false;
    }, 'the bucket to refill', 20_000, 10);
    assert.ok(tries > 2, `${tries} tries`);
    assert.ok(performance.now() - start < 12_000, 'four seconds are enough');
    assert.equal(upstream.count(call.id), 3);
  });

  test('a_client_address_that_is_turned_away_is_told_when_to_come_back_and_is_heard_then', async () => {
    const [paid, localAddress] = [await payment(newAccount()), newClient()];
    const start = performance.now();
    await forgeriesHeard('/brief/x', { localAddress });
    await comeBack(await ask(gateway, '/brief/x', { payment: paid, localAddress }), start);
    await buy('/brief/x', paid, { localAddress });
  });
});
