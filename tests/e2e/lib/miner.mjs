// Blocks at the test's pace, with the base fee the test wants: anvil's own falls by an
// eighth with every empty block, and has no floor.

import { toHex } from 'viem';
import { sleep } from './process.mjs';

/** Mines a block every `every` milliseconds once started; `baseFee` (wei) is pinned. */
export class Miner {
  constructor(chain, { every = 250, baseFee } = {}) {
    Object.assign(this, { chain, every, baseFee });
  }

  /** No transaction gets a block at once any more. */
  async start() {
    await this.chain.automine(false);
    this.running = true;
    this.done = this.run();
  }

  async run() {
    while (this.running) {
      await this.mine();
      await sleep(this.every);
    }
  }

  /** One block. */
  async mine() {
    if (this.baseFee !== undefined) {
      await this.chain.rpc('anvil_setNextBlockBaseFeePerGas', toHex(this.baseFee));
    }
    await this.chain.mine();
  }

  async stop() {
    this.running = false;
    await this.done;
  }
}
