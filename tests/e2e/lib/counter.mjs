// A gateway at which payments are presented that it must refuse before the upstream hears
// of them.

import assert from 'node:assert/strict';
import { ask, isPaid, oneConnection } from './ask.mjs';
import { Desk } from './desk.mjs';

class Counter extends Desk {
  open() {
    this.agent = oneConnection();
    return super.open((url) => ({
      locations: `
        location /api/ {
            x402_price 0.001;
            proxy_set_header X-Value $x402_value;
            proxy_pass ${url};
        }
        location /month/ {
            x402_price 0.001;
            x402_window 600 min=500 max=1000;
            proxy_pass ${url};
        }`,
    }));
  }

  close() {
    this.agent?.destroy();
    return super.close();
  }

  /** Sends a payment that must not reach the upstream; gives the answer, and what was logged. */
  async present(paid, path = '/api/x') {
    const { agent, gateway, upstream } = this;
    const logged = gateway.errorLog().length;
    const calls = upstream.count();
    const got = await ask(gateway, path, { payment: paid, agent });
    assert.equal(upstream.count(), calls, 'the upstream was called');
    return { got, log: gateway.errorLog().slice(logged) };
  }

  /** Sends a good one. */
  async buys(paid, path = '/api/x') {
    isPaid(await ask(this.gateway, path, { payment: paid }), paid);
  }
}

export const counter = new Counter();
