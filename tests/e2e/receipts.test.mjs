// Receipts: the address in a settlement response leads to what became of the money, then
// and for ever; no other address leads anywhere.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ask, isPaid, isProblem } from './lib/ask.mjs';
import { CHAIN_ID, USDC } from './lib/chain.mjs';
import { cancel } from './lib/elsewhere.mjs';
import { startGateway } from './lib/gateway.mjs';
import { waitFor } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { SAFE_DEPTH, openShop } from './lib/shop.mjs';
import { settleOnce } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, decode, newAccount, payment } from './lib/wallet.mjs';

const HASH = /^0x[0-9a-f]{64}$/;
const TIME = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

const responseOf = ({ headers }) =>
  decode(headers['payment-response'] ?? headers['x-payment-response']);

/** The path of the receipt that an answer names. */
function receiptOf(got) {
  const { receipt } = responseOf(got).extra;
  assert.match(receipt, /^http:\/\/127\.0\.0\.1:\d+\/x402\/receipts\/[A-Za-z0-9_-]{22}$/);
  return new URL(receipt).pathname;
}

/** A receipt, which nobody may keep. */
async function read(gateway, path) {
  const got = await ask(gateway, path);
  assert.equal(got.status, 200, got.body);
  assert.equal(got.headers['content-type'], 'application/json');
  assert.equal(got.headers['cache-control'], 'no-store');
  return got.json;
}

/** Reads it until its finality is the one given. */
const becomes = (gateway, path, finality) => waitFor(async () => {
  const receipt = await read(gateway, path);
  return receipt.finality === finality && receipt;
}, `the receipt to be ${finality}`);

const isUnknown = (got) => isProblem(got, { status: 404, code: 'receipt_not_found' });

describe('a receipt', () => {
  let shop;

  before(async () => {
    shop = await openShop({
      gateway: (url) => ({
        price: '0.001',
        locations: `
        location / { proxy_pass ${url}; }
        location ^~ /x402/receipts/ { x402_price off; x402_receipts; }`,
      }),
    });
  });
  after(() => shop?.close());

  /** Buys a call; gives the receipt's path. */
  async function buy(options = {}) {
    const payer = await shop.newPayer();
    const paid = await payment(payer, { ...options, message: { to: shop.payee } });
    const got = await ask(shop.gateway, options.target ?? '/x?id=a', { payment: paid });
    isPaid(got, paid);
    return { payer, paid, path: receiptOf(got) };
  }

  for (const dialect of DIALECTS) {
    test(`tells_a_caller_of_${dialect}_what_was_paid_to_whom`, async () => {
      const { payer, path } = await buy({ dialect });
      await waitFor(async () => (await read(shop.gateway, path)).delivery === 'delivered', 'it');
      const { createdAt, updatedAt, validBefore, ...receipt } = await read(shop.gateway, path);
      assert.deepEqual(receipt, {
        delivery: 'delivered', money: 'due', finality: 'pending',
        value: '1000', amount: '0.001', token: 'USDC', asset: USDC, network: `eip155:${CHAIN_ID}`,
        payer: payer.address, payee: shop.payee, transaction: null, block: null, reason: null,
      });
      for (const time of [createdAt, updatedAt, validBefore]) assert.match(time, TIME);
      assert.ok(validBefore > createdAt);
    });
  }

  test('follows_the_money_into_a_block_and_below_the_safe_one', async () => {
    const { paid, path } = await buy();
    await becomes(shop.gateway, path, 'pending');
    await waitFor(async () => (await shop.row(paid)).delivery === 'delivered', 'the outcome');
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const settled = await becomes(shop.gateway, path, 'settled');
    assert.match(settled.transaction, HASH);
    const { blockNumber } = await shop.chain.receipt(settled.transaction);
    assert.equal(settled.block, Number(blockNumber));
    await shop.chain.mine(3 * SAFE_DEPTH);
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const final = await becomes(shop.gateway, path, 'final');
    assert.deepEqual([final.money, final.transaction], ['final', settled.transaction]);
  });

  test('says_by_a_name_why_a_payment_failed_and_not_in_the_settlers_words', async () => {
    const { payer, paid, path } = await buy();
    await waitFor(async () => (await shop.row(paid)).delivery === 'delivered', 'the outcome');
    await cancel(shop.chain, payer, paid);
    await shop.chain.mine(3 * SAFE_DEPTH); // a delivered call fails by what is final
    await settleOnce(shop.gateway, shop.chain, shop.key);
    const { money, reason, transaction, block } = await becomes(shop.gateway, path, 'failed');
    assert.deepEqual({ money, reason, transaction, block },
      { money: 'failed', reason: 'invalid_exact_evm_nonce_already_used', transaction: null, block: null });
  });

  test('is_the_same_one_for_the_same_payment_and_another_for_another', async () => {
    const paid = await payment(newAccount(), { message: { to: shop.payee } });
    shop.upstream.script('twice', { do: 'status', n: 500 }, { do: 'ok' });
    const failed = await ask(shop.gateway, '/x?id=twice', { payment: paid });
    assert.equal(failed.status, 500);
    assert.equal(failed.headers['payment-response'], undefined, 'nothing was charged');
    const first = receiptOf(await ask(shop.gateway, '/x?id=twice', { payment: paid }));
    const paths = [first, (await buy()).path, (await buy()).path];
    assert.equal(new Set(paths).size, 3);
  });

  test('has_a_header_alone_for_head_and_is_there_for_get_only_besides', async () => {
    const { path } = await buy();
    await waitFor(async () => (await read(shop.gateway, path)).delivery === 'delivered', 'it');
    const head = await ask(shop.gateway, path, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    assert.equal(head.headers['cache-control'], 'no-store');
    assert.equal(Number(head.headers['content-length']), (await ask(shop.gateway, path)).body.length);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      assert.equal((await ask(shop.gateway, path, { method })).status, 405);
    }
  });

  test('may_be_read_by_a_page_of_any_origin', async () => {
    const { path } = await buy();
    const got = await ask(shop.gateway, path, { headers: { origin: 'https://app.example' } });
    assert.equal(got.headers['access-control-allow-origin'], '*');
  });

  test('is_not_found_under_any_other_name_and_no_two_answers_differ', async () => {
    const { path } = await buy();
    const name = path.split('/').at(-1);
    const flip = (i) => name.slice(0, i) + (name[i] === 'A' ? 'B' : 'A') + name.slice(i + 1);
    const names = [
      '', 'x', '1', name.slice(1), `${name}A`, `${name}/`, `${name}=`, name.toLowerCase(),
      ...Array.from({ length: 22 }, (_, i) => flip(i)).filter((one) => one !== name),
      ...Array.from({ length: 20 }, () => randomBytes(16).toString('base64url')),
      '..........', "';--", '!'.repeat(22),
    ].filter((one) => one !== name);
    const answers = [];
    for (const one of names) {
      const got = await ask(shop.gateway, `/x402/receipts/${one}`);
      isUnknown(got);
      const { date, ...headers } = got.headers;
      answers.push(JSON.stringify([headers, got.body]));
    }
    assert.equal(new Set(answers).size, 1);
  });

  test('is_read_by_many_at_once_and_some_of_them_leave', async () => {
    const { path } = await buy();
    const session = await openHttp2(shop.gateway.http2Port);
    const requests = Array.from({ length: 40 }, () => requestHttp2(session, path));
    requests.forEach((request, i) => {
      if (i % 3 !== 0) return;
      request.response.catch(() => {});
      request.stream.close();
    });
    for (const [i, { response }] of requests.entries()) {
      if (i % 3 !== 0) assert.equal((await response).status, 200);
    }
    session.close();
    const connections = await Promise.all(
      Array.from({ length: 20 }, () => RawConnection.open(shop.gateway.port)));
    for (const connection of connections) connection.request('GET', path).abort();
    await read(shop.gateway, path);
  });
});

describe('the address of receipts', () => {
  let upstream;
  let gateway;
  before(async () => { upstream = await startUpstream(); });
  after(() => upstream?.stop());

  async function linkOf(t, options) {
    gateway = await startGateway({ price: '0.001', ...options });
    t.after(() => gateway.stop());
    const paid = await payment(newAccount());
    const got = await ask(gateway, '/sold/x?id=a', { payment: paid });
    isPaid(got, paid);
    return responseOf(got).extra?.receipt;
  }
  const sold = () => `location /sold/ { proxy_pass ${upstream.url}; }`;

  test('is_left_out_where_a_server_has_none', async (t) => {
    assert.equal(await linkOf(t, { locations: sold() }), undefined);
  });

  test('is_below_the_public_url', async (t) => {
    const link = await linkOf(t, {
      publicUrl: 'https://shop.example/prefix',
      locations: `${sold()} location /r { x402_price off; x402_receipts; }`,
    });
    assert.match(link, /^https:\/\/shop\.example\/prefix\/r\/[\w-]{22}$/);
    const name = link.split('/').at(-1);
    assert.equal((await ask(gateway, `/r/${name}`)).status, 200);
    isUnknown(await ask(gateway, '/r'));
  });

  test('is_that_of_the_first_location_of_the_server_and_works_in_each', async (t) => {
    const link = await linkOf(t, {
      locations: `${sold()}
        location "/my receipts/" { x402_price off; x402_receipts; }
        location /others/ { x402_price off; x402_receipts; }`,
    });
    assert.match(link, /\/my%20receipts\/[\w-]{22}$/);
    const name = link.split('/').at(-1);
    for (const place of ['/my%20receipts/', '/others/']) {
      assert.equal((await ask(gateway, place + name)).status, 200);
    }
  });
});
