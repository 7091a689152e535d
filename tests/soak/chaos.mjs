// What happens to a gateway and its settler meanwhile, at random and the same for a seed.

import { FAULTS } from '../e2e/lib/node-faults.mjs';
import { sleep } from '../e2e/lib/process.mjs';
import { randomNumbers } from '../e2e/lib/random.mjs';

const PAUSE_MILLISECONDS = 1200; // before each event, and as long again at most
const DEAD_MILLISECONDS = 2500; // a settler, at most

// A node that says nothing holds a settler up for as long as most of a short run lasts.
const OFTEN = FAULTS.filter((fault) => fault !== 'hang');

export class Chaos {
  /** `faults` are the node's, who is reached by `proxy`; `startSettler` gives a new one. */
  constructor({ shop, seed, faults, proxy, startSettler }) {
    Object.assign(this, { shop, seed, faults, proxy, startSettler });
    this.random = randomNumbers(seed ^ 0x5eed);
    this.counts = { reload: 0, worker: 0, settler: 0, storm: 0, down: 0 };
    this.killed = []; // workers: {pid, at}
    this.reloads = []; // {from, to}
    this.weather = 0;
  }

  /** One after the other for so long, of these kinds; then the node is well. */
  async run(milliseconds, kinds) {
    const end = Date.now() + milliseconds;
    this.calm();
    while (Date.now() < end) {
      await sleep(Math.min(end - Date.now(), PAUSE_MILLISECONDS + this.random(PAUSE_MILLISECONDS)));
      if (Date.now() >= end) break;
      const kind = kinds[this.random(kinds.length)];
      this.counts[kind]++;
      await this[kind]();
    }
    this.faults.clear();
  }

  /** A node as nodes are: a fault now and then. */
  calm() {
    this.faults.atRandom(this.seed + ++this.weather, { every: 40, list: OFTEN });
  }

  async reload() {
    const from = Date.now();
    await this.shop.gateway.reload();
    this.reloads.push({ from, to: Date.now() });
  }

  async worker() {
    const workers = this.shop.gateway.workers();
    const pid = workers[this.random(workers.length)];
    this.killed.push({ pid, at: Date.now() });
    await this.shop.gateway.killWorker(pid);
  }

  async settler() {
    await this.running.kill();
    await sleep(this.random(DEAD_MILLISECONDS));
    this.start();
  }

  start() {
    this.running = this.startSettler();
  }

  /** Most of what the node says is wrong, late or nothing. */
  async storm() {
    this.faults.atRandom(this.seed + ++this.weather, { every: 2, list: FAULTS });
    await sleep(1000 + this.random(3000));
    this.calm();
  }

  /** The node is away. */
  async down() {
    await this.proxy.stop();
    await sleep(500 + this.random(1500));
    await this.proxy.listen();
  }
}
