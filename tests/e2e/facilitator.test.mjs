// Settling through a remote facilitator: the reference SDK's own classes over the local
// chain, well, and failing in every way. What was sold is paid once, whatever it says.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { createWalletClient, http } from 'viem';
import { baseSepolia } from 'viem/chains';
import { wrapFetchWithPayment as wrapFetchV1 } from 'x402-fetch';
import { ask, isOffer, isPaid } from './lib/ask.mjs';
import {
  FAULTS, HIDING_FAULTS, refusing, settleThrough, startFacilitator, startThrough,
} from './lib/facilitator.mjs';
import { startServe } from './lib/serve.mjs';
import { settleOnce } from './lib/settler.mjs';
import { temporaryFolder, waitFor } from './lib/process.mjs';
import { randomNumbers, seedOfRun, shuffled } from './lib/random.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import {
  DIALECTS, PAYEE, decode, newAccount, nowSeconds, payment,
} from './lib/wallet.mjs';
import { checkBooks, delivered, payments, x402 } from './lib/x402.mjs';

/** A test with a shop and a facilitator of its own; options are of both. */
function remoteTest(name, body, { facilitator: options, ...shopOptions } = {}) {
  test(name, async () => {
    const shop = await openShop(shopOptions);
    let failed = true;
    try {
      const facilitator = await startFacilitator(shop.chain, options);
      shop.later(() => facilitator.stop());
      await body(shop, facilitator);
      failed = false;
    } finally {
      await shop.close().catch((error) => { if (!failed) throw error; });
    }
  });
}

/** A settler that runs until the shop closes. */
function runSettler(shop, facilitator, options) {
  const settler = startThrough(shop.gateway, facilitator, options);
  shop.later(() => settler.stop());
  return settler;
}

const PAID = ['settled', 'final'];

const until = (shop, paid, test, what, within = 30_000) => waitFor(async () => {
  const row = await shop.row(paid);
  return test(row) && row;
}, what, within, 100);

const settled = (shop, paid, within) =>
  until(shop, paid, (row) => PAID.includes(row.money), 'the payment to settle', within);

const noted = (settler, words, within = 20_000) => waitFor(
  () => settler.log().includes(words), `the settler to say "${words}"`, within);

/** All requests for a payment were the same bytes; gives how many there were. */
function sameBytes(facilitator, paid) {
  const asked = facilitator.asked(paid);
  assert.equal(new Set(asked.map(({ text }) => text)).size, 1, 'other bytes');
  return asked.length;
}

/** The transaction in which the chain moved the money of a payment: there is just one. */
async function movedIn(shop, paid) {
  const events = await shop.chain.client.getLogs({
    address: shop.chain.usdc, fromBlock: 0n, toBlock: 'latest',
    event: shop.chain.abi.find(({ type, name }) => type === 'event' && name === 'AuthorizationUsed'),
    args: { authorizer: paid.message.from, nonce: paid.message.nonce },
  });
  assert.equal(events.length, 1, 'used once');
  return events[0];
}

/** What the ledger, the chain and each other say agrees, and everything was paid once. */
async function isSquare(shop, sold, { fails = 0 } = {}) {
  assert.equal(await shop.chain.balance(shop.payee), BigInt(sold.length - fails) * PRICE);
  await checkBooks(shop.gateway, shop.chain);
}

// ------------------------------------------------------------------------------- well

describe('a facilitator that works', () => {
  remoteTest('settles_payments_of_every_dialect_on_its_word', async (shop, facilitator) => {
    const sold = [];
    for (const dialect of DIALECTS) sold.push((await shop.sell({ dialect })).paid);
    const { code, stderr } = await settleThrough(shop.gateway, facilitator);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /its word is all there is, and no payment becomes final/);
    for (const paid of sold) {
      const row = await shop.row(paid);
      assert.equal(row.money, 'settled');
      assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
      assert.equal(row.feeWei, '0');
      assert.equal(sameBytes(facilitator, paid), 1);
    }
    const versions = sold.map((paid) => facilitator.asked(paid)[0].json.x402Version);
    assert.deepEqual(versions, DIALECTS.map((dialect) => (dialect === 'v1' ? 1 : 2)));
    assert.equal(await shop.transactionCount(), 0, 'no key of ours');
    await isSquare(shop, sold);
  });

  remoteTest('settles_in_the_block_of_the_chain_and_finally_beside_a_node', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    const settler = runSettler(shop, facilitator, { node: shop.chain });
    const row = await settled(shop, paid);
    const event = await movedIn(shop, paid);
    assert.equal(row.transaction, event.transactionHash);
    assert.equal(BigInt(row.block), event.blockNumber);
    assert.match(settler.log(), /and the chain has the last word/);
    await shop.chain.mine(shop.safeDepth);
    await until(shop, paid, ({ money }) => money === 'final', 'finality');
    await isSquare(shop, [paid]);
  });

  remoteTest('is_believed_until_a_node_is_given_which_then_makes_it_final', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    await settleThrough(shop.gateway, facilitator);
    assert.equal((await shop.row(paid)).block, null);
    await shop.chain.mine(shop.safeDepth);
    runSettler(shop, facilitator, { node: shop.chain });
    const row = await until(shop, paid, ({ money }) => money === 'final', 'finality');
    assert.equal(BigInt(row.block), (await movedIn(shop, paid)).blockNumber);
    await isSquare(shop, [paid]);
  });

  for (const [version, options] of [[1, { v2: false }], [2, { v1: false }]]) {
    remoteTest(`that_takes_only_v${version}_is_told_all_payments_in_it`, async (shop, facilitator) => {
      const sold = [];
      for (const dialect of DIALECTS) sold.push((await shop.sell({ dialect })).paid);
      const { code, stderr } = await settleThrough(shop.gateway, facilitator);
      assert.equal(code, 0, stderr);
      assert.deepEqual(facilitator.asked().map(({ json }) => json.x402Version),
        DIALECTS.map(() => version));
      await isSquare(shop, sold);
    }, { facilitator: options });
  }

  remoteTest('is_asked_for_several_at_once', async (shop, facilitator) => {
    let open = 0;
    let most = 0;
    facilitator.rule = async (exchange) => {
      if (exchange.path !== '/settle') return undefined;
      open += 1;
      most = Math.max(most, open);
      exchange.response.once('finish', () => { open -= 1; });
      return 'delay';
    };
    const payer = await shop.newPayer();
    const sold = [];
    for (let before = 0; before < 12; before++) sold.push((await shop.sell({ payer, before })).paid);
    const { code, stderr } = await settleThrough(shop.gateway, facilitator, { node: shop.chain });
    assert.equal(code, 0, stderr);
    assert.ok(most >= 8, `${most} at once`);
    assert.equal(facilitator.asked().length, sold.length);
    await isSquare(shop, sold);
  });

  remoteTest('is_told_headers_of_a_file_that_nobody_else_may_read', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    const file = path.join(temporaryFolder('headers'), 'headers');
    fs.writeFileSync(file, 'Authorization: Bearer secret-word\nX-Extra: 7\n', { mode: 0o640 });
    const args = ['--facilitator-header-file', file];
    const refused = await settleThrough(shop.gateway, facilitator, { args });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /has mode 0640 and must be readable by its owner alone/);
    fs.chmodSync(file, 0o600);
    const { code, stderr } = await settleThrough(shop.gateway, facilitator, { args });
    assert.equal(code, 0, stderr);
    for (const { headers } of facilitator.exchanges) {
      assert.equal(headers.authorization, 'Bearer secret-word');
      assert.equal(headers['x-extra'], '7');
    }
    assert.doesNotMatch(stderr, /secret-word/);
    await isSquare(shop, [paid]);
  });

  remoteTest('is_left_alone_with_networks_that_were_not_named', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    await settleThrough(shop.gateway, facilitator, { args: ['--network', 'base'] });
    assert.deepEqual(facilitator.asked(), []);
    assert.equal((await shop.row(paid)).money, 'due');
  });
});

// ----------------------------------------------------------------------------- faults

const once = (fault, count = 1) => {
  let left = count;
  return ({ path: asked }) => (asked === '/settle' && left-- > 0 ? fault : undefined);
};

describe('a facilitator that fails once', { concurrency: 3 }, () => {
  for (const fault of FAULTS) {
    remoteTest(`${fault}_is_paid_through_once_beside_a_node`, async (shop, facilitator) => {
      const { paid } = await shop.sell();
      facilitator.rule = once(fault);
      runSettler(shop, facilitator, { node: shop.chain, timeout: 3 });
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
      runSettler(shop, facilitator, { timeout: 3 });
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
    const settler = runSettler(shop, facilitator, { node: shop.chain });
    await waitFor(() => facilitator.asked(paid).length >= 3, 'it to be asked again');
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
    runSettler(shop, facilitator, { node: shop.chain });
    const row = await until(shop, paid, ({ block }) => block !== null, 'the truth', 60_000);
    assert.equal(row.transaction, (await movedIn(shop, paid)).transactionHash);
    await isSquare(shop, [paid]);
  });
});

describe('a facilitator that is away', () => {
  remoteTest('is_waited_for_and_complained_of_once', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    await facilitator.stop();
    const settler = runSettler(shop, facilitator);
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
    const settler = runSettler(shop, facilitator);
    await settled(shop, paid); // it knows the facilitator by now
    await facilitator.stop();
    const next = (await shop.sell()).paid;
    await noted(settler, `facilitator ${facilitator.url}: `);
    await until(shop, next, ({ money }) => money === 'due', 'it to be due again');
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
    const settler = runSettler(shop, facilitator);
    await noted(settler, 'the facilitator says: invalid_exact_evm_insufficient_balance');
    assert.equal((await shop.row(paid)).money, 'due');
    await shop.chain.mint(payer.address, PRICE);
    await settled(shop, paid);
    assert.ok(sameBytes(facilitator, paid) >= 2);
    await isSquare(shop, [paid]);
  });

  // The reference refuses what has less than six seconds left.
  const shortLived = () => ({ message: { validBefore: BigInt(nowSeconds() + 5) } });
  const window = { gateway: { window: '300 min=1' } };

  remoteTest('fails_once_it_has_ended_and_was_never_in_doubt', async (shop, facilitator) => {
    const { paid } = await shop.sell(shortLived());
    const settler = runSettler(shop, facilitator);
    await noted(settler, 'invalid_exact_evm_payload_authorization_valid_before');
    assert.equal((await shop.row(paid)).money, 'due');
    shop.gateway.setClock(60);
    const row = await until(shop, paid, ({ money }) => money === 'failed', 'the verdict');
    assert.match(row.reason, /^expired: .*valid_before/);
    await isSquare(shop, [paid], { fails: 1 });
  }, window);

  remoteTest('stays_open_once_it_has_ended_and_was_in_doubt', async (shop, facilitator) => {
    facilitator.rule = once('broken');
    const { paid } = await shop.sell(shortLived());
    const settler = runSettler(shop, facilitator);
    await noted(settler, 'status 500');
    shop.gateway.setClock(60);
    await noted(settler, 'it may have been settled, or not');
    assert.equal((await shop.row(paid)).money, 'submitted');
    await settler.stop();
    await shop.chain.advance(400);
    await shop.chain.mine(shop.safeDepth);
    runSettler(shop, facilitator, { node: shop.chain });
    const row = await until(shop, paid, ({ money }) => money === 'failed', 'the verdict');
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
    runSettler(shop, facilitator);
    await waitFor(() => facilitator.asked().length >= bad.size + 8, 'them to be asked for again');
    const { paid } = await shop.sell();
    await settled(shop, paid, 5_000);
    assert.equal(facilitator.asked().length, bad.size + 8 + 1);
    await checkBooks(shop.gateway);
  });

  remoteTest('does_not_keep_the_others', async (shop, facilitator) => {
    const bad = (await shop.sell()).paid;
    facilitator.rule = ({ path: asked, json }) => (asked === '/settle'
      && json.paymentPayload.payload.authorization.nonce === bad.message.nonce ? 'broken' : undefined);
    runSettler(shop, facilitator);
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
    const settler = runSettler(shop, facilitator);
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
      runSettler(shop, facilitator),
      runSettler(shop, { url: `${facilitator.url}/`, port: 'other' }),
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
    const second = runSettler(shop, { url: `${facilitator.url}/`, port: 'other' });
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
    const settler = runSettler(shop, facilitator, { node: shop.chain, timeout: 3 });
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

// ----------------------------------------------------------------------- settled first

describe('a call that is settled before it is served', () => {
  const first = {
    gateway: (url) => ({
      settleTimeout: '15s',
      locations: `location /before/ { x402_settle before; x402_price 0.001; proxy_pass ${url}; }`,
    }),
  };
  const receiptIn = ({ headers }) => decode(headers['payment-response'] ?? headers['x-payment-response']);

  for (const dialect of DIALECTS) {
    remoteTest(`with_${dialect}_is_paid_and_then_served`, async (shop, facilitator) => {
      runSettler(shop, facilitator);
      const payer = await shop.newPayer();
      const paid = await payment(payer, { dialect, message: { to: shop.payee } });
      const got = await ask(shop.gateway, '/before/x', { payment: paid });
      isPaid(got, paid);
      assert.equal(receiptIn(got).transaction, (await movedIn(shop, paid)).transactionHash);
      await isSquare(shop, [paid]);
    }, first);
  }

  remoteTest('is_neither_charged_nor_served_when_it_is_refused', async (shop, facilitator) => {
    runSettler(shop, facilitator);
    const paid = await payment(newAccount(), { message: { to: shop.payee } });
    const got = await ask(shop.gateway, '/before/x', { payment: paid });
    assert.equal(got.status, 402);
    assert.equal(got.headers['payment-required'], undefined, 'no new offer');
    const receipt = receiptIn(got);
    assert.equal(receipt.success, false);
    assert.equal(receipt.errorReason, 'invalid_exact_evm_insufficient_balance');
    const row = await shop.row(paid);
    assert.equal(`${row.delivery} ${row.money}`, 'void failed');
    assert.match(row.reason, /^invalid_exact_evm_insufficient_balance: /);
    assert.equal(facilitator.asked().length, 1);
    assert.deepEqual(shop.upstream.calls, []);
    await isSquare(shop, [paid], { fails: 1 });
  }, first);

  remoteTest('may_be_tried_again_after_a_refusal', async (shop, facilitator) => {
    runSettler(shop, facilitator);
    const payer = newAccount();
    const paid = await payment(payer, { message: { to: shop.payee } });
    assert.equal((await ask(shop.gateway, '/before/x', { payment: paid })).status, 402);
    await shop.chain.mint(payer.address, PRICE);
    isPaid(await ask(shop.gateway, '/before/x', { payment: paid }), paid);
    await isSquare(shop, [paid]);
  }, first);

  remoteTest('is_served_when_the_answer_was_lost_and_the_chain_shows_it', async (shop, facilitator) => {
    facilitator.rule = once('lost');
    runSettler(shop, facilitator, { node: shop.chain });
    const paid = await payment(await shop.newPayer(), { message: { to: shop.payee } });
    const got = await ask(shop.gateway, '/before/x', { payment: paid });
    isPaid(got, paid);
    assert.equal(receiptIn(got).transaction, (await movedIn(shop, paid)).transactionHash);
    await isSquare(shop, [paid]);
  }, first);

  remoteTest('waits_when_nobody_knows_and_is_not_failed', async (shop, facilitator) => {
    facilitator.rule = once('lost');
    runSettler(shop, facilitator);
    const paid = await payment(await shop.newPayer(), { message: { to: shop.payee } });
    const got = await ask(shop.gateway, '/before/x', { payment: paid });
    assert.equal(got.status, 503);
    assert.equal(got.json.code, 'settlement_pending');
    const row = await shop.row(paid);
    assert.equal(`${row.delivery} ${row.money}`, 'owed submitted');
    await checkBooks(shop.gateway);
  }, { gateway: (url) => ({ ...first.gateway(url), settleTimeout: '4s' }) });
});

// ------------------------------------------------------------------------------- offers

describe('an offer that names the facilitator', () => {
  const named = {
    gateway: (url) => ({
      locations: `location /api/ {
        x402_price 0.001; x402_facilitator https://facilitator.example/x402/; proxy_pass ${url}; }`,
    }),
  };

  /** The stock clients, by package. */
  const clients = {
    '@x402/fetch': (payer) => wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [{ network: 'eip155:*', client: new ExactEvmScheme(payer) }],
    }),
    'x402-fetch': (payer) => wrapFetchV1(fetch, createWalletClient({
      account: payer, chain: baseSepolia, transport: http('http://127.0.0.1:1'), // never asked
    })),
  };

  remoteTest('does_so_in_both_generations', async (shop) => {
    const { v2, v1 } = isOffer(await ask(shop.gateway, '/api/x'));
    for (const { accepts } of [v2, v1]) {
      assert.deepEqual(accepts[0].extra, {
        name: 'USDC', version: '2', facilitator: 'https://facilitator.example/x402',
      });
    }
  }, named);

  for (const [name, client] of Object.entries(clients)) {
    remoteTest(`is_paid_by_${name}_and_settled_there`, async (shop, facilitator) => {
      const payer = await shop.newPayer();
      const response = await client(payer)(`${shop.gateway.url}/api/x`);
      assert.equal(response.status, 200);
      await delivered(shop.gateway, payer.address, 1);
      const { code, stderr } = await settleThrough(shop.gateway, facilitator);
      assert.equal(code, 0, stderr);
      await isSquare(shop, [{}]);
    }, named);
  }
});

// ------------------------------------------------------------------------------- serve

describe('x402 serve --facilitator', () => {
  /** A gateway by one command; its payer pays PAYEE. */
  async function serving(shop, facilitator, args, body) {
    const gateway = await startServe(shop.upstream, { args: ['--facilitator', facilitator.url, ...args] });
    try {
      const payer = await shop.newPayer();
      const paid = await payment(payer);
      isPaid(await ask(gateway, '/x', { payment: paid }), paid);
      await waitFor(async () => (await shop.chain.balance(PAYEE)) === PRICE, 'the money', 20_000);
      await body(gateway);
    } finally {
      await gateway.stop();
    }
  }

  remoteTest('settles_what_it_sells_with_no_key', async (shop, facilitator) => {
    await serving(shop, facilitator, [], async (gateway) => {
      assert.match(gateway.log(), /through the facilitator http:\/\/127\.0\.0\.1:\d+, whose word/);
      const settled = () => payments(gateway, '--status', 'settled');
      await waitFor(async () => (await settled()).length === 1, 'the ledger to know');
      assert.equal((await settled())[0].block, null);
    });
  });

  remoteTest('asks_the_node_that_it_is_given', async (shop, facilitator) => {
    await serving(shop, facilitator, ['--rpc', shop.chain.url], async (gateway) => {
      assert.match(gateway.log(), /checked by http:\/\/127\.0\.0\.1:\d+/);
      const settled = () => payments(gateway, '--status', 'settled');
      await waitFor(async () => (await settled()).length === 1, 'the ledger to know');
      assert.notEqual((await settled())[0].block, null);
    });
  });
});

// ------------------------------------------------------------------------------- usage

describe('the flags of a facilitator', () => {
  const refused = (args, words) => test(`${words.source.slice(0, 60)}`, async () => {
    const { code, stderr } = await x402(['settle', ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, words);
  });

  refused(['--facilitator', 'x402.org'], /write the facilitator's URL/);
  refused(['--facilitator', 'https://x402.org/?key=1'], /has a query or a fragment/);
  refused(['--facilitator', 'https://me@x402.org/'], /has a user in it/);
  refused(['--facilitator', 'https://x402.org', '--key', 'k'], /one of them settles/);
  refused(['--facilitator', 'https://x402.org', '--facilitator-timeout', '0'], /write seconds/);
  refused(['--facilitator', 'https://x402.org', '--network', 'nowhere'], /is not built in/);
  refused(['--facilitator-timeout', '5', '--rpc', 'base=http://x', '--key', 'k'], /--facilitator URL is missing/);
  refused(['--network', 'base'], /--network goes with --facilitator/);
});
