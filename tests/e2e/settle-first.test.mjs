// Settled first, served afterwards: a caller waits until its money has moved, and only then
// does its call reach the upstream, once. Real nginx, settler and chain.

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { createWalletClient, http } from 'viem';
import { baseSepolia } from 'viem/chains';
import { wrapFetchWithPayment as wrapFetchV1 } from 'x402-fetch';
import { ask, isOffer, isPaid, isProblem, isRepeated, isUsed } from './lib/ask.mjs';
import { Caller, PROTOCOLS, holdLedger } from './lib/calls.mjs';
import { cancel } from './lib/elsewhere.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { PRICE, SAFE_DEPTH, openShop, shopTest } from './lib/shop.mjs';
import { behaviours } from './lib/upstream.mjs';
import { DIALECTS, decode, newAccount, payment, receiptOf } from './lib/wallet.mjs';
import { payments, stats } from './lib/x402.mjs';

const REASON_EXPIRED = 'invalid_exact_evm_payload_authorization_valid_before';
const EXPIRED = { reason: REASON_EXPIRED, reasonV1: REASON_EXPIRED };
const REASON_VALUE = 'invalid_exact_evm_payload_authorization_value';
const OTHER_VALUE = { reason: `${REASON_VALUE}_mismatch`, reasonV1: REASON_VALUE };
const HASH = /^0x[0-9a-f]{64}$/;

let calls = 0;
const newCall = (place = '/before/') => {
  const id = `call${++calls}`;
  return { id, target: `${place}x?id=${id}` };
};

// ------------------------------------------------------------------------------ a shop

/** What the gateways here have: a place for each way of settling. */
const places = (url) => `
    location /before/ { x402_settle before; x402_price 0.001; proxy_pass ${url}; }
    location /after/ { x402_price 0.001; proxy_pass ${url}; }
    location /dear/ { x402_price 0.0011; proxy_pass ${url}; }
    location /cheap/ { x402_price 0.0009; proxy_pass ${url}; }
    location /lavish/ { x402_max_unsettled 5; x402_max_unsettled_new 1; x402_price 0.001; proxy_pass ${url}; }
    location /short/ { x402_settle before; x402_price 0.001; x402_window 60 min=10; proxy_pass ${url}; }
    location /brief/ { x402_window 60 min=10; x402_price 0.001; proxy_pass ${url}; }
    location /paged/ { x402_settle before; x402_price 0.001; proxy_pass ${url}; error_page 502 = /page; }
    location = /page { x402_price off; return 503; }`;

const selling = (options = {}) => ({
  gateway: (url) => ({
    settleTimeout: '60s', // longer than tests wait for anything: who would see its end asks for less
    http: "log_format result '$x402_nonce $x402_result';",
    server: (own) => `access_log ${own.folder}/access.log result;`,
    locations: places(url),
    ...options,
  }),
});

/** A test with a shop of its own, which has no settler unless the test starts one. */
const firstTest = (name, body, options) => shopTest(name, body, selling(options));

/** A payment to the shop from somebody with money. */
async function newPayment(shop, options = {}) {
  const payer = options.payer ?? await shop.newPayer();
  return payment(payer, { ...options, message: { to: shop.payee, ...options.message } });
}

const moneyMoved = (shop) => shop.chain.balance(shop.payee);

const deliveryIs = (shop, paid, delivery) => shop.until(
  paid, (row) => row.delivery === delivery, `the call to be ${delivery}`, 10_000);

/** Its row is there, due, and nobody's: its caller waits, or may. */
const isWaiting = (shop, paid) => waitFor(async () => {
  const [row] = await payments(shop.gateway, '--payer', paid.message.from);
  return row?.delivery === 'owed' && row.money === 'due';
}, 'the payment to be due');

const waitForStats = (shop, test, what) => waitFor(async () => test(await stats(shop.gateway)), what);

/** The worker knows that the one payment there is waits: it has counted its admission. */
const isHeld = (shop) =>
  waitForStats(shop, ({ measures }) => measures.admit.count === 1, 'the admission to be counted');

/**
 * And it has nothing left to write for it: what it counts it writes once a second, and before
 * what it counted next it has written all that was put off for less.
 */
async function isAtRest(shop) {
  await isHeld(shop);
  await ask(shop.gateway, newCall().target, { headers: { 'X-PAYMENT': 'nothing' } });
  await waitForStats(shop, ({ refusals }) => refusals.length === 1, 'the refusal to be counted');
}

// -------------------------------------------------------------------- what callers see

const responseOf = ({ headers }) => {
  const value = headers['payment-response'] ?? headers['x-payment-response'];
  return value === undefined ? null : decode(value);
};

/** Paid for, and the answer names the transaction that moved the money; gives its hash. */
function isSettled(got, paid) {
  isPaid(got, paid);
  const { transaction } = responseOf(got);
  assert.match(transaction, HASH);
  return transaction;
}

/** 503: the payment is under way, and presenting it again waits on. */
function isStillSettling(got) {
  isProblem(got, { status: 503, code: 'settlement_pending', retryAfter: '1' });
  const receipt = responseOf(got);
  assert.equal(receipt.success, false);
  assert.equal(receipt.errorReason, 'settlement_pending');
  return receipt;
}

/** Presents a payment until it has settled; each answer before says that it will. Gives the last. */
const servedAtLast = (shop, call, paid) => waitFor(async () => {
  const got = await ask(shop.gateway, call.target, { payment: paid });
  if (got.status === 503) isStillSettling(got);
  return got.status !== 503 && got;
}, 'the payment to settle', 30_000);

/** 402 without an offer: the settlement failed. */
function isUnsettled(got, { dialect }, [reason, reasonV1]) {
  isProblem(got, { status: 402, code: reason });
  const receipt = responseOf(got);
  assert.equal(receipt.success, false);
  assert.equal(receipt.errorReason, dialect === 'v2' ? reason : reasonV1);
  assert.equal(receipt.transaction, '');
}

const loggedResult = (shop, { message }) => waitFor(() => shop.gateway.accessLog().split('\n')
  .filter((line) => line.startsWith(message.nonce)).at(-1)?.split(' ')[1], 'the log line');

// ------------------------------------------------------------------------------- tests

describe('a location that settles before', () => {
  let shop;

  before(async () => {
    shop = await openShop(selling({ workers: 2 }));
    shop.runSettler();
    /** Answers with what the payee has while the call is executed. */
    behaviours.balance = async ({ response }) => {
      response.end(String(await shop.chain.balance(shop.payee)));
    };
  });
  after(async () => {
    if (shop) await shop.checkBooks();
    await shop?.close();
  });

  test('says_in_its_offer_that_payment_comes_first', async () => {
    const { v2, v1 } = isOffer(await ask(shop.gateway, newCall().target));
    assert.equal(v2.accepts[0].extra.paymentFlow, 'upfront');
    assert.equal(v1.accepts[0].extra.paymentFlow, 'upfront');
    const other = isOffer(await ask(shop.gateway, newCall('/after/').target));
    assert.equal(other.v2.accepts[0].extra.paymentFlow, undefined);
  });

  for (const dialect of DIALECTS) {
    test(`serves_${dialect}_when_the_money_is_there_and_names_the_transaction`, async () => {
      const had = await moneyMoved(shop);
      const [call, paid] = [newCall(), await newPayment(shop, { dialect })];
      const got = await ask(shop.gateway, `${call.target}&do=balance`, { payment: paid });
      const hash = isSettled(got, paid);
      assert.equal(BigInt(got.body), had + PRICE, 'it was executed before the money moved');
      const { status, transactionHash } = await shop.chain.receipt(hash);
      assert.deepEqual([status, transactionHash], ['0x1', hash]);
      const row = await deliveryIs(shop, paid, 'delivered');
      assert.deepEqual([row.money, row.transaction], ['settled', hash]);
      assert.equal(await loggedResult(shop, paid), 'delivered');
      isUsed(await ask(shop.gateway, call.target, { payment: paid }));
      assert.equal(shop.upstream.count(call.id), 1);
    });
  }

  const clients = {
    '@x402/fetch': (payer) => wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(payer) }],
    }),
    'x402-fetch': (payer) => wrapFetchV1(fetch, createWalletClient({
      account: payer, chain: baseSepolia, transport: http('http://127.0.0.1:1'), // never asked
    })),
  };
  for (const [name, wrap] of Object.entries(clients)) {
    test(`sells_to_the_stock_client_${name}`, async () => {
      const payer = await shop.newPayer();
      const had = await moneyMoved(shop);
      const got = await wrap(payer)(`${shop.gateway.url}${newCall().target}`);
      assert.equal(got.status, 200);
      assert.match(receiptOf(got).transaction, HASH);
      assert.equal(await moneyMoved(shop), had + PRICE);
    });
  }

  test('serves_one_of_many_who_present_one_payment_at_once', async () => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    const had = await moneyMoved(shop);
    const answers = await Promise.all(Array.from({ length: 8 }, () =>
      ask(shop.gateway, call.target, { payment: paid })));
    const [served, ...others] = answers.toSorted((a, b) => a.status - b.status);
    isSettled(served, paid);
    others.forEach(isRepeated);
    assert.equal(shop.upstream.count(call.id), 1);
    assert.equal(await moneyMoved(shop), had + PRICE);
  });

  test('serves_the_streams_of_one_http2_connection_each_when_it_has_settled', async () => {
    const session = await openHttp2(shop.gateway.http2Port);
    const paid = await Promise.all(Array.from({ length: 6 }, () => newPayment(shop)));
    const requests = paid.map((one) =>
      requestHttp2(session, newCall().target, { headers: one.headers }));
    requests[2].response.catch(() => {}); // this one leaves
    requests[2].stream.close();
    const answers = await Promise.all(requests.filter((_, i) => i !== 2).map((r) => r.response));
    for (const answer of answers) {
      assert.equal(answer.status, 200, answer.body);
      assert.match(responseOf(answer).transaction, HASH);
    }
    session.close();
  });

  test('serves_later_and_at_once_a_payment_that_its_caller_did_not_wait_for', async () => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    await shop.chain.automine(false); // nothing settles before its caller has gone
    const connection = await RawConnection.open(shop.gateway.port);
    connection.request('GET', call.target, { headers: paid.headers });
    await waitFor(async () => (await payments(shop.gateway, '--payer', paid.message.from)).length, 'it');
    connection.abort();
    await loggedResult(shop, paid);
    await shop.chain.automine(true);
    await shop.chain.mine();
    await shop.moneyIs(paid, 'settled');
    const hash = isSettled(await ask(shop.gateway, call.target, { payment: paid }), paid);
    assert.equal((await shop.row(paid)).transaction, hash);
  });

  test('owes_a_call_whose_upstream_fails_and_serves_it_with_the_same_payment', async () => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    const had = await moneyMoved(shop);
    shop.upstream.script(call.id, { do: 'status', n: 500 }, { do: 'reset' }, { do: 'ok' });
    const failed = await ask(shop.gateway, call.target, { payment: paid });
    assert.equal(failed.status, 500);
    assert.equal(responseOf(failed).success, true, 'its payer must know that it has paid');
    assert.match(responseOf(failed).transaction, HASH);
    assert.match(failed.headers['cache-control'], /\bprivate\b/);
    assert.equal((await deliveryIs(shop, paid, 'owed')).money, 'settled');
    assert.equal(await loggedResult(shop, paid), 'owed');

    const broken = await ask(shop.gateway, call.target, { payment: paid });
    assert.equal(broken.status, 502);
    assert.match(responseOf(broken).transaction, HASH);
    await deliveryIs(shop, paid, 'owed');

    isSettled(await ask(shop.gateway, call.target, { payment: paid }), paid);
    await deliveryIs(shop, paid, 'delivered');
    isUsed(await ask(shop.gateway, call.target, { payment: paid }));
    assert.equal(shop.upstream.count(call.id), 3);
    assert.equal(await moneyMoved(shop), had + PRICE, 'paid once');
  });

  test('owes_a_call_that_only_an_error_page_answered', async () => {
    const [call, paid] = [newCall('/paged/'), await newPayment(shop)];
    shop.upstream.script(call.id, { do: 'reset' });
    const got = await ask(shop.gateway, call.target, { payment: paid });
    assert.equal(got.status, 503);
    assert.match(responseOf(got).transaction, HASH);
    await deliveryIs(shop, paid, 'owed');
  });

  for (const protocol of PROTOCOLS) {
    test(`brings_a_body_over_${protocol}_that_had_to_wait`, async () => {
      const caller = new Caller(shop.gateway, protocol);
      const [call, paid] = [newCall(), await newPayment(shop)];
      const got = await caller.call(`${call.target}&do=echo`, {
        paid, method: 'POST', body: 'x'.repeat(300_000),
      });
      caller.close();
      assert.equal(got.status, 200, got.body);
      assert.equal(JSON.parse(got.body).bodySize, 300_000);
    });
  }

  test('tells_a_payer_without_money_that_it_failed_and_serves_when_there_is_some', async () => {
    for (const dialect of ['v2', 'v1']) {
      const payer = newAccount();
      const [call, paid] = [newCall(), await newPayment(shop, { payer, dialect })];
      const got = await ask(shop.gateway, call.target, { payment: paid });
      isUnsettled(got, paid, ['invalid_exact_evm_insufficient_balance', 'insufficient_funds']);
      assert.equal(shop.upstream.count(call.id), 0);
      await shop.chain.mint(payer.address, PRICE);
      isSettled(await ask(shop.gateway, call.target, { payment: paid }), paid);
      assert.equal(shop.upstream.count(call.id), 1);
    }
  });

  test('tells_a_payer_who_canceled_that_it_failed_and_offers_nothing', async () => {
    for (const dialect of DIALECTS) {
      const payer = await shop.newPayer();
      const [call, paid] = [newCall(), await newPayment(shop, { payer, dialect })];
      await cancel(shop.chain, payer, paid);
      const got = await ask(shop.gateway, call.target, { payment: paid });
      isUnsettled(got, paid, ['invalid_exact_evm_nonce_already_used', 'invalid_transaction_state']);
      assert.equal(await loggedResult(shop, paid), 'settlement_failed');
      const row = await shop.row(paid);
      assert.deepEqual([row.delivery, row.money], ['void', 'failed']);
      assert.equal(shop.upstream.count(call.id), 0);
    }
  });
});

describe('while nothing settles', () => {
  /** A call under way that its caller can leave: {answer, leave}. */
  const begin = {
    async http1(gateway, target, { headers }) {
      const connection = await RawConnection.open(gateway.port);
      const answer = connection.request('GET', target, { headers }).readResponse();
      answer.catch(() => {});
      return { answer, leave: () => connection.abort() };
    },

    async http2(gateway, target, { headers }) {
      const session = await openHttp2(gateway.http2Port);
      const { stream, response: answer } = requestHttp2(session, target, { headers });
      answer.catch(() => {});
      stream.once('close', () => session.destroy());
      return { answer, leave: () => stream.close(constants.NGHTTP2_CANCEL) };
    },
  };

  firstTest('a_caller_is_told_to_present_the_payment_again_and_is_then_served_once', async (shop) => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    assert.equal(isStillSettling(await ask(shop.gateway, call.target, { payment: paid })).transaction, '');
    assert.equal(await loggedResult(shop, paid), 'settlement_pending');
    isStillSettling(await ask(shop.gateway, call.target, { payment: paid }));
    const row = await shop.row(paid);
    assert.deepEqual([row.delivery, row.money], ['owed', 'due']);
    assert.equal(shop.upstream.count(call.id), 0);

    shop.runSettler();
    isSettled(await servedAtLast(shop, call, paid), paid);
    await deliveryIs(shop, paid, 'delivered');
    isUsed(await ask(shop.gateway, call.target, { payment: paid }));
    assert.equal(shop.upstream.count(call.id), 1);
    assert.equal(await moneyMoved(shop), PRICE);
    await shop.checkBooks();
  }, { settleTimeout: '1s' });

  firstTest('a_caller_is_told_which_transaction_is_on_its_way', async (shop) => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    await shop.chain.automine(false);
    shop.runSettler();
    const transaction = await waitFor(async () =>
      isStillSettling(await ask(shop.gateway, call.target, { payment: paid })).transaction,
    'an answer that names it', 30_000);
    assert.match(transaction, HASH);
    assert.ok(await shop.chain.rpc('eth_getTransactionByHash', transaction));
    assert.equal(shop.upstream.count(call.id), 0);
  }, { settleTimeout: '2s' });

  for (const protocol of PROTOCOLS) {
    firstTest(`a_caller_over_${protocol}_who_leaves_is_owed_the_call`, async (shop) => {
      const [call, paid] = [newCall(), await newPayment(shop)];
      const caller = await begin[protocol](shop.gateway, call.target, paid);
      await isWaiting(shop, paid);
      await isHeld(shop);
      caller.leave();
      await assert.rejects(caller.answer);
      assert.equal(await loggedResult(shop, paid), 'settling');
      shop.runSettler();
      await shop.moneyIs(paid, 'settled');
      assert.equal(shop.upstream.count(call.id), 0, 'served to nobody');
      isSettled(await ask(shop.gateway, call.target, { payment: paid }), paid);
      assert.equal(shop.upstream.count(call.id), 1);
    });
  }

  for (const protocol of PROTOCOLS) {
    firstTest(`callers_over_${protocol}_who_leave_often_are_turned_away_unheard`, async (shop) => {
      const call = newCall();
      for (let times = 0; times < 2; times++) {
        const paid = await newPayment(shop);
        const caller = await begin[protocol](shop.gateway, call.target, paid);
        await isWaiting(shop, paid);
        caller.leave();
        await assert.rejects(caller.answer);
        assert.equal(await loggedResult(shop, paid), 'settling');
      }
      const paid = await newPayment(shop);
      const got = await waitFor(async () => {
        const answer = await ask(shop.gateway, call.target, { payment: paid });
        return answer.status === 429 && answer;
      }, 'the second to be counted');
      isProblem(got, { status: 429, code: 'rate_limited', retryAfter: got.headers['retry-after'] });
    }, { refusalRate: '1r/m burst=2', settleTimeout: '2s' });
  }

  firstTest('a_reload_and_a_graceful_stop_wait_for_those_who_wait', async (shop) => {
    const [first, paid] = [newCall(), await newPayment(shop)];
    const answer = ask(shop.gateway, first.target, { payment: paid });
    await isWaiting(shop, paid);
    await shop.gateway.reload();
    const [second, other] = [newCall(), await newPayment(shop)];
    const late = ask(shop.gateway, second.target, { payment: other });
    await isWaiting(shop, other);
    const stopped = shop.gateway.quit(20_000);
    shop.runSettler();
    isSettled(await answer, paid);
    isSettled(await late, other);
    await stopped;
    assert.deepEqual([shop.upstream.count(first.id), shop.upstream.count(second.id)], [1, 1]);
    await shop.checkBooks();
  });

  firstTest('a_fast_stop_leaves_the_payment_to_be_presented_again', async (shop) => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    const answer = ask(shop.gateway, call.target, { payment: paid });
    answer.catch(() => {});
    await isWaiting(shop, paid);
    await shop.gateway.terminate();
    await assert.rejects(answer);
    await shop.gateway.start();
    shop.runSettler();
    isSettled(await ask(shop.gateway, call.target, { payment: paid }), paid);
    assert.equal(shop.upstream.count(call.id), 1);
  });

  firstTest('a_worker_that_is_killed_takes_no_payment_along', async (shop) => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    const answer = ask(shop.gateway, call.target, { payment: paid });
    answer.catch(() => {});
    await isWaiting(shop, paid);
    await shop.gateway.killWorker();
    await assert.rejects(answer);
    const again = ask(shop.gateway, call.target, { payment: paid });
    shop.runSettler();
    isSettled(await again, paid);
    assert.equal(shop.upstream.count(call.id), 1);
    assert.equal(await moneyMoved(shop), PRICE);
    await shop.checkBooks();
  });
});

describe('when the money has moved and the ledger cannot be written', () => {
  firstTest('a_caller_is_told_so_and_the_payment_stays_owed', async (shop) => {
    const [call, paid] = [newCall(), await newPayment(shop)];
    const answer = ask(shop.gateway, call.target, { payment: paid });
    await isWaiting(shop, paid);
    await isAtRest(shop); // a write that failed would keep it from the next for half a second
    const [worker] = shop.gateway.workers();
    const stopping = await holdLedger(shop.gateway); // or it might stop with the lock in its hand
    process.kill(worker, 'SIGSTOP'); // so that it looks only when the ledger is held
    await stopping.release();
    const settler = shop.runSettler();
    await shop.moneyIs(paid, 'settled');
    await settler.stop();
    const held = await holdLedger(shop.gateway);
    shop.later(() => held.release()); // a holder that is left keeps this process from ending
    process.kill(worker, 'SIGCONT');
    isProblem(await answer, { status: 503, code: 'ledger_unavailable', retryAfter: '1' });
    await held.release();
    assert.equal(shop.upstream.count(call.id), 0);
    assert.equal((await shop.row(paid)).delivery, 'owed');
    await waitFor(async () => {
      const got = await ask(shop.gateway, call.target, { payment: paid });
      if (got.status !== 200) return false;
      isSettled(got, paid);
      return true;
    }, 'the ledger to be back');
    assert.equal(shop.upstream.count(call.id), 1);
    assert.equal(await moneyMoved(shop), PRICE);
    await shop.checkBooks();
  });
});

describe('what is owed', () => {
  /** A payment that was settled and not served; the call can be had now. */
  async function owe(shop, place) {
    const [call, paid] = [newCall(place), await newPayment(shop)];
    shop.upstream.script(call.id, { do: 'status', n: 503 }, { do: 'ok' });
    assert.equal((await ask(shop.gateway, call.target, { payment: paid })).status, 503);
    await deliveryIs(shop, paid, 'owed');
    return { call, paid };
  }

  firstTest('is_served_long_after_the_authorization_has_expired', async (shop) => {
    shop.runSettler();
    const [first, last, never] = [await owe(shop), await owe(shop), await owe(shop)];
    shop.gateway.setClock(301);
    isSettled(await ask(shop.gateway, first.call.target, { payment: first.paid }), first.paid);
    await deliveryIs(shop, first.paid, 'delivered');
    isOffer(await ask(shop.gateway, first.call.target, { payment: first.paid }), EXPIRED);
    assert.equal(shop.upstream.count(first.call.id), 2, 'it was owed once');
    shop.gateway.setClock(86_400 + 200);
    isSettled(await ask(shop.gateway, last.call.target, { payment: last.paid }), last.paid);
    shop.gateway.setClock(86_400 + 400);
    isOffer(await ask(shop.gateway, never.call.target, { payment: never.paid }), EXPIRED);
    assert.equal(shop.upstream.count(never.call.id), 1);
  });

  firstTest('is_served_wherever_the_same_price_is_asked', async (shop) => {
    shop.runSettler();
    const { paid } = await owe(shop);
    const elsewhere = newCall('/after/');
    shop.gateway.setClock(301);
    isSettled(await ask(shop.gateway, elsewhere.target, { payment: paid }), paid);
    assert.equal(shop.upstream.count(elsewhere.id), 1);
  });

  firstTest('is_served_where_less_is_asked_by_now_and_not_where_more_is', async (shop) => {
    shop.runSettler();
    const { paid } = await owe(shop);
    const [dear, cheap, other] = [newCall('/dear/'), newCall('/cheap/'), newCall('/cheap/')];
    isOffer(await ask(shop.gateway, dear.target, { payment: paid }), OTHER_VALUE);
    isSettled(await ask(shop.gateway, cheap.target, { payment: paid }), paid);
    isOffer(await ask(shop.gateway, other.target, { payment: paid }), OTHER_VALUE);
    isOffer(await ask(shop.gateway, other.target, { payment: await newPayment(shop) }), OTHER_VALUE);
    await deliveryIs(shop, paid, 'delivered');
    assert.deepEqual([dear, cheap, other].map(({ id }) => shop.upstream.count(id)), [0, 1, 0]);
  });

  firstTest('is_nothing_for_an_expired_payment_that_was_never_settled', async (shop) => {
    const served = await newPayment(shop);
    const [call, paid] = [newCall('/after/'), await newPayment(shop)];
    isPaid(await ask(shop.gateway, newCall('/after/').target, { payment: served }), served);
    shop.gateway.setClock(301);
    for (const one of [paid, served]) {
      isOffer(await ask(shop.gateway, call.target, { payment: one }), EXPIRED);
    }
    assert.deepEqual(await payments(shop.gateway, '--payer', paid.message.from), []);
    assert.equal(shop.upstream.count(call.id), 0);
  });

  firstTest('is_asked_for_in_vain_only_as_often_as_other_refusals', async (shop) => {
    shop.gateway.setClock(301);
    const statuses = [];
    for (let i = 0; i < 5; i++) {
      const paid = await payment(newAccount(), { message: { to: shop.payee } });
      statuses.push((await ask(shop.gateway, newCall().target, { payment: paid })).status);
    }
    assert.deepEqual(statuses, [402, 402, 402, 429, 429]);
  }, { refusalRate: '1r/m burst=3' });

  firstTest('does_not_end_when_the_authorization_does_while_it_is_served', async (shop) => {
    shop.runSettler();
    const message = { validBefore: BigInt(Math.floor(Date.now() / 1000) + 20) };
    const [settled, plain] = [newCall('/short/'), newCall('/brief/')];
    const [first, second] = [await newPayment(shop, { message }), await newPayment(shop, { message })];
    for (const { id } of [settled, plain]) shop.upstream.script(id, { do: 'hold' });
    const [answer, cutOff] = [
      ask(shop.gateway, settled.target, { payment: first }),
      assert.rejects(ask(shop.gateway, plain.target, { payment: second }), /hang up/),
    ];
    await waitFor(() => shop.upstream.count(settled.id) && shop.upstream.count(plain.id), 'both', 20_000);
    shop.gateway.setClock(60);
    await cutOff; // nothing could be charged for it any more
    await sleep(2_000); // the other's end came within one
    shop.upstream.release(settled.id);
    isSettled(await answer, first);
  });
});

describe('bounds', () => {
  /** Buys until a call is not served at once; gives how many were, and that answer. */
  async function buyUntilFirst(shop, payer, most = 20) {
    for (let count = 0; count < most; count++) {
      const paid = await newPayment(shop, { payer });
      const got = await ask(shop.gateway, newCall('/after/').target, { payment: paid });
      if (got.status !== 200) return { count, got, paid };
    }
    return { count: most };
  }

  firstTest('give_a_new_payer_a_cent_and_settle_the_rest_first', async (shop) => {
    const { count, got, paid } = await buyUntilFirst(shop, await shop.newPayer());
    assert.equal(count, 10);
    isStillSettling(got);
    const other = await buyUntilFirst(shop, await shop.newPayer(), 1);
    assert.equal(other.count, 1, 'another has a cent of its own');
    shop.runSettler();
    isSettled(await servedAtLast(shop, newCall('/after/'), paid), paid);
  }, { maxUnsettled: null, settleTimeout: '2s' });

  firstTest('give_all_strangers_together_no_more_than_half_the_total', async (shop) => {
    const answers = [];
    for (let i = 0; i < 5; i++) {
      const paid = await newPayment(shop);
      answers.push((await ask(shop.gateway, newCall('/after/').target, { payment: paid })).status);
    }
    assert.deepEqual(answers, [200, 200, 200, 503, 503]);
  }, { maxUnsettled: 1, maxUnsettledTotal: 0.006, settleTimeout: '1s' });

  firstTest('hold_for_what_is_valid_no_longer_than_asked', async (shop) => {
    const payer = await shop.newPayer();
    const until = (seconds) => ({ payer, message: {
      to: shop.payee, validBefore: BigInt(Math.floor(Date.now() / 1000) + seconds) } });
    const paid = await newPayment(shop, until(330));
    isPaid(await ask(shop.gateway, newCall('/after/').target, { payment: paid }), paid);
    const long = await newPayment(shop, until(3600));
    isStillSettling(await ask(shop.gateway, newCall('/after/').target, { payment: long }));
  }, { maxUnsettled: 1, settleTimeout: '1s' });

  firstTest('are_those_of_the_location', async (shop) => {
    const payer = await shop.newPayer();
    assert.equal((await buyUntilFirst(shop, payer)).count, 2);
    const paid = await newPayment(shop, { payer });
    isPaid(await ask(shop.gateway, newCall('/lavish/').target, { payment: paid }), paid);
  }, { maxUnsettled: 0.002, settleTimeout: '1s' });

  firstTest('let_a_payer_who_failed_pay_first', async (shop) => {
    const payer = await shop.newPayer();
    const paid = await newPayment(shop, { payer });
    isPaid(await ask(shop.gateway, newCall('/after/').target, { payment: paid }), paid);
    await cancel(shop.chain, payer, paid);
    await shop.chain.mine(3 * SAFE_DEPTH); // a delivered call fails by what is final
    const settler = shop.runSettler();
    await shop.moneyIs(paid, 'failed');
    await settler.stop();
    const next = await newPayment(shop, { payer });
    isStillSettling(await ask(shop.gateway, newCall('/after/').target, { payment: next }));
  }, { maxUnsettled: 1, settleTimeout: '1s' });
});
