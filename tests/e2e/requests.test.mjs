// What the gateway does to requests of every shape.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { answer, ask, isOffer, isPaid, isProblem, isRepeated, isUsed, oneConnection } from './lib/ask.mjs';
import { startGateway } from './lib/gateway.mjs';
import { freePort, sleep, waitFor } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, newAccount, payment, wire } from './lib/wallet.mjs';

let gateway;
let upstream;
let plain; // a server that sells nothing: {port}
let calls = 0;

before(async () => {
  upstream = await startUpstream();
  plain = { port: await freePort() };
  gateway = await startGateway({
    http: `
    log_format results '$arg_id|$x402_result|$x402_payer|$x402_value|$x402_network|$x402_nonce';
    underscores_in_headers on;
    map $arg_never $sometimes { default off; }
    server {
        listen 127.0.0.1:${plain.port};
        location / { proxy_pass ${upstream.url}; }
    }`,
    server: ({ folder }) => `access_log ${folder}/access.log results;`,
    locations: ({ folder }) => `
        location / { proxy_pass ${upstream.url}; }
        location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
        location /unbuffered/ {
            x402_price 0.001; proxy_request_buffering off; proxy_pass ${upstream.url};
        }
        location /sometimes/ { x402_price $sometimes; proxy_pass ${upstream.url}; }
        location /told/ {
            x402_price 0.001;
            proxy_set_header X-Vars "$x402_payer $x402_value $x402_network $x402_nonce";
            proxy_pass ${upstream.url};
        }

        location /inner/ { internal; x402_price 0.001; proxy_pass ${upstream.url}; }
        location /door/ { try_files /nothing /api/x?$args; }
        location /named/ { x402_price 0.001; try_files /nothing @named; }
        location @named { x402_price 0.002; proxy_pass ${upstream.url}; }
        location /moved/ { rewrite ^/moved/(.*)$ /api/$1 last; }
        location /files/ { x402_price 0.001; root ${folder}/site; }
        location /checked/ {
            set $check_id $arg_check;
            auth_request /check/; proxy_pass ${upstream.url};
        }
        location /check/ {
            x402_price 0.001;
            proxy_pass ${upstream.url}/check?do=status&n=204&id=$check_id;
        }

        location /denied/ { x402_price 0.001; deny all; proxy_pass ${upstream.url}; }
        location /password/ {
            x402_price 0.001;
            auth_basic members; auth_basic_user_file ${folder}/passwords;
            proxy_pass ${upstream.url};
        }
        location /asked/ {
            x402_price 0.001;
            set $verdict $arg_verdict;
            auth_request /verdict; proxy_pass ${upstream.url};
        }
        location /verdict {
            internal; proxy_pass ${upstream.url}/verdict?do=status&n=$verdict;
        }
        location /local/ {
            x402_price 0.001; satisfy any; allow 127.0.0.2; deny all;
            proxy_pass ${upstream.url};
        }
        location /members/ {
            x402_price 0.001; satisfy any;
            auth_basic members; auth_basic_user_file ${folder}/passwords;
            proxy_pass ${upstream.url};
        }`,
  });
  // nginx reads these when it is asked.
  fs.writeFileSync(path.join(gateway.folder, 'passwords'), 'ann:{PLAIN}secret\n');
  fs.mkdirSync(path.join(gateway.folder, 'site/files/folder'), { recursive: true });
  fs.writeFileSync(path.join(gateway.folder, 'site/files/folder/index.html'), 'a page\n');
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
async function buy(call, paid, options) {
  const got = await ask(gateway, call.path, { payment: paid, ...options });
  isPaid(got, paid);
  return got;
}

/** What the upstream saw of a call that it executed once. */
function seen(call) {
  assert.equal(upstream.count(call.id), 1);
  return upstream.executions(call.id)[0];
}

const offered = async (where, options) => isOffer(await ask(gateway, where, options));

describe('a path', () => {
  const ambiguous = [
    '//api/x', '/api//x', '/api/x//', '//', '/api/./x', '/./api/x', '/api/.', '/api/../x',
    '/api/x/..', '/.', '/api/..?a=b', '/x/../api/x', '/free/..//x', '/api/;a=b/x', '/api/;',
    '/api/.;/x', '/x/..;/api/x', '/x/..;a=b/api/x', '/api\\x', '/api/..\\x', '/api%2fx',
    '/api%2Fx', '/api/%2e%2e/x', '/api/%2E/x', '/api/%2e', '/api/.%2e/x', '/api%5cx',
    '/api%5Cx', '/api/%252e%252e/x', '/api%252fx', '/api%255cx', '/x%2f..%2fapi',
    '/x/%2e%2e/api/x?id=1',
  ];

  /** Sends a target as it is; whatever comes of it, nothing reaches the upstream. */
  async function refused(target, paid) {
    const before = upstream.count();
    const connection = await RawConnection.open(gateway.port);
    const got = await connection.request('GET', target, { headers: paid?.headers }).readResponse();
    connection.end();
    assert.equal(upstream.count(), before);
    return answer(got.status, got.headers, got.body);
  }

  test('that_can_be_read_in_two_ways_is_refused_in_every_location_of_a_selling_server', async () => {
    const paid = await payment(newAccount());
    for (const target of ambiguous) {
      for (const payments of [undefined, paid]) {
        const got = await refused(target, payments);
        assert.doesNotThrow(() => isProblem(got, {
          status: 400, code: 'ambiguous_path', field: 'path' }), `${target}: ${got.status} ${got.body}`);
      }
    }
    await buy(newCall(), paid); // it was not used
  });

  test('that_begins_with_no_slash_or_climbs_above_the_root_is_refused', async () => {
    for (const target of ['\\api/x', 'api/x', '*', '?x', '..', '/..', '/../api/x', '/a/../../api']) {
      assert.equal((await refused(target)).status, 400, target);
    }
  });

  test('in_an_absolute_target_is_looked_at_too', async () => {
    for (const target of ['http://shop.example//api/x', 'http://shop.example/x/../api/x']) {
      isProblem(await refused(target), { status: 400, code: 'ambiguous_path', field: 'path' });
    }
    assert.equal((await refused('http://shop.example/api/x')).status, 402);
  });

  test('hides_nothing_behind_a_number_sign', async () => {
    for (const target of ['/x#/../api/x', '/x/#/../../api/x', '/x#\\..\\api', '/x#%2f..%2fapi']) {
      const got = await refused(target);
      assert.equal(got.status, 400, target);
    }
  });

  test('that_can_be_read_in_two_ways_is_refused_over_http2', async () => {
    const session = await openHttp2(gateway.http2Port);
    const before = upstream.count();
    for (const target of ['/api//x', '/x/../api/x', '/api%2fx', '/api/%2e%2e/x', '/api\\x']) {
      const { status, body } = await requestHttp2(session, target).response;
      assert.equal(status, 400, target);
      assert.equal(JSON.parse(body).code, 'ambiguous_path');
    }
    session.close();
    assert.equal(upstream.count(), before);
  });

  test('that_only_looks_unusual_is_served_as_it_was_written', async () => {
    for (const part of ['a.b', '.well-known/x', '..a', 'a..', '...', 'a./x', '%20', '%25', '%3f',
      'a%3Fb', '%23', 'a;x=1', 'a;/x', 'a+b', '%C3%A9', '%2', '~', "'", '%7e']) {
      const paid = await payment(newAccount());
      const id = `path${++calls}`;
      const target = `/api/${part}?id=${id}&next=//../%2f\\`;
      if (part === '%2') { // no escape at all: nginx's own answer
        assert.equal((await ask(gateway, target, { payment: paid })).status, 400);
        continue;
      }
      isPaid(await ask(gateway, target, { payment: paid }), paid);
      assert.equal(upstream.executions(id)[0].url, target);
    }
  });

  test('is_nobodys_business_in_a_server_that_sells_nothing', async () => {
    for (const target of ['//x', '/a/../x', '/%2e%2e/x', '/a%2fb']) {
      assert.equal((await ask(plain, target)).status === 400, target === '/%2e%2e/x', target);
    }
  });
});

describe('payment headers', () => {
  test('are_known_in_any_case', async () => {
    for (const dialect of DIALECTS) {
      for (const change of [(name) => name.toLowerCase(), (name) => name.toUpperCase(),
        (name) => name.replace(/[a-z]/gi, (c, i) => (i % 2 ? c.toUpperCase() : c.toLowerCase()))]) {
        const paid = await payment(newAccount(), { dialect });
        await buy(newCall(), { ...paid, headers: { [change(paid.name)]: paid.value } });
      }
    }
  });

  test('are_removed_before_the_upstream_sees_the_request', async () => {
    for (const dialect of DIALECTS) {
      const call = newCall();
      await buy(call, await payment(newAccount(), { dialect }));
      const { headers } = seen(call);
      assert.deepEqual(Object.keys(headers).filter((name) => /payment/.test(name)), []);
    }
  });

  test('are_removed_from_any_place_among_others_and_the_others_arrive', async () => {
    for (const place of [0, 1, 19, 20, 21, 40, 60]) { // nginx keeps them by twenties
      const [call, paid] = [newCall(), await payment(newAccount())];
      const names = Array.from({ length: 60 }, (_, i) => `X-Other-${i}`);
      const lines = names.map((name, i) => [name, `value ${i}`]);
      lines.splice(place, 0, [paid.name, paid.value]);
      lines.splice(place, 0, ['X-402-Payer', 'forged']);
      await buy(call, { ...paid, headers: {} }, { headers: Object.fromEntries(lines) });
      const { headers } = seen(call);
      names.forEach((name, i) => assert.equal(headers[name.toLowerCase()], `value ${i}`));
      assert.equal(headers[paid.name.toLowerCase()], undefined);
      assert.equal(headers['x-402-payer'], paid.message.from);
    }
  });

  const repeated = {
    payment_signature_twice: ([a, b]) => ({ 'PAYMENT-SIGNATURE': [a.v2, b.v2] }),
    the_same_payment_twice: ([a]) => ({ 'PAYMENT-SIGNATURE': [a.v2, a.v2] }),
    x_payment_twice: ([a, b]) => ({ 'X-PAYMENT': [a.v1, b.v1] }),
    both_generations: ([a, b]) => ({ 'PAYMENT-SIGNATURE': a.v2, 'X-PAYMENT': b.v1 }),
    both_generations_of_one: ([a]) => ({ 'PAYMENT-SIGNATURE': a.v2, 'X-PAYMENT': a.v1 }),
    an_empty_one_beside: ([a]) => ({ 'PAYMENT-SIGNATURE': a.v2, 'X-PAYMENT': '' }),
    one_with_an_underscore: ([a, b]) => ({ 'PAYMENT-SIGNATURE': a.v2, PAYMENT_SIGNATURE: b.v2 }),
  };
  for (const [what, choose] of Object.entries(repeated)) {
    test(`that_repeat_(${what})_are_refused_and_none_is_used_up`, async () => {
      const [call, payer] = [newCall(), newAccount()];
      const both = await Promise.all([1, 2].map(async () => {
        const v2 = await payment(payer);
        const v1 = await payment(payer, { dialect: 'v1', message: v2.message });
        return { paid: v2, v2: v2.value, v1: v1.value };
      }));
      isProblem(await ask(gateway, call.path, { headers: choose(both) }), {
        status: 400, code: 'payment_header_repeated', field: 'header' });
      assert.equal(upstream.count(call.id), 0);
      await buy(call, both[0].paid);
      await buy(call, both[1].paid);
    });
  }

  test('with_an_underscore_buy_and_are_removed_too', async () => {
    const [call, paid] = [newCall(), await payment(newAccount(), { dialect: 'v1' })];
    await buy(call, { ...paid, headers: { X_PAYMENT: paid.value } });
    assert.deepEqual(Object.keys(seen(call).headers).filter((name) => /payment/i.test(name)), []);
  });
});

describe('a free location', () => {
  test('of_a_server_that_sells_does_not_pass_a_forged_payer', async () => {
    for (const call of [newCall('/'), newCall('/sometimes/')]) {
      const headers = { 'X-402-Payer': 'forged' };
      assert.equal((await ask(gateway, call.path, { headers })).status, 200);
      assert.equal(seen(call).headers['x-402-payer'], undefined);
    }
  });

  test('does_not_use_a_payment_up', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    assert.equal((await ask(gateway, newCall('/').path, { payment: paid })).status, 200);
    await buy(call, paid);
  });
});

describe('CORS', () => {
  const origin = { Origin: 'https://app.example' };
  const preflight = {
    ...origin, 'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers':
      'content-type,payment-signature,x-payment,access-control-expose-headers',
  };

  test('a_preflight_is_answered_204_for_free_and_never_forwarded', async () => {
    const call = newCall();
    const got = await ask(gateway, call.path, { method: 'OPTIONS', headers: preflight });
    assert.equal(got.status, 204);
    assert.equal(got.body, '');
    assert.equal(got.headers['access-control-allow-origin'], '*');
    const methods = got.headers['access-control-allow-methods'].split(/, */);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) assert.ok(methods.includes(method));
    assert.ok(Number(got.headers['access-control-max-age']) > 0);
    assert.equal(upstream.count(call.id), 0);
  });

  test('a_preflight_allows_every_header_that_stock_clients_send', async () => {
    const got = await ask(gateway, '/api/x', { method: 'OPTIONS', headers: preflight });
    const allowed = got.headers['access-control-allow-headers'].toLowerCase().split(/, */);
    for (const name of preflight['Access-Control-Request-Headers'].split(',')) {
      assert.ok(allowed.includes(name), name);
    }
    assert.match(got.headers.vary, /Access-Control-Request-Headers/);
  });

  test('a_preflight_that_asks_for_something_that_is_no_header_name_gets_the_usual', async () => {
    for (const wanted of ['x-a: b', '<b>', '"', 'x\u00e9', 'a'.repeat(2000), undefined]) {
      const headers = { ...preflight };
      if (wanted === undefined) delete headers['Access-Control-Request-Headers'];
      else headers['Access-Control-Request-Headers'] = wanted;
      const got = await ask(gateway, '/api/x', { method: 'OPTIONS', headers });
      assert.equal(got.status, 204);
      const allowed = got.headers['access-control-allow-headers'];
      for (const name of [
        'Content-Type', 'PAYMENT-SIGNATURE', 'X-PAYMENT', 'Access-Control-Expose-Headers']) {
        assert.ok(allowed.includes(name), allowed);
      }
      assert.ok(allowed.length < 200);
    }
  });

  test('options_that_is_no_preflight_is_sold_like_everything_else', async () => {
    for (const headers of [{}, origin, { 'Access-Control-Request-Method': 'POST' }]) {
      const call = newCall();
      await offered(call.path, { method: 'OPTIONS', headers });
      const paid = await payment(newAccount());
      await buy(call, paid, { method: 'OPTIONS', headers: { ...headers, ...paid.headers } });
      assert.equal(seen(call).method, 'OPTIONS');
    }
  });

  test('a_preflight_with_a_payment_does_not_use_it_up', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const got = await ask(gateway, call.path, {
      method: 'OPTIONS', headers: { ...preflight, ...paid.headers } });
    assert.equal(got.status, 204);
    await buy(call, paid);
  });

  test('a_preflight_of_a_free_location_is_the_upstreams', async () => {
    const call = newCall('/');
    const got = await ask(gateway, call.path, { method: 'OPTIONS', headers: preflight });
    assert.equal(got.status, 200);
    assert.equal(upstream.count(call.id), 1);
  });

  test('a_preflight_is_answered_over_http2', async () => {
    const session = await openHttp2(gateway.http2Port);
    const { status, headers } = await requestHttp2(session, '/api/x', {
      method: 'OPTIONS', headers: preflight }).response;
    session.close();
    assert.equal(status, 204);
    assert.equal(headers['access-control-allow-origin'], '*');
  });

  test('offers_problems_and_paid_answers_can_be_read_by_any_page', async () => {
    const paid = await payment(newAccount());
    const exposed = (got) => {
      assert.equal(got.headers['access-control-allow-origin'], '*');
      return got.headers['access-control-expose-headers'].toUpperCase().split(/, */);
    };
    const send = (payments) => ask(gateway, '/api/x', { headers: { ...origin, ...payments?.headers } });
    assert.ok(exposed(await send()).includes('PAYMENT-REQUIRED'));
    assert.ok(exposed(await send(wire('X-PAYMENT', '{}'))).includes('RETRY-AFTER'));
    const bought = exposed(await send(paid));
    assert.ok(bought.includes('PAYMENT-RESPONSE') && bought.includes('X-PAYMENT-RESPONSE'));
  });

  test('an_upstream_that_allows_one_origin_is_not_overruled', async () => {
    const line = encodeURIComponent('Access-Control-Allow-Origin: https://app.example');
    const paid = await payment(newAccount());
    const got = await buy(newCall('/api/', `&header=${line}`), paid, {
      headers: { ...origin, ...paid.headers } });
    assert.equal(got.headers['access-control-allow-origin'], 'https://app.example');
    assert.match(got.headers['access-control-expose-headers'], /PAYMENT-RESPONSE/);
  });

  test('a_paid_answer_to_nobodys_page_says_nothing_about_origins', async () => {
    const got = await buy(newCall(), await payment(newAccount()));
    assert.equal(got.headers['access-control-allow-origin'], undefined);
  });
});

describe('variables', () => {
  test('tell_the_upstream_who_paid_how_much_where', async () => {
    for (const dialect of DIALECTS) {
      const call = newCall('/told/');
      const paid = await payment(newAccount(), { dialect });
      const { message } = paid;
      await buy(call, paid);
      assert.equal(seen(call).headers['x-vars'],
        `${message.from} 1000 eip155:84532 ${message.nonce}`);
    }
  });

  /** The log line of a call: [result, payer, value, network, nonce]. */
  const logged = (id) => waitFor(() => {
    const found = gateway.accessLog().split('\n').find((line) => line.startsWith(`${id}|`));
    return found?.split('|').slice(1);
  }, `the log line of ${id}`, 2_000);

  test('log_a_delivered_call_with_all_that_was_paid', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    await buy(call, paid);
    const { from, nonce } = paid.message;
    assert.deepEqual(await logged(call.id), ['delivered', from, '1000', 'eip155:84532', nonce]);
  });

  const nobody = ['-', '-', '-', '-'];
  const results = {
    payment_required: () => ({}),
    void: async () => ({ options: '&do=status&n=500', payment: await payment(newAccount()) }),
    invalid_exact_evm_signature: async () => (
      { payment: await payment(newAccount(), { signer: newAccount() }) }),
    invalid_base64: () => ({ payment: { headers: { 'X-PAYMENT': '?' } } }),
    invalid_payload: () => ({ payment: wire('X-PAYMENT', '{}') }),
    payment_header_repeated: () => ({ payment: { headers: { 'X-PAYMENT': ['a', 'b'] } } }),
    ambiguous_path: () => ({ prefix: '/api//' }),
    '-': () => ({ prefix: '/' }),
  };
  for (const [result, make] of Object.entries(results)) {
    test(`log_${result === '-' ? 'nothing_of_a_free_call' : result}`, async () => {
      const { prefix = '/api/', options, payment: paid } = await make();
      const call = newCall(prefix, options);
      await ask(gateway, call.path, { payment: paid });
      const [said, ...who] = await logged(call.id);
      assert.equal(said, result);
      if (result === 'void') assert.equal(who[0], paid.message.from);
      else assert.deepEqual(who, nobody);
    });
  }

  test('log_a_repeated_payment', async () => {
    const [first, second, paid] = [newCall(), newCall(), await payment(newAccount())];
    await buy(first, paid);
    await waitFor(async () => (await ask(gateway, first.path, { payment: paid })).status === 400,
      'the outcome', 2_000);
    isUsed(await ask(gateway, second.path, { payment: paid }));
    assert.equal((await logged(second.id))[0], 'nonce_already_used');
  });
});

describe('an internal redirect', () => {
  test('by_x_accel_redirect_between_two_priced_locations_is_paid_once', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const inner = encodeURIComponent(`X-Accel-Redirect: /inner/x?id=${call.id}i`);
    await buy({ path: `${call.path}&header=${inner}` }, paid);
    assert.equal(upstream.count(call.id), 1);
    assert.equal(upstream.count(`${call.id}i`), 1);
    isRepeated(await ask(gateway, call.path, { payment: paid }));
  });

  test('to_a_named_location_is_paid_once_at_the_first_price', async () => {
    const [call, paid] = [newCall('/named/'), await payment(newAccount())];
    assert.equal((await offered(call.path)).v2.accepts[0].amount, '1000');
    await buy(call, paid);
    assert.equal(seen(call).headers['x-402-payer'], paid.message.from);
  });

  test('by_index_within_a_priced_location_is_paid_once', async () => {
    await offered('/files/folder/');
    const got = await buy({ path: '/files/folder/' }, await payment(newAccount()));
    assert.equal(got.body, 'a page\n');
  });

  for (const [how, prefix] of [['try_files', '/door/'], ['rewrite', '/moved/']]) {
    test(`by_${how}_from_a_free_location_into_a_priced_one_must_be_paid`, async () => {
      const [call, paid] = [newCall(prefix), await payment(newAccount())];
      await offered(call.path);
      assert.equal(upstream.count(call.id), 0);
      await buy(call, paid);
      const { headers } = seen(call);
      assert.equal(headers['x-402-payer'], paid.message.from);
      assert.equal(headers['payment-signature'], undefined);
    });
  }

  test('cannot_bring_a_forged_payer_along', async () => {
    const [call, paid] = [newCall('/door/'), await payment(newAccount())];
    await buy(call, paid, { headers: { ...paid.headers, 'X-402-Payer': 'forged' } });
    assert.equal(seen(call).headers['x-402-payer'], paid.message.from);
  });

  test('a_subrequest_is_not_asked_to_pay', async () => {
    const call = newCall('/checked/');
    assert.equal((await ask(gateway, `${call.path}&check=${call.id}c`)).status, 200);
    assert.equal(upstream.count(`${call.id}c`), 1);
  });
});

describe('access rules', () => {
  const ann = { Authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` };

  const denied = [
    ['deny', '/denied/', '', 403], ['auth_basic', '/password/', '', 401],
    ['auth_request', '/asked/', '&verdict=403', 403], ['auth_request', '/asked/', '&verdict=401', 401],
  ];
  for (const [rule, prefix, options, status] of denied) {
    test(`${rule}_answers_${status}_before_payment_is_asked_and_uses_none`, async () => {
      const [call, paid] = [newCall(prefix, options), await payment(newAccount())];
      const unpaid = await ask(gateway, call.path);
      assert.equal(unpaid.status, status);
      assert.equal(unpaid.headers['payment-required'], undefined);
      assert.equal((await ask(gateway, call.path, { payment: paid })).status, status);
      assert.equal(upstream.executions(call.id).length, 0);
      await buy(newCall(), paid);
    });
  }

  test('who_is_let_in_still_pays', async () => {
    for (const [prefix, options, headers] of [
      ['/password/', '', ann], ['/asked/', '&verdict=204', {}]]) {
      const call = newCall(prefix, options);
      await offered(call.path, { headers });
      const paid = await payment(newAccount());
      await buy(call, paid, { headers: { ...headers, ...paid.headers } });
    }
  });

  test('satisfy_any_lets_in_whom_allow_knows_for_free_and_others_for_money', async () => {
    const call = newCall('/local/');
    const friend = await ask(gateway, call.path, { localAddress: '127.0.0.2' });
    assert.equal(friend.status, 200);
    assert.equal(friend.headers['payment-response'], undefined);
    await offered(call.path);
    await buy(call, await payment(newAccount()));
    assert.equal(upstream.count(call.id), 2);
  });

  test('satisfy_any_takes_a_password_or_a_payment', async () => {
    const call = newCall('/members/');
    assert.equal((await ask(gateway, call.path, { headers: ann })).status, 200);
    const wrong = { Authorization: `Basic ${Buffer.from('ann:guess').toString('base64')}` };
    assert.equal((await ask(gateway, call.path, { headers: wrong })).status, 402);
    const paid = await payment(newAccount());
    const got = await buy(call, paid, { headers: { ...wrong, ...paid.headers } });
    assert.equal(got.headers['www-authenticate'], undefined);
  });

  test('satisfy_any_does_not_let_in_who_pays_badly', async () => {
    const call = newCall('/local/');
    const forged = await payment(newAccount(), { signer: newAccount() });
    assert.equal((await ask(gateway, call.path, { payment: forged })).status, 402);
    assert.equal(upstream.count(call.id), 0);
  });
});

describe('a request body', () => {
  const bodyOf = (size) => Buffer.alloc(size, 'the quick brown fox ');
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const arrived = (call, body) => {
    const got = seen(call).body;
    assert.equal(got.length, body.length);
    assert.equal(digest(got), digest(body));
  };

  for (const size of [0, 1, 1000, 8192, 16_385, 100_000, 1_000_000, 8_000_000]) {
    test(`of_${size}_bytes_arrives_whole`, async () => {
      const [call, body] = [newCall(), bodyOf(size)];
      await buy(call, await payment(newAccount()), { method: 'POST', body });
      arrived(call, body);
    });
  }

  test('in_chunks_arrives_whole', async () => {
    for (const prefix of ['/api/', '/unbuffered/']) {
      const [call, body] = [newCall(prefix), bodyOf(300_000)];
      const paid = await payment(newAccount());
      const headers = { ...paid.headers, 'Transfer-Encoding': 'chunked' };
      await buy(call, paid, { method: 'PUT', body, headers });
      arrived(call, body);
    }
  });

  test('that_comes_late_and_in_pieces_arrives_whole', async () => {
    for (const prefix of ['/api/', '/unbuffered/']) {
      const [call, body] = [newCall(prefix), bodyOf(50_000)];
      const { headers } = await payment(newAccount());
      const connection = await RawConnection.open(gateway.port);
      connection.request('POST', call.path, {
        headers: { ...headers, 'Content-Length': body.length } });
      for (let at = 0; at < body.length; at += 10_000) {
        await sleep(20);
        connection.write(body.subarray(at, at + 10_000));
      }
      assert.equal((await connection.readResponse()).status, 200);
      connection.end();
      arrived(call, body);
    }
  });

  test('over_http2_arrives_whole', async () => {
    const session = await openHttp2(gateway.http2Port);
    const bodies = [0, 1, 70_000, 2_000_000].map(bodyOf);
    const each = bodies.map(() => newCall());
    const paid = await Promise.all(bodies.map(() => payment(newAccount())));
    const answers = await Promise.all(bodies.map((body, i) => requestHttp2(session, each[i].path, {
      method: 'POST', headers: paid[i].headers, body }).response));
    session.close();
    answers.forEach(({ status, headers, body }, i) => {
      isPaid(answer(status, headers, body), paid[i]);
      arrived(each[i], bodies[i]);
    });
  });

  for (const [what, body] of [['small', bodyOf(10)], ['large', bodyOf(1_000_000)]]) {
    test(`that_is_${what}_and_not_paid_for_does_not_disturb_the_next_request`, async () => {
      const agent = oneConnection();
      const call = newCall();
      for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }, { 'X-PAYMENT': '?' }]) {
        const got = await ask(gateway, call.path, { method: 'POST', body, headers, agent });
        assert.equal(got.status, headers['X-PAYMENT'] ? 400 : 402);
      }
      await buy(call, await payment(newAccount()), { method: 'POST', body, agent });
      agent.destroy();
      arrived(call, body);
    });
  }

  test('that_is_not_paid_for_does_not_use_up_the_window_of_an_http2_connection', async () => {
    const session = await openHttp2(gateway.http2Port);
    const [call, body, paid] = [newCall(), bodyOf(100_000), await payment(newAccount())];
    const post = (headers) => requestHttp2(session, call.path, { method: 'POST', headers, body }).response;
    for (let i = 0; i < 20; i++) assert.equal((await post({})).status, 402);
    const { status, headers, body: text } = await post(paid.headers);
    session.close();
    isPaid(answer(status, headers, text), paid);
    arrived(call, body);
  });

  test('is_not_waited_for_before_the_offer', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.request('POST', '/api/x', { headers: { 'Content-Length': 1_000_000 } });
    connection.write('x');
    const got = await connection.readResponse();
    connection.end();
    assert.equal(got.status, 402);
  });

  const expecting = async (call, headers, body) => {
    const connection = await RawConnection.open(gateway.port);
    connection.request('POST', call.path, {
      headers: { ...headers, Expect: '100-continue', 'Content-Length': body.length } });
    let head = await connection.readHead();
    const invited = head.status === 100;
    if (invited) {
      connection.write(body);
      head = await connection.readHead();
    }
    const text = await connection.readBody(head, 'POST');
    connection.end();
    return { invited, got: answer(head.status, head.headers, text.toString()) };
  };

  test('announced_with_expect_100_continue_is_invited_once_paid_for', async () => {
    for (const prefix of ['/api/', '/unbuffered/']) {
      const [call, paid, body] = [newCall(prefix), await payment(newAccount()), bodyOf(20_000)];
      const { invited, got } = await expecting(call, paid.headers, body);
      assert.equal(invited, true);
      isPaid(got, paid);
      arrived(call, body);
    }
  });

  test('announced_with_expect_100_continue_and_not_paid_for_gets_the_offer', async () => {
    const call = newCall();
    const { got } = await expecting(call, {}, bodyOf(20_000));
    isOffer(got);
    assert.equal(upstream.count(call.id), 0);
  });
});

describe('a connection', () => {
  const raw = (call, headers = {}, version = '1.1') => {
    const lines = Object.entries({ Host: 'gateway', ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    return `GET ${call.path} HTTP/${version}\r\n${lines.join('')}\r\n`;
  };

  test('kept_alive_serves_one_payment_after_the_other', async () => {
    const agent = oneConnection();
    const call = newCall();
    for (let i = 0; i < 20; i++) {
      const dialect = DIALECTS[i % DIALECTS.length];
      await buy(call, await payment(newAccount(), { dialect }), { agent });
      isOffer(await ask(gateway, call.path, { agent }));
    }
    agent.destroy();
    assert.equal(upstream.count(call.id), 20);
  });

  test('with_pipelined_requests_of_every_kind_answers_each_in_order', async () => {
    const [call, free] = [newCall('/api/', '&delay=10'), newCall('/')];
    const paid = await Promise.all(Array.from({ length: 6 }, () => payment(newAccount())));
    const forged = await payment(newAccount(), { signer: newAccount() });
    const requests = paid.flatMap((each, i) => [
      [raw(call, each.headers), 200], [raw(call), 402], [raw(free), 200],
      [raw(call, forged.headers), 402], [raw(call, { 'X-PAYMENT': '?' }), 400],
      ...(i ? [[raw(call, paid[0].headers), 'repeated']] : []),
    ]);
    const connection = await RawConnection.open(gateway.port);
    connection.write(requests.map(([text]) => text).join(''));
    for (const [text, wanted] of requests) {
      const { status, headers, body } = await connection.readResponse();
      if (wanted === 'repeated') isRepeated(answer(status, headers, body));
      else assert.equal(status, wanted, text);
    }
    connection.end();
    assert.equal(upstream.count(call.id), 6);
    assert.equal(upstream.count(free.id), 6);
  });

  test('with_pipelined_posts_keeps_their_bodies_apart', async () => {
    const each = Array.from({ length: 5 }, (_, i) => (
      { call: newCall(), body: `body ${i}`.repeat(i * 1000) }));
    const connection = await RawConnection.open(gateway.port);
    for (const { call, body } of each) {
      const { headers } = await payment(newAccount());
      connection.request('POST', call.path, { headers, body });
    }
    for (const { call, body } of each) {
      assert.equal((await connection.readResponse()).status, 200);
      assert.equal(seen(call).body.toString(), body);
    }
    connection.end();
  });

  test('of_http_1_0_buys_a_call', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const connection = await RawConnection.open(gateway.port);
    connection.write(raw(call, paid.headers, '1.0'));
    const { status, headers, body } = await connection.readResponse();
    isPaid(answer(status, headers, body), paid);
    await connection.closed();
  });

  test('of_http_2_serves_many_payments_at_once_beside_refusals', async () => {
    const session = await openHttp2(gateway.http2Port);
    const call = newCall('/api/', '&delay=20');
    const paid = await Promise.all(Array.from({ length: 30 }, () => payment(newAccount())));
    const send = (headers) => requestHttp2(session, call.path, { headers }).response;
    const answers = await Promise.all(paid.flatMap(({ headers }) => [
      send(headers), send({}), send({ 'x-payment': '?' })]));
    session.close();
    answers.forEach(({ status, headers, body }, i) => {
      if (i % 3 === 0) isPaid(answer(status, headers, body), paid[i / 3]);
      else assert.equal(status, i % 3 === 1 ? 402 : 400);
    });
    assert.equal(upstream.count(call.id), 30);
  });

  test('of_http_2_whose_client_gives_up_some_streams_serves_the_others', async () => {
    const session = await openHttp2(gateway.http2Port);
    const call = newCall('/api/', '&delay=20');
    const paid = await Promise.all(Array.from({ length: 40 }, () => payment(newAccount())));
    const sent = paid.map(({ headers }) => requestHttp2(session, call.path, { headers }));
    sent.filter((_, i) => i % 2).forEach(({ stream }) => stream.close(8)); // CANCEL
    const kept = await Promise.all(sent.map(({ response }, i) => (
      i % 2 ? response.catch(() => null) : response)));
    session.close();
    kept.forEach((got, i) => {
      if (i % 2 === 0) isPaid(answer(got.status, got.headers, got.body), paid[i]);
    });
  });
});
