// What passes through the gateway with a paid call, and what does not: headers up and
// down, the receipt, the verified payer, bodies of any size.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Caller, PROTOCOLS, isDelivered, isVoid, newPayment } from './lib/calls.mjs';
import { startGateway } from './lib/gateway.mjs';
import { temporaryFolder } from './lib/process.mjs';
import { RawConnection } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, PAYEE, decode } from './lib/wallet.mjs';

const WWW = temporaryFolder('www');
const LARGE = Buffer.alloc(10 * 1024 * 1024, 'body ');

let upstream;
let gateway;
let calls = 0;

before(async () => {
  fs.chmodSync(WWW, 0o755);
  fs.writeFileSync(path.join(WWW, 'page.txt'), 'page\n');

  upstream = await startUpstream();
  gateway = await startGateway({
    server: 'underscores_in_headers on;',
    http: (own) => `
    proxy_cache_path ${own.folder}/temp/cache keys_zone=answers:1m;
    upstream pair {
        server 127.0.0.1:${upstream.port} max_fails=0;
        server 127.0.0.1:${upstream.port} max_fails=0;
    }`,
    locations: `
    location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
    location /free/ { proxy_pass ${upstream.url}; }
    location /pair/ { x402_price 0.001; proxy_pass http://pair; proxy_next_upstream http_503; }
    location /relay/ { internal; x402_price 0.001; proxy_pass ${upstream.url}; }
    location /named/ {
        x402_price 0.001;
        proxy_pass ${upstream.url};
        proxy_set_header Bought "$x402_payer $x402_value $x402_network $x402_nonce";
    }
    location /streamed-up/ { x402_price 0.001; proxy_pass ${upstream.url}; proxy_request_buffering off; }
    location /expires/ { x402_price 0.001; proxy_pass ${upstream.url}; expires 1h; }
    location /static/ { x402_price 0.001; alias ${WWW}/; expires 1h; }
    location /cached/ {
        x402_price 0.001;
        proxy_pass ${upstream.url};
        proxy_cache answers;
        proxy_cache_key $uri?$arg_id;
        proxy_cache_valid 200 1m;
        add_header X-Cache $upstream_cache_status always;
    }`,
  });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const newId = () => `call${++calls}`;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Query for an answer with these headers. */
const withHeaders = (...lines) => lines.map((line) => `&header=${encodeURIComponent(line)}`).join('');

/** Every value of a response header, in one line of text. */
const all = (headers, name) => [headers[name] ?? []].flat().join(', ');

for (const protocol of PROTOCOLS) {
  describe(`over ${protocol}`, () => {
    let caller;
    before(() => { caller = new Caller(gateway, protocol); });
    after(() => caller.close());

    /** A paid call, and what the upstream saw of it. */
    async function buy(place, options = '', { dialect, status = 200, ...request } = {}) {
      const [id, paid] = [newId(), await newPayment({ dialect })];
      const answer = await caller.call(`/${place}/x?id=${id}${options}`, { paid, ...request });
      assert.equal(answer.status, status, answer.body);
      return { answer, paid, id, seen: upstream.executions(id).at(-1) };
    }

    // ---------------------------------------------------------------------- the receipt

    for (const dialect of DIALECTS) {
      test(`a_${dialect}_payment_gets_its_receipt_in_the_header_of_its_generation`, async () => {
        const { answer, paid } = await buy('api', '', { dialect });
        const [own, other] = dialect === 'v2'
          ? ['payment-response', 'x-payment-response'] : ['x-payment-response', 'payment-response'];
        assert.equal(answer.headers[other], undefined);
        assert.deepEqual(decode(answer.headers[own]), {
          success: true, transaction: '', payer: paid.message.from,
          network: dialect === 'v2' ? 'eip155:84532' : 'base-sepolia',
        });
      });
    }

    test('scripts_of_other_origins_may_read_the_receipt', async () => {
      const { answer } = await buy('api', '', { headers: { Origin: 'https://shop.example' } });
      const exposed = all(answer.headers, 'access-control-expose-headers').toLowerCase().split(/, */);
      assert.ok(exposed.includes('payment-response') && exposed.includes('x-payment-response'));
      assert.equal(answer.headers['access-control-allow-origin'], '*');
    });

    test('an_upstream_keeps_its_own_word_on_who_may_read', async () => {
      const { answer } = await buy('api', withHeaders('Access-Control-Allow-Origin: https://shop.example'), {
        headers: { Origin: 'https://shop.example' },
      });
      assert.equal(answer.headers['access-control-allow-origin'], 'https://shop.example');
    });

    // ------------------------------------------------- payment headers of the upstream

    const foreign = withHeaders(
      'PAYMENT-RESPONSE: bm9uc2Vuc2U=', 'X-PAYMENT-RESPONSE: bm9uc2Vuc2U=', 'payment-required: bm9uc2Vuc2U=');

    test('payment_headers_of_the_upstream_do_not_pass_with_a_paid_answer', async () => {
      const { answer, paid } = await buy('api', foreign);
      assert.equal(decode(answer.headers['payment-response']).payer, paid.message.from);
      assert.equal(answer.headers['x-payment-response'], undefined);
      assert.equal(answer.headers['payment-required'], undefined);
    });

    for (const status of [302, 402, 404, 500]) {
      test(`payment_headers_of_the_upstream_do_not_pass_with_its_${status}`, async () => {
        const { answer } = await buy('api', `&do=status&n=${status}${foreign}`, { status });
        assert.doesNotMatch(JSON.stringify(answer.headers), /bm9uc2Vuc2U/);
      });
    }

    test('a_402_of_the_upstream_is_passed_on_and_not_charged', async () => {
      const { answer, paid } = await buy('api', '&do=status&n=402', { status: 402 });
      assert.equal(answer.body, 'status 402\n');
      await isVoid(gateway, paid);
    });

    test('a_cached_answer_does_not_bring_payment_headers_back', async () => {
      const first = await buy('cached', foreign);
      const paid = await newPayment();
      const answer = await caller.call(`/cached/x?id=${first.id}${foreign}`, { paid });
      assert.equal(answer.headers['x-cache'], 'HIT');
      assert.equal(decode(answer.headers['payment-response']).payer, paid.message.from);
      assert.doesNotMatch(JSON.stringify(answer.headers), /bm9uc2Vuc2U/);
    });

    // --------------------------------------------------------------------- Cache-Control

    for (const [lines, expected] of [
      [[], 'private'],
      [['public, max-age=60'], 'private, max-age=60'],
      [['max-age=60'], 'private, max-age=60'],
      [['Public'], 'private'],
      [['private'], 'private'],
      [['no-store'], 'private, no-store'],
      [['s-maxage=600,max-age=5'], 'private, max-age=5'],
      [['public', 's-maxage=9', 'max-age=5'], 'private, max-age=5'],
    ]) {
      test(`cache_control_${lines.join('_and_') || 'of_nobody'}_becomes_${expected}`, async () => {
        const { answer } = await buy(
          'api', `&do=whole${withHeaders(...lines.map((line) => `Cache-Control: ${line}`))}`);
        assert.equal(all(answer.headers, 'cache-control'), expected);
      });
    }

    test('headers_that_tell_a_cdn_to_share_do_not_pass', async () => {
      const { answer } = await buy('api', withHeaders(
        'Surrogate-Control: max-age=60', 'CDN-Cache-Control: max-age=60', 'Cloudflare-CDN-Cache-Control: max-age=60'));
      for (const name of ['surrogate-control', 'cdn-cache-control', 'cloudflare-cdn-cache-control']) {
        assert.equal(answer.headers[name], undefined);
      }
    });

    for (const [what, target] of [
      ['an_answer_without_cache_control', '/expires/x?do=ok'],
      ['an_answer_that_says_public', `/expires/x?do=ok${withHeaders('Cache-Control: public')}`],
      ['a_file', '/static/page.txt'],
    ]) {
      test(`${what}_stays_private_where_nginx_sets_expires`, async () => {
        const answer = await caller.call(target, { paid: await newPayment() });
        assert.equal(answer.status, 200);
        assert.match(all(answer.headers, 'cache-control'), /\bprivate\b/);
        assert.doesNotMatch(all(answer.headers, 'cache-control'), /public/);
      });
    }

    // ------------------------------------------------------------------- to the upstream

    test('the_upstream_sees_the_verified_payer_and_not_the_payment', async () => {
      for (const dialect of DIALECTS) {
        const { seen, paid } = await buy('api', '', { dialect });
        assert.equal(seen.headers['x-402-payer'], paid.message.from);
        assert.equal(seen.headers['payment-signature'], undefined);
        assert.equal(seen.headers['x-payment'], undefined);
      }
    });

    for (const name of ['X-402-Payer', 'x-402-PAYER', 'X_402_Payer', 'x-402_payer']) {
      test(`a_payer_forged_as_${name}_does_not_pass_a_paid_call`, async () => {
        const { seen, paid } = await buy('api', '', { headers: { [name]: PAYEE } });
        assert.equal(seen.headers['x-402-payer'], paid.message.from);
        assert.doesNotMatch(JSON.stringify(seen.headers), new RegExp(PAYEE));
      });

      test(`a_payer_forged_as_${name}_does_not_pass_where_nothing_is_sold`, async () => {
        const id = newId();
        const answer = await caller.call(`/free/x?id=${id}`, { headers: { [name]: PAYEE } });
        assert.equal(answer.status, 200);
        const [seen] = upstream.executions(id);
        assert.doesNotMatch(JSON.stringify(seen.headers), new RegExp(`402.payer|${PAYEE}`, 'i'));
      });
    }

    test('every_upstream_that_is_tried_sees_the_payer_once', async () => {
      const id = newId();
      upstream.script(id, { do: 'status', n: 503 }, { do: 'ok' });
      const paid = await newPayment();
      assert.equal((await caller.call(`/pair/x?id=${id}`, { paid })).status, 200);
      const payers = upstream.executions(id).map(({ headers }) => headers['x-402-payer']);
      assert.deepEqual(payers, [paid.message.from, paid.message.from]);
    });

    test('the_upstream_behind_an_internal_redirect_sees_the_payer_once_and_not_the_payment', async () => {
      const id = newId();
      const to = withHeaders(`X-Accel-Redirect: /relay/x?id=${id}`);
      const paid = await newPayment();
      assert.equal((await caller.call(`/api/x?do=ok${to}`, { paid })).status, 200);
      const [seen] = upstream.executions(id);
      assert.equal(seen.headers['x-402-payer'], paid.message.from);
      assert.equal(seen.headers['payment-signature'], undefined);
      await isDelivered(gateway, paid);
    });

    test('the_variables_name_payer_value_network_and_nonce', async () => {
      const { seen, paid: { message } } = await buy('named');
      assert.equal(seen.headers.bought, `${message.from} 1000 eip155:84532 ${message.nonce}`);
    });

    // -------------------------------------------------------------------------- bodies

    for (const place of ['api', 'streamed-up']) {
      for (const size of [0, 1, 70_000, LARGE.length]) {
        test(`a_post_of_${size}_bytes_arrives_whole_at_${place}`, async () => {
          const body = LARGE.subarray(0, size);
          const { seen, paid } = await buy(place, '', { method: 'POST', body });
          assert.equal(seen.body.length, size);
          assert.equal(sha256(seen.body), sha256(body));
          await isDelivered(gateway, paid);
        });
      }
    }
  });
}

describe('over http1', () => {
  /** A raw paid request, `write` says the rest of it after the header; gives {status, seen}. */
  async function raw(place, lines, write) {
    const [id, paid] = [newId(), await newPayment()];
    const connection = await RawConnection.open(gateway.port);
    const head = [`POST /${place}/x?id=${id} HTTP/1.1`, 'Host: gateway', `${paid.name}: ${paid.value}`, ...lines];
    connection.write(`${head.join('\r\n')}\r\n\r\n`);
    await write(connection);
    const { status } = await connection.readResponse();
    connection.end();
    return { status, seen: upstream.executions(id)[0], paid };
  }

  for (const place of ['api', 'streamed-up']) {
    test(`a_chunked_post_arrives_whole_at_${place}`, async () => {
      const body = LARGE.subarray(0, 1_000_000);
      const { status, seen, paid } = await raw(place, ['Transfer-Encoding: chunked'], (connection) => {
        for (let at = 0; at < body.length; at += 10_000) {
          const piece = body.subarray(at, at + 10_000);
          connection.write(`${piece.length.toString(16)}\r\n`).write(piece).write('\r\n');
        }
        connection.write('0\r\n\r\n');
      });
      assert.equal(status, 200);
      assert.equal(sha256(seen.body), sha256(body));
      await isDelivered(gateway, paid);
    });

    test(`a_client_that_waits_for_100_continue_is_told_to_go_on_at_${place}`, async () => {
      const lines = ['Content-Length: 5', 'Expect: 100-continue'];
      const { status, seen, paid } = await raw(place, lines, async (connection) => {
        assert.equal((await connection.readHead()).status, 100);
        connection.write('hello');
      });
      assert.equal(status, 200);
      assert.equal(seen.body.toString(), 'hello');
      await isDelivered(gateway, paid);
    });
  }

  test('a_client_that_does_not_pay_is_not_told_to_send_its_body', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.write('POST /api/x HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    assert.equal((await connection.readHead()).status, 402);
    connection.end();
  });

  // nginx keeps headers in parts of twenty: one to be removed may stand anywhere in a part.
  const others = Array.from({ length: 45 }, (_, i) => [`x-header-${i}`, `value ${i}`]);

  /** GETs `target` with these headers, and gives what the upstream saw: {own, others}. */
  async function passes(target, headers, at) {
    const id = newId();
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const connection = await RawConnection.open(gateway.port);
    connection.write(`GET ${target}?id=${id} HTTP/1.1\r\nHost: gateway\r\n${lines}\r\n`);
    assert.equal((await connection.readResponse()).status, 200, `at ${at}`);
    connection.end();
    const seen = upstream.executions(id)[0].headers;
    return { seen, seenOthers: Object.entries(seen).filter(([name]) => name.startsWith('x-header-')) };
  }

  const inserted = (at, header) => [...others.slice(0, at), header, ...others.slice(at)];

  test('the_payment_does_not_pass_and_the_others_do_in_order_wherever_it_stands_among_them', async () => {
    for (let at = 0; at <= others.length; at++) {
      const paid = await newPayment();
      const { seen, seenOthers } = await passes('/api/x', inserted(at, [paid.name, paid.value]), at);
      assert.equal(seen['payment-signature'], undefined, `at ${at}`);
      assert.equal(seen['x-402-payer'], paid.message.from, `at ${at}`);
      assert.deepEqual(seenOthers, others, `at ${at}`);
    }
  });

  test('the_payer_passes_and_the_payment_does_not_after_any_number_of_headers', async () => {
    for (let at = 0; at <= others.length; at++) {
      const paid = await newPayment();
      const before = others.slice(0, at);
      const { seen, seenOthers } = await passes('/api/x', [...before, [paid.name, paid.value]], at);
      assert.equal(seen['payment-signature'], undefined, `at ${at}`);
      assert.equal(seen['x-402-payer'], paid.message.from, `at ${at}`);
      assert.deepEqual(seenOthers, before, `at ${at}`);
    }
  });

  test('a_forged_payer_does_not_pass_wherever_it_stands_among_the_others', async () => {
    for (let at = 0; at <= others.length; at++) {
      const { seen, seenOthers } = await passes('/free/x', inserted(at, ['X-402-Payer', PAYEE]), at);
      assert.equal(seen['x-402-payer'], undefined, `at ${at}`);
      assert.deepEqual(seenOthers, others, `at ${at}`);
    }
  });

  test('many_forged_payers_do_not_pass_together', async () => {
    const forged = Array.from({ length: 45 }, () => ['X-402-Payer', PAYEE]);
    const paid = await newPayment();
    const { seen, seenOthers } = await passes(
      '/api/x', [...forged.slice(0, 22), others[0], ...forged.slice(22), [paid.name, paid.value]]);
    assert.equal(seen['x-402-payer'], paid.message.from);
    assert.deepEqual(seenOthers, [others[0]]);
  });

  test('a_connection_carries_paid_posts_one_after_the_other', async () => {
    const connection = await RawConnection.open(gateway.port);
    for (const size of [0, 10, 100_000, 10]) {
      const [id, paid] = [newId(), await newPayment()];
      const body = LARGE.subarray(0, size);
      connection.request('POST', `/api/x?id=${id}`, { headers: paid.headers, body });
      assert.equal((await connection.readResponse()).status, 200);
      assert.equal(sha256(upstream.executions(id)[0].body), sha256(body));
    }
    connection.end();
  });
});
