// What a caller is offered: for how much, to whom, on which network, for which URL.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { getAddress } from 'viem';
import { ask, isOffer, isPaid } from './lib/ask.mjs';
import { USDC } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { freePort } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { PAYEE, decode, newAccount, payment } from './lib/wallet.mjs';

const BASE_USDC = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913';
const TEST_DOLLAR = '0x00000000000000000000000000000000000D0117';

let gateway;
let upstream;
let plain; // a server that sells nothing: {port}
let shop; // one with a price for everything, on every network
let behind; // one behind a trusted proxy
let calls = 0;

before(async () => {
  upstream = await startUpstream();
  [plain, shop, behind] = [
    { port: await freePort() }, { port: await freePort() }, { port: await freePort() }];
  gateway = await startGateway({
    accept: null,
    http: `
    x402_network base-sepolia;
    x402_network base;
    x402_network eip155:31337 asset=${TEST_DOLLAR} "name=Test Dollar" version=7 decimals=18;
    map $arg_tier $tier_price {
        default 0.001; large 0.005; cents 0.2c; free off;
        empty ''; words cheap; zero 0; negative -0.001; tiny 0.0000001; huge 99999999999;
    }
    server {
        listen 127.0.0.1:${plain.port};
        location / { proxy_pass ${upstream.url}; }
    }
    server {
        listen 127.0.0.1:${shop.port};
        x402_price 0.01;
        location / { proxy_pass ${upstream.url}; }
        location /free/ { x402_price off; proxy_pass ${upstream.url}; }
        location /free/not/ { x402_price 0.02; proxy_pass ${upstream.url}; }
        location /pair/ { x402_accept eip155:8453 base-sepolia; proxy_pass ${upstream.url}; }
        location /mine/ { x402_accept eip155:31337; proxy_pass ${upstream.url}; }
    }
    server {
        listen 127.0.0.1:${behind.port};
        set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
        x402_accept base-sepolia;
        location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
        location /door/ { try_files /nothing /api/x?$args; }
    }`,
    server: 'x402_accept base-sepolia;',
    locations: `
        location / { proxy_pass ${upstream.url}; }
        location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
        location /described/ {
            x402_price 0.1c;
            x402_description 'Caf\u00e9 "au lait" & <b>more</b>';
            x402_mime_type application/json;
            x402_window 120;
            proxy_pass ${upstream.url};
        }
        location /public/ {
            x402_price 0.001;
            x402_public_url https://shop.example/v1/;
            proxy_pass ${upstream.url};
        }
        location /dynamic/ { x402_price $tier_price; proxy_pass ${upstream.url}; }
        location /returned/ { x402_price 0.001; return 200 "free\\n"; }`,
  });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A call nobody made before: its id and its path. */
function newCall(prefix = '/api/', options = '') {
  const id = `call${++calls}`;
  return { id, path: `${prefix}x?id=${id}${options}` };
}

/** Buys a call and gives the answer. */
async function buy(call, paid, { on = gateway, ...options } = {}) {
  const got = await ask(on, call.path, { payment: paid, ...options });
  isPaid(got, paid);
  return got;
}

const offered = async (on, where, options) => isOffer(await ask(on, where, options));

describe('the offer', () => {
  test('names_everything_a_client_of_either_generation_needs', async () => {
    const { v2, v1 } = await offered(gateway, '/described/x?a=1&b=%20');
    const url = `http://127.0.0.1:${gateway.port}/described/x?a=1&b=%20`;
    const [description, mimeType] = ['Caf\u00e9 "au lait" & <b>more</b>', 'application/json'];
    const terms = {
      asset: USDC, payTo: PAYEE, maxTimeoutSeconds: 120, extra: { name: 'USDC', version: '2' } };
    assert.deepEqual(v2, {
      x402Version: 2, error: 'Payment required', resource: { url, description, mimeType },
      accepts: [{ scheme: 'exact', network: 'eip155:84532', amount: '1000', ...terms }],
    });
    assert.deepEqual(v1, {
      x402Version: 1, error: 'X-PAYMENT header is required',
      accepts: [{
        scheme: 'exact', network: 'base-sepolia', maxAmountRequired: '1000', resource: url,
        description, mimeType, ...terms,
      }],
    });
  });

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    test(`answers_${method}`, async () => {
      const call = newCall();
      await offered(gateway, call.path, { method });
      assert.equal(upstream.count(call.id), 0);
    });
  }

  test('answers_head_without_a_body', async () => {
    const got = await ask(gateway, '/api/x', { method: 'HEAD' });
    assert.equal(got.status, 402);
    assert.equal(got.body, '');
    assert.equal(decode(got.headers['payment-required']).accepts.length, 1);
  });

  test('can_be_read_by_a_person_whose_browser_asks_for_a_page', async () => {
    const got = await ask(gateway, '/described/x?q="<script>&a', {
      headers: { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    assert.equal(got.status, 402);
    assert.equal(got.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(got.headers['cache-control'], 'no-store');
    assert.equal(decode(got.headers['payment-required']).accepts[0].amount, '1000');
    assert.match(got.body, /0\.001 USDC/);
    assert.match(got.body, /base-sepolia \(test money\)/);
    assert.match(got.body, /Caf\u00e9 &quot;au lait&quot; &amp; &lt;b&gt;more/);
    assert.match(got.body, /q=&quot;&lt;script&gt;&amp;a/);
    assert.doesNotMatch(got.body, /<script>&|<b>more/);
  });

  test('shows_a_command_that_no_url_can_break_out_of', async () => {
    const got = await ask(gateway, "/api/x?q=';id;'", { headers: { Accept: 'text/html' } });
    const [, command] = /^(x402 pay [^<]*)<\/code>/m.exec(got.body);
    assert.equal(command.split("'").length - 1, 2, command);
  });

  test('is_json_for_everybody_else', async () => {
    for (const accept of ['*/*', 'application/json', 'text/plain', undefined]) {
      await offered(gateway, '/api/x', { headers: accept ? { Accept: accept } : {} });
    }
  });

  test('is_made_where_a_price_holds_and_nowhere_else', async () => {
    for (const [where, amount] of [['/', '10000'], ['/x', '10000'], ['/free/not/x', '20000']]) {
      assert.equal((await offered(shop, where)).v2.accepts[1].amount, amount, where);
    }
    assert.equal((await ask(shop, '/free/x')).status, 200);
    assert.equal((await ask(gateway, '/x')).status, 200);
    assert.equal((await ask(plain, '/x')).status, 200);
  });

  test('does_not_stand_before_an_answer_of_the_rewrite_phase', async () => {
    const got = await ask(gateway, '/returned/x');
    assert.equal(got.status, 200);
    assert.equal(got.body, 'free\n');
  });

  test('a_payment_brought_to_a_free_location_is_not_used_up', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    assert.equal((await ask(gateway, '/x', { payment: paid })).status, 200);
    await buy(call, paid);
  });
});

describe('the URL that offers name', () => {
  const urlOf = async (on, where, headers) => {
    const { v2, v1 } = await offered(on, where, { headers });
    assert.equal(v1.accepts[0].resource, v2.resource.url);
    return v2.resource.url;
  };

  test('is_the_requests_own', async () => {
    assert.equal(await urlOf(gateway, '/api/a/b?c=d', { Host: 'shop.example:8080' }),
      'http://shop.example:8080/api/a/b?c=d');
  });

  test('is_the_same_over_http2', async () => {
    const session = await openHttp2(gateway.http2Port);
    const { headers } = await requestHttp2(session, '/api/a?b=c').response;
    session.close();
    assert.equal(decode(headers['payment-required']).resource.url,
      `http://127.0.0.1:${gateway.http2Port}/api/a?b=c`);
  });

  test('begins_with_the_public_url_where_one_is_set', async () => {
    assert.equal(await urlOf(gateway, '/public/x?a=b', { Host: 'elsewhere.example' }),
      'https://shop.example/v1/public/x?a=b');
  });

  test('is_not_taken_from_a_sender_nobody_trusts', async () => {
    const headers = {
      Host: 'shop.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-For': '192.0.2.1', Forwarded: 'proto=https;host=evil.example',
    };
    assert.equal(await urlOf(gateway, '/api/x', headers), 'http://shop.example/api/x');
  });

  const forwarded = {
    Host: 'internal', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'shop.example',
    'X-Forwarded-For': '192.0.2.1',
  };

  test('is_what_a_trusted_proxy_was_asked_for', async () => {
    assert.equal(await urlOf(behind, '/api/x', forwarded), 'https://shop.example/api/x');
  });

  test('is_what_a_trusted_proxy_was_asked_for_after_an_internal_redirect_too', async () => {
    assert.equal(await urlOf(behind, '/door/x', forwarded), 'https://shop.example/door/x');
  });

  test('ignores_a_forwarded_host_that_is_none', async () => {
    for (const host of ['a b', 'a/b', 'a"b', '', 'a@b', `${'x'.repeat(300)}`]) {
      assert.equal(await urlOf(behind, '/api/x', { ...forwarded, 'X-Forwarded-Host': host }),
        'https://internal/api/x', host);
    }
  });

  test('has_no_characters_that_do_not_belong_into_an_authority', async () => {
    for (const host of ['shop"example', "shop'example", 'shop<example>', 'me@shop']) {
      const connection = await RawConnection.open(gateway.port);
      const got = await connection.request('GET', '/api/x', { headers: { Host: host } }).readResponse();
      connection.end();
      if (got.status === 402) { // or nginx itself refuses it
        assert.equal(JSON.parse(got.body).accepts[0].resource, 'http://localhost/api/x');
      } else {
        assert.equal(got.status, 400);
      }
    }
  });

  test('survives_any_bytes_as_json', async () => {
    const connection = await RawConnection.open(gateway.port);
    const target = Buffer.from('/api/"\u00e9?<q>=\u{1F600}');
    connection.write('GET ').write(target).write(Buffer.from([0xff, 0xc0]));
    connection.write(' HTTP/1.1\r\nHost: shop.example\r\n\r\n');
    const got = await connection.readResponse();
    connection.end();
    const url = 'http://shop.example/api/"\u00e9?<q>=\u{1F600}%FF%C0';
    const body = JSON.parse(Buffer.from(got.body, 'latin1').toString('utf8'));
    assert.equal(body.accepts[0].resource, url);
    assert.equal(decode(got.headers['payment-required']).resource.url, url);
  });

  test('may_be_as_long_as_a_request_line', async () => {
    const { v2 } = await offered(gateway, `/api/x?${'a'.repeat(10_000)}`);
    assert.match(v2.resource.url, /^http:\/\/127\.0\.0\.1:\d+\/api\/x\?a{3000,}$/);
  });
});

describe('the price', () => {
  const tiers = { '': '1000', large: '5000', cents: '2000' };
  for (const [tier, amount] of Object.entries(tiers)) {
    test(`from_a_variable_is_that_of_the_request_${tier || 'by_default'}`, async () => {
      const call = newCall('/dynamic/', `&tier=${tier}`);
      const { v2, v1 } = await offered(gateway, call.path);
      assert.equal(v2.accepts[0].amount, amount);
      assert.equal(v1.accepts[0].maxAmountRequired, amount);
      await buy(call, await payment(newAccount(), { message: { value: BigInt(amount) } }));
      assert.equal(upstream.count(call.id), 1);
    });
  }

  test('of_another_request_does_not_buy_a_dearer_one', async () => {
    const [cheap, dear] = [newCall('/dynamic/'), newCall('/dynamic/', '&tier=large')];
    const paid = await payment(newAccount());
    assert.equal((await ask(gateway, dear.path, { payment: paid })).status, 402);
    assert.equal(upstream.count(dear.id), 0);
    await buy(cheap, paid);
  });

  test('off_from_a_variable_is_free', async () => {
    const call = newCall('/dynamic/', '&tier=free');
    const got = await ask(gateway, call.path);
    assert.equal(got.status, 200);
    assert.equal(got.headers['payment-response'], undefined);
    assert.equal(upstream.count(call.id), 1);
  });

  for (const tier of ['empty', 'words', 'zero', 'negative', 'tiny', 'huge']) {
    test(`from_a_variable_that_is_none_(${tier})_answers_500_is_logged_and_never_free`, async () => {
      const call = newCall('/dynamic/', `&tier=${tier}`);
      const logged = gateway.errorLog().length;
      assert.equal((await ask(gateway, call.path)).status, 500);
      const paid = await payment(newAccount());
      assert.equal((await ask(gateway, call.path, { payment: paid })).status, 500);
      assert.equal(upstream.count(call.id), 0);
      assert.match(gateway.errorLog().slice(logged), /\[error\].* x402: the price ".*" is not one/);
      await buy(newCall(), paid); // it was not used
    });
  }
});

describe('several networks', () => {
  const usdCoin = {
    domain: { chainId: 8453, name: 'USD Coin', verifyingContract: BASE_USDC },
    accepted: { network: 'eip155:8453', asset: BASE_USDC, extra: { name: 'USD Coin', version: '2' } },
  };
  const testDollar = {
    domain: { chainId: 31337, name: 'Test Dollar', version: '7', verifyingContract: TEST_DOLLAR },
    accepted: {
      network: 'eip155:31337', asset: TEST_DOLLAR, extra: { name: 'Test Dollar', version: '7' } },
  };

  test('that_are_declared_are_all_offered_in_order', async () => {
    const { v2 } = await offered(shop, '/x');
    assert.deepEqual(v2.accepts.map(({ network, amount, asset, extra }) => [network, amount, asset, extra]), [
      ['eip155:84532', '10000', USDC, { name: 'USDC', version: '2' }],
      ['eip155:8453', '10000', BASE_USDC, { name: 'USD Coin', version: '2' }],
      ['eip155:31337', '10000000000000000', getAddress(TEST_DOLLAR), { name: 'Test Dollar', version: '7' }],
    ]);
  });

  test('are_offered_to_v1_where_its_clients_know_them', async () => {
    const { v1 } = await offered(shop, '/x');
    assert.deepEqual(v1.accepts.map(({ network }) => network), ['base-sepolia', 'base']);
    assert.deepEqual((await offered(shop, '/mine/x')).v1.accepts, []);
  });

  test('that_a_location_accepts_are_all_offered_in_its_order', async () => {
    const { v2, v1 } = await offered(shop, '/pair/x');
    assert.deepEqual(v2.accepts.map(({ network }) => network), ['eip155:8453', 'eip155:84532']);
    assert.deepEqual(v1.accepts.map(({ network }) => network), ['base', 'base-sepolia']);
  });

  for (const [name, options, value] of [
    ['base-sepolia', {}, 10_000n], ['base', usdCoin, 10_000n], ['eip155:31337', testDollar, 10n ** 16n],
  ]) {
    test(`are_each_paid_on_in_v2_(${name})`, async () => {
      const call = newCall('/');
      const paid = await payment(newAccount(), { ...options, message: { value } });
      const got = await buy(call, paid, { on: shop });
      assert.equal(decode(got.headers['payment-response']).network, paid.payload.accepted.network);
    });
  }

  for (const [network, options] of [['base-sepolia', {}], ['base', usdCoin]]) {
    test(`are_each_paid_on_in_v1_(${network})`, async () => {
      const paid = await payment(newAccount(), {
        ...options, dialect: 'v1', network, message: { value: 10_000n } });
      const got = await buy(newCall('/'), paid, { on: shop });
      assert.equal(decode(got.headers['x-payment-response']).network, network);
    });
  }

  test('leave_the_first_to_a_flat_payment', async () => {
    const flat = (options) => payment(newAccount(), {
      ...options, dialect: 'flat', message: { value: 10_000n } });
    await buy(newCall('/pair/'), await flat(usdCoin), { on: shop });
    assert.equal((await ask(shop, '/pair/x', { payment: await flat() })).status, 402);
  });

  test('do_not_lend_one_another_their_signatures', async () => {
    const call = newCall('/');
    const paid = await payment(newAccount(), {
      accepted: usdCoin.accepted, message: { value: 10_000n } }); // signed for base-sepolia
    assert.equal((await ask(shop, call.path, { payment: paid })).status, 402);
    assert.equal(upstream.count(call.id), 0);
  });

  test('that_a_location_does_not_accept_are_refused_there', async () => {
    const paid = await payment(newAccount(), { ...testDollar, message: { value: 10n ** 16n } });
    isOffer(await ask(shop, '/pair/x', { payment: paid }), {
      reason: 'invalid_exact_evm_network_mismatch', reasonV1: 'invalid_network' });
  });
});
