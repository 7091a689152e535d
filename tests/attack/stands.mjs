// Servers to attack: our gateway on a real chain, and the reference stack, before the same
// kind of upstream. Each is {url, options, close}; the options are those of run.mjs.

import { Listener, say } from '../e2e/lib/listener.mjs';
import { openShop } from '../e2e/lib/shop.mjs';
import { startUpstream } from '../e2e/lib/upstream.mjs';
import { startReference } from './reference.mjs';

const CREDIT = '0.005'; // USD a payer, five calls

/** Tells who asks what an upstream executed. */
class Counter extends Listener {
  constructor(upstream) {
    super();
    this.upstream = upstream;
  }

  async answer(request, response) {
    const id = new URL(request.url, 'http://counter').searchParams.get('id');
    const seen = this.upstream.executions(id)
      .map(({ method, url, headers }) => ({ method, url, headers }));
    say(response, 200, 'application/json', JSON.stringify(seen));
  }
}

const startCounter = (upstream) => new Counter(upstream).listen();

const ROUTES = { other: '/other/x', dear: '/dear/x' };

/** Connections to the upstream are kept, as they would be: what is left on one meets the next. */
const gatewayOptions = (upstream) => ({
  workers: 2, listen: 'reuseport', rate: null, refusalRate: null, settleTimeout: '10s',
  maxUnsettled: '1', maxUnsettledNew: CREDIT, maxUnsettledTotal: '10',
  http: `upstream app { server ${new URL(upstream).host}; keepalive 8; }`,
  locations: `
        location /api/ { x402_price 0.001; proxy_pass http://app; }
        location /other/ { x402_price 0.001; proxy_pass http://app; }
        location /dear/ { x402_price 0.25; proxy_pass http://app; }
        location /upfront/ { x402_price 0.001; x402_settle before; proxy_pass http://app; }
        location /free/ { proxy_pass http://app; }
        location / { return 404; }`,
});

async function gateway() {
  const shop = await openShop({ gateway: gatewayOptions, upstream: { insecureHTTPParser: true } });
  const counter = await startCounter(shop.upstream);
  shop.later(() => counter.stop());
  const settler = shop.runSettler();
  return {
    shop, settler, url: `${shop.gateway.url}/api/x`, close: () => shop.close(),
    options: {
      ...ROUTES, nginx: true, testUpstream: true, counter: counter.url, proxy: true,
      free: '/free/x', upfront: '/upfront/x',
      http2: String(shop.gateway.http2Port), payerHeader: 'X-402-Payer', chain: String(shop.chain.port),
      credit: CREDIT,
    },
  };
}

async function reference() {
  const upstream = await startUpstream({ insecureHTTPParser: true });
  const [counter, server] = [await startCounter(upstream), await startReference(upstream.url)];
  return {
    url: `${server.url}/api/x`,
    async close() { for (const each of [server, counter, upstream]) await each.stop(); },
    options: { ...ROUTES, nginx: true, testUpstream: true, counter: counter.url },
  };
}

export const stands = { gateway, reference };
