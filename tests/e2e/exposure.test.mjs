// What may be served before it is settled is bounded, whatever payers do between a call and
// its settlement: per payer, per payer not seen yet, and for all of them together. Exposure
// is measured where it arises: what the upstream executed, less what the chain has paid.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, isPaid, isProblem } from './lib/ask.mjs';
import { USDC } from './lib/chain.mjs';
import { cancel, drain } from './lib/elsewhere.mjs';
import { using, waitFor } from './lib/process.mjs';
import { randomNumbers, seedOfRun } from './lib/random.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import { decode, newAccount, payment } from './lib/wallet.mjs';
import { payments } from './lib/x402.mjs';

const AT_ONCE = 4; // tests: most of each is waiting
const SAFE_DEPTH = 3;
const SEED = seedOfRun();

// In calls of PRICE.
const PAYER_MAX = 8;
const NEW_MAX = 3;
const TOTAL_MAX = 20;

const usd = (calls) => `${(calls / 1000).toFixed(3)}`; // a call is $0.001

/**
 * A shop that gives credit, and what its payers make of it. `settleTimeout` is how long a
 * call without credit waits: long, unless the end of that is what is looked at.
 */
class CreditShop {
  async start(settleTimeout = '25s') {
    this.shop = await openShop({ safeDepth: SAFE_DEPTH, gateway: {
      maxUnsettled: usd(PAYER_MAX), maxUnsettledNew: usd(NEW_MAX),
      maxUnsettledTotal: usd(TOTAL_MAX), settleTimeout,
    } });
    Object.assign(this, { chain: this.shop.chain, upstream: this.shop.upstream });
    this.calls = 0;
    return this;
  }

  close() {
    return this.shop.close();
  }

  async runSettler() {
    this.node = await this.shop.nodeProxy();
    return this.shop.runSettler({ node: this.node });
  }

  /** A payer with money for so many calls. */
  payerOf(calls) {
    return this.shop.newPayer(BigInt(calls) * PRICE);
  }

  /** One call: {id, paid, got, served}. */
  async call(payer, message) {
    const id = `call${this.calls++}`;
    const paid = await payment(payer, { message: { to: this.shop.payee, value: PRICE, ...message } });
    const got = await ask(this.shop.gateway, `/api/x?id=${id}&do=ok`, { payment: paid });
    return { id, paid, got, served: this.upstream.count(id) };
  }

  /** As many calls, one after the other. */
  async callTimes(payer, times) {
    const made = [];
    for (let i = 0; i < times; i++) made.push(await this.call(payer));
    return made;
  }

  row({ paid }) {
    return this.shop.row(paid);
  }

  /** What was served and is not paid, in calls. */
  async exposure() {
    const served = BigInt(this.upstream.count()) * PRICE;
    return Number((served - (await this.chain.balance(this.shop.payee))) / PRICE);
  }

  /** Of that, what may still be paid: a failure is a loss, and bounded by what led to it. */
  async open() {
    const exposure = await this.exposure();
    return exposure - (await payments(this.shop.gateway, '--status', 'failed')).length;
  }

  /** Waits until all a payer bought is settled. */
  async paidUp(payer) {
    await waitFor(async () => {
      const rows = await payments(this.shop.gateway, '--payer', payer.address);
      return rows.length > 0 && rows.every((row) => ['settled', 'final'].includes(row.money));
    }, 'what was bought to settle', 30_000);
  }

  /** Waits until the settler has asked what a payer has, and has told the ledger. */
  async seen(payer) {
    await this.paidUp(payer);
    const [last] = await payments(this.shop.gateway, '--payer', payer.address, '--limit', '1');
    const address = payer.address.slice(2).toLowerCase();
    const looks = ({ method, params: [asked, block] }) => method === 'eth_call'
      && !asked.data.includes(last.nonce.slice(2)) && asked.data.toLowerCase().includes(address)
      && (!/^0x/.test(block) || Number(block) >= last.block);
    await waitFor(() => this.node.calls.some(looks), 'a look at the payer', 30_000);
    // The settler does one thing after the other: this is settled in a later pass.
    const other = await this.payerOf(1);
    await this.call(other);
    await this.paidUp(other);
  }
}

const creditTest = (name, body, settleTimeout) =>
  test(name, () => using(new CreditShop().start(settleTimeout), body));

const IN_VAIN = '2s'; // a settle timeout, where nothing settles

const transactionOf = (got) => decode(got.headers['payment-response']).transaction;

/** Served, on credit: the answer names no transaction. */
function isOnCredit({ got, paid, served }) {
  isPaid(got, paid);
  assert.equal(transactionOf(got), '');
  assert.equal(served, 1);
}

/** Served after it was settled: the answer names the transaction. */
function isSettledFirst({ got, paid, served }) {
  isPaid(got, paid);
  assert.match(transactionOf(got), /^0x[0-9a-f]{64}$/);
  assert.equal(served, 1);
}

/** Not served: it could not be settled, and the same payment may be presented again. */
function isPending({ got, served }) {
  isProblem(got, { status: 503, code: 'settlement_pending', retryAfter: got.headers['retry-after'] });
  assert.equal(served, 0);
}

/** Not served: its settlement failed. No offer: the payer has signed one. */
function isRefused({ got, served }, reason) {
  assert.equal(got.status, 402, `${got.status} ${got.body}`);
  assert.equal(got.headers['payment-required'], undefined, 'an offer');
  const receipt = decode(got.headers['payment-response']);
  assert.equal(receipt.success, false);
  assert.match(receipt.errorReason, reason);
  assert.equal(served, 0);
}

// ---------------------------------------------------------------------------- the bounds

describe('credit', { concurrency: AT_ONCE }, () => {
  creditTest('of_a_payer_nobody_has_seen_ends_at_x402_max_unsettled_new', async (credit) => {
    const payer = await credit.payerOf(100);
    (await credit.callTimes(payer, NEW_MAX)).forEach(isOnCredit);
    isPending(await credit.call(payer));
    assert.equal(await credit.exposure(), NEW_MAX);
  }, IN_VAIN);

  creditTest('of_a_payer_with_money_ends_at_x402_max_unsettled', async (credit) => {
    const payer = await credit.payerOf(100);
    await credit.runSettler();
    isOnCredit(await credit.call(payer));
    await credit.seen(payer);
    await credit.chain.automine(false); // nothing settles from here on
    const made = [];
    while (made.length <= PAYER_MAX && (made.at(-1)?.got.status ?? 200) === 200) {
      made.push(await credit.call(payer));
    }
    isPending(made.pop());
    made.forEach(isOnCredit);
    assert.equal(made.length, PAYER_MAX);
    assert.equal(await credit.exposure(), PAYER_MAX);
  }, IN_VAIN);

  creditTest('of_a_payer_with_little_money_ends_with_that', async (credit) => {
    const payer = await credit.payerOf(5);
    await credit.runSettler();
    isOnCredit(await credit.call(payer));
    await credit.seen(payer);
    await credit.chain.automine(false);
    (await credit.callTimes(payer, 4)).forEach(isOnCredit);
    isPending(await credit.call(payer));
    assert.equal(await credit.exposure(), 4);
  }, IN_VAIN);

  /** So many are served on credit, the others wait for their settlement in vain. */
  async function areServed(credit, made, most) {
    const served = made.filter(({ got }) => got.status === 200);
    served.forEach(isOnCredit);
    assert.equal(served.length, most);
    made.filter((one) => !served.includes(one)).forEach(isPending);
    assert.equal(await credit.exposure(), most);
  }

  creditTest('of_all_payers_together_ends_at_x402_max_unsettled_total', async (credit) => {
    const payers = [];
    for (let i = 0; i * PAYER_MAX <= TOTAL_MAX; i++) payers.push(await credit.payerOf(100));
    await credit.runSettler();
    await Promise.all(payers.map(async (payer) => {
      isOnCredit(await credit.call(payer));
      await credit.seen(payer);
    }));
    await credit.chain.automine(false); // nothing settles from here on
    const made = await Promise.all(payers.map((payer) => credit.callTimes(payer, PAYER_MAX)));
    await areServed(credit, made.flat(), TOTAL_MAX);
  }, IN_VAIN);

  creditTest('of_all_strangers_together_ends_at_half_of_that', async (credit) => {
    const keys = Array.from({ length: 3 * TOTAL_MAX }, () => newAccount());
    const made = await Promise.all(keys.map((payer) => credit.call(payer)));
    await areServed(credit, made, TOTAL_MAX / 2);
    assert.equal(credit.upstream.count(), TOTAL_MAX / 2);
  }, IN_VAIN);

  creditTest('comes_back_with_settlement', async (credit) => {
    const payer = await credit.payerOf(100);
    await credit.runSettler();
    for (let round = 0; round < 4; round++) {
      (await credit.callTimes(payer, NEW_MAX)).forEach(isOnCredit);
      await credit.paidUp(payer);
    }
    assert.equal(await credit.exposure(), 0);
    await credit.shop.checkBooks();
  });

  creditTest('comes_back_when_a_payer_has_money_again', async (credit) => {
    const payer = await credit.payerOf(1);
    await credit.runSettler();
    isOnCredit(await credit.call(payer));
    await credit.seen(payer); // it has nothing left
    await credit.chain.mint(payer.address, 100n * PRICE);
    isSettledFirst(await credit.call(payer));
    await waitFor(async () => {
      const { got, paid } = await credit.call(payer);
      isPaid(got, paid);
      return transactionOf(got) === '';
    }, 'a call on credit', 40_000, 500);
    await credit.paidUp(payer);
    assert.equal(await credit.exposure(), 0);
  });

  creditTest('of_a_payer_that_is_known_to_have_nothing_is_none', async (credit) => {
    const payer = await credit.payerOf(1);
    await credit.runSettler();
    isOnCredit(await credit.call(payer));
    await credit.seen(payer);
    isRefused(await credit.call(payer), /insufficient/);
    assert.equal(await credit.exposure(), 0);
  });
});

// --------------------------------------------------------- between call and settlement

/** What a payer does, what the ledger calls it, and what the next call is told. */
const tricks = {
  drained: {
    play: (credit, payer) => drain(credit.chain, payer),
    reason: /insufficient_funds/, told: /insufficient/,
  },
  blacklisted: {
    play: (credit, payer) => credit.chain.send('blacklist', payer.address),
    reason: /blacklisted/, told: /.+/,
  },
  cancelled: {
    play: (credit, payer, made) => Promise.all(made.map(({ paid }) =>
      cancel(credit.chain, payer, paid))),
    reason: /^canceled/, told: null, // it still has its money
  },
};

describe('a payer', { concurrency: AT_ONCE }, () => {
  for (const [name, { play, reason, told }] of Object.entries(tricks)) {
    creditTest(`that_is_${name}_after_its_calls_costs_no_more_than_its_bound`, async (credit) => {
      const payer = await credit.payerOf(100);
      const made = await credit.callTimes(payer, NEW_MAX);
      made.forEach(isOnCredit);
      await play(credit, payer, made);
      const settler = await credit.runSettler();
      await credit.chain.mine(SAFE_DEPTH + 1);
      await waitFor(() => settler.log().includes('waiting with')
        || settler.log().includes('failed payment'), 'the refusal', 20_000);

      // Now it is settled before it is served, or not at all.
      const next = await credit.call(payer);
      if (told) isRefused(next, told);
      else isSettledFirst(next);
      assert.equal(await credit.exposure(), NEW_MAX);

      // And what is lost is attributed once its authorization has ended.
      credit.shop.gateway.setClock(301);
      await credit.chain.advance(301);
      await credit.chain.mine(SAFE_DEPTH + 1);
      for (const one of made) {
        const row = await waitFor(async () => {
          const now = await credit.row(one);
          return now.money === 'failed' && now;
        }, 'the verdict', 30_000, 250);
        assert.match(row.reason, reason);
        assert.equal(row.delivery, 'delivered');
      }
      await credit.shop.checkBooks();
    });
  }

  creditTest('whose_payment_failed_stays_settle_first_with_its_money_back', async (credit) => {
    const payer = await credit.payerOf(NEW_MAX);
    (await credit.callTimes(payer, NEW_MAX)).forEach(isOnCredit);
    await drain(credit.chain, payer);
    const settler = await credit.runSettler();
    await waitFor(() => settler.log().includes('waiting with'), 'the refusal', 20_000);
    isRefused(await credit.call(payer), /insufficient/);
    await credit.chain.mint(payer.address, 100n * PRICE);
    isSettledFirst(await credit.call(payer));
    isSettledFirst(await credit.call(payer));
    await waitFor(async () => (await credit.exposure()) === 0, 'the first ones', 30_000);
  });
});

// ----------------------------------------------------------------------- payers with code

// isValidSignature answers that any signature is good.
const ACCEPTING = '0x631626ba7e60e01b5f5260205ff3';
const DELEGATE = '0x00000000000000000000000000000000000de1e9';

describe('a payer with code at its address', { concurrency: AT_ONCE }, () => {
  /** Delegated by EIP-7702, and seen by the settler. */
  async function delegated(credit, to) {
    const payer = await credit.payerOf(100);
    await credit.runSettler();
    await credit.chain.rpc('anvil_setCode', DELEGATE, ACCEPTING);
    isOnCredit(await credit.call(payer));
    await credit.paidUp(payer);
    await credit.chain.rpc('anvil_setCode', payer.address, `0xef0100${to.slice(2).toLowerCase()}`);
    return payer;
  }

  creditTest('whose_code_agrees_is_settled_first', async (credit) => {
    const payer = await delegated(credit, DELEGATE);
    await seenWithCode(credit, payer);
    isSettledFirst(await credit.call(payer));
    assert.equal(await credit.exposure(), 0);
    await credit.shop.checkBooks();
  });

  creditTest('whose_code_disagrees_is_not_served', async (credit) => {
    const payer = await delegated(credit, USDC);
    const before = credit.upstream.count();
    await waitFor(async () => (await credit.call(payer)).got.status === 402, 'it to be seen', 40_000);
    const onCredit = credit.upstream.count() - before;
    assert.ok(onCredit <= PAYER_MAX, `${onCredit} on credit`);
    isRefused(await credit.call(payer), /.+/);
    assert.equal(await credit.exposure(), onCredit);
  });

  /** Calls until the first one that is settled first: the balance is looked at as it buys. */
  async function seenWithCode(credit, payer) {
    await waitFor(async () => {
      const { got, paid } = await credit.call(payer);
      isPaid(got, paid);
      return transactionOf(got) !== '';
    }, 'it to be seen', 40_000, 500);
  }
});

// ----------------------------------------------------------------------------- all at once

describe(`payers that come and go (X402_SEED=${SEED})`, () => {
  creditTest('never_owe_more_than_the_bounds_together', async (credit) => {
    const random = randomNumbers(SEED);
    await credit.runSettler();
    let over = false;
    let most = 0;
    const watcher = (async () => {
      while (!over) most = Math.max(most, await credit.open());
    })();
    const made = [];

    /** A payer's life: calls, and one of the tricks at some moment. */
    async function life() {
      const payer = await credit.payerOf(random(30));
      const mine = [];
      for (let i = 0; i < 8; i++) {
        const batch = await Promise.all(Array.from({ length: 1 + random(4) }, () => credit.call(payer)));
        mine.push(...batch);
        made.push(...batch);
        const trick = random(8);
        if (trick === 0 && (await credit.chain.balance(payer.address)) > 0n) {
          await drain(credit.chain, payer).catch(() => {}); // it was collected meanwhile
        }
        if (trick === 1) await credit.chain.send('blacklist', payer.address);
        if (trick === 2) await cancel(credit.chain, payer, mine.at(-1).paid).catch(() => {});
      }
    }
    for (let round = 0; round < 3; round++) {
      await Promise.all([life(), life(), life(), life()]);
    }
    over = true;
    await watcher;
    assert.ok(most <= TOTAL_MAX, `${most} calls were owed at once`);
    for (const { got, served } of made) {
      assert.ok(served <= 1);
      assert.equal(got.status === 200, served === 1, `${got.status}, executed ${served} times`);
    }
    await quiet(credit);
    const lost = await unpaidByPayer(credit);
    assert.ok(lost.some((calls) => calls > 0), 'nobody got away with anything');
    assert.ok(Math.max(...lost) <= PAYER_MAX, `a payer owes ${Math.max(...lost)}`);
    await credit.shop.checkBooks();
  }, IN_VAIN);

  /** Until nothing is under way: what is due then is refused. */
  async function quiet(credit) {
    let before;
    await waitFor(async () => {
      const now = await credit.exposure();
      const under = await payments(credit.shop.gateway, '--status', 'submitted');
      const same = now === before && under.length === 0;
      before = now;
      return same;
    }, 'the settler to be done', 30_000, 1_000);
  }

  /** For each payer, the calls it was served and has not paid. */
  async function unpaidByPayer(credit) {
    const served = new Map();
    for (const { headers } of credit.upstream.executions()) {
      const payer = headers['x-402-payer'].toLowerCase();
      served.set(payer, (served.get(payer) ?? 0) + 1);
    }
    for (const row of await payments(credit.shop.gateway, '--limit', '100000')) {
      if (!['settled', 'final'].includes(row.money) || row.delivery !== 'delivered') continue;
      const payer = row.payer.toLowerCase();
      served.set(payer, served.get(payer) - 1);
    }
    return [...served.values()];
  }
});
