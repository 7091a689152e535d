// What is soaked: nginx of two workers, a chain with the contract, a node that fails, and a
// settler, started anew whenever it was killed.

import { Faults } from '../e2e/lib/node-faults.mjs';
import { startSettler } from '../e2e/lib/settler.mjs';
import { openShop } from '../e2e/lib/shop.mjs';

export const WORKERS = 2;
export const PAYERS = 8;
const MONEY = '1000'; // USDC each has
const SAFE_DEPTH = 8;

/** A rate so high that nobody meets it: what is kept for it is to be soaked, too. */
const RATE = '600r/s burst=1000';

const locations = (upstream) => `
        location /free/ { proxy_pass ${upstream}; }
        location /paid/ { x402_price 0.001; proxy_pass ${upstream}; }
        location /stream/ { x402_price 0.001; proxy_pass ${upstream}; proxy_buffering off; }
        location /upfront/ { x402_price 0.001; x402_settle before; proxy_pass ${upstream}; }
        location /credit/ {
            x402_price 0.001;
            x402_max_unsettled 0.02; x402_max_unsettled_new 0.01; x402_max_unsettled_total 0.5;
            proxy_pass ${upstream};
        }
        location ^~ /x402/status { x402_status; }
        location ^~ /x402/receipts/ { x402_receipts; }
        location = /stats { x402_stats; }
        location = /metrics { x402_metrics; }
        location = /ready { x402_ready; }
        location = /health { x402_health; }`;

const gatewayOptions = (upstream) => ({
  workers: WORKERS, listen: 'reuseport sndbuf=32k', logLevel: 'notice',
  rate: RATE, refusalRate: RATE, settleTimeout: '5s',
  server: `
        proxy_set_header X-Nonce $x402_nonce;
        proxy_set_header Connection "";
        add_header X-Worker $pid always;`,
  locations: locations(upstream),
});

/** Opens it: {shop, payers, faults, proxy, startSettler}; close the shop. */
export async function openStand(seed) {
  const shop = await openShop({
    safeDepth: SAFE_DEPTH, contract: true, chain: { blockTime: 1 }, gateway: gatewayOptions,
  });
  const payers = await Promise.all(Array.from({ length: PAYERS }, () => shop.newPayer(MONEY)));
  const faults = new Faults();
  const proxy = await shop.nodeProxy(faults.rule);
  let settler;
  shop.later(() => settler?.stop());
  const start = () => {
    settler = startSettler(shop.gateway, proxy, shop.key, { args: ['--batch-age', '1'] });
    return settler;
  };
  return { seed, shop, payers, faults, proxy, startSettler: start, money: MONEY };
}
