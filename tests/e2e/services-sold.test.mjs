// The four services, sold by `x402 serve` at their prices as `make run` sells them, and
// bought by a stock client.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { rateLimited, startClaude } from './lib/apis.mjs';
import { startChain } from './lib/chain.mjs';
import { decodePng } from './lib/png.mjs';
import { ROOT, waitFor } from './lib/process.mjs';
import { startServe } from './lib/serve.mjs';
import { secretFile, startServices } from './lib/services.mjs';
import { settleOnce, settlerKey } from './lib/settler.mjs';
import { PAYEE, newAccount, receiptOf } from './lib/wallet.mjs';
import { checkBooks, payments } from './lib/x402.mjs';

const PUBLIC = '127.77.0.1'; // an address that test builds take for one of the Internet
const KEY = 'sk-ant-test';

/** The arguments by which `make run` sets the prices. */
function demoPrices() {
  const script = fs.readFileSync(path.join(ROOT, 'packaging/run.sh'), 'utf8');
  return [...script.matchAll(/--route \/api\/[a-z-]+=[0-9.]+/g)].flatMap(([route]) => route.split(' '));
}

describe('a service that is sold', () => {
  let chain;
  let claude;
  let site;
  let services;
  let gateway;
  let settler;
  let article;

  before(async () => {
    chain = await startChain();
    settler = await settlerKey(chain);
    claude = await startClaude(KEY);
    site = http.createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(`<title>On rivers</title><body><article><p>${
        ['The river rises in the hills.', 'It feeds every field of the valley.',
          'Its floods have shaped the towns of the valley.', 'The towns built dams in the hills.',
          'The dams calmed the river and its floods.'].join(' ')}</p></article>`);
    });
    await new Promise((resolve) => { site.listen(0, PUBLIC, resolve); });
    article = `http://${PUBLIC}:${site.address().port}/`;
    services = await startServices({
      args: ['--claude-url', claude.url, '--claude-key', secretFile(KEY)],
      env: { X402_SERVICES_TEST_PUBLIC: '127.77.0.0/16' },
    });
    gateway = await startServe(services, { price: '1', args: demoPrices() });
  });
  after(async () => {
    await gateway?.stop();
    await services?.stop();
    site?.closeAllConnections();
    site?.close();
    await claude?.stop();
    await chain?.stop();
  });

  async function newPayer() {
    const payer = newAccount();
    await chain.mint(payer.address, '1');
    const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(payer) }],
    });
    return { payer, paidFetch };
  }

  /** The payer's one payment, once its outcome is known. */
  function outcome(payer) {
    return waitFor(async () => {
      const rows = await payments(gateway, '--payer', payer.address);
      assert.ok(rows.length <= 1);
      return rows[0]?.delivery !== 'pending' && rows[0];
    }, 'the outcome');
  }

  /** Buys one call, checks that exactly `price` units move, and gives the answer. */
  async function buys(price, where, init) {
    const { payer, paidFetch } = await newPayer();
    const had = await chain.balance(PAYEE);
    const response = await paidFetch(`${gateway.url}${where}`, init);
    assert.equal(response.status, 200);
    assert.equal(receiptOf(response).success, true);
    assert.equal((await outcome(payer)).value, String(price));
    await settleOnce(gateway, chain, settler);
    assert.equal(await chain.balance(payer.address), 1_000_000n - BigInt(price));
    assert.equal(await chain.balance(PAYEE), had + BigInt(price));
    await checkBooks(gateway, chain);
    return response;
  }

  /** A paid call that fails with this status; nothing moves. */
  async function isNotCharged(status, where) {
    const { payer, paidFetch } = await newPayer();
    const response = await paidFetch(`${gateway.url}${where}`);
    assert.equal(response.status, status);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    const row = await outcome(payer);
    assert.deepEqual([row.delivery, row.money], ['void', 'released']);
    await settleOnce(gateway, chain, settler);
    assert.equal(await chain.balance(payer.address), 1_000_000n);
    return response;
  }

  test('make_run_sells_all_four', () => {
    assert.deepEqual(demoPrices().filter((word) => word !== '--route').toSorted(),
      ['/api/ask=0.001', '/api/embed=0.0005', '/api/fetch-summarize=0.005', '/api/og=0.002']);
  });

  test('an_answer_costs_a_tenth_of_a_cent', async () => {
    const { answer } = await (await buys(1000, '/api/ask?q=Why%3F')).json();
    assert.equal(answer, 'You asked: Why?');
  });

  test('a_card_costs_a_fifth_of_a_cent', async () => {
    const where = `/api/og?${new URLSearchParams({ url: article, theme: 'forest' })}`;
    const response = await buys(2000, where);
    assert.equal(response.headers.get('content-type'), 'image/png');
    assert.equal(decodePng(Buffer.from(await response.arrayBuffer())).width, 1200);
  });

  test('a_summary_costs_half_a_cent', async () => {
    const where = `/api/fetch-summarize?url=${encodeURIComponent(article)}`;
    assert.equal((await (await buys(5000, where)).json()).title, 'On rivers');
  });

  test('a_vector_costs_a_twentieth_of_a_cent', async () => {
    const { dimensions } = await (await buys(500, '/api/embed', {
      method: 'POST', body: JSON.stringify({ text: 'hello' }),
    })).json();
    assert.equal(dimensions, 256);
  });

  test('an_overloaded_model_is_not_charged_for', async () => {
    claude.next(rateLimited(60));
    const response = await isNotCharged(503, '/api/ask?q=Now%3F');
    assert.equal(response.headers.get('retry-after'), '60');
  });

  test('a_page_that_may_not_be_fetched_is_not_charged_for', async () => {
    await isNotCharged(403, '/api/og?url=http%3A%2F%2F169.254.169.254%2F');
    await isNotCharged(403, '/api/fetch-summarize?url=http%3A%2F%2F10.0.0.1%2F');
  });

  test('without_a_key_an_answer_is_not_charged_for', async () => {
    const poor = await startServices();
    const sells = await startServe(poor, { price: '1', args: demoPrices() });
    const before = gateway;
    gateway = sells;
    try {
      const problem = await (await isNotCharged(503, '/api/ask?q=Why%3F')).json();
      assert.match(problem.detail, /--claude-key/);
    } finally {
      gateway = before;
      await sells.stop();
      await poor.stop();
    }
  });
});
