// A gateway that sells, a chain on which it is paid, payers with money, and a key to
// settle with: everything a test of the money needs, and of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, isPaid } from './ask.mjs';
import { deployFacilitator, startChain } from './chain.mjs';
import { startGateway } from './gateway.mjs';
import { startNodeProxy } from './node-proxy.mjs';
import { using, waitFor } from './process.mjs';
import { settlerKey, startSettler } from './settler.mjs';
import { startUpstream } from './upstream.mjs';
import { newAccount, payment } from './wallet.mjs';
import { checkBooks, delivered, payments } from './x402.mjs';

export const PRICE = 1000n; // $0.001, the price of /api/

/** How many blocks the chain's safe block is behind its latest: none of a test's is safe. */
export const SAFE_DEPTH = 100;

/**
 * Opens one; close it. `chain` are options of startChain, `gateway` of startGateway, or a
 * function that gives them when the upstream's URL is known. `safeDepth` is how many blocks
 * the safe block is behind the latest. With `contract`, batches are settled by the facilitator.
 * `upstream` are options of startUpstream.
 */
export async function openShop(options = {}) {
  const { gateway = {}, chain = {}, upstream = {}, safeDepth = SAFE_DEPTH, contract = false } = options;
  const shop = new Shop();
  Object.assign(shop, { safeDepth, contract });
  try {
    await shop.open(gateway, chain, upstream);
  } catch (error) {
    await shop.close();
    throw error;
  }
  return shop;
}

/** A test with a shop of its own, opened with `options`. */
export const shopTest = (name, body, options) =>
  test(name, () => using(openShop(options), body));

class Shop {
  async open(gatewayOptions, chainOptions, upstreamOptions) {
    this.closing = [];
    this.payee = newAccount().address;
    this.upstream = await startUpstream(upstreamOptions);
    this.closing.push(() => this.upstream.stop());
    const args = ['--slots-in-an-epoch', String(this.safeDepth), ...(chainOptions.args ?? [])];
    this.chain = await startChain({ ...chainOptions, args });
    this.closing.push(() => this.chain.stop());
    if (this.contract) this.facilitator = await deployFacilitator(this.chain);
    this.key = await settlerKey(this.chain, `settler of ${this.payee}`);
    this.gateway = await startGateway({
      payTo: this.payee,
      locations: `
        location /api/ { x402_price 0.001; proxy_pass ${this.upstream.url}; }
        location /cheap/ { x402_price 0.05c; proxy_pass ${this.upstream.url}; }
        location /dear/ { x402_price 0.25; proxy_pass ${this.upstream.url}; }`,
      ...(typeof gatewayOptions === 'function'
        ? gatewayOptions(this.upstream.url) : gatewayOptions),
    });
    this.closing.push(() => this.gateway.stop());
  }

  /** Closes everything, the gateway first; throws what went wrong first. */
  async close() {
    let first;
    for (const step of this.closing.splice(0).reverse()) {
      await step().catch((error) => { first ??= error; });
    }
    if (first) throw first;
  }

  /** Stops something started by the test, before the shop's own. */
  later(step) {
    this.closing.push(step);
  }

  /** A new account with money: USDC as text, or units as a bigint. */
  async newPayer(amount = '1') {
    const payer = newAccount();
    await this.chain.mint(payer.address, amount);
    return payer;
  }

  /**
   * A new payer (of `amount`) or `payer`, who bought `before` calls, buys one more, and its
   * outcome is recorded; gives {payer, paid}. The other options are those of payment().
   */
  async sell(options = {}) {
    const payer = options.payer ?? (await this.newPayer(options.amount));
    const message = { to: this.payee, ...options.message };
    const paid = await payment(payer, { ...options, message });
    isPaid(await ask(this.gateway, options.path ?? '/api/x', { payment: paid }), paid);
    await delivered(this.gateway, payer.address, options.before ? options.before + 1 : 1);
    return { payer, paid };
  }

  /** The one payment with this authorization, as `x402 payments --json` has it. */
  async row({ message }) {
    const rows = await payments(this.gateway, '--payer', message.from);
    const found = rows.filter((row) => row.nonce === message.nonce);
    assert.equal(found.length, 1, 'one row a payment');
    return found[0];
  }

  /** The row of a payment once `test` holds for it. */
  until(paid, test, what, within = 20_000) {
    return waitFor(async () => {
      const row = await this.row(paid);
      return test(row) && row;
    }, what, within);
  }

  /** The same once its money is `money`. */
  moneyIs(paid, money, within) {
    return this.until(paid, (row) => row.money === money, `the payment to be ${money}`, within);
  }

  /** What the ledger, the chain and each other say agrees; throws when it does not. */
  checkBooks() {
    return checkBooks(this.gateway, this.chain);
  }

  /**
   * Starts a settler that runs until the shop closes; by `node`, the chain unless said, and
   * with the shop's key unless another is given. The rest are options of startSettler.
   */
  runSettler({ node = this.chain, key = this.key, ...options } = {}) {
    const settler = startSettler(this.gateway, node, key, options);
    this.later(() => settler.stop());
    return settler;
  }

  /** How many transactions of the settler's key are in blocks. */
  async transactionCount() {
    return Number(await this.chain.rpc('eth_getTransactionCount', this.key.address, 'latest'));
  }

  /** A node in front of the chain; settle through `{...proxy}` or its url. */
  async nodeProxy(rule) {
    const proxy = await startNodeProxy(this.chain, rule);
    this.later(() => proxy.stop());
    return proxy;
  }
}
