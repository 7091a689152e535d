// A settler whose node fails in every way a node can: each fault alone, on each question the
// settler asks, and all of them at random. In the end chain and ledger agree to the unit,
// nobody paid twice, nothing is forgotten, and no transaction was sent for nothing.
//
//   X402_ALL=1        every fault on every question, and more seeds; otherwise a sample
//   X402_SEED=N       the sample of this seed, and its sequence alone
//   X402_CASE=a.b     only the fault a on the question b

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cancel, useElsewhere } from './lib/elsewhere.mjs';
import { Lanes } from './lib/lanes.mjs';
import { FAULTS, Faults, exemption } from './lib/node-faults.mjs';
import { sleep } from './lib/process.mjs';
import { randomNumbers, seedOfRun, shuffled } from './lib/random.mjs';
import { SAFE_DEPTH, openShop } from './lib/shop.mjs';
import { Till } from './lib/till.mjs';

const SEED = seedOfRun();
const ALL = process.env.X402_ALL === '1';
const LANES = 6; // shops at work at once: a settler mostly waits
const SAMPLE = 48;
const SEQUENCES = process.env.X402_SEED ? 1 : ALL ? 48 : 6;
const RANDOM_MILLISECONDS = 12_000;

// Every question the settler asks; the last one of what was used by somebody else.
const METHODS = [
  'eth_chainId', 'eth_getBlockByNumber', 'eth_getTransactionCount', 'eth_getBalance',
  'eth_feeHistory', 'eth_getCode', 'eth_call', 'eth_sendRawTransaction',
  'eth_getTransactionReceipt', 'eth_getLogs',
];

/**
 * How often a fault befalls a question: so that a pass fails, and the next one where the
 * question is asked once in a pass. After each the settler waits twice as long.
 */
function countOf(fault, method) {
  if (fault === 'hang') return 1; // ten seconds
  if (fault === 'stale' && method === 'eth_sendRawTransaction') return 2; // fifteen each
  if (fault === 'reset') return 4; // such a connection is tried a second time at once
  const together = ['eth_call', 'eth_sendRawTransaction', 'eth_getTransactionReceipt'];
  return together.includes(method) ? 3 : 2;
}

const LIES = ['stale eth_call', 'behind eth_call'];

let opened = 0;

/**
 * A shop with a node that fails as it is told. Every other one settles in batches, which
 * wait for one second.
 */
class Lane {
  async open() {
    this.shop = await openShop({ contract: opened++ % 2 === 0 });
    this.till = new Till(this.shop);
    this.faults = new Faults();
    this.node = await this.shop.nodeProxy(this.faults.rule);
    this.lies = 0;
    this.races = 0;
    return this;
  }

  /** The node is well again; gives what has befallen it. */
  heal() {
    const { fired } = this.faults;
    this.lies += fired.filter((one) => LIES.includes(one)).length;
    this.faults.clear();
    return fired;
  }

  /**
   * All is paid once, and final. A simulation on an old state lets through what was used up
   * since: one such lie, one transaction in vain; and so may a race that was lost.
   */
  isSquare() {
    return this.till.isSquare({ money: ['final'], wasted: this.lies + this.races });
  }

  close() {
    return this.shop.close();
  }

  startSettler() {
    return this.shop.runSettler({ node: this.node, args: ['--batch-age', '1'] });
  }

  /** Runs a settler on the node until a test holds. */
  async settle(until) {
    const settler = this.startSettler();
    await until();
    await settler.stop();
  }

  /** Two of one payer, a dear one, one that somebody else shall use, one to be cancelled. */
  async sellAll(message) {
    const { till } = this;
    const [a, b, c, canceller] = [
      await till.newPayer(), await till.newPayer(), await till.newPayer(), await till.newPayer(),
    ];
    const [, , [elsewhere], [cancelled]] = await Promise.all([
      till.sell(a, ['/api/x', '/cheap/x'], message), till.sell(b, ['/dear/x'], message),
      till.sell(c, ['/api/x'], message), till.sell(canceller, ['/api/x'], message),
    ]);
    return { elsewhere, canceller, cancelled };
  }

  /** One of each, used and cancelled before a settler sees them. */
  async sell(message) {
    const { till, shop: { chain } } = this;
    const { elsewhere, canceller, cancelled } = await this.sellAll(message);
    await useElsewhere(chain, elsewhere);
    await cancel(chain, canceller, cancelled);
    till.fails(cancelled, /^canceled/);
  }

  /**
   * The same while a settler runs: who is first wins, and the other's transaction is in vain,
   * theirs or one of ours.
   */
  async sellInARace() {
    const { till, shop: { chain } } = this;
    const { elsewhere, canceller, cancelled } = await this.sellAll();
    const won = (race) => race.then(() => true, (lost) => {
      assert.equal(lost.actual, '0x0', lost.message); // the status of a receipt
      return false;
    });
    await won(useElsewhere(chain, elsewhere));
    if (await won(cancel(chain, canceller, cancelled))) till.fails(cancelled, /^canceled/);
    this.races += 2;
  }

  /** Settles all there is while the node fails as `steps` say; then makes it final, likewise. */
  async settleThrough(...steps) {
    const { faults, till, shop } = this;
    steps.forEach((step) => faults.add(step));
    await this.settle(() => till.collected());
    const fired = this.heal();
    await shop.chain.mine(SAFE_DEPTH);
    steps.filter(({ fault }) => fault !== 'hang').forEach((step) => faults.add(step));
    await this.settle(() => till.closed());
    this.heal();
    return fired;
  }
}

const lanes = new Lanes(() => new Lane().open());
before(() => lanes.open(LANES));
after(() => lanes.close());

test('the_settler_asks_these_questions_and_no_others', () => lanes.with(async (lane) => {
  await lane.sell();
  await lane.settleThrough();
  const asked = new Set(lane.node.calls.map(({ method }) => method));
  assert.deepEqual([...asked].sort(), [...METHODS].sort());
  await lane.isSquare();
}));

// ------------------------------------------------------------------------- each one alone

/** All the cases there are, or a sample in which every fault and every question is. */
function cases() {
  const all = FAULTS.flatMap((fault) => METHODS.map((method) => ({ fault, method })))
    .filter(({ fault, method }) => exemption(fault, method) === undefined);
  if (process.env.X402_CASE) {
    return all.filter(({ fault, method }) => `${fault}.${method}` === process.env.X402_CASE);
  }
  return ALL ? all : sampleOf(shuffled(all, randomNumbers(SEED)));
}

function sampleOf(order) {
  const seen = new Set();
  const isNews = ({ fault, method }) => {
    const news = !seen.has(fault) || !seen.has(method) || method === 'eth_sendRawTransaction';
    seen.add(fault).add(method);
    return news;
  };
  const first = order.filter(isNews);
  const rest = order.filter((one) => !first.includes(one));
  return [...first, ...rest].slice(0, Math.max(SAMPLE, first.length));
}

describe(`a fault of the node (X402_SEED=${SEED})`, { concurrency: LANES }, () => {
  for (const { fault, method } of cases()) {
    test(`${fault}.${method}_costs_nobody_anything`, () => lanes.with(async (lane) => {
      await lane.sell();
      const fired = await lane.settleThrough({ fault, method, count: countOf(fault, method) });
      assert.ok(fired.length > 0, 'it did not happen');
      await lane.isSquare();
    }));
  }
});

// ----------------------------------------------------------------------------- at random

// A hang is waited for so long that it has its tests above, alone.
const QUICK = FAULTS.filter((fault) => fault !== 'hang');

describe('faults at random', { concurrency: LANES }, () => {
  for (let i = 0; i < SEQUENCES; i++) {
    const seed = SEED + i;
    test(`lose_nothing_with_X402_SEED=${seed}`, () => lanes.with(async (lane) => {
      const settler = lane.startSettler();
      lane.faults.atRandom(seed, { every: 6, list: QUICK });
      const random = randomNumbers(seed);
      const end = Date.now() + RANDOM_MILLISECONDS;
      while (Date.now() < end) {
        await lane.sellInARace();
        await sleep(500 + random(3000));
        if (random(3) === 0) await lane.shop.chain.mine(1 + random(20));
      }
      lane.heal();
      await lane.till.collected();
      await lane.shop.chain.mine(SAFE_DEPTH);
      await lane.till.closed();
      await settler.stop();
      await lane.isSquare();
    }));
  }
});
