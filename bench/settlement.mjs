// The settlement part of make bench: payments sold through the gateway beforehand, then
// settled on a local chain by one settler. Payments a second, gas each, calls to the node
// each; single transactions beside batches, from one payer and from many. Nothing asserts.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { deployFacilitator, startChain } from '../tests/e2e/lib/chain.mjs';
import { startGateway } from '../tests/e2e/lib/gateway.mjs';
import { startNodeProxy } from '../tests/e2e/lib/node-proxy.mjs';
import { BUILD, temporaryFolder, waitFor } from '../tests/e2e/lib/process.mjs';
import { settleOnce, settlerKey } from '../tests/e2e/lib/settler.mjs';
import { PAYEE } from '../tests/e2e/lib/wallet.mjs';
import { stats } from '../tests/e2e/lib/x402.mjs';
import { digits, progress, table } from './lib/table.mjs';

const VALUE = 1000n; // $0.001 each

/** The address of the nth payer that bench/payments signs for, from 1. */
function payerAddress(n) {
  const key = new Uint8Array(32).fill(0x11);
  key[30] = n >> 8;
  key[31] = n & 0xff;
  return privateKeyToAddress(toHex(key));
}

/** Sells `count` calls to `payers`; resolves when their outcomes are recorded. */
async function sell(gateway, count, payers) {
  const file = path.join(temporaryFolder('bench'), 'payments.txt');
  fs.writeFileSync(file, execFileSync(path.join(BUILD, 'bench/payments'),
    [count, 'v2', payers, PAYEE, VALUE, 3600].map(String), { maxBuffer: 1 << 30 }));
  const seconds = Math.ceil(count / 2000) + 1;
  execFileSync(path.join(BUILD, 'bench/load'),
    [gateway.port, '/', 32, seconds, 'PAYMENT-SIGNATURE', file].map(String));
  return waitFor(async () => {
    const [totals] = (await stats(gateway)).totals;
    return totals?.delivery.pending.count === 0 && totals.delivery.delivered.count;
  }, 'the outcomes', 30_000);
}

/** Sums over what the ledger says was settled. */
async function earned(gateway) {
  const { earnings } = await stats(gateway);
  const sum = (field) => earnings.reduce((all, row) => all + Number(row[field]), 0);
  return { settled: sum('calls'), gas: sum('gasUsed') };
}

/** One sale, settled; gives the figures. */
async function measure({ name, payments, payers, contract }) {
  const chain = await startChain({ args: ['--gas-limit', '400000000'] }); // as Base's
  if (contract) await deployFacilitator(chain);
  for (let n = 1; n <= payers; n++) {
    await chain.mint(payerAddress(n), VALUE * BigInt(payments));
  }
  const key = await settlerKey(chain, `settler of ${name}`);
  await chain.giveGas(key.address, '1000');
  const gateway = await startGateway({
    window: '300 max=7200',
    locations: ({ port }) => `
      location / { x402_price 0.001; proxy_pass http://127.0.0.1:${port}/goods; }
      location = /goods { return 200 "{}"; }`,
  });
  try {
    const delivered = await sell(gateway, payments, payers);
    const proxy = await startNodeProxy(chain);
    const started = process.hrtime.bigint();
    await settleOnce(gateway, proxy, key);
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    const { settled, gas } = await earned(gateway);
    const result = {
      case: name, payments: settled, left: delivered - settled, seconds,
      rate: settled / seconds, gas_each: gas / settled,
      transactions: proxy.sent.length, calls_each: proxy.calls.length / settled,
    };
    await proxy.stop();
    return result;
  } finally {
    await gateway.stop();
    await chain.stop();
  }
}

function print(results) {
  table(['settlement, on a local chain', 'payments', 'left', 'seconds', 'rate/s', 'gas each',
    'transactions', 'calls to the node each'],
  results.map((r) => [r.case, digits(r.payments), digits(r.left), digits(r.seconds, 1), digits(r.rate),
    digits(r.gas_each), digits(r.transactions), digits(r.calls_each, 2)]));
}

/** Measures and prints; gives the figures. */
export async function settlement(payments) {
  const cases = [
    { name: 'singly, 200 payers', payments: Math.min(payments, 300), payers: 200, contract: false },
    { name: 'in batches, 200 payers', payments, payers: 200, contract: true },
    { name: 'in batches, one payer', payments, payers: 1, contract: true },
  ];
  const results = [];
  for (const one of cases) {
    progress(`settling ${one.payments} payments ${one.name}`);
    results.push(await measure(one));
  }
  print(results);
  return results;
}
