// What the settler believes, and when: a block that may be forgotten ends no payment, a
// node that is behind makes nothing due or failed, and what is not known stays so. Each
// test has a chain, a gateway and a key of its own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { deployFacilitator } from './lib/chain.mjs';
import { SOMEBODY, cancel, drain, useElsewhere } from './lib/elsewhere.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { PRICE, SAFE_DEPTH, openShop, shopTest } from './lib/shop.mjs';
import { noted, settleOnce, settlerKey, trySettleOnce } from './lib/settler.mjs';
import { authorization, nowSeconds, payment, sign } from './lib/wallet.mjs';
import { payments } from './lib/x402.mjs';

const AT_ONCE = 3; // tests: most of each is waiting
const BELIEVE = 12_000; // how long something must look gone before the settler believes it

const latest = (chain) => chain.rpc('eth_getBlockByNumber', 'latest', false);

/** Takes back the chain's last blocks. */
const forget = (chain, blocks = 1) => chain.rpc('anvil_reorg', blocks, []);

/** An authorization with the payment's nonce that pays somebody else. */
async function sameNonce({ payer, paid }) {
  const message = authorization(payer, { to: SOMEBODY, nonce: paid.message.nonce });
  return { message, signature: await sign(payer, message) };
}

// ---------------------------------------------------------------------------- safe blocks

describe('what only a block above the safe one says', { concurrency: AT_ONCE }, () => {
  shopTest('a_cancellation_whose_block_is_reorganized_away_failed_nothing', async (shop) => {
    const { payer, paid } = await shop.sell();
    await cancel(shop.chain, payer, paid);
    const settler = shop.runSettler();
    await noted(settler, 'waiting with payment 1');
    assert.match(settler.log(), /the payer canceled the authorization in 0x[0-9a-f]{64}/);
    assert.equal((await shop.row(paid)).money, 'due');
    await forget(shop.chain);
    await shop.moneyIs(paid, 'settled', 60_000);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('a_cancellation_fails_its_payment_once_its_block_is_safe', async (shop) => {
    const { payer, paid } = await shop.sell();
    const receipt = await cancel(shop.chain, payer, paid);
    const settler = shop.runSettler();
    await noted(settler, 'waiting with payment 1');
    await shop.chain.mine(SAFE_DEPTH);
    const row = await shop.moneyIs(paid, 'failed');
    assert.equal(row.reason,
      `canceled: the payer canceled the authorization in ${receipt.transactionHash}`);
    await shop.checkBooks();
  });

  shopTest('a_use_for_somebody_else_that_is_reorganized_away_failed_nothing', async (shop) => {
    const sold = await shop.sell();
    await useElsewhere(shop.chain, await sameNonce(sold));
    const settler = shop.runSettler();
    await noted(settler, 'waiting with payment 1');
    assert.equal((await shop.row(sold.paid)).money, 'due');
    await forget(shop.chain);
    await shop.moneyIs(sold.paid, 'settled', 60_000);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('a_use_for_somebody_else_fails_with_its_transaction_once_that_is_safe', async (shop) => {
    const sold = await shop.sell();
    const receipt = await useElsewhere(shop.chain, await sameNonce(sold));
    shop.runSettler();
    await shop.chain.mine(SAFE_DEPTH);
    const row = await shop.moneyIs(sold.paid, 'failed');
    assert.equal(row.reason,
      `used: the authorization paid somebody else in ${receipt.transactionHash}`);
    assert.equal(await shop.chain.balance(shop.payee), 0n);
    await shop.checkBooks();
  });

  shopTest('an_end_that_is_reorganized_away_failed_nothing', async (shop) => {
    const { payer, paid } = await shop.sell({ amount: PRICE });
    await drain(shop.chain, payer);
    const settler = shop.runSettler();
    await noted(settler, 'transfer amount exceeds balance');
    const before = await shop.chain.rpc('evm_snapshot');
    await shop.chain.advance(301);
    await noted(settler, 'not settled before validBefore, last for: insufficient_funds');
    assert.equal((await shop.row(paid)).money, 'due');
    assert.equal(await shop.chain.rpc('evm_revert', before), true); // and the clock with it
    await shop.chain.mint(payer.address, PRICE);
    await shop.moneyIs(paid, 'settled', 60_000);
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('ends_a_payment_that_somebody_waits_for_and_has_not_been_served', async (shop) => {
    shop.gateway.configure({ settle: 'before' });
    await shop.gateway.reload();
    const payer = await shop.newPayer();
    const paid = await payment(payer, { message: { to: shop.payee } });
    await cancel(shop.chain, payer, paid);
    shop.runSettler();
    const answer = await ask(shop.gateway, '/api/x', { payment: paid });
    assert.equal(answer.status, 402);
    const row = await shop.moneyIs(paid, 'failed');
    assert.match(row.reason, /^canceled: /);
    assert.equal(row.delivery, 'void');
  });
});

// ------------------------------------------------------------------------------- the chain

describe('a node without a safe block', { concurrency: AT_ONCE }, () => {
  const unknown = { error: { code: -32602, message: 'unknown block' } };

  shopTest('makes_final_what_its_finalized_block_holds', async (shop) => {
    const proxy = await shop.nodeProxy(({ method, params }) =>
      (method === 'eth_getBlockByNumber' && params[0] === 'safe' ? unknown : 'pass'));
    const { paid } = await shop.sell();
    shop.runSettler({ node: proxy });
    await shop.moneyIs(paid, 'settled');
    await shop.chain.mine(SAFE_DEPTH); // safe, and not finalized
    await sleep(6_000); // one look at what is settled, at least
    assert.equal((await shop.row(paid)).money, 'settled');
    await shop.chain.mine(SAFE_DEPTH);
    await shop.moneyIs(paid, 'final');
  });

  shopTest('and_without_a_finalized_one_makes_final_what_is_64_blocks_deep', async (shop) => {
    const proxy = await shop.nodeProxy(({ method, params }) =>
      (method === 'eth_getBlockByNumber' && ['safe', 'finalized'].includes(params[0])
        ? unknown : 'pass'));
    await shop.chain.mine(64);
    const { paid } = await shop.sell();
    const settler = shop.runSettler({ node: proxy });
    const { block } = await shop.moneyIs(paid, 'settled');
    await noted(settler, 'knows no safe block', 30_000);
    await shop.chain.mine(63 - (Number((await latest(shop.chain)).number) - block));
    await sleep(6_000);
    assert.equal((await shop.row(paid)).money, 'settled');
    await shop.chain.mine();
    await shop.moneyIs(paid, 'final');
    assert.equal(settler.log().split('knows no safe block').length, 2, 'said once');
  });
});

describe('a node that is behind', { concurrency: AT_ONCE }, () => {
  /** A rule that answers as the chain was at a block: what came later is not there. */
  const staleAt = (block) => ({ method, params }) => {
    if (method === 'eth_getTransactionReceipt') return { result: null };
    if (method === 'eth_getBlockByNumber' && params[0] === 'latest') return { result: block };
    return 'pass';
  };

  shopTest('makes_nothing_due_again_that_is_settled', async (shop) => {
    const { paid } = await shop.sell();
    const old = await latest(shop.chain);
    const proxy = await shop.nodeProxy();
    shop.runSettler({ node: proxy });
    const { block } = await shop.moneyIs(paid, 'settled');
    assert.ok(block > Number(old.number));
    proxy.rule = staleAt(old);
    await sleep(BELIEVE + 8_000);
    assert.equal((await shop.row(paid)).money, 'settled');
    proxy.rule = () => 'pass';
    await shop.chain.mine(SAFE_DEPTH);
    await shop.moneyIs(paid, 'final');
    assert.equal(await shop.transactionCount(), 1);
  });

  shopTest('makes_nothing_due_again_whose_transaction_another_node_has_seen', async (shop) => {
    const { paid } = await shop.sell();
    const old = await latest(shop.chain);
    let stale = false;
    const proxy = await shop.nodeProxy((call) => (stale ? staleAt(old)(call) : 'pass'));
    await shop.chain.automine(false);
    shop.runSettler({ node: proxy });
    await waitFor(() => proxy.sent.length === 1, 'the transaction');
    stale = true; // but for the count of transactions, which another node answers
    await shop.chain.mine();
    await sleep(BELIEVE + 4_000);
    assert.equal((await shop.row(paid)).money, 'submitted');
    stale = false;
    await shop.chain.automine(true);
    await shop.moneyIs(paid, 'settled');
    assert.equal(new Set(proxy.sent).size, 1, 'another transaction was made');
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });

  shopTest('and_answers_every_other_question_fails_nothing_and_settles_once', async (shop) => {
    const sold = [];
    for (let before = 0; before < 3; before++) sold.push(await shop.sell());
    const old = await latest(shop.chain);
    let turn = 0;
    const proxy = await shop.nodeProxy((call) => (turn++ % 2 ? staleAt(old)(call) : 'pass'));
    shop.runSettler({ node: proxy });
    for (const { paid } of sold) await shop.moneyIs(paid, 'settled', 60_000);
    await shop.chain.mine(SAFE_DEPTH);
    for (const { paid } of sold) await shop.moneyIs(paid, 'final', 60_000);
    assert.equal(await shop.chain.balance(shop.payee), 3n * PRICE);
    await shop.checkBooks();
  });
});

describe('a node that keeps no state', { concurrency: AT_ONCE }, () => {
  const pruned = ({ method, params }) =>
    (method === 'eth_call' && params[1].blockHash
      ? { error: { code: -32000, message: 'missing trie node' } } : 'pass');

  shopTest('fails_nothing_it_cannot_speak_of_and_holds_up_no_other_payment', async (shop) => {
    const { payer, paid } = await shop.sell({ amount: PRICE });
    await drain(shop.chain, payer);
    await shop.chain.advance(301);
    await shop.chain.mine(SAFE_DEPTH);
    shop.gateway.setClock(301);
    const proxy = await shop.nodeProxy(pruned);
    const settler = shop.runSettler({ node: proxy });
    await noted(settler, 'does not say what became of a payment');
    for (let i = 0; i < 3; i++) {
      const { paid: next } = await shop.sell({
        message: { validBefore: BigInt(nowSeconds() + 301 + 240) },
      });
      await shop.moneyIs(next, 'settled', 10_000);
    }
    assert.equal((await shop.row(paid)).money, 'due');
    proxy.rule = () => 'pass';
    await shop.moneyIs(paid, 'failed');
    assert.equal(settler.log().split('does not say what became').length, 2, 'said once');
  });
});

// --------------------------------------------------------------------------------- the logs

describe('an authorization that is used', { concurrency: AT_ONCE }, () => {
  shopTest('by_what_cannot_be_found_stays_due_and_is_told_once', async (shop) => {
    const sold = await shop.sell();
    const receipt = await useElsewhere(shop.chain, await sameNonce(sold));
    await shop.chain.mine(SAFE_DEPTH);
    const proxy = await shop.nodeProxy(({ method }) =>
      (method === 'eth_getLogs' ? { result: [] } : 'pass'));
    const settler = shop.runSettler({ node: proxy });
    await noted(settler, 'by a transaction not found yet');
    await sleep(2_000);
    assert.equal((await shop.row(sold.paid)).money, 'due');
    assert.equal(settler.log().split('by a transaction not found yet').length, 2);
    await settler.stop();
    await settleOnce(shop.gateway, shop.chain, shop.key);
    assert.match((await shop.row(sold.paid)).reason, new RegExp(receipt.transactionHash));
  });

  shopTest('long_ago_is_found_by_a_node_that_gives_few_blocks_at_a_time', async (shop) => {
    const sold = await shop.sell();
    const receipt = await useElsewhere(shop.chain, sold.paid);
    await shop.chain.mine(1_000);
    const tooMuch = { error: { code: -32005, message: 'block range too wide' } };
    const span = ([{ fromBlock, toBlock }]) => Number(toBlock) - Number(fromBlock) + 1;
    const proxy = await shop.nodeProxy(({ method, params }) =>
      (method === 'eth_getLogs' && span(params) > 100 ? tooMuch : 'pass'));
    shop.runSettler({ node: proxy });
    const row = await waitFor(async () => {
      const now = await shop.row(sold.paid);
      return ['settled', 'final'].includes(now.money) && now;
    }, 'it to be found', 30_000);
    assert.equal(row.transaction, receipt.transactionHash);
    assert.equal(await shop.transactionCount(), 0);
  });
});

// ------------------------------------------------------------------------------ settled ones

describe('payments that settled', { concurrency: AT_ONCE }, () => {
  shopTest('together_become_final_by_one_receipt_for_all', async (shop) => {
    const CALLS = 60;
    await deployFacilitator(shop.chain);
    const payers = await Promise.all(Array.from({ length: 6 }, () => shop.newPayer()));
    await Promise.all(Array.from({ length: CALLS }, async (_, i) => {
      const paid = await payment(payers[i % 6], { message: { to: shop.payee } });
      isPaid(await ask(shop.gateway, '/api/x', { payment: paid }), paid);
    }));
    await waitFor(async () => (await payments(shop.gateway, '--status', 'delivered')).length
      === CALLS, 'the outcomes');
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const transactions = await shop.transactionCount();
    assert.ok(transactions <= 3, `${transactions} transactions`);
    await shop.chain.mine(SAFE_DEPTH);
    const proxy = await shop.nodeProxy();
    await settleOnce(shop.gateway, proxy, shop.key);
    const monies = (await payments(shop.gateway)).map((row) => row.money);
    assert.deepEqual([...new Set(monies)], ['final']);
    assert.ok(proxy.asked('eth_getTransactionReceipt').length <= 2 * transactions,
      `${proxy.asked('eth_getTransactionReceipt').length} receipts`);
    await shop.checkBooks();
  });

  shopTest('are_not_final_by_a_node_that_has_the_receipt_and_not_the_safe_block', async (shop) => {
    const { paid } = await shop.sell();
    const proxy = await shop.nodeProxy();
    shop.runSettler({ node: proxy });
    await shop.moneyIs(paid, 'settled');
    proxy.rule = ({ method, params }) =>
      (method === 'eth_call' && params[1].blockHash
        ? { error: { code: -32001, message: 'header not found' } } : 'pass');
    await shop.chain.mine(SAFE_DEPTH);
    await sleep(7_000);
    assert.equal((await shop.row(paid)).money, 'settled');
    proxy.rule = () => 'pass';
    await shop.moneyIs(paid, 'final');
  });
});

// --------------------------------------------------------------------------------- settlers

describe('two settlers', { concurrency: AT_ONCE }, () => {
  shopTest('with_two_keys_share_what_is_due_and_pay_each_call_once', async (shop) => {
    const CALLS = 40;
    const other = await settlerKey(shop.chain, `other settler of ${shop.payee}`);
    const payer = await shop.newPayer();
    const all = Array.from({ length: CALLS }, async () => {
      const paid = await payment(payer, { message: { to: shop.payee } });
      isPaid(await ask(shop.gateway, '/api/x', { payment: paid }), paid);
    });
    await Promise.all(all);
    const settlers = [shop.runSettler(), shop.runSettler({ key: other })];
    await waitFor(async () => (await payments(shop.gateway, '--status', 'settled')).length
      === CALLS, 'all to settle', 60_000);
    assert.equal(await shop.chain.balance(shop.payee), BigInt(CALLS) * PRICE);
    for (const settler of settlers) {
      assert.doesNotMatch(settler.log(), /ledger|another settler/);
    }
    await shop.checkBooks();
  });

  shopTest('of_which_one_is_left_send_again_what_a_reorganization_took_from_the_other', async (shop) => {
    const other = await settlerKey(shop.chain, `other settler of ${shop.payee}`);
    const { paid } = await shop.sell();
    const first = shop.runSettler({ key: other });
    const { transaction, gasUsed, feeWei } = await shop.moneyIs(paid, 'settled');
    await first.stop();
    shop.runSettler();
    await forget(shop.chain);
    await waitFor(async () => (await shop.chain.balance(shop.payee)) === PRICE, 'the money', 60_000);
    await shop.chain.mine(SAFE_DEPTH);
    const row = await shop.moneyIs(paid, 'final', 30_000);
    assert.equal(row.transaction, transaction);
    assert.equal(row.gasUsed, gasUsed);
    assert.ok(BigInt(row.feeWei) > 0n && BigInt(feeWei) > 0n, 'its cost is ours');
    assert.equal(await shop.transactionCount(), 0);
    await shop.checkBooks();
  });

  shopTest('one_of_which_is_killed_with_a_transaction_under_way_lose_no_time', async (shop) => {
    const { paid } = await shop.sell();
    await shop.chain.automine(false);
    const first = shop.runSettler();
    await shop.moneyIs(paid, 'submitted');
    await first.kill();
    shop.runSettler();
    await shop.chain.automine(true);
    await shop.chain.mine();
    await shop.moneyIs(paid, 'settled', 20_000); // the lease of the dead one is 30 s
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    await shop.checkBooks();
  });
});

describe('a transaction whose key is lost', { concurrency: AT_ONCE }, () => {
  /** One payment in a transaction of another key, which is nobody's from here on. */
  async function lose(shop) {
    const key = await settlerKey(shop.chain, `lost settler of ${shop.payee}`);
    const { paid } = await shop.sell();
    await shop.chain.automine(false);
    const settler = shop.runSettler({ key });
    const { transaction } = await shop.moneyIs(paid, 'submitted');
    await settler.kill();
    await waitFor(() => shop.chain.rpc('eth_getTransactionByHash', transaction), 'the transaction');
    return { paid, transaction };
  }

  /** The authorization ends, and the block after it is safe; so does the dead one's lease. */
  async function end(shop) {
    await shop.chain.automine(true);
    await shop.chain.advance(301);
    await shop.chain.mine(SAFE_DEPTH + 1);
    shop.gateway.setClock(301 + 31);
  }

  shopTest('settles_by_any_settler_what_it_paid', async (shop) => {
    const { paid, transaction } = await lose(shop);
    await shop.chain.mine();
    await end(shop);
    shop.runSettler();
    const row = await waitFor(async () => {
      const now = await shop.row(paid);
      return ['settled', 'final'].includes(now.money) && now;
    }, 'it to be found', 30_000);
    assert.equal(row.transaction, transaction);
    assert.ok(row.gasUsed > 0 && BigInt(row.feeWei) > 0n, 'its cost is ours');
    await shop.moneyIs(paid, 'final');
    assert.equal(await shop.chain.balance(shop.payee), PRICE);
    assert.equal(await shop.transactionCount(), 0);
    await shop.checkBooks();
  });

  shopTest('fails_what_it_can_never_pay', async (shop) => {
    const { paid, transaction } = await lose(shop);
    await shop.chain.rpc('anvil_dropTransaction', transaction);
    await end(shop);
    shop.runSettler();
    const row = await shop.moneyIs(paid, 'failed', 30_000);
    assert.match(row.reason, /^expired: not settled before validBefore/);
    assert.equal(await shop.chain.balance(shop.payee), 0n);
    await shop.checkBooks();
  });

  shopTest('is_waited_for_while_it_may_pay', async (shop) => {
    const { paid } = await lose(shop);
    shop.gateway.setClock(31);
    const settler = shop.runSettler();
    await noted(settler, 'asked of a facilitator: 1 payment;');
    await shop.chain.mine(SAFE_DEPTH);
    await sleep(3_000);
    assert.equal((await shop.row(paid)).money, 'submitted');
    assert.equal(await shop.transactionCount(), 0);
  });
});

describe('a caller who waits', { concurrency: AT_ONCE }, () => {
  shopTest('wakes_the_settler', async (shop) => {
    const proxy = await shop.nodeProxy();
    shop.runSettler({ node: proxy });
    const payer = await shop.newPayer();
    const waits = [];
    for (let i = 0; i < 8; i++) {
      const paid = await payment(payer, { message: { to: shop.payee } });
      await sleep(1_100 + 100 * i); // by now it looks once a second
      const asked = proxy.calls.length;
      const begun = Date.now();
      const answer = ask(shop.gateway, '/api/x', { payment: paid });
      await waitFor(() => proxy.calls.length > asked, 'the settler to ask', 20_000, 5);
      waits.push(Date.now() - begun);
      isPaid(await answer, paid);
    }
    // One that looks once a second does this in one run of ninety.
    assert.ok(waits.filter((wait) => wait < 300).length >= 6, `${waits} ms`);
  }, { gateway: { settle: 'before', settleTimeout: '30s' } });
});

describe('a node that hangs', { concurrency: AT_ONCE }, () => {
  shopTest('holds_up_no_other_chain', async (shop) => {
    const proxy = await shop.nodeProxy(() => 'hold');
    shop.runSettler({ args: ['--rpc', `base=${proxy.url}`] });
    await waitFor(() => proxy.calls.length > 0, 'the other chain to be asked');
    for (let before = 0; before < 3; before++) {
      const { paid } = await shop.sell();
      await shop.moneyIs(paid, 'settled', 9_000); // a node that hangs is waited for 10 s
    }
  });
});

// ---------------------------------------------------------------------------------- payers

describe('payers', { concurrency: AT_ONCE }, () => {
  const LOOK = '0xa4d021f1'; // Facilitator.look

  /** A shop with payers who bought, and a settler that has looked at them. */
  async function looked(shop, count) {
    const proxy = await shop.nodeProxy();
    const payers = [];
    for (let i = 0; i < count; i++) payers.push((await shop.sell()).payer);
    shop.runSettler({ node: proxy, args: ['--batch-age=0'] });
    await waitFor(async () => (await payments(shop.gateway, '--status', 'settled')).length
      === count, 'all to settle', 20_000);
    const codes = () => proxy.asked('eth_getCode').map(({ params }) => params[0].toLowerCase());
    return { proxy, payers, codes };
  }

  shopTest('are_looked_at_in_one_call_where_the_contract_is', async (shop) => {
    await deployFacilitator(shop.chain);
    const { proxy, payers, codes } = await looked(shop, 5);
    const looks = () => proxy.asked('eth_call').filter(({ params }) =>
      params[0].data.startsWith(LOOK));
    await waitFor(() => looks().length > 0, 'a look');
    for (const { address } of payers) {
      const hex = address.slice(2).toLowerCase();
      assert.ok(looks().some(({ params }) => params[0].data.includes(hex)));
      assert.ok(!codes().includes(address.toLowerCase()));
    }
  });

  shopTest('are_looked_at_one_by_one_where_it_is_not', async (shop) => {
    const { payers, codes } = await looked(shop, 3);
    await waitFor(() => payers.every(({ address }) => codes().includes(address.toLowerCase())),
      'all to be looked at');
  });

  shopTest('who_are_drained_get_no_more_credit', async (shop) => {
    shop.runSettler();
    const { payer, paid } = await shop.sell({ amount: 10n * PRICE });
    await shop.moneyIs(paid, 'settled');
    await drain(shop.chain, payer);
    const call = async () => ask(shop.gateway, '/api/x', {
      payment: await payment(payer, { message: { to: shop.payee } }),
    });
    await waitFor(async () => (await call()).status === 402, 'a call to be refused', 30_000);
    const refused = await call();
    assert.equal(refused.status, 402);
    const { length } = await payments(
      shop.gateway, '--payer', payer.address, '--status', 'delivered');
    assert.ok(length <= 10, `${length} calls were served`);
  }, { gateway: { maxUnsettled: '1', settleTimeout: '20s' } });

  shopTest('that_cannot_be_looked_at_keep_nobody_from_being_paid', async (shop) => {
    await deployFacilitator(shop.chain);
    const proxy = await shop.nodeProxy(({ method, params }) =>
      (method === 'eth_call' && params[0].data.startsWith(LOOK) ? 'hold' : 'pass'));
    const { paid } = await shop.sell();
    shop.runSettler({ node: proxy, args: ['--batch-age=0'] });
    await shop.moneyIs(paid, 'settled');
    const { paid: next } = await shop.sell();
    await shop.moneyIs(next, 'settled');
  });
});

test('settle_refuses_options_that_make_no_sense', async () => {
  const shop = await openShop();
  try {
    for (const [option, value] of [['--batch-size', '0'], ['--batch-size', '201'],
      ['--batch-age', '-1'], ['--max-fee', '0'], ['--max-fee', '1.0000000001']]) {
      const { code, stderr } = await trySettleOnce(shop.gateway, shop.chain, shop.key,
        [`${option}=${value}`]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, new RegExp(`${option}: write`));
    }
  } finally {
    await shop.close();
  }
});
