// The module inside nginx under valgrind's memcheck: bytes that were never written, which
// the sanitizers do not see, and what nginx's pools hide from them at a worker's end.
//
//   X402_VALGRIND=N             so many calls of each kind (10)

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { NGINX, startGateway } from './lib/gateway.mjs';
import { ROOT, SANITIZED, canConnect, isRunning, signal, start, waitFor, waitForExit } from './lib/process.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, newAccount, payment, withHighS } from './lib/wallet.mjs';

const CALLS = Number(process.env.X402_VALGRIND ?? 10);
const installed = spawnSync('valgrind', ['--version']).status === 0;
const skip = SANITIZED ? 'sanitizers and valgrind exclude each other'
  : !installed && 'valgrind is not installed';

describe('under valgrind', { skip, timeout: 600_000 }, () => {
  let gateway; let upstream; let nginx;

  before(async () => {
    upstream = await startUpstream();
    const location = (name, more) => `
      location /${name} { x402_price 0.001; x402_description "d"; ${more} proxy_pass ${upstream.url}; }`;
    gateway = await startGateway({
      locations: `
        ${location('sold', '')} ${location('streamed', 'proxy_buffering off;')}
        ${location('dear', 'x402_rate 1r/m;')}
        location /free { proxy_pass ${upstream.url}; }
        location = /x402/stats { x402_price off; x402_stats; }
        location = /x402/metrics { x402_price off; x402_metrics; }
        location = /x402/ready { x402_price off; x402_ready; }
        location ^~ /x402/status { x402_price off; x402_status; }
        location ^~ /x402/receipts/ { x402_price off; x402_receipts; }`,
    });
    await gateway.quit();
    nginx = start('valgrind', [
      '--quiet', '--keep-debuginfo=yes', '--track-origins=yes', '--leak-check=full', '--show-leak-kinds=definite',
      '--errors-for-leak-kinds=definite', '--num-callers=30', `--log-file=${gateway.folder}/valgrind.%p`,
      `--suppressions=${ROOT}tests/e2e/valgrind.supp`, '--gen-suppressions=all',
      NGINX, ...gateway.arguments, '-g', 'daemon off;',
    ], { env: gateway.environment });
    await waitFor(async () => {
      if (!isRunning(nginx)) throw new Error(`nginx did not start:\n${reports()}\n${gateway.errorLog()}`);
      return canConnect(gateway.port);
    }, 'nginx under valgrind', 60_000);
  });

  after(() => upstream?.close?.());

  function reports() {
    return fs.readdirSync(gateway.folder).filter((name) => name.startsWith('valgrind.'))
      .map((name) => fs.readFileSync(path.join(gateway.folder, name), 'utf8')).join('');
  }

  const call = async (url, headers = {}, options = {}) => {
    const response = await fetch(`${gateway.url}${url}`, { headers, ...options });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };

  const times = async (one) => {
    for (let i = 0; i < CALLS; i++) await one(i);
  };

  test('calls are paid, repeated and refused in every dialect', async () => {
    for (const dialect of DIALECTS) {
      await times(async (i) => {
        const payer = newAccount();
        const paid = await payment(payer, { dialect });
        assert.equal((await call(`/sold?id=${dialect}${i}`, paid.headers)).status, 200);
        assert.equal((await call(`/sold?id=${dialect}${i}`, paid.headers)).status, 400);
        const bent = await payment(payer, { dialect, alter: withHighS });
        assert.equal((await call('/sold', bent.headers)).status, 402);
      });
    }
  });

  test('calls stream, fail above, and are too many', async () => {
    const payer = newAccount();
    await times(async (i) => {
      const pay = async () => (await payment(newAccount())).headers;
      const streamed = await call(`/streamed?id=s${i}&size=200000`, await pay());
      assert.equal(streamed.text.length, 200_000);
      assert.equal((await call(`/sold?id=f${i}&do=status&n=500`, await pay())).status, 500);
      assert.equal((await call(`/sold?id=r${i}&do=reset`, await pay())).status, 502);
      const limited = await call(`/dear?id=d${i}`, (await payment(payer)).headers);
      assert.equal(limited.status, i === 0 ? 200 : 429);
    });
  });

  test('what is malformed, and what is asked for nothing', async () => {
    await times(async (i) => {
      assert.equal((await call('/sold')).status, 402);
      assert.equal((await call('/sold', { accept: 'text/html', 'user-agent': 'Mozilla/5.0' })).status, 402);
      assert.equal((await call('/sold', { 'x-payment': '!'.repeat(i + 1) })).status, 400);
      const header = Buffer.from(`{"x402Version":${i},"payload":{`).toString('base64');
      assert.equal((await call('/sold', { 'payment-signature': header })).status, 400);
      assert.equal((await call(`/free?id=free${i}`, { 'x-402-payer': 'me' })).status, 200);
    });
  });

  test('pages of the gateway are read', async () => {
    await times(async () => {
      for (const page of ['stats', 'metrics', 'status', 'status/events', 'ready', 'receipts/x']) {
        const stop = new AbortController();
        const response = await fetch(`${gateway.url}/x402/${page}`, { signal: stop.signal });
        assert.ok([200, 404, 503].includes(response.status), `${page}: ${response.status}`);
        if (!page.endsWith('events')) await response.text();
        stop.abort();
      }
    });
  });

  test('nothing was found, up to the end', async () => {
    signal(nginx, 'SIGQUIT');
    await waitForExit(nginx, 60_000);
    assert.equal(reports(), '');
  });
});
