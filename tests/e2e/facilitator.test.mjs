// Settling through a remote facilitator: the reference SDK's own classes over the local
// chain. What was sold is paid once, on its word or beside a node, before or after the call.

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
import { runThrough, settleThrough } from './lib/facilitator.mjs';
import { temporaryFolder, waitFor } from './lib/process.mjs';
import { isSquare, movedIn, once, remoteTest, sameBytes, settled } from './lib/remote.mjs';
import { startServe } from './lib/serve.mjs';
import { PRICE } from './lib/shop.mjs';
import { DIALECTS, PAYEE, decode, newAccount, payment } from './lib/wallet.mjs';
import { checkBooks, delivered, payments, x402 } from './lib/x402.mjs';

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
    const settler = runThrough(shop, facilitator, { node: shop.chain });
    const row = await settled(shop, paid);
    const event = await movedIn(shop, paid);
    assert.equal(row.transaction, event.transactionHash);
    assert.equal(BigInt(row.block), event.blockNumber);
    assert.match(settler.log(), /and the chain has the last word/);
    await shop.chain.mine(shop.safeDepth);
    await shop.until(paid, ({ money }) => money === 'final', 'finality', 30_000);
    await isSquare(shop, [paid]);
  });

  remoteTest('is_believed_until_a_node_is_given_which_then_makes_it_final', async (shop, facilitator) => {
    const { paid } = await shop.sell();
    await settleThrough(shop.gateway, facilitator);
    assert.equal((await shop.row(paid)).block, null);
    await shop.chain.mine(shop.safeDepth);
    runThrough(shop, facilitator, { node: shop.chain });
    const row = await shop.until(paid, ({ money }) => money === 'final', 'finality', 30_000);
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

// ----------------------------------------------------------------------- settled first

describe('a call that is settled before it is served', () => {
  const first = {
    gateway: (url) => ({
      settleTimeout: '60s',
      locations: `location /before/ { x402_settle before; x402_price 0.001; proxy_pass ${url}; }`,
    }),
  };
  const receiptIn = ({ headers }) => decode(headers['payment-response'] ?? headers['x-payment-response']);

  for (const dialect of DIALECTS) {
    remoteTest(`with_${dialect}_is_paid_and_then_served`, async (shop, facilitator) => {
      runThrough(shop, facilitator);
      const payer = await shop.newPayer();
      const paid = await payment(payer, { dialect, message: { to: shop.payee } });
      const got = await ask(shop.gateway, '/before/x', { payment: paid });
      isPaid(got, paid);
      assert.equal(receiptIn(got).transaction, (await movedIn(shop, paid)).transactionHash);
      await isSquare(shop, [paid]);
    }, first);
  }

  remoteTest('is_neither_charged_nor_served_when_it_is_refused', async (shop, facilitator) => {
    runThrough(shop, facilitator);
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
    runThrough(shop, facilitator);
    const payer = newAccount();
    const paid = await payment(payer, { message: { to: shop.payee } });
    assert.equal((await ask(shop.gateway, '/before/x', { payment: paid })).status, 402);
    await shop.chain.mint(payer.address, PRICE);
    isPaid(await ask(shop.gateway, '/before/x', { payment: paid }), paid);
    await isSquare(shop, [paid]);
  }, first);

  remoteTest('is_served_when_the_answer_was_lost_and_the_chain_shows_it', async (shop, facilitator) => {
    facilitator.rule = once('lost');
    runThrough(shop, facilitator, { node: shop.chain });
    const paid = await payment(await shop.newPayer(), { message: { to: shop.payee } });
    const got = await ask(shop.gateway, '/before/x', { payment: paid });
    isPaid(got, paid);
    assert.equal(receiptIn(got).transaction, (await movedIn(shop, paid)).transactionHash);
    await isSquare(shop, [paid]);
  }, first);

  remoteTest('waits_when_nobody_knows_and_is_not_failed', async (shop, facilitator) => {
    facilitator.rule = once('lost');
    runThrough(shop, facilitator);
    const paid = await payment(await shop.newPayer(), { message: { to: shop.payee } });
    const got = await ask(shop.gateway, '/before/x', { payment: paid });
    assert.equal(got.status, 503);
    assert.equal(got.json.code, 'settlement_pending');
    const row = await shop.until(paid, ({ money }) => money === 'submitted', 'it to be asked for');
    assert.equal(row.delivery, 'owed');
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
