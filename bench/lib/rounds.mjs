// Rounds: every case once in each, in turn, beginning with another one every time, so that
// whatever the machine does meanwhile, it does to all.
import { settings } from './settings.mjs';
import { figure, sumCounts } from './statistics.mjs';
import { floor } from './floor.mjs';
import { load } from './load.mjs';
import { Purse } from './payments.mjs';
import { progress } from './table.mjs';
import { startGateway } from './servers.mjs';

const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length]);

/** A gateway with a new ledger, in which what will be replayed has been sold, and to which all
 * payers but strangers have come some times before. */
async function newGateway(upstream, purse) {
  const gateway = await startGateway(upstream);
  load(gateway, '/', 32, { ...purse.take('replayed'), again: false }, 60);
  return gateway;
}

function summary(one, connections, runs) {
  const all = (key) => figure(runs.map((run) => run[key]));
  const statuses = sumCounts(runs.map((run) => run.statuses));
  const { [one.expect]: expected = 0, ...others } = statuses;
  return {
    key: one.key, case: one.name, connections, cpu_us: all('cpu_us'), rate: all('rate'),
    p50_us: all('p50_us'), p99_us: all('p99_us'), expected, unexpected: others,
    generator_limited: runs.some((run) => run.generator_limited),
  };
}

/** All cases at one number of connections; the floor's figures go to `floors`. */
async function measure(connections, cases, standing, floors) {
  const runs = new Map(cases.map((one) => [one, []]));
  const purse = new Purse(connections);
  for (let round = 0; round < settings.rounds; round++) {
    const gateway = await newGateway(standing.upstream, purse);
    const servers = { ...standing, gateway };
    floors.push(floor());
    for (const one of rotated(cases, round)) {
      progress(`${connections} connections, round ${round + 1} of ${settings.rounds}: ${one.name}`);
      const payments = one.payments && purse.take(one.payments);
      runs.get(one).push(load(servers[one.server], one.path, connections, payments));
    }
    await gateway.stop();
    purse.renew();
  }
  purse.drop();
  return [...runs].map(([one, list]) => summary(one, connections, list));
}

/** {results, floor}: a summary of each case at each number of connections. */
export async function rounds(cases, standing) {
  const floors = [];
  const results = [];
  for (const connections of settings.connections) {
    results.push(...await measure(connections, cases, standing, floors));
  }
  const names = Object.keys(floors[0]);
  return { results, floor: Object.fromEntries(names.map((name) => [name, figure(floors.map((f) => f[name]))])) };
}

/** How a figure of the first compares with that of the second: the ratio, pair after pair. */
export function pairs(name, figureOf, first, second) {
  const run = ({ server, path }) => load(server, path, 32)[figureOf];
  const ratios = [];
  for (let i = 0; i < settings.pairs; i++) {
    progress(`${name}, pair ${i + 1} of ${settings.pairs}`);
    if (i % 2 === 0) {
      const figureOfFirst = run(first);
      ratios.push(figureOfFirst / run(second));
    } else {
      const figureOfSecond = run(second);
      ratios.push(run(first) / figureOfSecond);
    }
  }
  return figure(ratios);
}
