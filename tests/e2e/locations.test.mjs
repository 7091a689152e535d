// What the gateway sells, and to whom, beside what else nginx does with a location.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isRepeated, isUsed } from './lib/ask.mjs';
import { Desk } from './lib/desk.mjs';
import { waitFor } from './lib/process.mjs';
import { openHttp2, requestHttp2 } from './lib/raw.mjs';
import { DIALECTS, newAccount, payment, wire } from './lib/wallet.mjs';

const desk = new Desk();

before(async () => {
  await desk.open((url) => ({
    http: `
    log_format results '$arg_id|$x402_result|$x402_payer|$x402_value|$x402_network|$x402_nonce';
    map $arg_never $sometimes { default off; }`,
    server: ({ folder }) => `access_log ${folder}/access.log results;`,
    locations: ({ folder }) => `
        location / { proxy_pass ${url}; }
        location /api/ { x402_price 0.001; proxy_pass ${url}; }
        location /sometimes/ { x402_price $sometimes; proxy_pass ${url}; }
        location /told/ {
            x402_price 0.001;
            proxy_set_header X-Vars "$x402_payer $x402_value $x402_network $x402_nonce";
            proxy_pass ${url};
        }

        location /inner/ { internal; x402_price 0.001; proxy_pass ${url}; }
        location /door/ { try_files /nothing /api/x?$args; }
        location /named/ { x402_price 0.001; try_files /nothing @named; }
        location @named { x402_price 0.002; proxy_pass ${url}; }
        location /moved/ { rewrite ^/moved/(.*)$ /api/$1 last; }
        location /files/ { x402_price 0.001; root ${folder}/site; }
        location /checked/ {
            set $check_id $arg_check;
            auth_request /check/; proxy_pass ${url};
        }
        location /check/ {
            x402_price 0.001;
            proxy_pass ${url}/check?do=status&n=204&id=$check_id;
        }

        location /denied/ { x402_price 0.001; deny all; proxy_pass ${url}; }
        location /password/ {
            x402_price 0.001;
            auth_basic members; auth_basic_user_file ${folder}/passwords;
            proxy_pass ${url};
        }
        location /asked/ {
            x402_price 0.001;
            set $verdict $arg_verdict;
            auth_request /verdict; proxy_pass ${url};
        }
        location /verdict {
            internal; proxy_pass ${url}/verdict?do=status&n=$verdict;
        }
        location /local/ {
            x402_price 0.001; satisfy any; allow 127.0.0.2; deny all;
            proxy_pass ${url};
        }
        location /members/ {
            x402_price 0.001; satisfy any;
            auth_basic members; auth_basic_user_file ${folder}/passwords;
            proxy_pass ${url};
        }`,
  }));
  // nginx reads these when it is asked.
  fs.writeFileSync(path.join(desk.gateway.folder, 'passwords'), 'ann:{PLAIN}secret\n');
  fs.mkdirSync(path.join(desk.gateway.folder, 'site/files/folder'), { recursive: true });
  fs.writeFileSync(path.join(desk.gateway.folder, 'site/files/folder/index.html'), 'a page\n');
});
after(() => desk.close());

describe('a free location', () => {
  test('of_a_server_that_sells_does_not_pass_a_forged_payer', async () => {
    for (const call of [desk.newCall('/'), desk.newCall('/sometimes/')]) {
      const headers = { 'X-402-Payer': 'forged' };
      assert.equal((await ask(desk.gateway, call.path, { headers })).status, 200);
      assert.equal(desk.seen(call).headers['x-402-payer'], undefined);
    }
  });

  test('does_not_use_a_payment_up', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount())];
    assert.equal((await ask(desk.gateway, desk.newCall('/').path, { payment: paid })).status, 200);
    await desk.buy(call, paid);
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
    const call = desk.newCall();
    const got = await ask(desk.gateway, call.path, { method: 'OPTIONS', headers: preflight });
    assert.equal(got.status, 204);
    assert.equal(got.body, '');
    assert.equal(got.headers['access-control-allow-origin'], '*');
    const methods = got.headers['access-control-allow-methods'].split(/, */);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) assert.ok(methods.includes(method));
    assert.ok(Number(got.headers['access-control-max-age']) > 0);
    assert.equal(desk.upstream.count(call.id), 0);
  });

  test('a_preflight_allows_every_header_that_stock_clients_send', async () => {
    const got = await ask(desk.gateway, '/api/x', { method: 'OPTIONS', headers: preflight });
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
      const got = await ask(desk.gateway, '/api/x', { method: 'OPTIONS', headers });
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
      const call = desk.newCall();
      await desk.offered(call.path, { method: 'OPTIONS', headers });
      const paid = await payment(newAccount());
      await desk.buy(call, paid, { method: 'OPTIONS', headers: { ...headers, ...paid.headers } });
      assert.equal(desk.seen(call).method, 'OPTIONS');
    }
  });

  test('a_preflight_with_a_payment_does_not_use_it_up', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount())];
    const got = await ask(desk.gateway, call.path, {
      method: 'OPTIONS', headers: { ...preflight, ...paid.headers } });
    assert.equal(got.status, 204);
    await desk.buy(call, paid);
  });

  test('a_preflight_of_a_free_location_is_the_upstreams', async () => {
    const call = desk.newCall('/');
    const got = await ask(desk.gateway, call.path, { method: 'OPTIONS', headers: preflight });
    assert.equal(got.status, 200);
    assert.equal(desk.upstream.count(call.id), 1);
  });

  test('a_preflight_is_answered_over_http2', async () => {
    const session = await openHttp2(desk.gateway.http2Port);
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
    const send = (payments) => ask(desk.gateway, '/api/x', { headers: { ...origin, ...payments?.headers } });
    assert.ok(exposed(await send()).includes('PAYMENT-REQUIRED'));
    assert.ok(exposed(await send(wire('X-PAYMENT', '{}'))).includes('RETRY-AFTER'));
    const bought = exposed(await send(paid));
    assert.ok(bought.includes('PAYMENT-RESPONSE') && bought.includes('X-PAYMENT-RESPONSE'));
  });

  test('an_upstream_that_allows_one_origin_is_not_overruled', async () => {
    const line = encodeURIComponent('Access-Control-Allow-Origin: https://app.example');
    const paid = await payment(newAccount());
    const got = await desk.buy(desk.newCall('/api/', `&header=${line}`), paid, {
      headers: { ...origin, ...paid.headers } });
    assert.equal(got.headers['access-control-allow-origin'], 'https://app.example');
    assert.match(got.headers['access-control-expose-headers'], /PAYMENT-RESPONSE/);
  });

  test('a_paid_answer_to_nobodys_page_says_nothing_about_origins', async () => {
    const got = await desk.buy(desk.newCall(), await payment(newAccount()));
    assert.equal(got.headers['access-control-allow-origin'], undefined);
  });
});

describe('variables', () => {
  test('tell_the_upstream_who_paid_how_much_where', async () => {
    for (const dialect of DIALECTS) {
      const call = desk.newCall('/told/');
      const paid = await payment(newAccount(), { dialect });
      const { message } = paid;
      await desk.buy(call, paid);
      assert.equal(desk.seen(call).headers['x-vars'],
        `${message.from} 1000 eip155:84532 ${message.nonce}`);
    }
  });

  /** The log line of a call: [result, payer, value, network, nonce]. */
  const logged = (id) => waitFor(() => {
    const found = desk.gateway.accessLog().split('\n').find((line) => line.startsWith(`${id}|`));
    return found?.split('|').slice(1);
  }, `the log line of ${id}`, 2_000);

  test('log_a_delivered_call_with_all_that_was_paid', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount())];
    await desk.buy(call, paid);
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
      const call = desk.newCall(prefix, options);
      await ask(desk.gateway, call.path, { payment: paid });
      const [said, ...who] = await logged(call.id);
      assert.equal(said, result);
      if (result === 'void') assert.equal(who[0], paid.message.from);
      else assert.deepEqual(who, nobody);
    });
  }

  test('log_a_repeated_payment', async () => {
    const [first, second, paid] = [desk.newCall(), desk.newCall(), await payment(newAccount())];
    await desk.buy(first, paid);
    await waitFor(async () => (await ask(desk.gateway, first.path, { payment: paid })).status === 400,
      'the outcome', 2_000);
    isUsed(await ask(desk.gateway, second.path, { payment: paid }));
    assert.equal((await logged(second.id))[0], 'nonce_already_used');
  });
});

describe('an internal redirect', () => {
  test('by_x_accel_redirect_between_two_priced_locations_is_paid_once', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount())];
    const inner = encodeURIComponent(`X-Accel-Redirect: /inner/x?id=${call.id}i`);
    await desk.buy({ path: `${call.path}&header=${inner}` }, paid);
    assert.equal(desk.upstream.count(call.id), 1);
    assert.equal(desk.upstream.count(`${call.id}i`), 1);
    isRepeated(await ask(desk.gateway, call.path, { payment: paid }));
  });

  test('to_a_named_location_is_paid_once_at_the_first_price', async () => {
    const [call, paid] = [desk.newCall('/named/'), await payment(newAccount())];
    assert.equal((await desk.offered(call.path)).v2.accepts[0].amount, '1000');
    await desk.buy(call, paid);
    assert.equal(desk.seen(call).headers['x-402-payer'], paid.message.from);
  });

  test('by_index_within_a_priced_location_is_paid_once', async () => {
    await desk.offered('/files/folder/');
    const got = await desk.buy({ path: '/files/folder/' }, await payment(newAccount()));
    assert.equal(got.body, 'a page\n');
  });

  for (const [how, prefix] of [['try_files', '/door/'], ['rewrite', '/moved/']]) {
    test(`by_${how}_from_a_free_location_into_a_priced_one_must_be_paid`, async () => {
      const [call, paid] = [desk.newCall(prefix), await payment(newAccount())];
      await desk.offered(call.path);
      assert.equal(desk.upstream.count(call.id), 0);
      await desk.buy(call, paid);
      const { headers } = desk.seen(call);
      assert.equal(headers['x-402-payer'], paid.message.from);
      assert.equal(headers['payment-signature'], undefined);
    });
  }

  test('cannot_bring_a_forged_payer_along', async () => {
    const [call, paid] = [desk.newCall('/door/'), await payment(newAccount())];
    await desk.buy(call, paid, { headers: { ...paid.headers, 'X-402-Payer': 'forged' } });
    assert.equal(desk.seen(call).headers['x-402-payer'], paid.message.from);
  });

  test('a_subrequest_is_not_asked_to_pay', async () => {
    const call = desk.newCall('/checked/');
    assert.equal((await ask(desk.gateway, `${call.path}&check=${call.id}c`)).status, 200);
    assert.equal(desk.upstream.count(`${call.id}c`), 1);
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
      const [call, paid] = [desk.newCall(prefix, options), await payment(newAccount())];
      const unpaid = await ask(desk.gateway, call.path);
      assert.equal(unpaid.status, status);
      assert.equal(unpaid.headers['payment-required'], undefined);
      assert.equal((await ask(desk.gateway, call.path, { payment: paid })).status, status);
      assert.equal(desk.upstream.executions(call.id).length, 0);
      await desk.buy(desk.newCall(), paid);
    });
  }

  test('who_is_let_in_still_pays', async () => {
    for (const [prefix, options, headers] of [
      ['/password/', '', ann], ['/asked/', '&verdict=204', {}]]) {
      const call = desk.newCall(prefix, options);
      await desk.offered(call.path, { headers });
      const paid = await payment(newAccount());
      await desk.buy(call, paid, { headers: { ...headers, ...paid.headers } });
    }
  });

  test('satisfy_any_lets_in_whom_allow_knows_for_free_and_others_for_money', async () => {
    const call = desk.newCall('/local/');
    const friend = await ask(desk.gateway, call.path, { localAddress: '127.0.0.2' });
    assert.equal(friend.status, 200);
    assert.equal(friend.headers['payment-response'], undefined);
    await desk.offered(call.path);
    await desk.buy(call, await payment(newAccount()));
    assert.equal(desk.upstream.count(call.id), 2);
  });

  test('satisfy_any_takes_a_password_or_a_payment', async () => {
    const call = desk.newCall('/members/');
    assert.equal((await ask(desk.gateway, call.path, { headers: ann })).status, 200);
    const wrong = { Authorization: `Basic ${Buffer.from('ann:guess').toString('base64')}` };
    assert.equal((await ask(desk.gateway, call.path, { headers: wrong })).status, 402);
    const paid = await payment(newAccount());
    const got = await desk.buy(call, paid, { headers: { ...wrong, ...paid.headers } });
    assert.equal(got.headers['www-authenticate'], undefined);
  });

  test('satisfy_any_does_not_let_in_who_pays_badly', async () => {
    const call = desk.newCall('/local/');
    const forged = await payment(newAccount(), { signer: newAccount() });
    assert.equal((await ask(desk.gateway, call.path, { payment: forged })).status, 402);
    assert.equal(desk.upstream.count(call.id), 0);
  });
});
