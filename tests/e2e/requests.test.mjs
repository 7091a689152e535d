// What the gateway does to requests of every shape.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { answer, ask, isOffer, isPaid, isProblem, isRepeated, oneConnection } from './lib/ask.mjs';
import { Desk } from './lib/desk.mjs';
import { freePort, sleep } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { DIALECTS, newAccount, payment } from './lib/wallet.mjs';

const desk = new Desk();
let plain; // a server that sells nothing: {port}

before(async () => {
  plain = { port: await freePort() };
  await desk.open((url) => ({
    http: `
    underscores_in_headers on;
    server {
        listen 127.0.0.1:${plain.port};
        location / { proxy_pass ${url}; }
    }`,
    locations: `
        location / { proxy_pass ${url}; }
        location /api/ { x402_price 0.001; proxy_pass ${url}; }
        location /unbuffered/ {
            x402_price 0.001; proxy_request_buffering off; proxy_pass ${url};
        }`,
  }));
});
after(() => desk.close());

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
    const before = desk.upstream.count();
    const connection = await RawConnection.open(desk.gateway.port);
    const got = await connection.request('GET', target, { headers: paid?.headers }).readResponse();
    connection.end();
    assert.equal(desk.upstream.count(), before);
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
    await desk.buy(desk.newCall(), paid); // it was not used
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
    const session = await openHttp2(desk.gateway.http2Port);
    const before = desk.upstream.count();
    for (const target of ['/api//x', '/x/../api/x', '/api%2fx', '/api/%2e%2e/x', '/api\\x']) {
      const { status, body } = await requestHttp2(session, target).response;
      assert.equal(status, 400, target);
      assert.equal(JSON.parse(body).code, 'ambiguous_path');
    }
    session.close();
    assert.equal(desk.upstream.count(), before);
  });

  test('that_only_looks_unusual_is_served_as_it_was_written', async () => {
    for (const part of ['a.b', '.well-known/x', '..a', 'a..', '...', 'a./x', '%20', '%25', '%3f',
      'a%3Fb', '%23', 'a;x=1', 'a;/x', 'a+b', '%C3%A9', '%2', '~', "'", '%7e']) {
      const paid = await payment(newAccount());
      const id = `path${++desk.calls}`;
      const target = `/api/${part}?id=${id}&next=//../%2f\\`;
      if (part === '%2') { // no escape at all: nginx's own answer
        assert.equal((await ask(desk.gateway, target, { payment: paid })).status, 400);
        continue;
      }
      isPaid(await ask(desk.gateway, target, { payment: paid }), paid);
      assert.equal(desk.upstream.executions(id)[0].url, target);
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
        await desk.buy(desk.newCall(), { ...paid, headers: { [change(paid.name)]: paid.value } });
      }
    }
  });

  test('are_removed_before_the_upstream_sees_the_request', async () => {
    for (const dialect of DIALECTS) {
      const call = desk.newCall();
      await desk.buy(call, await payment(newAccount(), { dialect }));
      const { headers } = desk.seen(call);
      assert.deepEqual(Object.keys(headers).filter((name) => /payment/.test(name)), []);
    }
  });

  test('are_removed_from_any_place_among_others_and_the_others_arrive', async () => {
    for (const place of [0, 1, 19, 20, 21, 40, 60]) { // nginx keeps them by twenties
      const [call, paid] = [desk.newCall(), await payment(newAccount())];
      const names = Array.from({ length: 60 }, (_, i) => `X-Other-${i}`);
      const lines = names.map((name, i) => [name, `value ${i}`]);
      lines.splice(place, 0, [paid.name, paid.value]);
      lines.splice(place, 0, ['X-402-Payer', 'forged']);
      await desk.buy(call, { ...paid, headers: {} }, { headers: Object.fromEntries(lines) });
      const { headers } = desk.seen(call);
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
      const [call, payer] = [desk.newCall(), newAccount()];
      const both = await Promise.all([1, 2].map(async () => {
        const v2 = await payment(payer);
        const v1 = await payment(payer, { dialect: 'v1', message: v2.message });
        return { paid: v2, v2: v2.value, v1: v1.value };
      }));
      isProblem(await ask(desk.gateway, call.path, { headers: choose(both) }), {
        status: 400, code: 'payment_header_repeated', field: 'header' });
      assert.equal(desk.upstream.count(call.id), 0);
      await desk.buy(call, both[0].paid);
      await desk.buy(call, both[1].paid);
    });
  }

  test('with_an_underscore_buy_and_are_removed_too', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount(), { dialect: 'v1' })];
    await desk.buy(call, { ...paid, headers: { X_PAYMENT: paid.value } });
    assert.deepEqual(Object.keys(desk.seen(call).headers).filter((name) => /payment/i.test(name)), []);
  });
});

describe('a request body', () => {
  const bodyOf = (size) => Buffer.alloc(size, 'the quick brown fox ');
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const arrived = (call, body) => {
    const got = desk.seen(call).body;
    assert.equal(got.length, body.length);
    assert.equal(digest(got), digest(body));
  };

  for (const size of [0, 1, 1000, 8192, 16_385, 100_000, 1_000_000, 8_000_000]) {
    test(`of_${size}_bytes_arrives_whole`, async () => {
      const [call, body] = [desk.newCall(), bodyOf(size)];
      await desk.buy(call, await payment(newAccount()), { method: 'POST', body });
      arrived(call, body);
    });
  }

  test('in_chunks_arrives_whole', async () => {
    for (const prefix of ['/api/', '/unbuffered/']) {
      const [call, body] = [desk.newCall(prefix), bodyOf(300_000)];
      const paid = await payment(newAccount());
      const headers = { ...paid.headers, 'Transfer-Encoding': 'chunked' };
      await desk.buy(call, paid, { method: 'PUT', body, headers });
      arrived(call, body);
    }
  });

  test('that_comes_late_and_in_pieces_arrives_whole', async () => {
    for (const prefix of ['/api/', '/unbuffered/']) {
      const [call, body] = [desk.newCall(prefix), bodyOf(50_000)];
      const { headers } = await payment(newAccount());
      const connection = await RawConnection.open(desk.gateway.port);
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
    const session = await openHttp2(desk.gateway.http2Port);
    const bodies = [0, 1, 70_000, 2_000_000].map(bodyOf);
    const each = bodies.map(() => desk.newCall());
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
      const call = desk.newCall();
      for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }, { 'X-PAYMENT': '?' }]) {
        const got = await ask(desk.gateway, call.path, { method: 'POST', body, headers, agent });
        assert.equal(got.status, headers['X-PAYMENT'] ? 400 : 402);
      }
      await desk.buy(call, await payment(newAccount()), { method: 'POST', body, agent });
      agent.destroy();
      arrived(call, body);
    });
  }

  test('that_is_not_paid_for_does_not_use_up_the_window_of_an_http2_connection', async () => {
    const session = await openHttp2(desk.gateway.http2Port);
    const [call, body, paid] = [desk.newCall(), bodyOf(100_000), await payment(newAccount())];
    const post = (headers) => requestHttp2(session, call.path, { method: 'POST', headers, body }).response;
    for (let i = 0; i < 20; i++) assert.equal((await post({})).status, 402);
    const { status, headers, body: text } = await post(paid.headers);
    session.close();
    isPaid(answer(status, headers, text), paid);
    arrived(call, body);
  });

  test('is_not_waited_for_before_the_offer', async () => {
    const connection = await RawConnection.open(desk.gateway.port);
    connection.request('POST', '/api/x', { headers: { 'Content-Length': 1_000_000 } });
    connection.write('x');
    const got = await connection.readResponse();
    connection.end();
    assert.equal(got.status, 402);
  });

  const expecting = async (call, headers, body) => {
    const connection = await RawConnection.open(desk.gateway.port);
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
      const [call, paid, body] = [desk.newCall(prefix), await payment(newAccount()), bodyOf(20_000)];
      const { invited, got } = await expecting(call, paid.headers, body);
      assert.equal(invited, true);
      isPaid(got, paid);
      arrived(call, body);
    }
  });

  test('announced_with_expect_100_continue_and_not_paid_for_gets_the_offer', async () => {
    const call = desk.newCall();
    const { got } = await expecting(call, {}, bodyOf(20_000));
    isOffer(got);
    assert.equal(desk.upstream.count(call.id), 0);
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
    const call = desk.newCall();
    for (let i = 0; i < 20; i++) {
      const dialect = DIALECTS[i % DIALECTS.length];
      await desk.buy(call, await payment(newAccount(), { dialect }), { agent });
      isOffer(await ask(desk.gateway, call.path, { agent }));
    }
    agent.destroy();
    assert.equal(desk.upstream.count(call.id), 20);
  });

  test('with_pipelined_requests_of_every_kind_answers_each_in_order', async () => {
    const [call, free] = [desk.newCall('/api/', '&delay=10'), desk.newCall('/')];
    const paid = await Promise.all(Array.from({ length: 6 }, () => payment(newAccount())));
    const forged = await payment(newAccount(), { signer: newAccount() });
    const requests = paid.flatMap((each, i) => [
      [raw(call, each.headers), 200], [raw(call), 402], [raw(free), 200],
      [raw(call, forged.headers), 402], [raw(call, { 'X-PAYMENT': '?' }), 400],
      ...(i ? [[raw(call, paid[0].headers), 'repeated']] : []),
    ]);
    const connection = await RawConnection.open(desk.gateway.port);
    connection.write(requests.map(([text]) => text).join(''));
    for (const [text, wanted] of requests) {
      const { status, headers, body } = await connection.readResponse();
      if (wanted === 'repeated') isRepeated(answer(status, headers, body));
      else assert.equal(status, wanted, text);
    }
    connection.end();
    assert.equal(desk.upstream.count(call.id), 6);
    assert.equal(desk.upstream.count(free.id), 6);
  });

  test('with_pipelined_posts_keeps_their_bodies_apart', async () => {
    const each = Array.from({ length: 5 }, (_, i) => (
      { call: desk.newCall(), body: `body ${i}`.repeat(i * 1000) }));
    const connection = await RawConnection.open(desk.gateway.port);
    for (const { call, body } of each) {
      const { headers } = await payment(newAccount());
      connection.request('POST', call.path, { headers, body });
    }
    for (const { call, body } of each) {
      assert.equal((await connection.readResponse()).status, 200);
      assert.equal(desk.seen(call).body.toString(), body);
    }
    connection.end();
  });

  test('of_http_1_0_buys_a_call', async () => {
    const [call, paid] = [desk.newCall(), await payment(newAccount())];
    const connection = await RawConnection.open(desk.gateway.port);
    connection.write(raw(call, paid.headers, '1.0'));
    const { status, headers, body } = await connection.readResponse();
    isPaid(answer(status, headers, body), paid);
    await connection.closed();
  });

  test('of_http_2_serves_many_payments_at_once_beside_refusals', async () => {
    const session = await openHttp2(desk.gateway.http2Port);
    const call = desk.newCall('/api/', '&delay=20');
    const paid = await Promise.all(Array.from({ length: 30 }, () => payment(newAccount())));
    const send = (headers) => requestHttp2(session, call.path, { headers }).response;
    const answers = await Promise.all(paid.flatMap(({ headers }) => [
      send(headers), send({}), send({ 'x-payment': '?' })]));
    session.close();
    answers.forEach(({ status, headers, body }, i) => {
      if (i % 3 === 0) isPaid(answer(status, headers, body), paid[i / 3]);
      else assert.equal(status, i % 3 === 1 ? 402 : 400);
    });
    assert.equal(desk.upstream.count(call.id), 30);
  });

  test('of_http_2_whose_client_gives_up_some_streams_serves_the_others', async () => {
    const session = await openHttp2(desk.gateway.http2Port);
    const call = desk.newCall('/api/', '&delay=20');
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
