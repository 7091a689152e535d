// A ledger that cannot be written, for whatever reason: 503 and a word in the log,
// nothing served, nothing consumed, nothing forgotten, and no restart when it is over.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ask, isPaid, isProblem, isUsed } from './lib/ask.mjs';
import { FAULTS, damage } from './lib/faults.mjs';
import { startGateway } from './lib/gateway.mjs';
import { sleep, waitFor } from './lib/process.mjs';
import { PRICE, openShop } from './lib/shop.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { checkBooks, payments } from './lib/x402.mjs';

const PAYMENTS = 6;
const TRIES = 4; // of each while it lasts
const COMPLAINT = /payments cannot be recorded, answering 503: (.*)/;

/** The lines of an error log that somebody should look at: [{pid, text}]. */
const complaints = (log) => log.split('\n').flatMap((line) => {
  const found = /\[(?:warn|error|crit|alert|emerg)\] (\d+)#/.exec(line);
  return found ? [{ pid: found[1], text: line }] : [];
});

for (const [name, fault] of Object.entries(FAULTS)) {
  describe(`a ledger ${name}`, () => {
    let gateway;
    let upstream;
    const open = { id: 'open' }; // admitted before, answered during
    const bought = []; // presented during and after: {id, paid, during, after}
    let workers;
    let log;
    let afterwards;

    before(async () => {
      upstream = await startUpstream();
      gateway = await startGateway({
        workers: 2,
        listen: 'reuseport',
        locations: `
          location / { x402_price 0.001; proxy_pass ${upstream.url}; }
          location /once/ { x402_price 0.001; x402_rate 1r/m burst=1; proxy_pass ${upstream.url}; }`,
      });
      if (fault.prepare) {
        await gateway.quit();
        fault.prepare(gateway);
        await gateway.start();
      }
      await warmUp();
      await admitOne();
      await fault.begin(gateway);
      workers = gateway.workers();
      await presentDuring();
      await answerOne();
      log = gateway.errorLog();
      const executed = upstream.calls.map((call) => call.id);
      for (const one of bought) one.executedDuring = executed.includes(one.id);
      await fault.end(gateway);
      await presentAfter();
    });
    after(async () => {
      await gateway?.stop();
      await upstream?.stop();
    });

    const present = ({ id, paid, folder = '' }, query = '') =>
      ask(gateway, `${folder}/x?id=${id}${query}`, { payment: paid });

    /** Both workers have sold before: what is tested is no matter of first opening. */
    async function warmUp() {
      for (let i = 0; i < 8; i++) {
        const paid = await payment(newAccount());
        isPaid(await present({ id: 'warm', paid }), paid);
      }
    }

    async function admitOne() {
      open.paid = await payment(newAccount());
      open.answer = present(open, '&do=hold');
      await waitFor(() => upstream.count('open') === 1, 'the open call');
    }

    async function presentDuring() {
      for (let i = 0; i < PAYMENTS; i++) {
        bought.push({
          id: `call${i}`, paid: await payment(newAccount()), folder: i % 2 ? '/once' : '', during: [],
        });
      }
      for (let tried = 0; tried < TRIES; tried++) {
        const answers = await Promise.all(bought.map((one) => present(one)));
        answers.forEach((got, i) => bought[i].during.push(got));
      }
    }

    /** The open call ends while nothing can be recorded, and that is tried a few times. */
    async function answerOne() {
      upstream.release('open');
      open.got = await open.answer;
      await sleep(1_200);
    }

    async function presentAfter() {
      const begun = Date.now();
      for (const one of bought) {
        one.after = await waitFor(async () => {
          const got = await present(one);
          return got.status !== 503 && got;
        }, 'the ledger to be back', 10_000, 100);
      }
      afterwards = Date.now() - begun;
    }

    test('answers_503_ledger_unavailable_and_when_to_try_again', () => {
      for (const { during } of bought) {
        for (const got of during) {
          const retryAfter = got.headers['retry-after'];
          isProblem(got, { status: 503, code: 'ledger_unavailable', retryAfter });
          assert.match(retryAfter ?? '', /^[1-9]\d?$/);
        }
      }
    });

    test('serves_nothing', () => {
      assert.deepEqual(bought.filter((one) => one.executedDuring), []);
    });

    test('is_named_in_the_log_with_the_cause_once_a_worker_and_not_once_a_request', () => {
      const lines = complaints(log);
      assert.ok(lines.length >= 1);
      for (const { text } of lines) {
        const [, why] = COMPLAINT.exec(text) ?? [];
        assert.ok(why, `another complaint: ${text}`);
        assert.ok(why.includes(gateway.ledger), text);
        assert.match(why, fault.words);
      }
      assert.equal(new Set(lines.map(({ pid }) => pid)).size, lines.length, log);
    });

    test('consumes_nothing_so_that_the_same_payments_buy_their_calls_afterwards', async () => {
      for (const { id, paid, after: got } of bought) {
        isPaid(got, paid);
        assert.equal(upstream.count(id), 1);
      }
    });

    test('is_used_again_within_seconds_by_the_same_workers_when_the_cause_is_gone', () => {
      assert.deepEqual(gateway.workers(), workers);
      assert.ok(afterwards < 7_000, `${afterwards} ms`);
      assert.match(gateway.errorLog(), /payments are recorded again/);
    });

    test('keeps_the_outcome_of_a_call_that_ended_meanwhile', async () => {
      isPaid(open.got, open.paid);
      const row = await waitFor(async () => {
        const [found] = await payments(gateway, '--payer', open.paid.message.from);
        return found.delivery !== 'pending' && found;
      }, 'the outcome');
      assert.deepEqual([row.delivery, row.money, row.attempts], ['delivered', 'due', 1]);
      isUsed(await present(open));
      assert.equal(upstream.count('open'), 1);
    });

    test('has_books_that_balance_with_every_call_served_in_them_once', async () => {
      await gateway.quit();
      await checkBooks(gateway);
      const rows = await payments(gateway);
      assert.deepEqual([...new Set(rows.map(({ delivery, money }) => `${delivery} ${money}`))],
        ['delivered due']);
      assert.equal(rows.length, upstream.count());
    });
  });
}

// --------------------------------------------------------------------- longer than a lease

describe('a ledger that cannot be written for longer than a lease', () => {
  const CALLS = 16;
  let gateway;
  let upstream;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({
      workers: 2, listen: 'reuseport',
      locations: `location / { x402_price 0.001; proxy_pass ${upstream.url}; }`,
    });
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  test('keeps_the_outcomes_of_calls_that_ended_meanwhile_whichever_worker_writes_first', async () => {
    const { whose_queue_is_held: held } = FAULTS;
    const paid = await Promise.all(Array.from({ length: CALLS }, () => payment(newAccount())));
    const answers = paid.map((one) => ask(gateway, '/x?id=open&do=hold', { payment: one }));
    await waitFor(() => upstream.count() === CALLS, 'the calls');
    await held.begin(gateway);
    upstream.release('open');
    (await Promise.all(answers)).forEach((got, i) => isPaid(got, paid[i]));
    gateway.setClock(31);
    await sleep(6_200); // they have given up once, and renew their leases at the next try
    await held.end();
    // Who writes first abandons the other's calls, until that one tells how they ended.
    await waitFor(async () => {
      const rows = await payments(gateway);
      return rows.length === CALLS
        && rows.every(({ delivery, money }) => `${delivery} ${money}` === 'delivered due');
    }, 'every call to be delivered and due', 20_000);
    await checkBooks(gateway);
  });
});

// -------------------------------------------------------------------------- at the start

describe('a damaged ledger', () => {
  let gateway;

  before(async () => {
    gateway = await startGateway({ locations: 'location / { x402_price 0.001; return 204; }' });
    await gateway.quit();
    gateway.allow(/\[emerg\].*ledger/);
  });
  after(() => gateway?.stop());

  test('keeps_nginx_from_starting_and_is_named', async () => {
    damage(gateway);
    await assert.rejects(gateway.start(), (error) => {
      assert.match(error.message, /\[emerg\].*cannot .* ledger/);
      assert.ok(error.message.includes(gateway.ledger));
      assert.match(error.message, FAULTS.that_was_damaged.words);
      return true;
    });
  });

  test('is_not_written_to', () => {
    const head = fs.readFileSync(gateway.ledger).subarray(0, 4096);
    assert.deepEqual(head, Buffer.alloc(4096, 'damage'));
  });
});

// ------------------------------------------------------------------------------- settler

describe('a settler whose ledger is on a full disk', () => {
  test('sends_no_transaction_that_it_cannot_store_and_settles_once_there_is_room', async () => {
    const shop = await openShop();
    const { on_a_full_disk: full } = FAULTS;
    try {
      await shop.gateway.quit();
      full.prepare(shop.gateway);
      await shop.gateway.start();
      const { paid } = await shop.sell();
      const proxy = await shop.nodeProxy();
      full.begin(shop.gateway);
      const settler = shop.runSettler({ node: proxy });
      await waitFor(() => /disk is full/.test(settler.log()), 'the complaint');
      await sleep(3_000);
      assert.deepEqual(proxy.sent, []);
      assert.ok(settler.isRunning());
      full.end(shop.gateway);
      await shop.moneyIs(paid, 'settled');
      assert.equal(await shop.transactionCount(), 1);
      assert.equal(await shop.chain.balance(shop.payee), PRICE);
      await shop.checkBooks();
    } finally {
      await shop.close();
    }
  });
});
