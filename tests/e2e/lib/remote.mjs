// Tests of settling through a facilitator: each has a shop, and a facilitator beside it.

import assert from 'node:assert/strict';
import { startFacilitator } from './facilitator.mjs';
import { PRICE, shopTest } from './shop.mjs';

/** A test with a shop and a facilitator of its own; options are of both. */
export function remoteTest(name, body, { facilitator: options, ...shopOptions } = {}) {
  shopTest(name, async (shop) => {
    const facilitator = await startFacilitator(shop.chain, options);
    shop.later(() => facilitator.stop());
    await body(shop, facilitator);
  }, shopOptions);
}

export const PAID = ['settled', 'final'];

/** The row of a payment once it is paid. */
export const settled = (shop, paid, within = 30_000) => shop.until(
  paid, ({ money }) => PAID.includes(money), 'the payment to settle', within);

/** A facilitator's rule: the first request to settle, or the first `count`, has this fault. */
export const once = (fault, count = 1) => {
  let left = count;
  return ({ path: asked }) => (asked === '/settle' && left-- > 0 ? fault : undefined);
};

/** All requests for a payment were the same bytes; gives how many there were. */
export function sameBytes(facilitator, paid) {
  const asked = facilitator.asked(paid);
  assert.equal(new Set(asked.map(({ text }) => text)).size, 1, 'other bytes');
  return asked.length;
}

/** The transaction in which the chain moved the money of a payment: there is just one. */
export async function movedIn(shop, paid) {
  const events = await shop.chain.client.getLogs({
    address: shop.chain.usdc, fromBlock: 0n, toBlock: 'latest',
    event: shop.chain.abi.find(({ type, name }) => type === 'event' && name === 'AuthorizationUsed'),
    args: { authorizer: paid.message.from, nonce: paid.message.nonce },
  });
  assert.equal(events.length, 1, 'used once');
  return events[0];
}

/** What the ledger, the chain and each other say agrees, and everything was paid once. */
export async function isSquare(shop, sold, { fails = 0 } = {}) {
  assert.equal(await shop.chain.balance(shop.payee), BigInt(sold.length - fails) * PRICE);
  await shop.checkBooks();
}
