// Rounds: every case once in each, in turn, beginning with another one every time, so that
// whatever the machine does meanwhile, it does to all.
import { settings } from './settings.mjs';
import { figure, sumCounts } from './statistics.mjs';
import { floor } from './floor.mjs';
import { load } from './load.mjs';
import { Purse } from './payments.mjs';
import { progress } from './table.mjs';
import { startGateway } from './servers.mjs';

const IN_TURN = ['plain', 'paid', 'strangers', 'big', 'minimal']; // what is compared closely

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

/** The CPU microseconds of each case of one turn; null where an answer was not what it should be. */
function turn(cases, servers, purse) {
  const cpu = { recovery: floor().recovery_us };
  for (const one of cases) {
    const payments = one.payments && purse.take(one.payments);
    const { statuses, cpu_us: spent } = load(servers[one.server], one.path, 32, payments);
    if (Object.keys(statuses).some((status) => Number(status) !== one.expect)) return null;
    cpu[one.key] = spent;
  }
  return cpu;
}

/**
 * What is sold, at 32 connections, turn after turn: each has a new ledger, its own look at what the
 * recovery takes, and begins with another case. Gives the CPU microseconds of each turn:
 * {plain, recovery, paid, strangers, big, minimal}.
 */
export async function turns(cases, standing) {
  const compared = cases.filter(({ key }) => IN_TURN.includes(key));
  const purse = new Purse(32);
  const list = [];
  for (let i = 0; i < settings.pairs; i++) {
    progress(`paid calls and the floor, turn ${i + 1} of ${settings.pairs}`);
    const gateway = await newGateway(standing.upstream, purse);
    list.push(turn(rotated(compared, i), { ...standing, gateway }, purse));
    await gateway.stop();
    purse.renew();
  }
  purse.drop();
  const good = list.filter(Boolean);
  if (good.length < list.length) console.log(`${list.length - good.length} turns had wrong answers, and do not count`);
  return good;
}
