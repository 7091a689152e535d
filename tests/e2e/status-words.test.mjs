// The words and numbers of the status page, which need no browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bucketsOf, currencies, decimalsOf, formatAge, formatAmount, formatDuration, formatHeadline,
  formatWeis, hasSold, logPosition, niceMaximum, payCommand, safeLink, shellWord, sortTokens,
} from '../../web/status-words.js';

const spaced = (text) => text.replaceAll('\u00a0', ' ');

const token = (overrides) => ({
  network: 'eip155:84532', name: 'base-sepolia', asset: '0x1', symbol: 'USDC', decimals: 6,
  test: true, calls: 0, revenue: '0', shadow: { count: 0, value: '0' }, ...overrides,
});

test('an_amount_keeps_every_unit_however_large', () => {
  assert.equal(formatAmount('18446744073709551615', 6), '18,446,744,073,709.551615');
  assert.equal(formatAmount('500', 6), '0.0005');
  assert.equal(formatAmount('0', 6), '0.00');
  assert.equal(formatAmount('1230000', 6), '1.23');
  assert.equal(formatAmount('7', 0), '7');
});

test('a_headline_is_never_more_than_was_earned', () => {
  assert.equal(formatHeadline('1999999', 6), '1.99');
  assert.equal(formatHeadline('12999', 6), '0.0129');
  assert.equal(formatHeadline('1', 6), '0.000001', 'and never nothing of something');
});

test('amounts_of_a_column_have_their_points_in_one_line', () => {
  assert.equal(decimalsOf(['1230000', '500', '0'], 6), 4);
  assert.deepEqual(formatWeis(['84000000000000', '126000000000000', '0', null], 'eip155:8453').map(spaced),
    ['0.0000840 ETH', '0.0001260 ETH', '0', '–']);
  assert.deepEqual(formatWeis(['1000000000000000000'], 'eip155:137').map(spaced), ['1.00 POL']);
});

test('durations_have_three_digits_and_their_unit', () => {
  const shown = [41, 999, 1000, 182_400, 999_600, 4_200_000, 61_000_000].map((n) => spaced(formatDuration(n)));
  assert.deepEqual(shown, ['41 µs', '999 µs', '1 ms', '182 ms', '1 s', '4.2 s', '1 min']);
  assert.equal(formatDuration(null), '–');
  assert.deepEqual([0, 59, 3599, 7500, 90_000].map((n) => spaced(formatAge(n))), ['0 s', '59 s', '59 min', '2 h 5 min', '1 d 1 h']);
});

test('test_money_is_added_to_no_other', () => {
  const tokens = [
    token({ revenue: '5000000' }),
    token({ network: 'eip155:8453', test: false, revenue: '1' }),
    token({ network: 'eip155:137', test: false, revenue: '2' }),
  ];
  const sums = currencies(tokens).map(({ test: isTest, revenue }) => [isTest, revenue]);
  assert.deepEqual(sums, [[false, 3n], [true, 5000000n]]);
  assert.equal(sortTokens(tokens)[0].test, false, 'real money first');
});

test('hours_add_up_to_buckets_and_lose_none', () => {
  const hours = { first: 10, calls: [1, 2, 3, 4, 5], revenue: ['1', '2', '3', '4', '5'], shadow: ['0', '0', '1', '0', '0'] };
  const buckets = bucketsOf(hours, 2);
  assert.deepEqual(buckets.map(({ calls, revenue, shadow }) => [calls, revenue, shadow]), [[3, 3n, 0n], [7, 7n, 1n], [5, 5n, 0n]]);
  assert.deepEqual([buckets[0].from, buckets[2].from, buckets[2].to], [36_000, 50_400, 54_000]);
});

test('an_axis_ends_at_a_round_number_not_below_the_highest_bar', () => {
  for (const value of [0, 1, 2, 3, 33, 399, 401, 65_432, 1e12]) {
    const most = niceMaximum(value);
    assert.ok(most >= value && most <= Math.max(2, value * 2.5), `${value}: ${most}`);
  }
  assert.equal(niceMaximum(33), 40);
});

test('the_scale_of_durations_is_bounded', () => {
  assert.deepEqual([0, 10, 1e8, 1e12].map(logPosition), [0, 0, 100, 100]);
});

test('a_command_says_what_the_shell_will_take_as_it_is', () => {
  assert.equal(shellWord('http://h/a-b_c?d'), "'http://h/a-b_c?d'");
  assert.equal(shellWord("it's; rm"), "'it'\\''s; rm'");
  assert.equal(payCommand({ price: '0.001' }, 'http://h/a'), 'x402 pay http://h/a --key wallet.key');
  assert.equal(payCommand({ price: '0.25' }, 'http://h/a'), 'x402 pay http://h/a --key wallet.key --max 0.25');
});

test('only_links_that_may_be_followed_are_links', () => {
  assert.equal(safeLink('https://sepolia.basescan.org/tx/0x1'), 'https://sepolia.basescan.org/tx/0x1');
  assert.equal(safeLink('/x402/receipts/a'), '/x402/receipts/a');
  for (const link of ['javascript:alert(1)', '//elsewhere/x', '/\\elsewhere/x', '', 'data:text/html,x', undefined]) assert.equal(safeLink(link), null);
});

test('what_was_only_asked_for_is_not_sold', () => {
  assert.equal(hasSold({ tokens: [] }), false);
  assert.equal(hasSold({ tokens: [token({ calls: 1 })] }), true);
  assert.equal(hasSold({ tokens: [token({ shadow: { count: 1, value: '1' } })] }), true);
});
