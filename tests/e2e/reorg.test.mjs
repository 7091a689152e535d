// The chain takes back what it said, forgets transactions and becomes dear; the key that
// settles runs out of gas, or is used by others. Each payment is collected once all the
// same, with the authorization that was signed, and what is final stays as it is.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keccak256, parseGwei, parseTransaction } from 'viem';
import { SOMEBODY, signedBy, useData } from './lib/elsewhere.mjs';
import { Miner } from './lib/miner.mjs';
import { waitFor } from './lib/process.mjs';
import { noted } from './lib/settler.mjs';
import { shopTest } from './lib/shop.mjs';
import { Till } from './lib/till.mjs';
import { account, newAccount } from './lib/wallet.mjs';

const AT_ONCE = 8; // tests: a settler mostly waits
const SAFE_DEPTH = 10; // deeper than any reorganization here
const DEPTH_MAX = 8;

let tests = 0;

/**
 * A test with a shop of its own, a till, a node before the chain, and a miner. Every other
 * one settles in batches; with X402_ALL=1 every one does, and does not.
 */
function reorgTest(name, body) {
  const both = process.env.X402_ALL === '1';
  if (both || tests % 2 === 0) testWith(name, body, false);
  if (both || tests % 2 === 1) testWith(`${name}_in_batches`, body, true);
  tests++;
}

function testWith(name, body, contract) {
  shopTest(name, async (shop) => {
    const till = new Till(shop);
    const node = await shop.nodeProxy();
    const miner = new Miner(shop.chain);
    shop.later(() => miner.stop());
    await body({ shop, till, node, miner, chain: shop.chain });
  }, { safeDepth: SAFE_DEPTH, contract });
}

const runSettler = ({ shop, node }) =>
  shop.runSettler({ node, args: ['--batch-age', '1'] });

const latest = async (chain) => Number(await chain.rpc('eth_blockNumber'));

/** Waits until the money of all that was sold is there, whatever the ledger says. */
const moneyArrives = ({ shop, till, chain }, within = 60_000) => waitFor(
  async () => (await chain.balance(shop.payee)) === till.worth(), 'the money', within, 100);

/** Sells with a settler that cannot get blocks: in transactions that wait in the pool. */
async function sellSubmitted({ till, chain }, payer, paths) {
  await chain.automine(false);
  const sold = await till.sell(payer, paths);
  await till.until(sold, (row) => row.money === 'submitted', 'the transactions');
  await waitFor(async () => (await chain.rpc('txpool_status')).pending !== '0x0', 'the pool');
  return sold;
}

/** Waits until the settler has looked for what is final once more. */
async function looksForFinality({ node }) {
  const looks = () => node.asked('eth_getBlockByNumber').filter(({ params }) => params[0] === 'safe');
  const before = looks().length;
  await waitFor(() => looks().length >= before + 2, 'two looks at the safe block', 30_000);
}

/** Blocks come until everything is final; then all must be square. */
async function endSquare(context, options = {}) {
  const { till, miner } = context;
  if (!miner.running) await miner.start();
  await moneyArrives(context);
  await till.collected();
  await till.closed();
  await miner.stop();
  await till.isSquare({ money: ['final'], ...options });
}

// ------------------------------------------------------------------------ reorganizations

describe('a reorganization', { concurrency: AT_ONCE }, () => {
  for (let depth = 1; depth <= DEPTH_MAX; depth++) {
    reorgTest(`of_depth_${depth}_pays_each_call_once_and_leaves_what_is_final`, async (context) => {
      const { till, chain, shop } = context;
      const payer = await till.newPayer();
      runSettler(context);
      const final = await till.sell(payer, ['/api/x', '/dear/x']);
      await till.collected();
      await chain.mine(SAFE_DEPTH);
      await till.closed();
      const before = await till.rows();

      const below = await till.sell(payer, ['/cheap/x']);
      await till.collected();
      const fork = await latest(chain);
      const deepest = await till.sell(payer, ['/api/x', '/cheap/x']);
      await till.collected();
      await chain.mine(Math.max(0, fork + depth - 1 - (await latest(chain))));
      const top = await till.sell(payer, ['/api/x']);
      await till.collected();
      await looksForFinality(context);
      const rows = await till.rows();
      for (const { message: { nonce } } of [...deepest, ...top]) {
        assert.equal(rows.get(nonce).money, 'settled', 'above the safe block');
      }
      await sellSubmitted(context, payer, ['/cheap/x', '/dear/x']);
      const lost = (await latest(chain)) - fork;
      await chain.rpc('anvil_reorg', depth, []);
      assert.ok(lost >= depth, `${lost} blocks since the fork`);
      const kept = till.worth([...final, ...below]);
      assert.ok((await chain.balance(shop.payee)) >= kept);
      assert.ok((await chain.balance(shop.payee)) < kept + till.worth([...deepest, ...top]));

      await endSquare(context);
      const after = await till.rows();
      for (const { message: { nonce } } of final) {
        assert.deepEqual(after.get(nonce), before.get(nonce), 'what was final');
      }
    });
  }

  reorgTest('that_puts_our_transactions_into_another_block_is_followed_there', async (context) => {
    const { till, chain, node } = context;
    const payer = await till.newPayer();
    runSettler(context);
    const fork = await latest(chain);
    await till.sell(payer, ['/api/x', '/cheap/x']);
    await till.collected();
    await chain.mine(2);
    const depth = (await latest(chain)) - fork;
    const sent = [...new Set(node.sent)];
    await chain.rpc('anvil_reorg', depth, sent.map((raw) => [raw, depth - 1]));
    assert.equal(await chain.balance(context.shop.payee), till.worth());
    await endSquare(context);
    assert.deepEqual([...new Set(node.sent)], sent, 'nothing else was sent');
  });

  reorgTest('that_a_node_has_not_heard_of_makes_nothing_final_in_a_block_that_is_gone', async (context) => {
    const { till, chain, node } = context;
    const payer = await till.newPayer();
    const settler = runSettler(context);
    const [paid] = await till.sell(payer, ['/api/x']);
    await till.collected();
    await settler.stop();
    const { transaction } = (await till.rows()).get(paid.message.nonce);
    const old = await chain.rpc('eth_getTransactionReceipt', transaction);
    await chain.mine(2);
    const raw = node.sent.find((one) => keccak256(one) === transaction);
    await chain.rpc('anvil_reorg', 3, [[raw, 2]]);
    assert.notEqual((await chain.receipt(transaction)).blockNumber, old.blockNumber);
    await chain.mine(SAFE_DEPTH);

    let told = 0;
    node.rule = ({ method }) => (method === 'eth_getTransactionReceipt' && told++ < 3
      ? { result: old } : 'pass');
    runSettler(context);
    await waitFor(() => told > 3, 'the receipt to be asked for again', 40_000);
    await endSquare(context);
  });

  reorgTest('in_which_somebody_else_settles_is_settled_by_that', async (context) => {
    const { till, chain, shop } = context;
    const [payer, other] = [await till.newPayer(), newAccount()];
    await chain.giveGas(other.address);
    const settler = runSettler(context);
    const [paid] = await till.sell(payer, ['/api/x']);
    await till.collected();
    const theirs = await signedBy(other, { nonce: 0, to: chain.usdc, data: useData(chain, paid) });
    await chain.rpc('anvil_reorg', 1, [[theirs.raw, 0]]);
    assert.equal(await chain.balance(shop.payee), till.worth());
    // Ours may have been sent again before it was known that it is in vain.
    await endSquare(context, { wasted: 1 });
    assert.equal((await till.rows()).get(paid.message.nonce).transaction, theirs.hash);
    await settler.stop();
  });

  reorgTest('that_takes_the_payers_money_fails_for_want_of_it', async (context) => {
    const { till, chain, shop, miner } = context;
    const payer = await till.newPayer();
    const poor = await till.newPayer();
    const fork = await latest(chain) - 1;
    const settler = runSettler(context);
    const [lost] = await till.sell(poor, ['/api/x']);
    await till.collected();
    await chain.rpc('anvil_reorg', (await latest(chain)) - fork, []);
    till.minted.set(poor, 0n);
    await till.sell(payer, ['/api/x']); // the nonces go on
    await miner.start();
    await noted(settler, 'transfer amount exceeds balance', 40_000);
    await miner.stop();
    till.fails(lost, /^expired: .*insufficient_funds/);
    shop.gateway.setClock(301);
    await chain.advance(301);
    await miner.start();
    await till.closed();
    await till.isSquare({ money: ['final'], wasted: 1 });
  });

  reorgTest('that_gives_our_nonce_to_another_transaction_of_the_key_pays_once', async (context) => {
    const { till, chain, shop } = context;
    const payer = await till.newPayer();
    runSettler(context);
    const [paid] = await till.sell(payer, ['/api/x']);
    await till.collected();
    const { nonce } = await transactionOf(context, paid);
    const foreign = await signedBy(keyOf(shop), { nonce, to: SOMEBODY, data: '0x' });
    await chain.rpc('anvil_reorg', 1, [[foreign.raw, 0]]);
    assert.equal(await chain.balance(shop.payee), 0n);
    await endSquare(context, { wasted: 1 }); // the foreign one
    assert.notEqual((await till.rows()).get(paid.message.nonce).transaction, foreign.hash);
  });

  reorgTest('again_and_again_at_any_depth_pays_each_call_once', async (context) => {
    const { till, chain, miner } = context;
    const payer = await till.newPayer();
    await chain.mine(SAFE_DEPTH);
    runSettler(context);
    await miner.start();
    for (let depth = 1; depth <= DEPTH_MAX; depth++) {
      const sold = await till.sell(payer, ['/api/x', '/cheap/x']);
      if (depth % 2) await till.collected(sold);
      await chain.rpc('anvil_reorg', depth, []);
    }
    await endSquare(context);
  });
});

/** The account that settles. */
const keyOf = (shop) => account(`settler of ${shop.payee}`);

/** The transaction in which a payment is said to be settled, as it was sent. */
async function transactionOf({ till, node }, paid) {
  const { transaction } = (await till.rows()).get(paid.message.nonce);
  return parseTransaction(node.sent.find((raw) => keccak256(raw) === transaction));
}

// ------------------------------------------------------------- transactions that are dropped

describe('a transaction', { concurrency: AT_ONCE }, () => {
  reorgTest('that_the_pool_forgets_is_sent_again', async (context) => {
    const { till, chain, node } = context;
    const payer = await till.newPayer();
    runSettler(context);
    await sellSubmitted(context, payer, ['/api/x', '/cheap/x']);
    const sent = [...new Set(node.sent)];
    for (const raw of sent) await chain.rpc('anvil_dropTransaction', keccak256(raw));
    assert.equal((await chain.rpc('txpool_status')).pending, '0x0');
    await endSquare(context);
    assert.deepEqual([...new Set(node.sent)], sent, 'the same ones');
  });

  reorgTest('that_the_pool_forgets_below_others_is_sent_again', async (context) => {
    const { till, chain, node } = context;
    const payer = await till.newPayer();
    runSettler(context);
    await sellSubmitted(context, payer, ['/api/x']);
    await sellSubmitted(context, payer, ['/cheap/x', '/dear/x']);
    await chain.rpc('anvil_dropTransaction', keccak256(node.sent[0]));
    await endSquare(context);
  });
});

// ------------------------------------------------------------------------------------ fees

const CHEAP = 5_000_000n; // wei a gas: Base's floor

describe('a base fee', { concurrency: AT_ONCE }, () => {
  /** Blocks of the usual fee, more than the settler looks back. */
  async function usually(miner) {
    miner.baseFee = CHEAP;
    for (let i = 0; i < 110; i++) await miner.mine();
  }

  reorgTest('that_rises_tenfold_and_falls_again_and_again_lets_each_call_be_paid', async (context) => {
    const { till, miner, chain, shop } = context;
    const payer = await till.newPayer();
    await usually(miner);
    runSettler(context);
    let clock = 0;
    for (const times of [10n, 100n, 10n]) {
      const submitted = await sellSubmitted(context, payer, ['/api/x', '/cheap/x']);
      miner.baseFee = times * CHEAP;
      await miner.start();
      clock += 15; // so that what is stuck is replaced without the wait
      shop.gateway.setClock(clock);
      const waiting = await till.sell(payer, ['/api/x']);
      await till.collected(submitted);
      miner.baseFee = CHEAP;
      await till.collected(waiting);
      await miner.stop();
      await chain.automine(true);
    }
    await endSquare(context);
  });

  reorgTest('that_stays_high_is_paid_before_an_authorization_ends', async (context) => {
    const { till, miner, node, shop } = context;
    const payer = await till.newPayer();
    await usually(miner);
    miner.baseFee = 10n * CHEAP;
    await miner.mine(); // and no further: it would become usual
    runSettler(context);
    const [paid] = await till.sell(payer, ['/api/x']);
    const asked = node.asked('eth_feeHistory').length;
    await waitFor(() => node.asked('eth_feeHistory').length > asked + 3, 'passes of the settler');
    assert.equal((await shop.row(paid)).money, 'due');
    assert.equal(node.sent.length, 0);
    shop.gateway.setClock(245); // of the 300 seconds it is valid
    await waitFor(() => node.sent.length > 0, 'the transaction');
    await endSquare(context);
  });

  reorgTest('above_what_may_be_spent_is_waited_out', async (context) => {
    const { till, miner, node, shop } = context;
    const payer = await till.newPayer();
    miner.baseFee = parseGwei('60');
    await miner.start();
    const settler = runSettler(context);
    const [paid] = await till.sell(payer, ['/api/x']);
    await noted(settler, 'gas costs more than', 40_000);
    assert.equal(node.sent.length, 0);
    assert.equal((await shop.row(paid)).money, 'due');
    miner.baseFee = CHEAP;
    await endSquare(context);
  });
});

// ------------------------------------------------------------------------- gas and the nonce

describe('a key', { concurrency: AT_ONCE }, () => {
  reorgTest('without_gas_loses_nothing_and_goes_on_when_it_has_some', async (context) => {
    const { till, chain, shop, node } = context;
    const payer = await till.newPayer();
    await chain.giveGas(shop.key.address, '0');
    const settler = runSettler(context);
    await till.sell(payer, ['/api/x', '/cheap/x']);
    await noted(settler, 'cannot pay for gas', 40_000);
    assert.equal(node.sent.length, 0);
    await chain.giveGas(shop.key.address);
    await endSquare(context);
  });

  reorgTest('that_runs_out_of_gas_with_transactions_under_way_pays_them_later', async (context) => {
    const { till, chain, shop, miner } = context;
    const payer = await till.newPayer();
    runSettler(context);
    await sellSubmitted(context, payer, ['/api/x', '/cheap/x', '/dear/x']);
    await chain.giveGas(shop.key.address, '0');
    await miner.start();
    await waitFor(async () => (await chain.rpc('txpool_status')).pending === '0x0', 'the pool');
    assert.equal(await chain.balance(shop.payee), 0n);
    await chain.giveGas(shop.key.address);
    await endSquare(context);
  });

  reorgTest('that_somebody_uses_beside_us_settles_behind_them', async (context) => {
    const { till, chain, shop, miner } = context;
    const payer = await till.newPayer();
    const settler = runSettler(context);
    await chain.automine(false);
    const foreign = await signedBy(keyOf(shop), { nonce: 0, to: SOMEBODY, data: '0x' });
    await chain.rpc('eth_sendRawTransaction', foreign.raw);
    await till.sell(payer, ['/api/x']);
    await miner.start();
    await endSquare(context, { wasted: 1 });
    assert.equal((await chain.receipt(foreign.hash)).status, '0x1');
    await settler.stop();
  });

  reorgTest('whose_nonce_somebody_takes_from_our_transaction_settles_under_another', async (context) => {
    const { till, chain, shop } = context;
    const payer = await till.newPayer();
    runSettler(context);
    await sellSubmitted(context, payer, ['/api/x']);
    const foreign = await signedBy(keyOf(shop), {
      nonce: 0, to: SOMEBODY, data: '0x', maxFeePerGas: parseGwei('40'),
      maxPriorityFeePerGas: parseGwei('20'),
    });
    await chain.rpc('eth_sendRawTransaction', foreign.raw);
    await endSquare(context, { wasted: 1 });
    assert.equal((await chain.receipt(foreign.hash)).status, '0x1');
  });

  reorgTest('that_has_a_transaction_beyond_a_gap_settles_below_it', async (context) => {
    const { till, chain, shop } = context;
    const payer = await till.newPayer();
    const foreign = await signedBy(keyOf(shop), { nonce: 2, to: SOMEBODY, data: '0x' });
    await chain.rpc('eth_sendRawTransaction', foreign.raw);
    runSettler(context);
    await till.sell(payer, ['/api/x', '/cheap/x']);
    await moneyArrives(context);
    await till.collected();
    await till.sell(payer, ['/dear/x']);
    await endSquare(context, { wasted: 1 });
  });

  // Ours was signed behind somebody else's, which then vanished: nobody fills its nonce
  // but us.
  reorgTest('with_a_nonce_that_nobody_fills_any_more_fills_it', async (context) => {
    const { till, chain, shop, miner } = context;
    const payer = await till.newPayer();
    await chain.automine(false);
    const foreign = await signedBy(keyOf(shop), { nonce: 0, to: SOMEBODY, data: '0x' });
    await chain.rpc('eth_sendRawTransaction', foreign.raw);
    runSettler(context);
    const [first] = await sellSubmitted(context, payer, ['/api/x']);
    await chain.rpc('anvil_dropTransaction', foreign.hash);
    await miner.start();
    await till.sell(payer, ['/cheap/x']);
    await till.until([first], () => true, 'the row');
    await endSquare(context, { wasted: 1 });
  });
});
