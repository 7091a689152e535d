// Shops (or what else takes long to open) for tests that run at the same time: most of a
// test of the settler is waiting.

/** `open` opens one; what it gives has close(). */
export class Lanes {
  constructor(open) {
    this.openOne = open;
    this.free = [];
    this.waiting = [];
  }

  async open(count) {
    this.free = await Promise.all(Array.from({ length: count }, () => this.openOne()));
  }

  /** Gives a free one to `body`. One in which a test failed is replaced. */
  async with(body) {
    const lane = this.free.pop() ?? (await new Promise((take) => { this.waiting.push(take); }));
    try {
      await body(lane);
      this.give(lane);
    } catch (error) {
      await lane.close().catch(() => {});
      this.give(await this.openOne());
      throw error;
    }
  }

  give(lane) {
    const next = this.waiting.shift();
    if (next) next(lane);
    else this.free.push(lane);
  }

  async close() {
    for (const lane of this.free.splice(0)) await lane.close();
  }
}
