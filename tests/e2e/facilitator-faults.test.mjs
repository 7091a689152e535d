// A remote facilitator that fails in every way, lies, is away, refuses, or takes long; and
// settlers killed while they ask one. What was sold is paid once, whatever it says.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import {
  FAULTS, HIDING_FAULTS, refusing, runThrough, settleThrough, startThrough,
} from './lib/facilitator.mjs';
import { waitFor } from './lib/process.mjs';
import { randomNumbers, seedOfRun, shuffled } from './lib/random.mjs';
import { PAID, isSquare, movedIn, once, remoteTest, sameBytes, settled } from './lib/remote.mjs';
import { noted, settleOnce } from './lib/settler.mjs';
import { PRICE } from './lib/shop.mjs';
import { DIALECTS, nowSeconds, payment } from './lib/wallet.mjs';
import { checkBooks, delivered, payments } from './lib/x402.mjs';

// ----------------------------------------------------------------------------- faults

describe('a facilitator that fails once', { concurrency: 3 }, () => {
  for (const fault of FAULTS) {
    remoteTest(`${fault}_is_paid_through_once_beside_a_node`, async (shop, facilitator) => {
      const { paid } = await shop.sell();
      facilitator.rule = once(fault);
      runThrough(shop, facilitator, { node: shop.chain, timeout: 3 });
      const row = await settled(shop, paid);
      assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
      sameBytes(facilitator, paid);
      await isSquare(shop, [paid]);
    });
  }

  for (const fault of FAULTS.filter((name) => !['bogus', ...HIDING_FAULTS].includes(name))) {
    remoteTest(`${fault}_is_paid_through_on_its_word`, async (shop, facilitator) => {
      const { paid } = await shop.sell();
      facilitator.rule = once(fault);
      // Asked again while an answer is on its way, it hides that it has settled.
      runThrough(shop, facilitator, { timeout: fault === 'hang' ? 8 : 20 });
      const row = await settled(shop, paid);
      assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
      assert.equal(sameBytes(facilitator, paid), fault === 'delay' ? 1 : 2);
      await isSquare(shop, [paid]);
    });
  }

  for (const fault of HIDING_FAULTS) {
    remoteTest(`${fault}_is_neither_paid_nor_failed_before_the_chain_is_asked`, async (shop, facilitator) => {
      const { paid } = await shop.sell();
      facilitator.rule = once(fault);
      const settler = startThrough(shop.gateway, facilitator, { timeout: 3 });
      await noted(settler, 'the facilitator says: invalid_exact_evm_nonce_already_used');
      await settler.stop();
      assert.equal((await shop.row(paid)).money, 'submitted');
      assert.equal((await shop.row(paid)).transaction, null, 'a request is no transaction');
      await checkBooks(shop.gateway);
      const before = sameBytes(facilitator, paid);
      assert.ok(before >= 2);
      const { code, stderr } = await settleThrough(shop.gateway, facilitator, { node: shop.chain });
      assert.equal(code, 0, stderr);
      const { transactionHash } = await movedIn(shop, paid);
      assert.equal((await shop.row(paid)).transaction, transactionHash);
      assert.equal(facilitator.asked(paid).length, before, 'the chain knew');
      await isSquare(shop, [paid]);
    });
  }
});

describe('a facilitator that lies', () => {
  remoteTest('about_a_transaction_is_not_believed_beside_a_node', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    facilitator.rule = ({ path: asked }) => (asked === '/settle' ? 'bogus' : undefined);
    const settler = runThrough(shop, facilitator, { node: shop.chain });
    await waitFor(() => facilitator.asked(paid).length >= 3, 'it to be asked again', 30_000);
    const row = await shop.row(paid);
    assert.equal(row.money, 'submitted');
    assert.equal(row.transaction, null);
    assert.doesNotMatch(settler.log(), /settled payment/);
    facilitator.rule = () => undefined;
    await settled(shop, paid);
    await isSquare(shop, [paid]);
  });

  remoteTest('is_found_out_when_a_node_is_given_later', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    facilitator.rule = ({ path: asked }) => (asked === '/settle' ? 'bogus' : undefined);
    await settleThrough(shop.gateway, facilitator);
    assert.equal((await shop.row(paid)).money, 'settled');
    facilitator.rule = () => undefined;
    runThrough(shop, facilitator, { node: shop.chain });
    const row = await shop.until(paid, ({ block }) => block !== null, 'the truth', 60_000);
    assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
    await isSquare(shop, [paid]);
  });
});

describe('a facilitator that is away', () => {
  remoteTest('is_waited_for_and_complained_of_once', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    await facilitator.stop();
    const settler = runThrough(shop, facilitator);
    await noted(settler, `facilitator ${facilitator.url}: `);
    await waitFor(() => shop.row(paid).then(({ money }) => money === 'due'), 'it to be due');
    await facilitator.listen();
    await settled(shop, paid);
    await noted(settler, 'all is well again');
    assert.equal(settler.log().split('connect to').length - 1, 1, settler.log());
    assert.equal(sameBytes(facilitator, paid), 1);
    await isSquare(shop, [paid]);
  });

  remoteTest('leaves_what_never_reached_it_due_and_certain', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    const settler = runThrough(shop, facilitator);
    await settled(shop, paid); // it knows the facilitator by now
    await facilitator.stop();
    const next = (await shop.sell()).paid;
    await noted(settler, `facilitator ${facilitator.url}: `);
    await shop.until(next, ({ money }) => money === 'due', 'it to be due again', 30_000);
    await facilitator.listen();
    await settled(shop, next, 60_000);
    await isSquare(shop, [paid, next]);
  });

  remoteTest('for_good_ends_a_single_run_with_what_is_left', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    facilitator.rule = ({ path: asked }) => (asked === '/settle' ? refusing('settlement_pending') : undefined);
    const { code, stderr } = await settleThrough(shop.gateway, facilitator);
    assert.equal(code, 1);
    assert.match(stderr, /0 settled, 0 failed, 0 due, 1 under way/);
    assert.equal((await shop.row(paid)).money, 'submitted');
  });
});

// ---------------------------------------------------------------------- what it refuses

describe('a payment that it refuses', () => {
  remoteTest('for_funds_is_due_until_they_are_there', async (shop, facilitator) => {
    const payer = await shop.newPayer(1n); // less than the price
    const { paid } = await shop.sell({ payer });
    const settler = runThrough(shop, facilitator);
    await noted(settler, 'the facilitator says: invalid_exact_evm_insufficient_balance');
    assert.equal((await shop.row(paid)).money, 'due');
    await shop.chain.mint(payer.address, PRICE);
    await settled(shop, paid);
    assert.ok(sameBytes(facilitator, paid) >= 2);
    await isSquare(shop, [paid]);
  });

  // The reference refuses what has less than six seconds left.
  async function sellShortLived(shop) {
    const payer = await shop.newPayer();
    return shop.sell({ payer, message: { validBefore: BigInt(nowSeconds() + 5) } });
  }
  const window = { gateway: { window: '300 min=1' } };

  remoteTest('fails_once_it_has_ended_and_was_never_in_doubt', async (shop, facilitator) => {
    const { paid } = await sellShortLived(shop);
    const settler = runThrough(shop, facilitator);
    await noted(settler, 'invalid_exact_evm_payload_authorization_valid_before');
    assert.equal((await shop.row(paid)).money, 'due');
    shop.gateway.setClock(60);
    const row = await shop.until(paid, ({ money }) => money === 'failed', 'the verdict', 30_000);
    assert.match(row.reason, /^expired: .*valid_before/);
    await isSquare(shop, [paid], { fails: 1 });
  }, window);

  remoteTest('stays_open_once_it_has_ended_and_was_in_doubt', async (shop, facilitator) => {
    facilitator.rule = once('broken');
    const { paid } = await sellShortLived(shop);
    const settler = runThrough(shop, facilitator);
    await noted(settler, 'status 500');
    shop.gateway.setClock(60);
    await noted(settler, 'it may have been settled, or not');
    assert.equal((await shop.row(paid)).money, 'submitted');
    await settler.stop();
    await shop.chain.advance(400);
    await shop.chain.mine(shop.safeDepth);
    runThrough(shop, facilitator, { node: shop.chain });
    const row = await shop.until(paid, ({ money }) => money === 'failed', 'the verdict', 30_000);
    assert.match(row.reason, /^expired: /);
    await isSquare(shop, [paid], { fails: 1 });
  }, window);

  remoteTest('leaves_half_of_the_requests_to_others_when_many_hang', async (shop, facilitator) => {
    const bad = new Set();
    facilitator.rule = ({ path: asked, json }) => (asked === '/settle'
      && bad.has(json.paymentPayload.payload.authorization.nonce) ? 'hang' : undefined);
    const payer = await shop.newPayer();
    for (let before = 0; before < 10; before++) {
      bad.add((await shop.sell({ payer, before })).paid.message.nonce);
    }
    const settler = startThrough(shop.gateway, facilitator);
    await waitFor(() => facilitator.asked().length === bad.size, 'all to be asked for');
    await settler.kill(); // the next one finds them in doubt
    runThrough(shop, facilitator);
    await waitFor(() => facilitator.asked().length >= bad.size + 8, 'them to be asked for again');
    const { paid } = await shop.sell();
    await settled(shop, paid, 12_000); // and the others hang for 20 s
    assert.equal(facilitator.asked().length, bad.size + 8 + 1);
    await checkBooks(shop.gateway);
  });

  remoteTest('does_not_keep_the_others', async (shop, facilitator) => {
    const bad = (await shop.sell()).paid;
    facilitator.rule = ({ path: asked, json }) => (asked === '/settle'
      && json.paymentPayload.payload.authorization.nonce === bad.message.nonce ? 'broken' : undefined);
    runThrough(shop, facilitator);
    await waitFor(() => facilitator.asked(bad).length > 0, 'the bad one to be asked for');
    const good = [];
    for (let i = 0; i < 4; i++) good.push((await shop.sell()).paid);
    for (const paid of good) await settled(shop, paid, 60_000);
    assert.equal((await shop.row(bad)).money, 'submitted');
    await checkBooks(shop.gateway);
  });
});

describe('a settlement that takes long', () => {
  remoteTest('is_pending_and_asked_for_again_until_it_is_mined', async (shop, facilitator) => {
    await shop.chain.automine(false);
    const paid = await payment(await payerOf(shop), { message: { to: shop.payee } });
    isPaid(await ask(shop.gateway, '/api/x', { payment: paid }), paid);
    await delivered(shop.gateway, paid.message.from, 1);
    const settler = runThrough(shop, facilitator);
    await noted(settler, 'the facilitator says: settlement_pending');
    assert.equal((await shop.row(paid)).money, 'submitted');
    await shop.chain.automine(true);
    await shop.chain.mine();
    const row = await settled(shop, paid);
    assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
    assert.ok(sameBytes(facilitator, paid) >= 2);
    await isSquare(shop, [paid]);
  }, { facilitator: { confirmationMilliseconds: 500 } });

  /** With money already there: nothing is mined any more. */
  async function payerOf(shop) {
    await shop.chain.automine(true);
    const payer = await shop.newPayer();
    await shop.chain.automine(false);
    return payer;
  }

  remoteTest('is_waited_for_when_the_settler_is_stopped', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    facilitator.rule = once('delay');
    const settler = startThrough(shop.gateway, facilitator);
    await waitFor(() => facilitator.asked(paid).length === 1, 'it to be asked for');
    await settler.stop();
    assert.equal((await shop.row(paid)).money, 'settled');
    await isSquare(shop, [paid]);
  });
});

// ----------------------------------------------------------------------------- crashes

describe('a settler killed', () => {
  for (const place of ['settler_remote_asked', 'settler_remote_told']) {
    remoteTest(`at_${place}_asks_again_with_the_same_bytes`, async (shop, facilitator) => {
      const { paid } = await shop.sell();
      if (place === 'settler_remote_asked') facilitator.rule = once('delay');
      const settler = startThrough(shop.gateway, facilitator, { env: { X402_FAILPOINT: place } });
      assert.equal((await settler.exit()).signal, 'SIGKILL');
      assert.equal((await shop.row(paid)).money, 'submitted');
      await waitFor(async () => (await shop.chain.balance(shop.payee)) === PRICE, 'it to be settled');
      const { code, stderr } = await settleThrough(shop.gateway, facilitator);
      assert.equal(code, 1, 'it is not known what became of it');
      assert.match(stderr, /invalid_exact_evm_nonce_already_used/);
      assert.ok(sameBytes(facilitator, paid) >= 2);
      const { code: known } = await settleThrough(shop.gateway, facilitator, { node: shop.chain });
      assert.equal(known, 0);
      await isSquare(shop, [paid]);
    });
  }

  remoteTest('anywhere_leaves_a_payment_that_the_next_settles', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    facilitator.rule = once('hang');
    const settler = startThrough(shop.gateway, facilitator);
    await waitFor(() => facilitator.asked(paid).length === 1, 'it to be asked for');
    await settler.kill();
    const { code, stderr } = await settleThrough(shop.gateway, facilitator);
    assert.equal(code, 0, stderr);
    assert.equal(sameBytes(facilitator, paid), 2);
    await isSquare(shop, [paid]);
  });
});

describe('two settlers', () => {
  remoteTest('of_one_facilitator_ask_once', async (shop, facilitator) => {
    const settlers = [
      runThrough(shop, facilitator),
      runThrough(shop, { url: `${facilitator.url}/`, port: 'other' }),
    ];
    const sold = [];
    for (let i = 0; i < 6; i++) sold.push((await shop.sell()).paid);
    for (const paid of sold) await settled(shop, paid);
    for (const paid of sold) assert.equal(sameBytes(facilitator, paid), 1);
    const waiting = () => settlers.filter((settler) =>
      settler.log().includes('another settler asks this facilitator'));
    await waitFor(() => waiting().length > 0, 'the other one to say why it does nothing');
    assert.equal(waiting().length, 1);
    await isSquare(shop, sold);
  });

  remoteTest('of_one_facilitator_take_over_when_one_is_killed', async (shop, facilitator) => {
    facilitator.rule = once('hang');
    const { paid } = await shop.sell();
    const first = startThrough(shop.gateway, facilitator);
    await waitFor(() => facilitator.asked(paid).length === 1, 'it to be asked for');
    const second = runThrough(shop, { url: `${facilitator.url}/`, port: 'other' });
    await noted(second, 'another settler asks this facilitator');
    await first.kill();
    await settled(shop, paid);
    assert.equal(sameBytes(facilitator, paid), 2);
    await isSquare(shop, [paid]);
  });

  remoteTest('one_with_a_key_leave_each_other_their_payments', async (shop, facilitator) => {
    const asked = (await shop.sell()).paid;
    facilitator.rule = ({ path: to }) => (to === '/settle' ? 'broken' : undefined);
    await settleThrough(shop.gateway, facilitator);
    assert.equal((await shop.row(asked)).money, 'submitted');
    const other = (await shop.sell()).paid;
    await settleOnce(shop.gateway, shop.chain, shop.key).catch((error) => error);
    assert.equal((await shop.row(asked)).money, 'submitted');
    await settled(shop, other);
    facilitator.rule = () => undefined;
    const { code, stderr } = await settleThrough(shop.gateway, facilitator);
    assert.equal(code, 0, stderr);
    await isSquare(shop, [asked, other]);
  });
});

// ------------------------------------------------------------------ seeded sequences

describe('a facilitator that fails at random', () => {
  const SALES = 24;
  const SEED = seedOfRun();

  remoteTest(`is_paid_through_once_seed_${SEED}`, async (shop, facilitator) => {
    const random = randomNumbers(SEED);
    const faults = shuffled(FAULTS, random);
    let place = 0;
    facilitator.rule = ({ path: asked }) => (
      asked === '/settle' && place < 12 && random(2) === 0 ? faults[place++] : undefined);
    const settler = runThrough(shop, facilitator, { node: shop.chain, timeout: 3 });
    const sold = [];
    for (let i = 0; i < SALES; i++) {
      sold.push((await shop.sell({ dialect: DIALECTS[random(DIALECTS.length)] })).paid);
    }
    await waitFor(async () => {
      const rows = await payments(shop.gateway);
      return rows.every(({ money }) => PAID.includes(money));
    }, 'all to settle', 200_000, 500).catch((error) => {
      throw new Error(`${error.message} (seed ${SEED})\n${settler.log()}`);
    });
    for (const paid of sold) {
      sameBytes(facilitator, paid);
      assert.equal((await shop.row(paid)).transaction, (await movedIn(shop, paid)).transactionHash);
    }
    assert.ok(place >= 3, `${place} faults`);
    await isSquare(shop, sold);
  });
});
