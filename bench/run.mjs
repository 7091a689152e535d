// make bench: what a call costs, beside what it would cost otherwise, in one run and
// interleaved. CPU microseconds a request of the server's processes is the main figure: it
// is steadier than a rate on a shared machine. Nothing here asserts.
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { BUILD } from '../tests/e2e/lib/process.mjs';
import { CASES } from './cases.mjs';
import { filled } from './lib/ledgers.mjs';
import { load } from './lib/load.mjs';
import { Purse } from './lib/payments.mjs';
import { pairs, rounds, turns } from './lib/rounds.mjs';
import { startGateway, startNode, startPlain, startUpstream } from './lib/servers.mjs';
import { settings } from './lib/settings.mjs';
import { digits, progress, spread, table } from './lib/table.mjs';
import { memory } from './memory.mjs';
import { page } from './page.mjs';
import { settlement } from './settlement.mjs';
import { printTargets, targets } from './targets.mjs';

/** The size of the gateway's 402 body, which nginx's own is to have too. */
async function offerSize(upstream) {
  const gateway = await startGateway(upstream);
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/`);
  const { length } = await answer.text();
  await gateway.stop();
  return length;
}

/** Before anything counts: Node compiles what is used often, the gateway gets to know payers. */
function warmUp(server) {
  const purse = new Purse(1);
  load(server, '/', 32, purse.take('v2'), 3);
  purse.drop();
}

/** The servers that stand all the run; the gateway with an empty ledger is made each round. */
async function startStanding(cases, bigLedger) {
  const wanted = (name) => cases.some(({ server }) => server === name);
  const upstream = await startUpstream();
  const standing = { upstream, plain: await startPlain(upstream, await offerSize(upstream)) };
  if (wanted('big')) {
    standing.big = await startGateway(upstream, bigLedger);
    warmUp(standing.big);
  }
  const nodes = { minimal: ['minimal', upstream], alone: ['minimal'], reference: ['reference', upstream] };
  for (const name of Object.keys(nodes).filter(wanted)) {
    standing[name] = await startNode(...nodes[name]);
    warmUp(standing[name]);
  }
  return standing;
}

function printResults(results) {
  const remarks = (one) => [
    one.generator_limited ? 'the generator is at its limit' : '',
    ...Object.entries(one.unexpected).map(([status, count]) => `${count} answers are ${status}`),
  ].filter(Boolean).join('; ');
  table(['case', 'connections', 'CPU us', 'rate/s', 'p50 us', 'p99 us', 'remarks'], results.map((one) => [
    one.case, String(one.connections), spread(one.cpu_us), digits(one.rate.median),
    digits(one.p50_us.median), digits(one.p99_us.median), remarks(one)]), [0, 6]);
}

function printFloor(floor) {
  table(['floor, each part alone', 'us'], [
    ['libsecp256k1 recovery', 'recovery_us'], ['verification, of a new payer', 'verify_us'],
    ['of a known one', 'verify_known_us'], ['of eight new ones together, each', 'verify_eight_us'],
    ['of eight known ones together, each', 'verify_known_eight_us'],
    ['x402_payment_decode, v2', 'decode_v2_us'], ['x402_payment_decode, v1', 'decode_v1_us'],
    ['x402_payment_decode, flat', 'decode_flat_us'], ['durable append of 4 KiB, p50', 'append_p50_us'],
  ].map(([name, key]) => [name, spread(floor[key])]));
}

async function closely(cases, standing) {
  const gateway = await startGateway(standing.upstream);
  const beside = (path) => ({ server: gateway, path });
  const plain = (path) => ({ server: standing.plain, path });
  const result = {
    free: pairs('free location and plain proxying', 'cpu_us', beside('/free'), plain('/')),
    offer: pairs('402 answer and return 402', 'rate', beside('/'), plain('/402')),
    turns: await turns(cases, standing),
  };
  await gateway.stop();
  return result;
}

function machine() {
  const [{ model }] = os.cpus();
  return { cores: os.availableParallelism(), model, load_before: os.loadavg()[0] };
}

/** What the figures depend on. */
function printCircumstances({ cores, model, load_before: load }, seconds) {
  const s = settings;
  console.log(`\n${cores} cores of ${model}, load ${digits(load, 1)} before; ${s.workers} workers, `
    + `${s.rounds} rounds of ${s.seconds} s, ${s.pairs} pairs, ${digits(s.rows)} payments in the big ledger; `
    + `took ${digits(seconds)} s${s.quick ? '; a quick look, not figures to go by' : ''}`);
  if (load > 1) console.log('others use the machine: rates and latencies, an append\'s too, are mostly theirs');
}

/** All figures of a run, printed as they come. */
async function measure() {
  const { rows, live, settle } = settings;
  const cases = CASES.filter((one) => settings.cases.test(one.name) && (one.server !== 'big' || rows > 0));
  const bigLedger = rows > 0 ? filled(rows) : null;
  const standing = await startStanding(cases, bigLedger);

  const measured = await rounds(cases, standing);
  printResults(measured.results);
  printFloor(measured.floor);
  measured.pairs = settings.pairs > 0 ? await closely(cases, standing) : {};
  measured.memory = live > 0 ? await memory(live, standing.upstream, filled(live, { live: true })) : null;
  for (const server of Object.values(standing)) await server.stop();
  measured.page = rows > 0 ? await page(rows, bigLedger) : null;
  measured.settlement = settle > 0 ? await settlement(settle) : [];
  return measured;
}

async function main() {
  const started = Date.now();
  const where = machine();
  const measured = await measure();
  const reached = targets(measured);
  printTargets(reached);
  printCircumstances(where, (Date.now() - started) / 1000);
  const file = join(BUILD, 'bench.json');
  writeFileSync(file, JSON.stringify({
    machine: where, settings: { ...settings, cases: settings.cases.source }, ...measured, targets: reached,
  }, null, 1));
  console.log(`written to ${file}`);
}

await main();
