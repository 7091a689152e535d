// `x402 serve`: one command sells an upstream, and stops without leaving anything behind.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isOffer, isPaid } from './lib/ask.mjs';
import { startChain } from './lib/chain.mjs';
import { canConnect, freePort, run, sanitizerEnvironment, waitFor } from './lib/process.mjs';
import { RawConnection } from './lib/raw.mjs';
import {
  commandOf, isAlive, openFolder, selfSigned, serveArguments, startServe,
} from './lib/serve.mjs';
import { settlerKey } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { PAYEE, newAccount, payment } from './lib/wallet.mjs';
import { X402, checkBooks, delivered, payments, stats, x402 } from './lib/x402.mjs';

const priceOf = (got) => isOffer(got).v1.accepts[0].maxAmountRequired;

/** The value of a payment as an integer, for payment()'s message. */
const pays = (value) => ({ message: { value } });

let upstream;
before(async () => { upstream = await startUpstream(); });
after(() => upstream?.stop());

describe('what is sold', () => {
  let gateway;

  before(async () => {
    gateway = await startServe(upstream, {
      args: ['--route', '/api/ask=1c', '--free', '/health/', '--route=/api=0.002',
        '--free', '/api/free', '--workers', 2],
    });
  });
  after(() => gateway?.stop());

  test('it_says_what_it_sells_where_and_to_whom', () => {
    const log = gateway.log();
    assert.match(log, new RegExp(`x402 sells ${upstream.url} on ${gateway.url}`));
    assert.match(log, /\$0\.001 a call/);
    assert.match(log, /\$0\.01 {2}\/api\/ask/);
    assert.match(log, new RegExp(PAYEE));
    assert.match(log, /USDC on base-sepolia, eip155:84532 \(play money\)/);
    assert.match(log, /no chain to settle on/);
    assert.match(log, new RegExp(`${gateway.data}/ledger.db`));
  });

  const prices = {
    '/': '1000', '/other': '1000', '/healthx': '1000', '/HEALTH': '1000',
    '/api': '2000', '/api/other': '2000', '/API': '2000', '/API/free': '2000', '/apix': '1000',
    '/api/ask': '10000', '/api/ask/more': '10000', '/API/Ask': '10000', '/api/ask;x=1': '10000',
    '/api/asks': '2000', '/api/ask?x=1': '10000',
  };
  for (const [where, price] of Object.entries(prices)) {
    test(`${where}_costs_${price}`, async () => {
      const before = upstream.count();
      assert.equal(priceOf(await ask(gateway, where)), price);
      assert.equal(upstream.count(), before);
    });
  }

  for (const where of ['/health', '/health/', '/health/x', '/api/free', '/api/free/x']) {
    test(`${where}_is_free`, async () => {
      const got = await ask(gateway, `${where}?do=echo`, { headers: { 'x-402-payer': PAYEE } });
      assert.equal(got.status, 200);
      assert.equal(got.json.url, `${where}?do=echo`);
      assert.equal(got.json.headers['x-402-payer'], undefined, 'a payer nobody verified');
    });
  }

  for (const where of ['/health/../api/ask', '/health/..;/api/ask', '/health/..%3b/api/ask', '//api/ask']) {
    test(`a_free_path_does_not_lead_out_by_${where}`, async () => {
      assert.equal((await ask(gateway, where)).status, 400);
    });
  }

  test('a_paid_call_is_served_and_stands_in_the_ledger', async () => {
    const payer = newAccount();
    const paid = await payment(payer, pays(10000n));
    const got = await ask(gateway, '/api/ask?do=echo', { payment: paid });
    isPaid(got, paid);
    const { headers } = got.json;
    assert.equal(headers['x-402-payer'].toLowerCase(), payer.address.toLowerCase());
    assert.equal(headers['payment-signature'], undefined);
    assert.equal(headers.host, `127.0.0.1:${upstream.port}`);
    assert.equal(headers['x-forwarded-host'], `127.0.0.1:${gateway.port}`);
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    await delivered(gateway, payer.address, 1);
    const [row] = await payments(gateway, '--payer', payer.address);
    assert.equal(row.route, '/api/ask');
    assert.equal(row.amount, '0.01');
    assert.equal(row.money, 'due');
    await checkBooks(gateway);
  });

  test('its_own_pages_answer', async () => {
    assert.deepEqual((await ask(gateway, '/x402/health')).json, { status: 'ok' });
    const page = await ask(gateway, '/x402/stats');
    assert.match(page.headers['content-type'], /application\/json/);
    assert.equal(page.json.private, false);
    assert.ok(page.json.sold.some(({ path, price }) => path === '/api/ask' && price === '0.01'));
    assert.match((await ask(gateway, '/x402/status')).headers['content-type'], /text\/html/);
    assert.match((await ask(gateway, '/x402/metrics')).body, /^x402_ledger_up 1$/m);
    const ready = await ask(gateway, '/x402/ready');
    assert.equal(ready.status, 503);
    assert.match(ready.body, /settler/, 'what was sold has nobody to settle it');
    assert.equal((await ask(gateway, '/x402/other')).status, 404);
  });

  test('a_stream_is_not_delayed', async () => {
    const paid = await payment(newAccount());
    const connection = await RawConnection.open(gateway.port);
    connection.request('GET', '/sse?id=stream&do=sse&held=1&events=3', { headers: paid.headers });
    for (let i = 0; i < 3; i++) { // each event is made only when the one before has arrived
      await connection.until((buffer) => buffer.indexOf(`data: ${i}\n\n`));
      upstream.release(`stream/${i}`);
    }
    await connection.until((buffer) => buffer.indexOf('\r\n0\r\n\r\n'));
    connection.end();
  });

  test('a_large_body_goes_up_and_one_beyond_all_measure_does_not', async () => {
    const paid = await payment(newAccount());
    const body = 'x'.repeat(5_000_000);
    const got = await ask(gateway, '/up?do=echo', { method: 'POST', payment: paid, body });
    assert.equal(got.json.bodySize, body.length);
    const refused = await ask(gateway, '/up', { method: 'POST', headers: { 'content-length': 70_000_000 } });
    assert.equal(refused.status, 413);
  });

  /** Asks for a protocol upgrade; the answer's first line. */
  async function upgrade(protocol) {
    const paid = await payment(newAccount());
    const socket = net.connect(gateway.port, '127.0.0.1');
    socket.write(`GET /ws?do=echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`
      + `${paid.name}: ${paid.value}\r\n\r\n`);
    const [first] = await new Promise((resolve) => { socket.once('data', (data) => resolve(String(data).split('\r\n'))); });
    socket.destroy();
    return first;
  }

  test('websockets_pass_and_no_other_protocol_does', async () => {
    assert.match(await upgrade('websocket'), /101/);
    assert.match(await upgrade('h2c'), /200/);
  });
});

describe('a private status page', () => {
  let gateway;
  let token;

  before(async () => {
    gateway = await startServe(upstream, { args: ['--status', 'private'] });
    token = fs.readFileSync(path.join(gateway.data, 'status.token'), 'utf8').trim();
  });
  after(() => gateway?.stop());

  const bearer = () => ({ headers: { authorization: `Bearer ${token}` } });

  test('its_token_is_in_a_file_that_is_named_and_closed_to_others', () => {
    const file = path.join(gateway.data, 'status.token');
    assert.ok(gateway.log().includes(file));
    assert.doesNotMatch(gateway.log(), new RegExp(token));
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.match(token, /^[0-9a-f]{48}$/);
  });

  for (const page of ['status', 'stats', 'metrics']) {
    test(`${page}_is_for_who_has_the_token`, async () => {
      assert.equal((await ask(gateway, `/x402/${page}`)).status, 401);
      assert.equal((await ask(gateway, `/x402/${page}`, bearer())).status, 200);
    });
  }

  test('its_health_is_for_all', async () => {
    assert.equal((await ask(gateway, '/x402/health')).status, 200);
  });

  test('the_token_stays_the_same', async () => {
    const args = serveArguments(upstream, {
      port: gateway.port, data: gateway.data, args: ['--status', 'private', '--print-config'],
    });
    assert.equal((await x402(args)).code, 0);
    assert.equal(fs.readFileSync(path.join(gateway.data, 'status.token'), 'utf8').trim(), token);
  });
});

describe('a gateway that is free but for a path', () => {
  test('sells_that_path', async () => {
    const gateway = await startServe(upstream, { price: null, args: ['--free', '/', '--route', '/paid=1c'] });
    assert.equal((await ask(gateway, '/')).status, 200);
    assert.equal(priceOf(await ask(gateway, '/PAID/x')), '10000');
    await gateway.stop();
  });
});

describe('an https upstream', () => {
  const { certificate, pem } = selfSigned();
  let server;
  let port;

  before(async () => {
    port = await freePort();
    server = https.createServer(pem, (request, response) => response.end(request.headers.host));
    server.on('connection', (socket) => socket.unref());
    await new Promise((resolve) => { server.listen(port, 'localhost', resolve); });
    server.unref();
  });

  test('is_believed_by_its_certificate', async () => {
    const gateway = await startServe({ url: `https://localhost:${port}` }, { env: { SSL_CERT_FILE: certificate } });
    const paid = await payment(newAccount());
    const got = await ask(gateway, '/', { payment: paid });
    isPaid(got, paid);
    assert.equal(got.body, `localhost:${port}`);
    await gateway.stop();
  });

  test('that_cannot_prove_its_name_is_not_called_and_nobody_is_charged', async () => {
    const gateway = await startServe({ url: `https://localhost:${port}` });
    const payer = newAccount();
    const got = await ask(gateway, '/', { payment: await payment(payer) });
    assert.equal(got.status, 502);
    await waitFor(async () => (await payments(gateway, '--status', 'void')).length === 1, 'a void');
    await gateway.stop();
  });
});

describe('the configuration', () => {
  /** `x402 serve --print-config` with a data directory of an odd name. */
  async function printed(port, data) {
    const args = serveArguments(upstream, { port, data, args: ['--route', '/a=1', '--free', '/a/b', '--print-config'] });
    const { code, stdout, stderr } = await run(X402, args);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  test('is_accepted_by_nginx_also_with_odd_directories', async () => {
    const folder = openFolder('print');
    const file = path.join(folder, 'printed.conf');
    fs.writeFileSync(file, await printed(await freePort(), path.join(folder, 'a b;"c\\d} $uri')));
    const nginx = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(fs.existsSync) ?? 'nginx';
    execFileSync(nginx, ['-t', '-c', file], { stdio: 'pipe', env: { ...process.env, ...sanitizerEnvironment() } });
    assert.ok(!fs.existsSync(path.join(folder, 'a b;"c\\d} $uri', 'ledger.db')), 'a ledger was made');
  });

  test('that_is_printed_is_the_one_that_runs', async () => {
    const gateway = await startServe(upstream, { args: ['--route', '/a=1', '--free', '/a/b'] });
    const text = await printed(gateway.port, gateway.data);
    const [file] = commandOf(gateway.nginx).match(/\S+\.conf/);
    assert.equal(fs.readFileSync(file, 'utf8'), text);
    await gateway.stop();
  });
});

describe('a data directory', () => {
  test('is_closed_to_others', async () => {
    const gateway = await startServe(upstream);
    assert.equal(fs.statSync(gateway.data).mode & 0o777, 0o700);
    assert.equal(fs.statSync(path.join(gateway.data, 'ledger.db')).mode & 0o777, 0o600);
    await gateway.stop();
  });

  test('is_never_one_that_holds_other_things', async () => {
    const data = openFolder('others');
    fs.writeFileSync(path.join(data, 'letter.txt'), 'dear');
    const { code, stderr } = await run(X402, serveArguments(upstream, { port: await freePort(), data }));
    assert.equal(code, 1);
    assert.match(stderr, /holds other things/);
    assert.equal(fs.statSync(data).mode & 0o777, 0o755);
  });

  test('is_for_one_gateway', async () => {
    const gateway = await startServe(upstream);
    const { code, stderr } = await run(X402, serveArguments(upstream, { port: await freePort(), data: gateway.data }));
    assert.equal(code, 1);
    assert.match(stderr, /another x402 serve runs on/);
    await gateway.stop();
  });
});

test('a_port_that_is_taken_is_refused_at_once', async () => {
  const data = path.join(openFolder('port'), 'data');
  const { code, stderr } = await run(X402, serveArguments({ url: 'http://127.0.0.1:1' }, { port: upstream.port, data }));
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`127.0.0.1:${upstream.port} is in use: choose another with --listen`));
  assert.ok(!fs.existsSync(data));
});

test('a_settlers_key_that_others_may_read_is_refused', async () => {
  const folder = openFolder('key');
  const key = path.join(folder, 'key');
  fs.writeFileSync(key, `${newAccount().key}\n`, { mode: 0o644 });
  const args = serveArguments(upstream, {
    port: await freePort(), data: path.join(folder, 'data'),
    args: ['--rpc', 'http://127.0.0.1:1', '--settler-key', key],
  });
  const { code, stderr } = await run(X402, args);
  assert.equal(code, 1);
  assert.match(stderr, /x402 serve: --settler-key: /);
});

describe('stopping', () => {
  /** Nothing of it is left. */
  const gone = (processes) => waitFor(() => !processes.some(isAlive), 'the end of all', 15_000);

  for (const name of ['SIGINT', 'SIGTERM']) {
    test(`${name}_stops_everything_and_is_no_failure`, async () => {
      const gateway = await startServe(upstream);
      // A worker that was only just made has no name yet.
      const processes = await waitFor(() => {
        const all = gateway.processes;
        return all.length >= 3 && all;
      }, 'all of it');
      gateway.signal(name);
      assert.deepEqual(await gateway.exit(), { code: 0, signal: null });
      assert.deepEqual(processes.filter(isAlive), []);
    });
  }

  test('what_is_under_way_is_served_first', async () => {
    const gateway = await startServe(upstream);
    const payer = newAccount();
    const paid = await payment(payer);
    const answer = ask(gateway, '/slow?do=hold&id=under-way', { payment: paid });
    await waitFor(() => upstream.count('under-way') === 1, 'the call');
    gateway.signal('SIGTERM');
    await waitFor(async () => !(await canConnect(gateway.port)), 'it to listen no more');
    upstream.release('under-way');
    isPaid(await answer, paid);
    assert.equal((await gateway.exit()).code, 0);
    assert.equal((await payments(gateway, '--status', 'delivered')).length, 1);
    await checkBooks(gateway);
  });

  test('a_second_signal_does_not_wait', async () => {
    const gateway = await startServe(upstream);
    const { processes } = gateway;
    const answer = ask(gateway, '/slow?do=hang&id=hung', { payment: await payment(newAccount()) });
    answer.catch(() => {});
    await waitFor(() => upstream.count('hung') === 1, 'the call');
    const start = Date.now();
    gateway.signal('SIGINT');
    await waitFor(() => gateway.isShuttingDown, 'it to know'); // two signals at once may be one
    gateway.signal('SIGINT');
    assert.equal((await gateway.exit(20_000)).code, 0);
    assert.ok(Date.now() - start < 10_000, 'without the second it takes 12 s');
    await gone(processes);
  });

  test('killing_it_leaves_nothing_behind', async () => {
    const gateway = await startServe(upstream);
    const { processes } = gateway;
    gateway.signal('SIGKILL');
    await gone(processes);
  });

  test('the_death_of_nginx_is_the_end_of_all_and_a_failure', async () => {
    const gateway = await startServe(upstream);
    const { processes } = gateway;
    process.kill(gateway.nginx, 'SIGKILL');
    assert.equal((await gateway.exit(15_000)).code, 1);
    assert.match(gateway.log(), /nginx stopped by itself \(signal 9\)/);
    assert.deepEqual(processes.filter(isAlive), []);
  });

  test('it_starts_again_where_it_was', async () => {
    const first = await startServe(upstream);
    const paid = await payment(newAccount());
    isPaid(await ask(first, '/', { payment: paid }), paid);
    await first.stop();
    const second = await startServe(upstream, { data: first.data });
    assert.equal((await ask(second, '/', { payment: paid })).json.code, 'nonce_already_used');
    await second.stop();
  });
});

test('a_reload_brings_new_workers_and_loses_no_call', async () => {
  const gateway = await startServe(upstream);
  const old = gateway.workers;
  let going = true;
  const calls = (async () => {
    let count = 0;
    for (; going; count++) assert.equal((await ask(gateway, '/')).status, 402);
    return count;
  })();
  gateway.signal('SIGHUP');
  await waitFor(() => gateway.workers.length > 0 && !gateway.workers.some((pid) => old.includes(pid)), 'new workers', 20_000);
  going = false;
  assert.ok(await calls > 0);
  await gateway.stop();
});

describe('with a chain', () => {
  let chain;
  let key;
  let gateway;

  before(async () => {
    chain = await startChain();
    key = await settlerKey(chain);
    gateway = await startServe(upstream, { args: ['--rpc', chain.url, '--settler-key', key.file] });
  });
  after(async () => {
    await gateway?.stop();
    await chain?.stop();
  });

  /** Buys one call; the money must move. */
  async function buyAndSettle() {
    const payer = newAccount();
    await chain.mint(payer.address, '1');
    const paid = await payment(payer);
    isPaid(await ask(gateway, '/', { payment: paid }), paid);
    await waitFor(async () => (await chain.balance(payer.address)) === 999_000n, 'the money', 60_000);
    return payer;
  }

  test('what_is_sold_is_settled_by_itself', async () => {
    assert.match(gateway.log(), new RegExp(`through ${chain.url}, gas paid by the key in`));
    const payer = await buyAndSettle();
    const row = await waitFor(async () => {
      const [found] = await payments(gateway, '--payer', payer.address);
      return found.transaction && found;
    }, 'the transaction in the ledger');
    assert.equal((await chain.receipt(row.transaction)).status, '0x1');
    assert.equal((await stats(gateway)).totals[0].payers, 1);
  });

  test('a_settler_that_died_is_started_again', async () => {
    const { settler } = gateway;
    process.kill(settler, 'SIGKILL');
    await waitFor(() => gateway.settler && gateway.settler !== settler, 'a new settler', 15_000);
    assert.match(gateway.log(), /the settler stopped \(signal 9\): it starts again in 1 s/);
    gateway.setClock(31); // the dead one's hold on the key ends by itself after 30 s
    await buyAndSettle();
    gateway.setClock(0);
  });

  test('everything_stops_together', async () => {
    const { processes } = gateway;
    assert.equal((await gateway.stop()).code, 0);
    assert.deepEqual(processes.filter(isAlive), []);
    await checkBooks(gateway, chain);
  });
});

test('wrong_flags_start_nothing', async () => {
  const { code, stderr } = await x402(['serve', '--upstream', upstream.url, '--price', 'free', '--pay-to', PAYEE]);
  assert.equal(code, 2);
  assert.match(stderr, /^x402 serve: --price: 'free' is not a price/);
});
