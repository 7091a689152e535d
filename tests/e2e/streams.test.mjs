// Streams, and clients that go away: nothing is charged before the first byte, all of it
// after, and a stream reaches its client as it comes.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from './lib/ask.mjs';
import {
  Caller, PROTOCOLS, headersHttp2, holdLedger, isDelivered, isPending, isVoid, newPayment,
  outcomeOf, rowOf,
} from './lib/calls.mjs';
import { startGateway } from './lib/gateway.mjs';
import { sleep, temporaryFolder, waitFor } from './lib/process.mjs';
import { RawConnection, openHttp2 } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { nowSeconds } from './lib/wallet.mjs';
import { checkBooks, payments } from './lib/x402.mjs';

const WWW = temporaryFolder('www');
const LARGE = 16 * 1024 * 1024;

let upstream;
let gateway;
let calls = 0;

before(async () => {
  fs.chmodSync(WWW, 0o755);
  fs.writeFileSync(path.join(WWW, 'large.bin'), Buffer.alloc(LARGE, 'x'));

  upstream = await startUpstream();
  gateway = await startGateway({
    price: '0.001',
    http: (own) => `proxy_cache_path ${own.folder}/temp/cache keys_zone=answers:1m;`,
    locations: `
    location /buffered/ { proxy_pass ${upstream.url}; }
    location /unbuffered/ { proxy_pass ${upstream.url}; proxy_buffering off; }
    location /cached/ {
        proxy_pass ${upstream.url};
        proxy_cache answers;
        proxy_cache_key $uri?$arg_id;
        proxy_cache_valid 200 1m;
    }
    location /streamed-up/ { proxy_pass ${upstream.url}; proxy_request_buffering off; }
    location /short/ { proxy_pass ${upstream.url}; proxy_buffering off; x402_window 12 min=6; }
    location /silent/ { proxy_pass ${upstream.url}; x402_window 18 min=12; }
    location /stalling/ { alias ${WWW}/; send_timeout 500ms; }
    location /static/ { alias ${WWW}/; }
    location /upgrade/ {
        proxy_pass ${upstream.url};
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_read_timeout 10s;
    }`,
  });
});
after(async () => {
  if (gateway) await checkBooks(gateway);
  await gateway?.stop();
  await upstream?.stop();
});

const newId = () => `call${++calls}`;

/** The upstream has this call. */
const arrival = (id) => waitFor(() => upstream.count(id) > 0, 'the call to reach the upstream');

/** Resolves when the worker has read what was sent before: it answers what came after. */
const workerHasRead = () => ask(gateway, '/buffered/x');

// ---------------------------------------------------------- requests that can be left

/**
 * A request under way: first() resolves when the first bytes of its answer are there,
 * next(text) when the body has come to hold the text, and `ways` to leave it.
 */
const start = {
  async http1(target, { paid, method = 'GET', headers, body }) {
    const connection = await RawConnection.open(gateway.port);
    connection.request(method, target, { headers: { ...paid.headers, ...headers }, body });
    return {
      connection,
      first: () => connection.readHead(),
      next: (text) => connection.until((buffer) => (buffer.includes(text) ? true : undefined)),
      received: () => connection.socket.bytesRead,
      leave: (way) => ways.http1[way](connection),
    };
  },

  async http2(target, { paid, method = 'GET', headers, body }, session) {
    const own = session ?? (await openHttp2(gateway.http2Port));
    const stream = own.request(headersHttp2(target, { method, headers: { ...paid.headers, ...headers } }));
    stream.on('error', () => {});
    let text = '';
    stream.on('data', (piece) => { text += piece.toString('latin1'); });
    const responded = new Promise((resolve) => {
      stream.once('response', (got) => resolve({ status: got[':status'], headers: got }));
    });
    if (body === undefined) stream.end();
    return {
      stream, session: own,
      first: () => responded,
      next: (wanted) => waitFor(() => text.includes(wanted), wanted, 20_000, 5),
      received: () => text.length,
      leave: (way) => ways.http2[way](stream, own),
    };
  },
};

const ways = {
  http1: {
    reset: (connection) => connection.abort(),
    close: (connection) => connection.socket.destroy(),
    'half-close': (connection) => connection.end(),
  },
  http2: {
    'stream reset': (stream) => stream.close(http2.constants.NGHTTP2_CANCEL),
    'connection reset': (stream, session) => session.socket.resetAndDestroy?.() ?? session.destroy(),
    'connection close': (stream, session) => session.destroy(),
  },
};

/** Sends a call and gives what there is to know of it. */
async function begin(protocol, place, options, request = {}) {
  const [id, paid] = [newId(), request.paid ?? (await newPayment())];
  const target = `/${place}/x?id=${id}${options ? `&${options}` : ''}`;
  return { id, paid, target, ...(await start[protocol](target, { ...request, paid })) };
}

/** Bought with the authorization of a call that was void. */
async function buysAgain(protocol, { paid, id, target }) {
  const caller = new Caller(gateway, protocol);
  upstream.script(id, { do: 'ok' });
  upstream.release(id);
  const answer = await caller.call(target, { paid });
  caller.close();
  assert.equal(answer.status, 200, answer.body);
  await isDelivered(gateway, paid, { attempts: 2 });
}

for (const protocol of PROTOCOLS) {
  describe(`a client that leaves over ${protocol}`, () => {
    for (const way of Object.keys(ways[protocol])) {
      describe(`by ${way}`, () => {
        test('while_the_ledger_is_asked_is_not_charged_and_nothing_is_executed', async () => {
          const paid = await newPayment(); // the worker does not wait for long
          const held = await holdLedger(gateway);
          const call = await begin(protocol, 'buffered', 'do=ok', { paid });
          await sleep(150);
          await workerHasRead(); // the request waits for the ledger now
          call.leave(way);
          await sleep(100);
          await workerHasRead();
          assert.equal(await rowOf(gateway, call.paid), undefined, 'it was asked too early');
          await held.release();
          await isVoid(gateway, call.paid);
          assert.equal(upstream.count(call.id), 0);
          await buysAgain(protocol, call);
        });

        for (const place of ['buffered', 'unbuffered', 'cached']) {
          test(`before_the_first_byte_is_not_charged_${place}`, async () => {
            const call = await begin(protocol, place, 'do=hold');
            await arrival(call.id);
            await isPending(gateway, call.paid);
            call.leave(way);
            if (place === 'cached') { // nginx fetches it nevertheless, for the cache
              await sleep(50);
              upstream.release(call.id);
            }
            await isVoid(gateway, call.paid);
            await buysAgain(protocol, call);
          });
        }

        for (const framing of ['length', 'chunked']) {
          test(`after_the_first_byte_is_charged_${framing}`, async () => {
            const call = await begin(protocol, 'unbuffered', `do=half&framing=${framing}`);
            assert.equal((await call.first()).status, 200);
            await isPending(gateway, call.paid);
            call.leave(way);
            await isDelivered(gateway, call.paid);
            upstream.release(call.id);
          });
        }

        test('after_the_first_byte_is_charged_buffered', async () => {
          const call = await begin(protocol, 'buffered', 'do=half&framing=chunked&size=65536');
          await call.first();
          await isPending(gateway, call.paid);
          call.leave(way);
          await isDelivered(gateway, call.paid);
          upstream.release(call.id);
        });

        test('amid_a_large_file_is_charged', async () => {
          const paid = await newPayment();
          const file = await start[protocol]('/static/large.bin', { paid });
          await file.first();
          file.leave(way);
          assert.ok(file.received() < LARGE, 'it had all of it');
          await isDelivered(gateway, paid);
        });
      });
    }

    test('amid_its_upload_is_not_charged', async () => {
      for (const place of ['buffered', 'streamed-up']) {
        const [id, paid] = [newId(), await newPayment()];
        const target = `/${place}/x?id=${id}`;
        const call = await start[protocol](target, {
          paid, method: 'POST', headers: { 'Content-Length': '1000000' }, ...(protocol === 'http2' && { body: 'later' }),
        });
        (call.connection?.socket ?? call.stream).write('x'.repeat(1000));
        await waitFor(async () => rowOf(gateway, paid), 'the admission');
        call.leave(protocol === 'http1' ? 'close' : 'stream reset');
        await isVoid(gateway, paid);
        await buysAgain(protocol, { paid, id, target });
      }
    });
  });
}

for (const protocol of PROTOCOLS) {
  describe(`a stream over ${protocol}`, () => {
    for (const [name, place, options] of [
      ['unbuffered', 'unbuffered', ''], ['whose_upstream_asks_for_it', 'buffered', '&accel=1'],
    ]) {
      test(`reaches_its_client_event_by_event_${name}`, async () => {
        // Each event is made only when the one before has arrived.
        const call = await begin(protocol, place, `do=events&events=20${options}`);
        const { status, headers } = await call.first();
        assert.equal(status, 200);
        assert.equal(headers['content-type'], 'text/event-stream');
        assert.ok(headers['payment-response'], 'the receipt comes first');
        for (let i = 0; i < 20; i++) {
          await call.next(`data: ${i}\n\n`);
          if (i === 10) await isPending(gateway, call.paid);
          upstream.release(`${call.id}/${i}`);
        }
        await isDelivered(gateway, call.paid);
        call.leave(Object.keys(ways[protocol])[0]);
      });
    }

    test('that_breaks_off_is_not_charged', async () => {
      const call = await begin(protocol, 'unbuffered', 'do=half&framing=chunked&then=reset');
      await call.next('xxx');
      await isPending(gateway, call.paid);
      upstream.release(call.id);
      await isVoid(gateway, call.paid);
      await buysAgain(protocol, call);
    });

    for (const framing of ['length', 'chunked']) {
      test(`that_is_whole_is_charged_when_its_client_is_behind_and_leaves_${framing}`, async () => {
        const call = await begin(protocol, 'buffered', `do=whole&framing=${framing}&size=${LARGE}`);
        (call.connection?.socket ?? call.stream).pause();
        await waitFor(() => upstream.executions(call.id)[0]?.whole, 'nginx to have it all');
        await sleep(100);
        await isPending(gateway, call.paid);
        call.leave(Object.keys(ways[protocol])[0]);
        await isDelivered(gateway, call.paid);
      });

      test(`that_is_whole_is_charged_when_its_client_leaves_shortly_before_the_end_${framing}`, async () => {
        const call = await begin(protocol, 'buffered', `do=whole&framing=${framing}&size=${LARGE}`);
        await waitFor(() => call.received() > LARGE - 1_000_000, 'most of it', 10_000, 0);
        call.leave(Object.keys(ways[protocol])[0]);
        await isDelivered(gateway, call.paid);
      });
    }

    test('that_breaks_off_while_its_client_is_behind_is_not_charged_when_the_client_leaves', async () => {
      const options = `do=half&framing=length&size=${LARGE}&then=reset`;
      const call = await begin(protocol, 'buffered', options);
      (call.connection?.socket ?? call.stream).pause();
      await waitFor(() => upstream.executions(call.id)[0]?.half, 'nginx to have the half');
      upstream.release(call.id);
      const broken = new RegExp(`while reading upstream.*id=${call.id}&`);
      await waitFor(() => broken.test(gateway.errorLog()), 'nginx to see the break');
      call.leave(Object.keys(ways[protocol])[0]);
      await isVoid(gateway, call.paid);
    });

    test('whose_client_does_not_read_is_charged_when_nginx_gives_up', async () => {
      const paid = await newPayment();
      const file = await start[protocol]('/stalling/large.bin', { paid });
      (file.connection?.socket ?? file.stream).pause();
      await isDelivered(gateway, paid);
      file.leave(Object.keys(ways[protocol])[0]);
    });
  });
}

// These wait for real seconds, so they wait together.
describe('a stream that outlives its authorization', { concurrency: true }, () => {
  for (const protocol of PROTOCOLS) {
    test(`is_ended_and_not_charged_while_it_still_could_be_when_nothing_has_come_over_${protocol}`, async () => {
      const validBefore = nowSeconds() + 18;
      const paid = await newPayment({ message: { validBefore: BigInt(validBefore) } });
      const call = await begin(protocol, 'silent', 'do=hold', { paid });
      await outcomeOf(gateway, paid, 25_000);
      assert.ok(Date.now() < validBefore * 1000, 'too late');
      await isVoid(gateway, paid);
      upstream.release(call.id);
      await sleep(100);
      assert.equal(call.received(), 0);
      await isVoid(gateway, paid);
    });

    test(`is_captured_before_that_expires_and_goes_on_over_${protocol}`, async () => {
      const validBefore = nowSeconds() + 12;
      const paid = await newPayment({ message: { validBefore: BigInt(validBefore) } });
      const call = await begin(protocol, 'short', 'do=half&framing=chunked', { paid });
      await call.next('xxx');
      await isPending(gateway, paid);
      await outcomeOf(gateway, paid, 25_000);
      assert.ok(Date.now() < validBefore * 1000, 'too late');
      await isDelivered(gateway, paid);
      upstream.release(call.id);
      await call.next('yyy');
      await isDelivered(gateway, paid);
      call.leave(Object.keys(ways[protocol])[0]);
    });

    test(`stays_charged_when_it_breaks_off_after_its_capture_over_${protocol}`, async () => {
      const paid = await newPayment({ message: { validBefore: BigInt(nowSeconds() + 12) } });
      const call = await begin(protocol, 'short', 'do=half&framing=chunked&then=reset', { paid });
      await call.next('xxx');
      await outcomeOf(gateway, paid, 25_000);
      upstream.release(call.id);
      await sleep(100);
      await isDelivered(gateway, paid);
    });

    test(`is_not_charged_when_it_broke_off_before_its_capture_over_${protocol}`, async () => {
      const paid = await newPayment({ message: { validBefore: BigInt(nowSeconds() + 12) } });
      const call = await begin(protocol, 'short', 'do=half&framing=chunked&then=reset', { paid });
      await call.next('xxx');
      upstream.release(call.id);
      await isVoid(gateway, paid);
      await sleep(7_000); // it would have been captured by then
      await isVoid(gateway, paid);
    });
  }
});

describe('an upgraded connection', () => {
  /** Asks for an upgrade, paid; {connection, head, paid}. */
  async function upgrade(options, { paid } = {}) {
    const [id, payment] = [newId(), paid ?? (await newPayment())];
    const connection = await RawConnection.open(gateway.port);
    connection.request('GET', `/upgrade/x?id=${id}${options}`, {
      headers: { ...payment.headers, Connection: 'Upgrade', Upgrade: 'echo' },
    });
    return { id, paid: payment, connection, head: await connection.readHead() };
  }

  test('is_delivered_with_its_101_and_carries_bytes_both_ways', async () => {
    const { connection, head, paid } = await upgrade('');
    assert.equal(head.status, 101);
    assert.equal(head.headers.upgrade, 'echo');
    assert.ok(head.headers['payment-response']);
    await isDelivered(gateway, paid);
    for (const text of ['hello', 'again']) {
      connection.write(text);
      assert.equal((await connection.exactly(text.length)).toString(), text);
    }
    connection.end();
  });

  test('stays_charged_when_its_client_resets_it', async () => {
    const { connection, paid } = await upgrade('');
    connection.abort();
    await sleep(50);
    await isDelivered(gateway, paid);
  });

  test('is_not_had_twice_for_one_payment', async () => {
    const { connection, paid, id } = await upgrade('');
    await isDelivered(gateway, paid);
    const second = await upgrade('', { paid });
    assert.equal(second.head.status, 400);
    assert.equal(upstream.count(second.id), 0);
    assert.equal(upstream.count(id), 1);
    connection.end();
    second.connection.end();
  });
});

describe('streams of one http2 connection', () => {
  /** A call for each of the options, all on one connection; when all are signed, `ready` is waited for. */
  async function several(place, allOptions, ready = () => {}) {
    const session = await openHttp2(gateway.http2Port);
    const signed = await Promise.all(allOptions.map(() => newPayment()));
    await ready();
    const begun = [];
    for (const [i, paid] of signed.entries()) {
      const id = newId();
      const target = `/${place}/x?id=${id}&${allOptions[i]}`;
      begun.push({ id, paid, target, ...(await start.http2(target, { paid }, session)) });
    }
    return { session, begun };
  }

  test('are_decided_one_by_one', async () => {
    const half = 'do=half&framing=chunked';
    const { session, begun } = await several('unbuffered', [half, half, `${half}&then=reset`, half]);
    const [left, whole, broken, open] = begun;
    for (const call of begun) await call.first();
    left.leave('stream reset');
    upstream.release(whole.id);
    upstream.release(broken.id);
    await isDelivered(gateway, left.paid);
    await isDelivered(gateway, whole.paid);
    await isVoid(gateway, broken.paid);
    await isPending(gateway, open.paid);
    upstream.release(open.id);
    await isDelivered(gateway, open.paid);
    session.destroy();
  });

  test('that_wait_for_the_ledger_are_void_when_their_connection_goes', async () => {
    let held;
    const { session, begun } = await several('unbuffered', Array(30).fill('do=ok'), async () => {
      held = await holdLedger(gateway); // the worker does not wait for long
    });
    await sleep(150);
    await workerHasRead();
    session.destroy();
    await sleep(50);
    await workerHasRead();
    await held.release();
    for (const { id, paid } of begun) {
      await isVoid(gateway, paid);
      assert.equal(upstream.count(id), 0);
    }
    await buysAgain('http2', begun[0]);
  });

  test('whose_window_is_shut_are_charged_from_the_header_on', async () => {
    const session = await new Promise((resolve) => {
      const own = http2.connect(`http://127.0.0.1:${gateway.http2Port}`, {
        settings: { initialWindowSize: 0 },
      });
      own.on('error', () => {});
      own.once('connect', () => own.once('remoteSettings', () => resolve(own)));
    });
    const [id, paid] = [newId(), await newPayment()];
    const target = `/unbuffered/x?id=${id}&do=half&size=5000`;
    const call = await start.http2(target, { paid }, session);
    assert.equal((await call.first()).status, 200);
    await isPending(gateway, paid);
    call.leave('stream reset');
    await isDelivered(gateway, paid);
    upstream.release(id);
    session.destroy();
  });
});

describe('a crowd of clients that come and go at random', () => {
  const CALLS = 240;
  const does = [
    'do=ok', 'do=ok&delay=10', 'do=whole&size=200000', 'do=status&n=500', 'do=reset',
    'do=half&framing=chunked', 'do=half&size=100000', 'do=half&framing=chunked&then=reset',
  ];

  /** All of a good answer is there. */
  function isWhole({ status, body }, target) {
    if (status !== 200 || target.includes('reset')) return false;
    if (target.includes('whole')) return body.length === 200_000;
    return target.includes('half') ? /x(?=y)/.test(body) && [200, 200_000].includes(body.length) : body === '{"served":true}';
  }

  /** Numbers from 0 to 1, the same for the same seed. */
  function randomFrom(seed) {
    let state = seed;
    return () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
  }

  /** One call on a session or a connection of its own; what its client knows of it. */
  async function one(random, session) {
    const protocol = session ? 'http2' : 'http1';
    const [id, paid] = [newId(), await newPayment()];
    const options = does[Math.floor(random() * does.length)];
    const place = random() < 0.5 ? 'buffered' : 'unbuffered';
    const target = `/${place}/x?id=${id}&${options}`;
    const [leaves, after, released] = [random() < 0.4, random() * 30, random() * 40];
    setTimeout(() => upstream.release(id), released);
    if (leaves) {
      const call = await start[protocol](target, { paid }, session).catch(() => null);
      await sleep(after);
      call?.leave(Object.keys(ways[protocol])[0]);
      return { id, paid, target };
    }
    const caller = new Caller(gateway, protocol);
    caller.session = session;
    return { id, paid, target, answer: await caller.call(target, { paid }).catch(() => undefined) };
  }

  test('leaves_no_payment_open_charges_what_arrived_and_nothing_else', async (t) => {
    const seed = 1 + Math.floor(Math.random() * 1e9);
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const sessions = await Promise.all(Array.from({ length: 6 }, () => openHttp2(gateway.http2Port)));
    const doomed = sessions.slice(0, 3);
    const calls = Array.from({ length: CALLS }, async (_, i) => {
      await sleep(random() * 1500);
      const session = sessions[i % 8]; // of the last two of eight: HTTP/1.1
      return one(random, session?.destroyed ? undefined : session);
    });
    for (const session of doomed) setTimeout(() => session.destroy(), 400 + random() * 800);
    const held = [200, 700].map((when) => sleep(when).then(() => holdLedger(gateway))
      .then((hold) => sleep(100).then(() => hold.release())));
    const made = await Promise.all(calls);
    await Promise.all(held);
    for (const session of sessions) session.destroy();

    const rows = await waitFor(async () => {
      const all = await payments(gateway, '--limit', '10000');
      return all.every(({ delivery }) => delivery !== 'pending') && new Map(all.map((row) => [row.nonce, row]));
    }, 'every outcome');
    let arrived = 0;
    for (const { id, paid, target, answer } of made) {
      const { delivery, attempts } = rows.get(paid.message.nonce) ?? {};
      const told = `${target}: ${delivery}, ${answer?.status}, ${answer?.body.length} bytes, ${upstream.count(id)} executions`;
      assert.ok(upstream.count(id) <= 1 && (attempts ?? 1) === 1, told);
      if (answer && isWhole(answer, target)) {
        arrived++;
        assert.equal(delivery, 'delivered', told);
      }
      if (answer?.status >= 400 || upstream.count(id) === 0) assert.notEqual(delivery, 'delivered', told);
    }
    assert.ok(arrived > CALLS / 10, `${arrived} arrived`);
  });
});
