// A minute of mixed traffic with reloads, kills and faults of the node (`make soak` is the
// long form), and that what is held against it can fail.
//
//   X402_SEED=N   the same calls and events again, as far as time allows

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultOf } from '../soak/accounts.mjs';
import { checkAll, checks } from '../soak/checks.mjs';
import { runSoak } from '../soak/run.mjs';
import { seedOfRun } from './lib/random.mjs';

const SEED = seedOfRun();
const SECONDS = Number(process.env.SOAK_SECONDS ?? 60);
const RATE = 60;

test(`a_minute_of_everything_leaves_nothing_grown_and_all_accounts_square_with_X402_SEED=${SEED}`, async (context) => {
  const { text, faults } = await runSoak({ seconds: SECONDS, rate: RATE, seed: SEED });
  context.diagnostic(text);
  assert.deepEqual(faults, []);
});

const MEGABYTE = 1024 * 1024;

/** What a soak in order measures; `change` makes it one that is not. */
function figures(change = () => {}) {
  const rest = (name, i) => ({
    name, answers: new Map([[11, 1000 * i], [12, 1000 * i]]),
    master: { pid: 1, anonymous: 2 * MEGABYTE, descriptors: 12 },
    workers: [11, 12].map((pid) => ({ pid, anonymous: 8 * MEGABYTE, descriptors: 23 })),
    settler: { pid: 20, anonymous: 6 * MEGABYTE, descriptors: 25 },
    ledger: { bytes: 500_000 * (i + 1), payments: 1000 * (i + 1), files: {} },
  });
  const all = {
    rests: ['warming up', 'rough', 'level', 'steady', 'rough again'].map(rest),
    most: { log: 4 * MEGABYTE, worker: 10 * MEGABYTE }, reloads: 4,
  };
  change(all);
  return all;
}

describe('what was measured is in order', () => {
  test('where_nothing_grew', () => assert.deepEqual(checkAll(figures()), []));

  const isFound = (check, name, change) => test(`but_not_${name}`, () => {
    const found = Object.keys(checks).filter((each) => checks[each](figures(change)).length);
    assert.deepEqual(found, [check]);
  });

  isFound('memory', 'where_a_worker_loses_four_kilobytes_a_call', ({ rests }) => {
    rests[3].workers[0].anonymous += 1000 * 4096;
  });
  isFound('memory', 'where_a_worker_that_was_full_loses_half_a_kilobyte_a_call', ({ rests }) => {
    rests[2].workers[0].anonymous = 11 * MEGABYTE;
    rests[3].workers[0].anonymous = 11 * MEGABYTE + 1000 * 512;
  });
  isFound('memory', 'where_the_settler_loses_eight_kilobytes_a_payment', ({ rests }) => {
    rests[3].settler.anonymous += 1000 * 8192;
  });
  isFound('largest', 'where_a_worker_of_the_rough_part_grew_beyond_its_caches', ({ most }) => {
    most.worker = 20 * MEGABYTE;
  });
  isFound('reloads', 'where_the_master_loses_a_configuration_a_reload', ({ rests }) => {
    rests[4].master.anonymous += 4 * 200 * 1024;
  });
  isFound('descriptors', 'where_workers_keep_some', ({ rests }) => {
    rests[4].workers[1].descriptors += 5;
  });
  isFound('descriptors', 'where_the_master_keeps_one', ({ rests }) => {
    rests[4].master.descriptors += 1;
  });
  isFound('descriptors', 'where_the_settler_keeps_some_and_is_replaced', ({ rests }) => {
    rests[3].settler.descriptors += 9;
  });
  isFound('ledger', 'where_payments_of_the_second_half_take_more', ({ rests }) => {
    rests[4].ledger.bytes += 2 * 150_000;
  });
  isFound('log', 'where_the_log_is_never_begun_anew', ({ most }) => {
    most.log = 13 * MEGABYTE;
  });
  isFound('survivors', 'where_nothing_lived_long_enough_to_tell', ({ rests }) => {
    rests[3].workers[1].pid = 13;
  });
});

const WORKER = 11;
const seen = (fields) => ({ status: 200, whole: true, left: false, from: 1000, to: 1010, worker: WORKER, ...fields });
const cutOff = seen({ status: 0, whole: false });
const final = { delivery: 'delivered', money: 'final', attempts: 1 };
const released = { delivery: 'void', money: 'released', attempts: 1 };

describe('an account', () => {
  const is = (name, what, fault) => test(name, () => {
    const found = faultOf({ executed: 1, killed: [], ...what, sale: { presented: what.presented } });
    if (fault === undefined) assert.equal(found, undefined);
    else assert.match(found, fault);
  });

  is('is_square_where_what_was_served_is_charged', { presented: [seen()], row: final });
  is('is_square_where_what_was_not_served_is_not_charged', { presented: [cutOff], row: released });
  is('is_square_where_a_caller_left_in_the_midst', {
    presented: [seen({ whole: false, left: true })], row: final,
  });
  is('is_square_where_a_kill_took_the_outcome', {
    presented: [seen()], row: { ...released, delivery: 'abandoned' }, killed: [{ pid: WORKER, at: 1012 }],
  });
  is('is_not_where_nobody_killed_the_worker', {
    presented: [seen()], row: { ...released, delivery: 'abandoned' }, killed: [{ pid: 12, at: 1012 }],
  }, /served and not charged: abandoned/);
  is('is_not_where_the_kill_came_long_after', {
    presented: [seen()], row: released, killed: [{ pid: WORKER, at: 9000 }],
  }, /served and not charged/);
  is('is_not_where_the_ledger_does_not_know_it', { presented: [seen()] }, /not in the ledger/);
  is('is_not_where_goods_were_handed_out_twice', { presented: [seen(), seen()], row: final }, /served 2 times/);
  is('is_not_where_the_call_was_charged_and_cut_off', { presented: [cutOff], row: final }, /charged and not served/);
  is('is_not_where_the_call_was_charged_and_failed', {
    presented: [seen({ status: 500 })], row: final,
  }, /charged and not served/);
  is('is_not_where_the_upstream_was_reached_unadmitted', {
    presented: [seen()], row: final, executed: 2,
  }, /executed 2 times in 1 attempts/);
  is('is_not_where_the_money_is_still_under_way', {
    presented: [seen()], row: { ...final, money: 'due' },
  }, /its money is due/);
});
