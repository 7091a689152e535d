// What this is to reach, and whether this run did: every number is from the run.
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
const row = (figure, target, value, words) => ({ figure, target, value, words });

function paidRows(at, floor, key, ledger) {
  const least = at('plain', 32) + floor.recovery_us.median;
  const quickest = at('plain', 1, 'p50_us') + floor.recovery_us.median + floor.append_p50_us.median;
  const cpu = at(key, 32);
  const p50 = at(key, 1, 'p50_us');
  return [
    row(`paid call, ${ledger}: CPU, against plain proxying + recovery`, atMost(times(1.2)), cpu / least,
      (ratio) => `${digits(ratio, 2)} x (${digits(cpu)} us, ${digits(least)} us)`),
    row(`paid call, ${ledger}: p50 at one connection, against proxying + recovery + append`,
      atMost({ value: 60, text: '60 us more' }), p50 - quickest,
      (more) => `${digits(Math.abs(more))} us ${more < 0 ? 'less' : 'more'} (${digits(p50)} us, ${digits(quickest)} us)`),
  ];
}

const dearer = (at, key, name, limit) => (
  row(`paid call: CPU, against ${name}`, atLeast({ value: limit, text: `${limit} x less` }),
    at(key, 32) / at('paid', 32), (ratio) => `${digits(ratio, 1)} x less (${digits(at(key, 32))} us)`));

const cheaper = (at, key, name) => (
  row(`${name}: CPU, against a paid call`, { words: 'less', met: (ratio) => ratio < 1 },
    at(key, 32) / at('paid', 32), (ratio) => `${digits(ratio, 2)} x (${digits(at(key, 32))} us)`));

const ratioInWords = (ratio) => `${digits(ratio, 2)} x`;

/** The targets that this run has the figures for: {figure, target, value, measured, met}. */
export function targets({ results, floor, pairs, memory }) {
  const at = reader(results);
  const rows = [
    ...paidRows(at, floor, 'paid', 'empty ledger'),
    ...paidRows(at, floor, 'big', 'big ledger'),
    ...paidRows(at, floor, 'strangers', 'empty ledger, new payers'),
    dearer(at, 'reference', '@x402/hono on Node', 30),
    dearer(at, 'minimal', 'a minimal Node handler', 2.8),
    row('402 answer: rate, against nginx\'s return 402', atLeast(times(0.9)), pairs.offer?.median, () => `${spread(pairs.offer, 2)} x`),
    row('free location: CPU, against plain proxying', atMost(times(1.05)), pairs.free?.median, () => `${spread(pairs.free, 2)} x`),
    cheaper(at, 'forged', 'bad signature'),
    cheaper(at, 'malformed', 'malformed'),
    cheaper(at, 'replayed', 'replayed'),
    row('paid call, big ledger: CPU, against an empty one', atMost(times(1.1)),
      at('big', 32) / at('paid', 32), ratioInWords),
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
