// Many payments in one transaction: when a batch goes, what becomes of what spoils it, and
// ten thousand payments at once. Each test has a chain with the facilitator contract, a
// gateway and a key of its own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { decodeFunctionData, parseAbi, parseTransaction, toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { deployFacilitator } from './lib/chain.mjs';
import { SOMEBODY, cancel, drain, signedBy, useElsewhere } from './lib/elsewhere.mjs';
import { BUILD, freePort, sleep, temporaryFolder, waitFor } from './lib/process.mjs';
import { noted, settleOnce } from './lib/settler.mjs';
import { PRICE, openShop, shopTest } from './lib/shop.mjs';
import { Till } from './lib/till.mjs';
import { nowSeconds } from './lib/wallet.mjs';
import { payments, stats } from './lib/x402.mjs';

const ABI = parseAbi([
  'function settle(address token, address payee, bytes items) returns (uint256, uint256)',
]);
const ITEM_SIZE = 134;
const API = '/api/x';
const AT_ONCE = 4; // tests: a settler mostly waits

/** A test with a shop of its own, its till, and, unless told otherwise, the contract. */
const batchTest = (name, body, options) => shopTest(name, (shop) => {
  shop.till = new Till(shop);
  return body(shop, shop.till);
}, { contract: true, ...options });

/** `count` payers, each of whom buys `each` calls of the same price. */
async function sellTo(till, count, { each = 1, amount, message } = {}) {
  const payers = await Promise.all(Array.from({ length: count }, () => till.newPayer(amount)));
  const sold = await Promise.all(payers.map(
    (payer) => till.sell(payer, Array(each).fill(API), message)));
  return payers.map((payer, i) => ({ payer, paid: sold[i] }));
}

/** How many items each transaction of the settler's key carries; 0 for a plain transfer. */
async function itemsSent(shop) {
  const items = [];
  const latest = Number(await shop.chain.rpc('eth_blockNumber'));
  for (let number = 0; number <= latest; number++) {
    const { transactions } = await shop.chain.rpc('eth_getBlockByNumber', toHex(number), true);
    for (const { from, to, input } of transactions) {
      if (from.toLowerCase() !== shop.key.address.toLowerCase()) continue;
      items.push(to.toLowerCase() === shop.facilitator?.address.toLowerCase()
        ? itemsOf(input) : 0);
    }
  }
  return items;
}

function itemsOf(data) {
  const { args } = decodeFunctionData({ abi: ABI, data });
  return (args[2].length - 2) / 2 / ITEM_SIZE;
}

/** The receipts of the settler's transactions, in their order. */
async function receiptsOf(shop) {
  const receipts = [];
  const latest = Number(await shop.chain.rpc('eth_blockNumber'));
  for (let number = 0; number <= latest; number++) {
    const all = await shop.chain.rpc('eth_getBlockReceipts', toHex(number));
    receipts.push(...all.filter(({ from }) =>
      from.toLowerCase() === shop.key.address.toLowerCase()));
  }
  return receipts;
}

/** The costs in the ledger of all that was in a transaction come to its receipt's. */
async function costsAddUp(shop, transaction, rows) {
  const receipt = await shop.chain.receipt(transaction);
  const sum = (field) => rows.reduce((all, row) => all + BigInt(row[field] ?? 0), 0n);
  assert.equal(sum('gasUsed'), BigInt(receipt.gasUsed));
  assert.equal(sum('feeWei'), BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice));
}

/** Waits until a node is asked nothing for a second; gives how often it was asked. */
async function askedBeforeRest(node) {
  let [asked, looks] = [0, 0];
  await waitFor(() => {
    looks = node.calls.length === asked ? looks + 1 : 0;
    asked = node.calls.length;
    return looks === 5;
  }, 'the node to be left alone', 10_000, 200);
  return asked;
}

// -------------------------------------------------------------------------- when it goes

describe('a batch goes', { concurrency: AT_ONCE }, () => {
  batchTest('when_it_is_large_enough', async (shop, till) => {
    await sellTo(till, 10, { each: 10 });
    const settler = shop.runSettler();
    await noted(settler, /sending 100 payments, 0\.1 USDC, in 0x[0-9a-f]{64} \(nonce 0, full\)/);
    await till.collected();
    await noted(settler, /settled 100 payments, 0\.1 USDC, in 0x[0-9a-f]{64} \(block \d+\)/);
    assert.deepEqual(await itemsSent(shop), [100]);
    assert.doesNotMatch(settler.log(), /payment \d+ \(/, 'no line a payment');
    await till.isSquare();
    const rows = await payments(shop.gateway);
    await costsAddUp(shop, rows[0].transaction, rows);
  });

  batchTest('when_it_is_old_enough_and_not_before', async (shop, till) => {
    await sellTo(till, 3);
    const node = await shop.nodeProxy();
    const settler = shop.runSettler({ node, args: ['--batch-age', '30'] });
    await noted(settler, /settling in batches/);
    await sleep(2_000);
    assert.deepEqual(node.sent, []);
    const asked = await askedBeforeRest(node);
    await sleep(1_500);
    assert.equal(node.calls.length, asked, 'a node is not asked while nothing is to be done');
    shop.gateway.setClock(31);
    await noted(settler, /sending 3 payments, 0\.003 USDC, in 0x[0-9a-f]{64} \(nonce 0, old\)/);
    await till.collected();
    assert.deepEqual(await itemsSent(shop), [3]);
    await till.isSquare();
  });

  batchTest('before_an_authorization_in_it_ends', async (shop, till) => {
    await sellTo(till, 2);
    await sellTo(till, 1, { message: { validBefore: BigInt(nowSeconds() + 34) } });
    const settler = shop.runSettler();
    await noted(settler, /sending 3 payments, .* \(nonce 0, deadline\)/);
    await till.collected();
    assert.deepEqual(await itemsSent(shop), [3]);
    await till.isSquare();
  }, { gateway: { window: '300 min=5' } });

  batchTest('at_once_when_a_single_run_was_asked_for', async (shop, till) => {
    await sellTo(till, 5);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.deepEqual(await itemsSent(shop), [5]);
    await till.isSquare();
  });

  batchTest('with_at_most_two_hundred', async (shop, till) => {
    await sellTo(till, 10, { each: 23 });
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.deepEqual((await itemsSent(shop)).sort((a, b) => a - b), [30, 200]);
    await till.isSquare();
  });

  batchTest('not_and_a_payment_by_itself_is_a_plain_transfer', async (shop, till) => {
    await sellTo(till, 1);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.deepEqual(await itemsSent(shop), [0]);
    await till.isSquare();
  });
});

describe('without the contract', { concurrency: AT_ONCE }, () => {
  batchTest('each_payment_has_a_transaction_of_its_own', async (shop, till) => {
    await sellTo(till, 5);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.deepEqual(await itemsSent(shop), [0, 0, 0, 0, 0]);
    await till.isSquare();
  }, { contract: false });

  batchTest('it_is_found_when_it_is_deployed_while_the_settler_runs', async (shop, till) => {
    const settler = shop.runSettler();
    await sellTo(till, 2);
    await till.collected();
    shop.facilitator = await deployFacilitator(shop.chain);
    shop.gateway.setClock(61);
    const [{ payer }] = await sellTo(till, 1);
    await noted(settler, /settling in batches/);
    await till.sell(payer, [API, API]);
    shop.gateway.setClock(61 + 11);
    await till.collected();
    assert.equal(await shop.transactionCount(), (await itemsSent(shop)).length);
    assert.ok((await itemsSent(shop)).at(-1) >= 2, 'the last ones in a batch');
    await till.isSquare();
  }, { contract: false });
});

// ------------------------------------------------------------------------ what spoils it

describe('in a batch', { concurrency: AT_ONCE }, () => {
  batchTest('a_payer_whose_money_is_gone_spoils_nobody_elses', async (shop, till) => {
    const [{ payer, paid: [lost] }, ...others] = await sellTo(till, 6);
    await drain(shop.chain, payer);
    const settler = shop.runSettler();
    shop.gateway.setClock(11);
    await till.collected(others.flatMap(({ paid }) => paid));
    assert.deepEqual(await itemsSent(shop), [5], 'it was left out beforehand');
    assert.equal((await shop.row(lost)).money, 'due');
    assert.match(settler.log(), /waiting with payment \d+ \(receipt [\w-]{22}\): .*: ERC20: transfer amount exceeds/);
    await shop.checkBooks();
  });

  batchTest('a_canceled_authorization_fails_and_spoils_nobody_elses', async (shop, till) => {
    const [{ payer, paid: [lost] }, ...others] = await sellTo(till, 6);
    await cancel(shop.chain, payer, lost);
    await shop.chain.mine(2 * shop.safeDepth);
    till.fails(lost, /^canceled: /);
    shop.runSettler();
    shop.gateway.setClock(11);
    await till.collected(others.flatMap(({ paid }) => paid));
    await till.until([lost], (row) => row.money === 'failed', 'the verdict');
    assert.deepEqual(await itemsSent(shop), [5]);
    await till.isSquare();
  });

  batchTest('a_blacklisted_payer_spoils_nobody_elses', async (shop, till) => {
    const [{ payer, paid: [lost] }, ...others] = await sellTo(till, 6);
    await shop.chain.send('blacklist', payer.address);
    const settler = shop.runSettler();
    shop.gateway.setClock(11);
    await till.collected(others.flatMap(({ paid }) => paid));
    assert.deepEqual(await itemsSent(shop), [5]);
    assert.equal((await shop.row(lost)).money, 'due');
    assert.match(settler.log(), /waiting with payment \d+ \(receipt [\w-]{22}\): .*: Blacklistable: account is/);
  });

  batchTest('what_somebody_else_settled_is_attributed_to_them', async (shop, till) => {
    const [{ paid: [used] }] = await sellTo(till, 6);
    const theirs = await useElsewhere(shop.chain, used);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.equal((await shop.row(used)).transaction, theirs.transactionHash);
    assert.deepEqual(await itemsSent(shop), [5]);
    await till.isSquare();
  });

  batchTest('a_payer_with_too_little_pays_what_it_can', async (shop, till) => {
    await sellTo(till, 5);
    const poor = await till.newPayer(2n * PRICE);
    await till.sell(poor, Array(5).fill(API));
    shop.runSettler();
    shop.gateway.setClock(11);
    await waitFor(async () => (await shop.chain.balance(shop.payee)) === 7n * PRICE, 'the money');
    assert.deepEqual(await itemsSent(shop), [7]);
    const monies = async () => (await payments(shop.gateway, '--payer', poor.address))
      .map((row) => row.money).sort();
    await waitFor(async () => (await monies()).join() === 'due,due,due,settled,settled', 'both');
    await shop.chain.mint(poor.address, 3n * PRICE);
    till.minted.set(poor, 5n * PRICE);
    await till.collected();
    await till.isSquare();
  });

  batchTest('one_that_fails_on_the_chain_is_due_again_and_bears_its_cost', async (shop, till) => {
    const [{ payer, paid: [late] }, ...others] = await sellTo(till, 6);
    await shop.chain.giveGas(payer.address);
    await shop.chain.automine(false);
    const settler = shop.runSettler();
    shop.gateway.setClock(11);
    await waitFor(async () => (await shop.chain.rpc('txpool_status')).pending === '0x1', 'the pool');
    await spendFirst(shop, payer);
    await shop.chain.mine();
    await shop.chain.automine(true);
    await till.collected(others.flatMap(({ paid }) => paid));
    assert.deepEqual(await itemsSent(shop), [6]);
    await till.until([late], (row) => row.money === 'due', 'it to be due');
    await noted(settler, /due again: payment \d+ \(receipt [\w-]{22}\): .*: failed in its batch: ERC20: transfer amount/);
    const rows = await payments(shop.gateway);
    const { transaction } = rows.find((row) => row.money === 'settled');
    const receipt = await shop.chain.receipt(transaction);
    const earned = await spentOnGas(shop);
    assert.equal(earned, BigInt(receipt.gasUsed), 'what failed is paid for, too');
    await shop.checkBooks();
  });

  batchTest('what_makes_a_node_refuse_all_is_found_and_sent_by_itself', async (shop, till) => {
    const sold = await sellTo(till, 10, { each: 4 });
    const poison = sold[6].paid[2].message.nonce.slice(2);
    const isPoisoned = ({ method, params: [call] }) => method === 'eth_call'
      && call.to.toLowerCase() === shop.facilitator.address.toLowerCase()
      && call.data.includes(poison);
    const node = await shop.nodeProxy((asked) => (isPoisoned(asked)
      ? { error: { code: -32000, message: 'execution timeout' } } : 'pass'));
    const settler = shop.runSettler({ node });
    shop.gateway.setClock(11);
    await till.collected();
    assert.deepEqual((await itemsSent(shop)).sort((a, b) => a - b), [0, 39]);
    const calls = node.asked('eth_call').length;
    assert.ok(calls <= 30, `${calls} simulations for 40 payments`);
    assert.doesNotMatch(settler.log(), /failed payment/);
    await till.isSquare();
  });

  batchTest('what_a_node_cannot_simulate_at_once_goes_in_smaller_ones', async (shop, till) => {
    await sellTo(till, 10, { each: 4 });
    const node = await shop.nodeProxy(({ method, params: [call] }) =>
      (method === 'eth_call' && call.data.length > 2 * 12 * ITEM_SIZE
        ? { error: { code: -32000, message: 'out of gas' } } : 'pass'));
    shop.runSettler({ node });
    shop.gateway.setClock(11);
    await till.collected();
    assert.deepEqual(await itemsSent(shop), [10, 10, 10, 10]);
    await till.isSquare();
  });

  batchTest('is_not_more_than_a_payer_has_though_the_node_sees_nothing_under_way', async (shop, till) => {
    const node = await shop.nodeProxy(({ method, params }) =>
      (method === 'eth_call' && params[1] === 'pending'
        ? { error: { code: -32602, message: 'unknown block tag' } } : 'pass'));
    const poor = await till.newPayer(2n * PRICE);
    await till.sell(poor, [API, API]);
    const [{ payer: rich }] = await sellTo(till, 1);
    await shop.chain.automine(false);
    shop.runSettler({ node });
    shop.gateway.setClock(11);
    await waitFor(() => node.sent.length === 1, 'the first batch');
    await till.sell(poor, [API, API]);
    await till.sell(rich, [API, API]);
    shop.gateway.setClock(22);
    await waitFor(async () => (await shop.chain.rpc('txpool_status')).pending === '0x2', 'the second in the pool');
    await shop.chain.mine();
    await waitFor(async () => (await shop.chain.balance(shop.payee)) === 5n * PRICE, 'the money');
    assert.deepEqual(await itemsSent(shop), [3, 2]);
  });
});

describe('the contract', { concurrency: AT_ONCE }, () => {
  /** Sells four calls, and stops when their batch waits in the pool. */
  async function batchInPool(shop, till) {
    await sellTo(till, 4);
    await shop.chain.automine(false);
    const settler = shop.runSettler();
    shop.gateway.setClock(11);
    await waitFor(async () => (await shop.chain.rpc('txpool_status')).pending === '0x1', 'the pool');
    return settler;
  }

  batchTest('that_reverts_leaves_all_due_and_what_it_cost_on_the_books', async (shop, till) => {
    const settler = await batchInPool(shop, till);
    const code = await shop.chain.rpc('eth_getCode', shop.facilitator.address, 'latest');
    await shop.chain.rpc('anvil_setCode', shop.facilitator.address, '0x60006000fd');
    await shop.chain.mine();
    await noted(settler, /due again: 4 payments, 0\.004 USDC: its transaction reverted/);
    await shop.chain.rpc('anvil_setCode', shop.facilitator.address, code);
    await shop.chain.automine(true);
    await till.collected();
    const receipts = await receiptsOf(shop);
    assert.equal(receipts[0].status, '0x0');
    const gas = receipts.reduce((sum, { gasUsed }) => sum + BigInt(gasUsed), 0n);
    assert.equal(await spentOnGas(shop), gas);
    await till.isSquare({ wasted: 1 });
  });

  batchTest('that_is_gone_is_done_without', async (shop, till) => {
    const settler = await batchInPool(shop, till);
    await shop.chain.rpc('anvil_setCode', shop.facilitator.address, '0x');
    await shop.chain.mine();
    await noted(settler, /the facilitator contract is gone: settling singly/);
    await shop.chain.automine(true);
    await till.collected();
    assert.deepEqual((await itemsSent(shop)).slice(1), [0, 0, 0, 0]);
    await till.isSquare({ wasted: 1 });
  });
});

/** A payer's own transaction, which moves all it has, with more tip than any other. */
async function spendFirst(shop, payer) {
  const { encodeFunctionData } = await import('viem');
  const data = encodeFunctionData({
    abi: shop.chain.abi, functionName: 'transfer',
    args: [SOMEBODY, await shop.chain.balance(payer.address)],
  });
  const { raw } = await signedBy(payer, {
    to: shop.chain.usdc, data, nonce: 0,
    maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 50_000_000_000n,
  });
  await shop.chain.rpc('eth_sendRawTransaction', raw);
}

/** Gas that the ledger has on its books, of all routes and days. */
async function spentOnGas(shop) {
  const { earnings } = await stats(shop.gateway);
  return earnings.reduce((sum, row) => sum + BigInt(row.gasUsed), 0n);
}

// ----------------------------------------------------------- transactions that do not arrive

describe('a transaction with a batch', { concurrency: AT_ONCE }, () => {
  batchTest('that_is_stuck_is_replaced_with_the_same_payments', async (shop, till) => {
    await sellTo(till, 4);
    await shop.chain.automine(false);
    const node = await shop.nodeProxy();
    shop.runSettler({ node });
    shop.gateway.setClock(11);
    await waitFor(() => node.sent.length === 1, 'the transaction');
    shop.gateway.setClock(11 + 40);
    await waitFor(() => node.sent.length > 1, 'its replacement', 20_000);
    const [first, second] = node.sent.map((raw) => parseTransaction(raw));
    assert.equal(second.nonce, first.nonce);
    assert.equal(second.gas, first.gas);
    assert.equal(itemsOf(second.data), 4);
    for (const fee of ['maxFeePerGas', 'maxPriorityFeePerGas']) {
      assert.ok(second[fee] * 10n >= first[fee] * 11n, `${fee}: ${first[fee]}, ${second[fee]}`);
    }
    await shop.chain.mine();
    await till.collected();
    await till.isSquare();
  });

  batchTest('that_no_block_takes_is_made_smaller_under_its_nonce', async (shop, till) => {
    await sellTo(till, 8);
    const node = await shop.nodeProxy(({ method, params: [raw] }) =>
      (method === 'eth_sendRawTransaction' && raw.length > 2 * 6 * ITEM_SIZE
        ? { error: { code: -32000, message: 'exceeds block gas limit' } } : 'pass'));
    shop.runSettler({ node });
    shop.gateway.setClock(11);
    await till.collected();
    assert.deepEqual(await itemsSent(shop), [4, 4]);
    await till.isSquare();
  });

  batchTest('that_is_reorganized_away_is_sent_again_and_pays_once', async (shop, till) => {
    await sellTo(till, 4);
    const node = await shop.nodeProxy();
    shop.runSettler({ node });
    shop.gateway.setClock(11);
    await till.collected();
    await shop.chain.rpc('anvil_reorg', 1, []);
    assert.equal(await shop.chain.balance(shop.payee), 0n);
    await waitFor(async () => (await shop.chain.balance(shop.payee)) === 4n * PRICE,
      'the money', 30_000);
    assert.equal(new Set(node.sent).size, 1, 'the same transaction');
    await shop.chain.mine(2 * shop.safeDepth);
    await till.closed();
    await till.isSquare({ money: ['final'] });
    const rows = await payments(shop.gateway);
    await costsAddUp(shop, rows[0].transaction, rows);
  });

  batchTest('killed_before_it_is_sent_is_sent_by_the_next_settler', async (shop, till) => {
    await sellTo(till, 4);
    shop.gateway.setClock(11);
    const node = await shop.nodeProxy(({ method }) =>
      (method === 'eth_sendRawTransaction' ? 'hold' : 'pass'));
    const first = shop.runSettler({ node });
    await waitFor(() => node.sent.length === 1, 'the transaction');
    await first.kill();
    shop.runSettler();
    await till.collected();
    assert.deepEqual(await itemsSent(shop), [4]);
    await till.isSquare();
  });
});

// --------------------------------------------------------------- nonces that are forgotten

describe('a nonce that the chain has forgotten', { concurrency: AT_ONCE }, () => {
  // What was final is gone: the chain began anew, as far as the key is concerned.
  batchTest('is_filled_and_what_comes_after_it_settles', async (shop, till) => {
    const before = await shop.chain.rpc('evm_snapshot');
    await sellTo(till, 1);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    await shop.chain.mine(2 * shop.safeDepth);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    await till.closed();
    assert.equal(await shop.transactionCount(), 1);
    await shop.chain.rpc('evm_revert', before);
    assert.equal(await shop.transactionCount(), 0);
    const settler = shop.runSettler();
    const [{ paid }] = await sellTo(till, 1);
    await till.collected(paid);
    assert.match(settler.log(), /transaction 0 is missing: filling its place with an empty one/);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
  }, { safeDepth: 2 });
});

// -------------------------------------------------------------------------- ten thousand

const COUNT = 10_000;
const WITHIN_SECONDS = 60;

/** The address of the nth payer that bench/payments signs for, from 1. */
function benchPayer(n) {
  const key = new Uint8Array(32).fill(0x11);
  key[30] = n >> 8;
  key[31] = n & 0xff;
  return privateKeyToAddress(toHex(key));
}

/** Sells `count` calls to `payers` by the load generator; gives when all are recorded. */
async function sellByLoad(shop, count, payers) {
  const file = path.join(temporaryFolder('batch'), 'payments.txt');
  fs.writeFileSync(file, execFileSync(path.join(BUILD, 'bench/payments'),
    [count, 'v2', payers, shop.payee, PRICE, 3600].map(String), { maxBuffer: 1 << 30 }));
  execFileSync(path.join(BUILD, 'bench/load'),
    [shop.gateway.port, '/', 32, 60, 'PAYMENT-SIGNATURE', file].map(String));
  await waitFor(async () => {
    const [totals] = (await stats(shop.gateway)).totals;
    return totals?.delivery.delivered.count === count;
  }, 'the outcomes', 60_000);
}

/** A shop whose goods cost nothing to make, and a chain whose blocks have room as Base's. */
async function fastShop() {
  const goods = await freePort();
  return openShop({
    chain: { args: ['--gas-limit', '400000000'] },
    gateway: {
      workers: 2, window: '300 max=7200',
      locations: `location / { x402_price 0.001; proxy_pass http://127.0.0.1:${goods}; }`,
      http: `server { listen 127.0.0.1:${goods}; location / { return 200 "{}"; } }`,
    },
  });
}

/** Settles what was sold; gives {seconds, transactions, calls, gas} and checks the sums. */
async function settleAll(shop, count) {
  const node = await shop.nodeProxy();
  const started = Date.now();
  await settleOnce(shop.gateway, node, shop.key);
  const seconds = (Date.now() - started) / 1000;
  assert.equal(await shop.chain.balance(shop.payee), BigInt(count) * PRICE);
  const gas = Number(await spentOnGas(shop));
  await shop.checkBooks();
  return {
    seconds, gas: gas / count, calls: node.calls.length / count,
    transactions: new Set(node.sent).size,
  };
}

for (const [name, payers, gasMax] of [
  [`${COUNT} payments of 200 payers settle in batches`, 200, 52_000],
  ['2000 payments of one payer settle in batches', 1, 45_000],
]) {
  test(name, async (t) => {
    const count = payers === 1 ? 2_000 : COUNT;
    const shop = await fastShop();
    try {
      await deployFacilitator(shop.chain);
      await shop.chain.giveGas(shop.key.address, '1000');
      for (let n = 1; n <= payers; n++) {
        await shop.chain.mint(benchPayer(n), BigInt(count) * PRICE);
      }
      await sellByLoad(shop, count, payers);
      const found = await settleAll(shop, count);
      t.diagnostic(`${count} payments, ${payers} payers: ${found.transactions} transactions, `
        + `${found.gas.toFixed(0)} gas and ${found.calls.toFixed(3)} calls to the node each, `
        + `${found.seconds.toFixed(1)} s`);
      assert.equal(found.transactions, count / 200);
      assert.ok(found.gas <= gasMax, `${found.gas} gas a payment`);
      assert.ok(found.calls <= 0.05, `${found.calls} calls to the node a payment`);
      assert.ok(found.seconds <= WITHIN_SECONDS, `${found.seconds} seconds`);
    } finally {
      await shop.close();
    }
  });
}
