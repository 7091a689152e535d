// One payment buys one call: whatever is presented again, however and wherever, the
// upstream executes once, and nobody is asked to pay a second time.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { answer, ask, isInProgress, isOffer, isPaid, isRepeated, isUsed, oneConnection } from './lib/ask.mjs';
import { startGateway } from './lib/gateway.mjs';
import { waitFor } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { DIALECTS, newAccount, newNonce, payment, wire, withHighS } from './lib/wallet.mjs';
import { checkBooks, payments } from './lib/x402.mjs';

const COPIES = 50;
const HOUR = 3600;

let gateway;
let upstream;
let bought = 0; // calls that were served, by all tests
let calls = 0;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({
    workers: 2,
    listen: 'reuseport',
    server: 'add_header X-Worker $pid always;',
    locations: `
        location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
        location /other/ { x402_price 0.1c; proxy_pass ${upstream.url}; }
        location /two/ {
            x402_price 0.001;
            x402_accept base-sepolia base;
            proxy_pass ${upstream.url};
        }
        location /long/ {
            x402_price 0.001;
            x402_window 300 max=${48 * HOUR};
            proxy_pass ${upstream.url};
        }`,
  });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A call nobody made before: its id and its path. */
function newCall(options = '', prefix = '/api/') {
  const id = `call${++calls}`;
  return { id, path: `${prefix}x?id=${id}${options}` };
}

const workerOf = (got) => got.headers['x-worker'];

/** Answers to one payment: exactly one bought, the others refused, one execution. */
function servedOnce(answers, paid, id) {
  const [served, refused] = [
    answers.filter((got) => got.status === 200), answers.filter((got) => got.status !== 200)];
  assert.equal(served.length, 1, answers.map((got) => got.status).join(' '));
  isPaid(served[0], paid);
  bought++;
  refused.forEach(isRepeated);
  assert.equal(upstream.count(id), 1);
}

/** Buys a call and waits until a second presentation is told that it was used. */
async function buy(call, paid) {
  isPaid(await ask(gateway, call.path, { payment: paid }), paid);
  bought++;
  isUsed(await waitFor(async () => {
    const got = await ask(gateway, call.path, { payment: paid });
    isRepeated(got);
    return got.status === 400 && got;
  }, 'the outcome', 10_000));
}

/** The same as raw HTTP/1.1, so that it can be sent in pieces. */
const rawRequest = (call, paid) =>
  `GET ${call.path} HTTP/1.1\r\nHost: gateway\r\n${paid.name}: ${paid.value}\r\n\r\n`;

async function rawAnswer(connection) {
  const { status, headers, body } = await connection.readResponse();
  return answer(status, headers, body);
}

async function http2Answer(response) {
  const { status, headers, body } = await response;
  return answer(status, headers, body);
}

describe('one after the other', () => {
  test('a_payment_presented_again_on_another_connection_is_refused_without_an_offer', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const first = await ask(gateway, call.path, { payment: paid });
    const second = await ask(gateway, call.path, { payment: paid });
    servedOnce([first, second], paid, call.id);
  });

  test('a_payment_presented_again_on_the_same_connection_is_refused_without_an_offer', async () => {
    const [call, paid, agent] = [newCall(), await payment(newAccount()), oneConnection()];
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await ask(gateway, call.path, { payment: paid, agent }));
    agent.destroy();
    assert.equal(new Set(answers.map(workerOf)).size, 1, 'one connection');
    servedOnce(answers, paid, call.id);
  });

  test('a_used_payment_is_refused_by_every_worker', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    await buy(call, paid);
    const workers = new Set();
    await waitFor(async () => {
      const got = await ask(gateway, call.path, { payment: paid });
      isUsed(got);
      return workers.add(workerOf(got)).size === 2;
    }, 'both workers', 5_000, 0);
    assert.equal(upstream.count(call.id), 1);
  });

  test('a_used_payment_buys_nothing_on_another_route_of_the_same_price', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    await buy(call, paid);
    const other = newCall('', '/other/');
    isUsed(await ask(gateway, other.path, { payment: paid }));
    assert.equal(upstream.count(other.id), 0);
  });

  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    test(`a_payment_used_by_get_buys_no_${method.toLowerCase()}`, async () => {
      const [call, paid] = [newCall(), await payment(newAccount())];
      await buy(call, paid);
      isUsed(await ask(gateway, call.path, { payment: paid, method }));
      assert.equal(upstream.count(call.id), 1);
    });
  }

  test('a_long_lived_payment_is_remembered_for_longer_than_a_day', async (t) => {
    const validBefore = BigInt(Math.floor(Date.now() / 1000) + 47 * HOUR);
    const paid = await payment(newAccount(), { message: { validBefore } });
    const call = newCall('', '/long/');
    await buy(call, paid);
    t.after(() => gateway.setClock(0));
    for (const hours of [25, 46]) {
      gateway.setClock(hours * HOUR);
      const probe = await payment(newAccount()); // signed for now, so expired by then
      isOffer(await ask(gateway, call.path, { payment: probe }), {
        reason: 'invalid_exact_evm_payload_authorization_valid_before',
        reasonV1: 'invalid_exact_evm_payload_authorization_valid_before',
      });
      isUsed(await ask(gateway, call.path, { payment: paid }));
    }
    assert.equal(upstream.count(call.id), 1);
  });
});

describe('at the same time', () => {
  for (const [name, delay] of [['a_fast', 0], ['a_slow', 150]]) {
    test(`fifty_copies_over_fifty_connections_to_two_workers_buy_${name}_call_once`, async () => {
      const [call, paid] = [newCall(`&delay=${delay}`), await payment(newAccount())];
      const answers = await Promise.all(
        Array.from({ length: COPIES }, () => ask(gateway, call.path, { payment: paid })));
      assert.equal(new Set(answers.map(workerOf)).size, 2, 'both workers were asked');
      servedOnce(answers, paid, call.id);
    });
  }

  test('fifty_copies_whose_last_bytes_arrive_together_are_served_once', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const request = rawRequest(call, paid);
    const connections = await Promise.all(
      Array.from({ length: COPIES }, () => RawConnection.open(gateway.port)));
    for (const connection of connections) connection.write(request.slice(0, -2));
    for (const connection of connections) connection.write(request.slice(-2));
    const answers = await Promise.all(connections.map(rawAnswer));
    for (const connection of connections) connection.end();
    assert.equal(new Set(answers.map(workerOf)).size, 2, 'both workers were asked');
    servedOnce(answers, paid, call.id);
  });

  test('fifty_copies_on_one_http2_connection_are_served_once', async () => {
    const [call, paid] = [newCall('&delay=50'), await payment(newAccount())];
    const session = await openHttp2(gateway.http2Port);
    const answers = await Promise.all(Array.from({ length: COPIES }, () =>
      http2Answer(requestHttp2(session, call.path, { headers: paid.headers }).response)));
    session.close();
    servedOnce(answers, paid, call.id);
  });

  test('copies_over_http2_and_http1_together_are_served_once', async () => {
    const [call, paid] = [newCall('&delay=50'), await payment(newAccount())];
    const session = await openHttp2(gateway.http2Port);
    const answers = await Promise.all(Array.from({ length: COPIES }, (_, i) => (i % 2
      ? ask(gateway, call.path, { payment: paid })
      : http2Answer(requestHttp2(session, call.path, { headers: paid.headers }).response))));
    session.close();
    servedOnce(answers, paid, call.id);
  });

  test('copies_pipelined_on_one_connection_are_served_once', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const connection = await RawConnection.open(gateway.port);
    connection.write(rawRequest(call, paid).repeat(10));
    const answers = [];
    for (let i = 0; i < 10; i++) answers.push(await rawAnswer(connection));
    connection.end();
    assert.equal(answers[0].status, 200, 'they are answered in order');
    servedOnce(answers, paid, call.id);
  });

  test('copies_to_different_routes_are_served_once', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const paths = [call.path, call.path.replace('/api/', '/other/')];
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      ask(gateway, paths[i % 2], { payment: paid })));
    servedOnce(answers, paid, call.id);
  });

  test('many_payments_with_their_copies_buy_one_call_each', async () => {
    const payer = newAccount();
    const each = await Promise.all(Array.from({ length: 20 }, async () => (
      { call: newCall('&delay=20'), paid: await payment(payer), answers: [] })));
    const copies = Array.from({ length: 5 }, () => each).flat();
    await Promise.all(copies.map(async ({ call, paid, answers }) => {
      answers.push(await ask(gateway, call.path, { payment: paid }));
    }));
    for (const { call, paid, answers } of each) servedOnce(answers, paid, call.id);
  });

  test('while_a_call_is_served_its_payment_is_in_progress_everywhere', async () => {
    const [call, paid] = [newCall('&do=hold'), await payment(newAccount())];
    const session = await openHttp2(gateway.http2Port);
    const first = requestHttp2(session, call.path, { headers: paid.headers });
    await waitFor(() => upstream.count(call.id) === 1, 'the first execution');

    isInProgress(await http2Answer(
      requestHttp2(session, call.path, { headers: paid.headers }).response));
    const workers = new Set();
    await waitFor(async () => {
      const got = await ask(gateway, call.path, { payment: paid });
      isInProgress(got);
      return workers.add(workerOf(got)).size === 2;
    }, 'both workers', 5_000, 0);

    upstream.release(call.id);
    servedOnce([await http2Answer(first.response)], paid, call.id);
    session.close();
    await waitFor(async () => {
      const got = await ask(gateway, call.path, { payment: paid });
      isRepeated(got);
      return got.status === 400;
    }, 'the outcome', 10_000);
    assert.equal(upstream.count(call.id), 1);
  });
});

describe('over a restart', () => {
  test('a_payment_used_before_a_restart_is_refused_after_it', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    await buy(call, paid);
    await gateway.quit();
    await gateway.start();
    isUsed(await ask(gateway, call.path, { payment: paid }));
    assert.equal(upstream.count(call.id), 1);
  });

  test('a_payment_whose_answer_was_read_just_before_a_restart_is_refused_after_it', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const first = await ask(gateway, call.path, { payment: paid });
    await gateway.quit(); // its outcome may still be waiting for company
    await gateway.start();
    servedOnce([first, await ask(gateway, call.path, { payment: paid })], paid, call.id);
    isUsed(await ask(gateway, call.path, { payment: paid }));
  });

  test('a_payment_used_before_a_fast_stop_is_refused_after_it', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    const first = await ask(gateway, call.path, { payment: paid });
    await gateway.terminate();
    await gateway.start();
    servedOnce([first, await ask(gateway, call.path, { payment: paid })], paid, call.id);
    isUsed(await ask(gateway, call.path, { payment: paid }));
  });

  test('a_call_that_ends_while_the_gateway_stops_gracefully_is_not_served_again', async () => {
    const [call, paid] = [newCall('&do=hold'), await payment(newAccount())];
    const first = ask(gateway, call.path, { payment: paid });
    await waitFor(() => upstream.count(call.id) === 1, 'the execution');
    const stopped = gateway.quit();
    await waitFor(() => gateway.workers().length === 0, 'the workers to shut down');
    upstream.release(call.id);
    const served = await first;
    await stopped;
    await gateway.start();
    servedOnce([served, await ask(gateway, call.path, { payment: paid })], paid, call.id);
    isUsed(await ask(gateway, call.path, { payment: paid }));
  });
});

describe('over a reload', () => {
  test('a_payment_used_before_a_reload_is_refused_after_it', async () => {
    const [call, paid] = [newCall(), await payment(newAccount())];
    await buy(call, paid);
    await gateway.reload();
    isUsed(await ask(gateway, call.path, { payment: paid }));
    assert.equal(upstream.count(call.id), 1);
  });

  test('a_call_held_by_an_old_worker_is_in_progress_for_the_new_ones', async () => {
    const [call, paid] = [newCall('&do=hold'), await payment(newAccount())];
    const first = ask(gateway, call.path, { payment: paid });
    await waitFor(() => upstream.count(call.id) === 1, 'the execution');
    const old = gateway.workers();
    await gateway.reload();

    const copies = await Promise.all(Array.from({ length: 20 }, () =>
      ask(gateway, call.path, { payment: paid })));
    copies.forEach(isInProgress);
    assert.equal(copies.some((got) => old.includes(Number(workerOf(got)))), false, 'new workers');

    upstream.release(call.id);
    const served = await first;
    assert.ok(old.includes(Number(workerOf(served))), 'an old worker finished it');
    servedOnce([served, ...copies], paid, call.id);
    await waitFor(async () => (await ask(gateway, call.path, { payment: paid })).status === 400,
      'the outcome', 10_000);
    assert.equal(upstream.count(call.id), 1);
  });

  test('copies_to_old_and_new_workers_at_the_same_time_are_served_once', async () => {
    const [call, paid] = [newCall('&delay=20'), await payment(newAccount())];
    const request = rawRequest(call, paid);
    const open = () => Promise.all(Array.from({ length: COPIES / 2 }, async () => {
      const connection = await RawConnection.open(gateway.port);
      return connection.write(request.slice(0, 40)); // no longer idle: it stays
    }));
    const toOld = await open();
    const old = gateway.workers();
    // An answer on a later connection shows that the workers have accepted all before.
    const workers = new Set();
    await waitFor(async () => workers.add(workerOf(await ask(gateway, '/api/'))).size === 2,
      'both workers', 5_000, 0);
    await gateway.reload();
    const toNew = await open();

    const connections = toOld.flatMap((connection, i) => [connection, toNew[i]]);
    for (const connection of connections) connection.write(request.slice(40));
    const answers = await Promise.all(connections.map(rawAnswer));
    for (const connection of connections) connection.end();

    const byOld = answers.filter((got) => old.includes(Number(workerOf(got))));
    assert.ok(byOld.length > 0 && byOld.length < COPIES, 'old and new workers answered');
    servedOnce(answers, paid, call.id);
  });
});

describe('in another form', () => {
  for (const first of DIALECTS) {
    for (const second of DIALECTS.filter((dialect) => dialect !== first)) {
      test(`an_authorization_used_as_${first}_is_refused_as_${second}`, async () => {
        const [call, payer] = [newCall(), newAccount()];
        const paid = await payment(payer, { dialect: first });
        const copy = await payment(payer, { dialect: second, message: paid.message });
        assert.equal(copy.signature, paid.signature);
        await buy(call, paid);
        isUsed(await ask(gateway, call.path, { payment: copy }));
        assert.equal(upstream.count(call.id), 1);
      });
    }
  }

  test('copies_of_an_authorization_in_all_dialects_at_once_are_served_once', async () => {
    const [call, payer] = [newCall('&delay=20'), newAccount()];
    const { message } = await payment(payer);
    const forms = await Promise.all(DIALECTS.map((dialect) => payment(payer, { dialect, message })));
    const copies = Array.from({ length: 10 }, () => forms).flat();
    const answers = await Promise.all(copies.map((paid) => ask(gateway, call.path, { payment: paid })));
    const served = answers.findIndex((got) => got.status === 200);
    assert.notEqual(served, -1);
    servedOnce(answers, copies[served], call.id);
  });

  const upper = (hex) => `0x${hex.slice(2).toUpperCase()}`;
  const hexFields = (payload, change) => {
    const { authorization } = payload.payload;
    authorization.nonce = change(authorization.nonce);
    authorization.from = change(authorization.from);
    authorization.to = change(authorization.to);
    payload.payload.signature = change(payload.payload.signature);
  };

  /** The same payment, written otherwise: an edit of the object, or of the JSON text. */
  const writings = {
    in_upper_case_hex: { edit: (payload) => hexFields(payload, upper) },
    in_lower_case_hex: { edit: (payload) => hexFields(payload, (hex) => hex.toLowerCase()) },
    with_zeros_before_its_numbers: {
      edit: ({ payload: { authorization } }) => {
        authorization.value = `000${authorization.value}`;
        authorization.validAfter = '00';
        authorization.validBefore = `0${authorization.validBefore}`;
      },
    },
    with_more_members: { edit: (payload) => { payload.nonce = newNonce(); payload.extensions = {}; } },
    with_spaces: { text: (json) => json.replaceAll(',', ' ,\n\t') },
    with_escapes: { text: (json) => json.replaceAll('0x', '\\u0030\\u0078') },
    with_members_in_another_order: {
      edit: (payload) => Object.fromEntries(Object.entries(payload).reverse()),
    },
  };

  for (const [name, { edit = (payload) => payload, text = (json) => json }] of Object.entries(writings)) {
    test(`a_used_payment_written_${name}_is_refused`, async () => {
      const [call, payer] = [newCall(), newAccount()];
      const paid = await payment(payer);
      const draft = structuredClone(paid.payload);
      const copy = wire(paid.name, text(JSON.stringify(edit(draft) ?? draft)));
      assert.notEqual(copy.value, paid.value);
      await buy(call, paid);
      isUsed(await ask(gateway, call.path, { payment: copy }));
      assert.equal(upstream.count(call.id), 1);
    });
  }

  test('a_used_payment_with_a_high_s_is_a_bad_signature_and_buys_nothing', async () => {
    const [call, payer] = [newCall(), newAccount()];
    const paid = await payment(payer);
    const twin = await payment(payer, { message: paid.message, alter: withHighS });
    await buy(call, paid);
    isOffer(await ask(gateway, call.path, { payment: twin }), {
      reason: 'invalid_exact_evm_signature', reasonV1: 'invalid_exact_evm_payload_signature',
    });
    assert.equal(upstream.count(call.id), 1);
  });

  test('a_twin_with_a_high_s_presented_first_does_not_use_the_payment_up', async () => {
    const [call, payer] = [newCall(), newAccount()];
    const paid = await payment(payer);
    const twin = await payment(payer, { message: paid.message, alter: withHighS });
    assert.equal((await ask(gateway, call.path, { payment: twin })).status, 402);
    assert.equal(upstream.count(call.id), 0);
    await buy(call, paid);
    assert.equal(upstream.count(call.id), 1);
  });

  test('another_authorization_with_a_used_nonce_is_refused', async () => {
    const [call, payer] = [newCall(), newAccount()];
    const paid = await payment(payer);
    await buy(call, paid);
    const { nonce, validBefore } = paid.message;
    const others = [
      { message: { nonce, validBefore: validBefore + 60n } },
      { message: { nonce, validAfter: 1n } },
      { dialect: 'flat', message: { nonce, value: 5000n } },
    ];
    for (const options of others) {
      const other = await payment(payer, options);
      assert.notEqual(other.signature, paid.signature);
      isUsed(await ask(gateway, call.path, { payment: other }));
    }
    assert.equal(upstream.count(call.id), 1);
  });
});

describe('what is another payment', () => {
  test('the_same_nonce_of_another_payer_buys_a_call', async () => {
    const [call, nonce] = [newCall(), newNonce()];
    await buy(call, await payment(newAccount(), { message: { nonce } }));
    await buy(call, await payment(newAccount(), { message: { nonce } }));
    assert.equal(upstream.count(call.id), 2);
  });

  test('the_same_nonce_on_another_network_buys_a_call', async () => {
    const [call, payer] = [newCall('', '/two/'), newAccount()];
    const paid = await payment(payer);
    const asset = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913';
    await buy(call, paid);
    await buy(call, await payment(payer, {
      message: { nonce: paid.message.nonce },
      domain: { chainId: 8453, name: 'USD Coin', verifyingContract: asset },
      accepted: { network: 'eip155:8453', asset, extra: { name: 'USD Coin', version: '2' } },
    }));
    assert.equal(upstream.count(call.id), 2);
  });

  test('two_payments_of_one_payer_buy_two_calls', async () => {
    const [call, payer] = [newCall(), newAccount()];
    await buy(call, await payment(payer));
    await buy(call, await payment(payer));
    assert.equal(upstream.count(call.id), 2);
  });
});

test('the_ledger_has_every_call_served_here_once_and_its_books_balance', async () => {
  await gateway.quit(); // every outcome is recorded
  const rows = await payments(gateway);
  assert.equal(rows.length, bought);
  assert.deepEqual([...new Set(rows.map((row) => row.delivery))], ['delivered']);
  await checkBooks(gateway);
});
