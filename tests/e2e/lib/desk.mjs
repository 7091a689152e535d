// A gateway and the upstream whose calls it sells, for tests of one request at a time.

import assert from 'node:assert/strict';
import { ask, isOffer, isPaid } from './ask.mjs';
import { startGateway } from './gateway.mjs';
import { startUpstream } from './upstream.mjs';

export class Desk {
  calls = 0;

  /** `options` gives those of startGateway when the upstream's URL is known. */
  async open(options) {
    this.upstream = await startUpstream();
    this.gateway = await startGateway(options(this.upstream.url));
  }

  async close() {
    await this.gateway?.stop();
    await this.upstream?.stop();
  }

  /** A call nobody made before: its id and its path. */
  newCall(prefix = '/api/', options = '') {
    const id = `call${++this.calls}`;
    return { id, path: `${prefix}x?id=${id}${options}` };
  }

  /** Buys a call and gives the answer. */
  async buy(call, paid, options) {
    const got = await ask(this.gateway, call.path, { payment: paid, ...options });
    isPaid(got, paid);
    return got;
  }

  /** What the upstream saw of a call that it executed once. */
  seen(call) {
    assert.equal(this.upstream.count(call.id), 1);
    return this.upstream.executions(call.id)[0];
  }

  /** The offer that is made for a path. */
  async offered(where, options) {
    return isOffer(await ask(this.gateway, where, options));
  }
}
