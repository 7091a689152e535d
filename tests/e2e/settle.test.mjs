// From what was sold to money on the chain: a settler that was away for the whole sale,
// payments that cannot be collected, and nodes that fail. Each test has a chain, a
// gateway and a key of its own.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { keccak256, parseTransaction, toHex } from 'viem';
import { ask, isPaid } from './lib/ask.mjs';
import { USDC } from './lib/chain.mjs';
import { SOMEBODY, cancel, drain, useData, useElsewhere } from './lib/elsewhere.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { PRICE, SAFE_DEPTH, openShop, shopTest } from './lib/shop.mjs';
import { noted, settleOnce, trySettleOnce } from './lib/settler.mjs';
import { DIALECTS, authorization, payment, sign } from './lib/wallet.mjs';
import { delivered, payments, x402 } from './lib/x402.mjs';

const settled = (shop, paid) => shop.moneyIs(paid, 'settled');

const countOf = (text, words) => text.split(words).length - 1;

/** Nobody was paid, and the settler spent nothing. */
async function nothingMoved(shop, payer, had) {
  assert.equal(await shop.chain.balance(shop.payee), 0n);
  assert.equal(await shop.chain.balance(payer.address), had);
  assert.equal(await shop.transactionCount(), 0, 'a transaction was sent for nothing');
}

// ---------------------------------------------------------------- away for the whole sale

describe('a settler that was off for the whole sale', () => {
  const PAYERS = 5;
  const CALLS = 40;
  const PRICES = { '/api/x': 1000n, '/cheap/x': 500n, '/dear/x': 250_000n };

  let shop;
  const payers = [];
  const had = new Map();
  const spent = new Map();

  before(async () => {
    shop = await openShop({ gateway: { workers: 2 } });
    for (let i = 0; i < PAYERS; i++) {
      const payer = await shop.newPayer('5');
      payers.push(payer);
      had.set(payer, await shop.chain.balance(payer.address));
      spent.set(payer, 0n);
    }
    await Promise.all(Array.from({ length: CALLS }, (_, i) => buy(i)));
    for (const payer of payers) await delivered(shop.gateway, payer.address, CALLS / PAYERS);
    await shop.gateway.quit();
    await settleOnce(shop.gateway, shop.chain, shop.key);
  });
  after(() => shop?.close());

  async function buy(i) {
    const payer = payers[i % PAYERS];
    const [path, value] = Object.entries(PRICES)[i % 3];
    const paid = await payment(payer, {
      dialect: DIALECTS[i % 2], message: { to: shop.payee, value },
    });
    isPaid(await ask(shop.gateway, path, { payment: paid }), paid);
    spent.set(payer, spent.get(payer) + value);
  }

  const rows = () => payments(shop.gateway);

  test('settles_all_that_is_due_in_one_run', async () => {
    const all = await rows();
    assert.equal(all.length, CALLS);
    assert.deepEqual([...new Set(all.map(({ delivery, money }) => `${delivery} ${money}`))],
      ['delivered settled']);
  });

  test('moves_exactly_the_prices_from_each_payer_to_the_payee', async () => {
    let sum = 0n;
    for (const payer of payers) {
      assert.equal(await shop.chain.balance(payer.address), had.get(payer) - spent.get(payer));
      sum += spent.get(payer);
    }
    assert.equal(await shop.chain.balance(shop.payee), sum);
  });

  test('records_for_each_payment_the_transaction_in_which_its_money_moved', async () => {
    const all = await rows();
    assert.equal(new Set(all.map((row) => row.transaction)).size, CALLS);
    for (const row of all) {
      const receipt = await shop.chain.receipt(row.transaction);
      assert.equal(receipt.status, '0x1');
      assert.equal(Number(receipt.blockNumber), row.block);
      assert.equal(Number(receipt.gasUsed), row.gasUsed);
      assert.equal(BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice), BigInt(row.feeWei));
      const transfer = receipt.logs.at(-1);
      assert.equal(transfer.address.toLowerCase(), USDC.toLowerCase());
      assert.equal(BigInt(transfer.topics[1]), BigInt(row.payer));
      assert.equal(BigInt(transfer.topics[2]), BigInt(shop.payee));
      assert.equal(BigInt(transfer.data), BigInt(row.value));
    }
  });

  test('leaves_books_that_balance_and_agree_with_the_chain', async () => {
    const said = await shop.checkBooks();
    assert.match(said, new RegExp(`${CALLS} payments moved their money as the ledger says`));
    assert.match(said, /the sums hold/);
  });

  test('sends_nothing_when_it_runs_again', async () => {
    assert.equal(await shop.transactionCount(), CALLS);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal(await shop.transactionCount(), CALLS);
  });

  test('makes_payments_final_once_the_safe_block_has_passed_theirs_and_not_before', async () => {
    assert.deepEqual([...new Set((await rows()).map((row) => row.money))], ['settled']);
    await shop.chain.mine(SAFE_DEPTH);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.deepEqual([...new Set((await rows()).map((row) => row.money))], ['final']);
    await shop.checkBooks();
  });

  test('lets_check_fail_when_a_settled_payment_is_not_on_the_chain', async () => {
    const settled = Math.min(...(await payments(shop.gateway)).map((row) => Number(row.block)));
    const latest = Number(await shop.chain.rpc('eth_blockNumber'));
    await shop.chain.rpc('anvil_reorg', latest - settled + 1, []);
    const rpc = `base-sepolia=${shop.chain.url}`;
    const { code, stdout } = await x402(
      ['check', '--data', shop.gateway.data, '--books', '--rpc', rpc], { gateway: shop.gateway });
    assert.equal(code, 1);
    assert.match(stdout, /FAIL\s+payment \d+\s+its transaction is not on the chain/);
  });
});

// ---------------------------------------------------------------- what cannot be collected

describe('a payer whose money is gone', () => {
  shopTest('is_failed_with_the_reason_only_when_the_authorization_has_ended', async (shop) => {
    const { payer, paid } = await shop.sell({ amount: PRICE });
    await drain(shop.chain, payer);
    const settler = shop.runSettler();
    await noted(settler, 'ERC20: transfer amount exceeds balance');
    assert.equal((await shop.row(paid)).money, 'due');
    await shop.chain.advance(301);
    await shop.chain.mine(SAFE_DEPTH); // only a safe block says that it is over
    const row = await waitFor(async () => {
      const now = await shop.row(paid);
      return now.money !== 'due' && now;
    }, 'the verdict');
    assert.equal(row.money, 'failed');
    assert.match(row.reason, /^expired: .*insufficient_funds/);
    assert.equal(row.transaction, null);
    await nothingMoved(shop, payer, 0n);
    await shop.checkBooks();
  });

  shopTest('is_still_due_when_a_single_run_gives_up', async (shop) => {
    const { payer, paid } = await shop.sell({ amount: PRICE });
    await drain(shop.chain, payer);
    const { code, stderr } = await trySettleOnce(shop.gateway, shop.chain, shop.key);
    assert.match(stderr, /0 settled, 0 failed, 1 due/);
    assert.equal(code, 1, stderr);
    assert.equal((await shop.row(paid)).money, 'due');
    await nothingMoved(shop, payer, 0n);
  });

  shopTest('pays_when_it_is_back_in_time', async (shop) => {
    const { payer, paid } = await shop.sell({ amount: PRICE });
    await drain(shop.chain, payer);
    const settler = shop.runSettler();
    await noted(settler, 'waiting with payment');
    await shop.chain.mint(payer.address, PRICE);
    await settled(shop, paid);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('costs_no_gas_for_what_it_cannot_pay_beside_its_other_payments', async (shop) => {
    const payer = await shop.newPayer(2n * PRICE);
    for (let before = 0; before < 5; before++) await shop.sell({ payer, before });
    await trySettleOnce(shop.gateway, shop.chain, shop.key);
    const monies = (await payments(shop.gateway)).map((row) => row.money).sort();
    assert.deepEqual(monies, ['due', 'due', 'due', 'settled', 'settled']);
    assert.equal(await shop.chain.balance(shop.payee), 2n * PRICE);
    assert.equal(await shop.transactionCount(), 2);
    await shop.checkBooks();
  });
});

describe('an authorization that is used up', () => {
  shopTest('by_its_payers_cancellation_fails_and_says_so', async (shop) => {
    const { payer, paid } = await shop.sell();
    await cancel(shop.chain, payer, paid);
    await shop.chain.mine(SAFE_DEPTH);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const row = await shop.row(paid);
    assert.equal(row.money, 'failed');
    assert.match(row.reason, /^canceled: /);
    await nothingMoved(shop, payer, 1_000_000n);
    await shop.checkBooks();
  });

  shopTest('by_the_same_transfer_of_somebody_else_is_settled_by_that', async (shop) => {
    const { payer, paid } = await shop.sell();
    const receipt = await useElsewhere(shop.chain, paid);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const row = await shop.row(paid);
    assert.equal(row.money, 'settled');
    assert.equal(row.transaction, receipt.transactionHash);
    assert.equal(row.block, Number(receipt.blockNumber));
    assert.equal(Number(row.feeWei), 0, 'somebody else paid for the gas');
    assert.equal(await shop.transactionCount(), 0);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    assert.equal(await shop.chain.balance(payer.address), 1_000_000n - PRICE);
    await shop.checkBooks();
  });

  shopTest('by_a_transfer_to_somebody_else_fails_and_says_so', async (shop) => {
    const { payer, paid } = await shop.sell();
    const message = authorization(payer, { to: SOMEBODY, nonce: paid.message.nonce });
    await useElsewhere(shop.chain, { message, signature: await sign(payer, message) });
    await shop.chain.mine(SAFE_DEPTH);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const row = await shop.row(paid);
    assert.equal(row.money, 'failed');
    assert.match(row.reason, /^used: /);
    assert.equal(await shop.chain.balance(shop.payee), 0n);
    await shop.checkBooks();
  });

  shopTest('in_the_same_block_before_ours_is_settled_by_the_one_that_moved_it', async (shop) => {
    const { paid } = await shop.sell();
    await shop.chain.automine(false);
    shop.runSettler();
    await waitFor(async () => (await shop.row(paid)).money === 'submitted', 'our transaction');
    await waitFor(async () => (await shop.chain.rpc('txpool_status')).pending === '0x1', 'the pool');
    await shop.chain.giveGas(SOMEBODY);
    await shop.chain.rpc('anvil_impersonateAccount', SOMEBODY);
    const theirs = await shop.chain.rpc('eth_sendTransaction', {
      from: SOMEBODY, to: USDC, data: useData(shop.chain, paid), gas: toHex(1_000_000),
      maxFeePerGas: toHex(100_000_000_000), maxPriorityFeePerGas: toHex(50_000_000_000),
    });
    await shop.chain.mine();
    const row = await settled(shop, paid);
    assert.equal((await shop.chain.receipt(theirs)).status, '0x1');
    assert.equal(await shop.transactionCount(), 1, 'ours is in the block, too, and reverted');
    assert.equal(row.transaction, theirs);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });
});

// ------------------------------------------------------------------------- key and settlers

describe('the key', () => {
  shopTest('in_a_file_that_others_may_read_is_refused_with_the_remedy', async (shop) => {
    const { payer } = await shop.sell();
    fs.chmodSync(shop.key.file, 0o644);
    const { code, stderr } = await trySettleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal(code, 1);
    assert.match(stderr, /mode 0644/);
    assert.ok(stderr.includes(`chmod 600 '${shop.key.file}'`), stderr);
    await nothingMoved(shop, payer, 1_000_000n);
    fs.chmodSync(shop.key.file, 0o600);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
  });

  shopTest('is_used_by_one_settler_at_a_time', async (shop) => {
    const first = shop.runSettler();
    const { paid } = await shop.sell();
    await settled(shop, paid); // the key is its
    const second = shop.runSettler({ log: 'second.log' });
    await noted(second, 'another settler works with the key of');
    const { paid: next } = await shop.sell();
    await settled(shop, next);
    assert.equal(await shop.transactionCount(), 2);
    assert.ok(first.isRunning() && second.isRunning());
    assert.equal(countOf(second.log(), 'another settler works'), 1, 'said once, not each second');
    assert.equal(countOf(second.log(), 'settled payment'), 0, 'it has settled one');
    assert.equal(countOf(first.log(), 'another settler works'), 0, 'it has lost the key');
    await first.stop(); // gives its hold up
    const { paid: last } = await shop.sell();
    await settled(shop, last);
    await noted(second, 'settled payment');
    assert.equal(await shop.transactionCount(), 3);
    await shop.checkBooks();
  });

  shopTest('passes_on_at_once_after_its_settler_was_killed', async (shop) => {
    const first = shop.runSettler();
    const { paid } = await shop.sell();
    await settled(shop, paid);
    await first.kill();
    const { paid: next } = await shop.sell();
    const second = shop.runSettler({ log: 'second.log' });
    await waitFor(async () => (await shop.row(next)).money === 'settled', 'the takeover', 20_000); // a lease is 30 s
    assert.match(second.log(), new RegExp(`taking over from settler ${first.pid} on .*, which is gone`));
    assert.equal(await shop.transactionCount(), 2);
    await shop.checkBooks();
  });

  shopTest('passes_on_thirty_seconds_after_its_settler_went_silent', async (shop) => {
    const first = shop.runSettler();
    const { paid } = await shop.sell();
    await settled(shop, paid);
    process.kill(first.pid, 'SIGSTOP'); // it may go on: it is not dead
    const { paid: next } = await shop.sell();
    const second = shop.runSettler({ log: 'second.log' });
    await noted(second, `another settler works with the key of ${shop.key.address}`);
    assert.equal((await shop.row(next)).money, 'due');
    shop.gateway.setClock(31);
    await settled(shop, next);
    process.kill(first.pid, 'SIGCONT');
    await noted(first, 'another settler works with the key of');
    const { paid: last } = await shop.sell();
    await settled(shop, last);
    assert.equal(await shop.transactionCount(), 3);
    await shop.checkBooks();
  });
});

// --------------------------------------------------------------------------- nodes that fail

describe('a node', () => {
  shopTest('of_another_chain_is_refused_and_told_nothing', async (shop) => {
    const { payer } = await shop.sell();
    const proxy = await shop.nodeProxy(({ method }) =>
      (method === 'eth_chainId' ? { result: '0x2105' } : 'pass'));
    const { code, stderr } = await trySettleOnce(shop.gateway, proxy, shop.key);
    assert.equal(code, 1);
    assert.match(stderr, /of chain 8453, not 84532/);
    assert.deepEqual(proxy.sent, []);
    await nothingMoved(shop, payer, 1_000_000n);
  });

  shopTest('that_is_down_is_waited_for_and_complained_of_once', async (shop) => {
    const { paid } = await shop.sell();
    const proxy = await shop.nodeProxy();
    await proxy.stop();
    const settler = shop.runSettler({ node: proxy });
    const complaint = `node ${proxy.url}: `;
    await noted(settler, complaint);
    await sleep(1_500); // it tries again meanwhile
    assert.equal((await shop.row(paid)).money, 'due');
    assert.equal(countOf(settler.log(), complaint), 1, settler.log());
    await proxy.listen();
    await settled(shop, paid);
    await noted(settler, 'all is well again');
    assert.equal(await shop.transactionCount(), 1);
    await shop.checkBooks();
  });

  shopTest('that_goes_down_between_sending_and_receipt_settles_when_it_is_back', async (shop) => {
    const { paid } = await shop.sell();
    const proxy = await shop.nodeProxy();
    await shop.chain.automine(false);
    const settler = shop.runSettler({ node: proxy });
    await waitFor(() => proxy.sent.length === 1, 'the transaction');
    await proxy.stop();
    await noted(settler, `node ${proxy.url}`);
    await shop.chain.mine();
    await proxy.listen();
    await settled(shop, paid);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    assert.equal(await shop.transactionCount(), 1);
  });

  for (const [when, automine] of [['mined_at_once', true], ['waiting_in_the_pool', false]]) {
    shopTest(`that_loses_its_reply_to_a_transaction_${when}_is_paid_through_once`, async (shop) => {
      const { payer, paid } = await shop.sell();
      await shop.chain.automine(automine);
      let lost = 0;
      const proxy = await shop.nodeProxy(({ method }) =>
        (method === 'eth_sendRawTransaction' && lost++ === 0 ? 'lose' : 'pass'));
      shop.runSettler({ node: proxy });
      await waitFor(() => lost > (automine ? 0 : 1), 'it to be sent', 20_000);
      if (!automine) await shop.chain.mine();
      const row = await settled(shop, paid);
      assert.equal(new Set(proxy.sent).size, 1, 'another transaction was made');
      assert.equal(row.transaction, keccak256(proxy.sent[0]));
      assert.equal(await shop.transactionCount(), 1);
      assert.equal(await shop.chain.balance(shop.payee), PRICE);
      assert.equal(await shop.chain.balance(payer.address), 1_000_000n - PRICE);
      await shop.checkBooks();
    });
  }

  shopTest('that_answers_nonsense_for_a_receipt_moves_nothing_in_the_ledger', async (shop) => {
    const { paid } = await shop.sell();
    let sane = false;
    const proxy = await shop.nodeProxy(({ method }) =>
      (method === 'eth_getTransactionReceipt' && !sane ? { result: { status: '0x1' } } : 'pass'));
    const settler = shop.runSettler({ node: proxy });
    await noted(settler, 'eth_getTransactionReceipt');
    assert.equal((await shop.row(paid)).money, 'submitted');
    sane = true;
    await settled(shop, paid);
    assert.equal(await shop.transactionCount(), 1);
  });
});

// ------------------------------------------------------------- transactions that do not arrive

describe('a transaction', () => {
  shopTest('that_is_stuck_is_replaced_under_its_nonce_and_pays_once', async (shop) => {
    const { paid } = await shop.sell();
    await shop.chain.automine(false);
    const proxy = await shop.nodeProxy();
    shop.runSettler({ node: proxy });
    await waitFor(() => proxy.sent.length === 1, 'the transaction');
    shop.gateway.setClock(40);
    await waitFor(() => proxy.sent.length > 1, 'its replacement', 20_000);
    const [first, second] = proxy.sent.slice(0, 2).map((raw) => parseTransaction(raw));
    assert.equal(second.nonce, first.nonce);
    assert.equal(second.data, first.data);
    for (const fee of ['maxFeePerGas', 'maxPriorityFeePerGas']) {
      assert.ok(second[fee] * 10n >= first[fee] * 11n, `${fee}: ${first[fee]}, ${second[fee]}`);
    }
    await shop.chain.mine();
    const row = await settled(shop, paid);
    assert.equal(row.transaction, keccak256(proxy.sent[1]));
    assert.equal(await shop.transactionCount(), 1);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('whose_block_is_reorganized_away_is_sent_again_and_pays_once', async (shop) => {
    const { payer, paid } = await shop.sell();
    const proxy = await shop.nodeProxy();
    shop.runSettler({ node: proxy });
    await settled(shop, paid);
    await shop.chain.rpc('anvil_reorg', 1, []);
    assert.equal(await shop.chain.balance(shop.payee), 0n);
    await waitFor(async () => (await shop.chain.balance(shop.payee)) === PRICE, 'the money', 30_000);
    assert.equal(new Set(proxy.sent).size, 1, 'the same transaction');
    await shop.chain.mine(SAFE_DEPTH);
    await waitFor(async () => (await shop.row(paid)).money === 'final', 'finality', 30_000);
    assert.equal(await shop.chain.balance(payer.address), 1_000_000n - PRICE);
    await shop.checkBooks();
  });
});
