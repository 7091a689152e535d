// The till of a shop: what was sold, and whether in the end all of it was paid, once, and
// nothing else; by the ledger, by the chain, and by both beside one another.

import assert from 'node:assert/strict';
import { ask, isPaid } from './ask.mjs';
import { waitFor } from './process.mjs';
import { payment } from './wallet.mjs';
import { paymentsByNonce } from './x402.mjs';

/** What the paths of a shop cost. */
export const PRICES = { '/api/x': 1000n, '/cheap/x': 500n, '/dear/x': 250_000n };

const PAID = ['settled', 'final'];

export class Till {
  constructor(shop) {
    this.shop = shop;
    this.sold = []; // {payer, path, paid, fails}
    this.minted = new Map(); // payer to token units
  }

  async newPayer(amount = 1_000_000n) {
    const payer = await this.shop.newPayer(amount);
    this.minted.set(payer, amount);
    return payer;
  }

  /**
   * Sells a call of each path to a payer; gives the payments once the ledger knows that
   * they are delivered. `message` overrides fields of the authorizations.
   */
  async sell(payer, paths, message = {}) {
    const sold = await Promise.all(paths.map(async (path) => {
      const paid = await payment(payer, {
        message: { to: this.shop.payee, value: PRICES[path], ...message },
      });
      isPaid(await ask(this.shop.gateway, path, { payment: paid }), paid);
      return { payer, path, paid };
    }));
    this.sold.push(...sold);
    await this.until(sold, (row) => row.delivery === 'delivered', 'the outcomes');
    return sold.map(({ paid }) => paid);
  }

  /** Says that a payment cannot be collected, and why: the reason it must have. */
  fails(paid, reason) {
    this.sold.find((one) => one.paid === paid).fails = reason;
  }

  /** The ledger's rows, by nonce. */
  rows() {
    return paymentsByNonce(this.shop.gateway);
  }

  /** Waits until a test holds for the row of each of some payments (as sold or paid). */
  async until(some, test, what, within = 30_000) {
    let rows;
    const nonces = some.map((one) => (one.paid ?? one).message.nonce);
    const holds = (nonce) => rows.has(nonce) && test(rows.get(nonce));
    await waitFor(async () => {
      rows = await this.rows();
      return nonces.every(holds);
    }, what, within, 250).catch((error) => {
      const left = nonces.filter((nonce) => !holds(nonce)).map((nonce) => rows.get(nonce));
      throw new Error(`${error.message}: ${JSON.stringify(left.slice(0, 5), null, 1)}`);
    });
  }

  /** Waits until the ledger says that each is paid for, but those that fail. */
  collected(some = this.sold, within = 60_000) {
    const good = some.filter((one) => one.fails === undefined);
    return this.until(good, (row) => PAID.includes(row.money), 'the money', within);
  }

  /** Waits until each is final, or has failed: mine enough blocks first. */
  closed(some = this.sold, within = 60_000) {
    return this.until(some, (row) => ['final', 'failed'].includes(row.money), 'finality', within);
  }

  /** What the payee has when all of these are paid. */
  worth(some = this.sold) {
    return some.reduce((sum, one) => sum + (one.paid ?? one).message.value, 0n);
  }

  /**
   * All that was sold is paid, once, to the unit; what is not has failed for the reason
   * that was given; and no more than `wasted` transactions of ours moved nothing.
   */
  async isSquare({ money = PAID, wasted = 0 } = {}) {
    const rows = await this.rows();
    assert.equal(rows.size, this.sold.length, 'a row a payment');
    const spent = new Map([...this.minted.keys()].map((payer) => [payer, 0n]));
    let earned = 0n;
    for (const { payer, path, paid, fails } of this.sold) {
      const row = rows.get(paid.message.nonce);
      if (isCollected(row, money, fails)) {
        spent.set(payer, spent.get(payer) + PRICES[path]);
        earned += PRICES[path];
      }
    }
    const { chain, payee } = this.shop;
    assert.equal(await chain.balance(payee), earned, 'what the payee has');
    for (const [payer, minted] of this.minted) {
      assert.equal(await chain.balance(payer.address), minted - spent.get(payer), 'a payer');
    }
    await this.wastedAtMost(rows, wasted);
    await this.shop.checkBooks();
  }

  /** Transactions of ours in blocks, less those in which money moved. */
  async wastedAtMost(rows, most) {
    const { chain, key } = this.shop;
    const useful = new Set();
    for (const { transaction } of rows.values()) {
      if (transaction === null || useful.has(transaction)) continue;
      const { from } = await chain.receipt(transaction);
      if (from.toLowerCase() === key.address.toLowerCase()) useful.add(transaction);
    }
    const wasted = (await this.shop.transactionCount()) - useful.size;
    assert.ok(wasted <= most, `${wasted} transactions moved nothing, ${most} may`);
  }
}

/** Whether a payment was collected: it must have been, unless it is known to fail. */
function isCollected(row, money, fails) {
  assert.equal(row.delivery, 'delivered', JSON.stringify(row));
  if (fails === undefined) {
    assert.ok(money.includes(row.money), JSON.stringify(row));
    return true;
  }
  assert.equal(row.money, 'failed', JSON.stringify(row));
  assert.match(row.reason, fails);
  return false;
}
