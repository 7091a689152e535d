// What this is to reach, and whether this run did: every number is from the run.
import { figure, median } from './lib/statistics.mjs';
import { digits, spread, table } from './lib/table.mjs';

/** The figures by case and connections; undefined where the run has no such case. */
function reader(results) {
  return (key, connections, name = 'cpu_us') => results
    .find((one) => one.key === key && one.connections === connections)?.[name].median;
}

const atMost = (limit) => ({ words: `at most ${limit.text}`, met: (value) => value <= limit.value });
const atLeast = (limit) => ({ words: `at least ${limit.text}`, met: (value) => value >= limit.value });
const times = (value) => ({ value, text: `${value} x` });

/** One row, which counts only when the run has a value; `words` says the value. */
const row = (name, target, value, words) => ({ figure: name, target, value, words });

/** How one figure of a turn compares with another, turn after turn. */
const ratioOf = (turns, one, other) => figure(turns.map((turn) => one(turn) / other(turn)));

function paidRows({ at, turns, floor }, key, ledger) {
  const quickest = at('plain', 1, 'p50_us') + floor.recovery_us.median + floor.append_p50_us.median;
  const p50 = at(key, 1, 'p50_us');
  const cpu = ratioOf(turns, (turn) => turn[key], (turn) => turn.plain + turn.recovery);
  return [
    row(`paid call, ${ledger}: CPU, against plain proxying + recovery`, atMost(times(1.2)), cpu.median,
      () => `${spread(cpu, 2)} x: ${digits(median(turns.map((turn) => turn[key])))} us`),
    row(`paid call, ${ledger}: p50 at one connection, against proxying + recovery + append`,
      atMost({ value: 60, text: '60 us more' }), p50 - quickest,
      (more) => `${digits(Math.abs(more))} us ${more < 0 ? 'less' : 'more'} (${digits(p50)} us, ${digits(quickest)} us)`),
  ];
}

const dearer = (name, limit, ratio, words) => (
  row(`paid call: CPU, against ${name}`, atLeast({ value: limit, text: `${limit} x less` }), ratio, words));

const cheaper = (at, key, name) => (
  row(`${name}: CPU, against a paid call`, { words: 'less', met: (ratio) => ratio < 1 },
    at(key, 32) / at('paid', 32), (ratio) => `${digits(ratio, 2)} x (${digits(at(key, 32))} us)`));

/** The targets that this run has the figures for: {figure, target, value, measured, met}. */
export function targets({ results, floor, pairs, memory }) {
  const at = reader(results);
  const { turns = [] } = pairs;
  const run = { at, turns, floor };
  const minimal = ratioOf(turns, (turn) => turn.minimal, (turn) => turn.paid);
  const big = ratioOf(turns, (turn) => turn.big, (turn) => turn.paid);
  const rows = [
    ...paidRows(run, 'paid', 'empty ledger'),
    ...paidRows(run, 'big', 'big ledger'),
    ...paidRows(run, 'strangers', 'empty ledger, new payers'),
    dearer('@x402/hono on Node', 30, at('reference', 32) / at('paid', 32), (ratio) => `${digits(ratio, 1)} x less`),
    dearer('a minimal Node handler', 2.8, minimal.median, () => `${spread(minimal, 2)} x less`),
    row('402 answer: rate, against nginx\'s return 402', atLeast(times(0.9)), pairs.offer?.median, () => `${spread(pairs.offer, 2)} x`),
    row('free location: CPU, against plain proxying', atMost(times(1.05)), pairs.free?.median, () => `${spread(pairs.free, 2)} x`),
    cheaper(at, 'forged', 'bad signature'),
    cheaper(at, 'malformed', 'malformed'),
    cheaper(at, 'replayed', 'replayed'),
    row('paid call, big ledger: CPU, against an empty one', atMost(times(1.1)), big.median, () => `${spread(big, 2)} x`),
    row('resident memory, a million live authorizations', atMost({ value: 64, text: '64 MB' }),
      memory?.megabytes_per_million, (megabytes) => `${digits(megabytes, 1)} MB`),
  ];
  return rows.filter(({ value }) => Number.isFinite(value)).map(({ figure, target, value, words }) => (
    { figure, target: target.words, value, measured: words(value), met: target.met(value) }));
}

export function printTargets(rows) {
  table(['figure (CPU and rates at 32 connections)', 'target', 'measured', 'result'],
    rows.map((one) => [one.figure, one.target, one.measured, one.met ? 'met' : 'NOT MET']), [0, 1, 2, 3]);
}
