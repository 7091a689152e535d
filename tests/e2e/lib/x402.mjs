// The command line under test: build/…/x402.

import path from 'node:path';
import { BUILD, run, waitFor } from './process.mjs';

export const X402 = path.join(BUILD, 'x402');

/** Runs `x402 ARGUMENTS…`: {code, stdout, stderr}. `gateway` lends its clock. */
export function x402(args, { gateway, env = {}, ...options } = {}) {
  return run(X402, args.map(String), { ...options, env: { ...gateway?.environment, ...env } });
}

/** Runs it, expects success, and gives its standard output. */
export async function x402Output(args, options) {
  const { code, signal, stdout, stderr } = await x402(args, options);
  if (code !== 0) throw new Error(`x402 ${args.join(' ')}: ${signal ?? code}\n${stderr}${stdout}`);
  return stdout;
}

/** The payments in a gateway's ledger, as `x402 payments --json` lists them. */
export async function payments(gateway, ...args) {
  const all = ['payments', '--data', gateway.data, '--json', ...args];
  return JSON.parse(await x402Output(all, { gateway }));
}

/** All of them, by nonce. */
export async function paymentsByNonce(gateway) {
  const all = await payments(gateway, '--limit', '100000');
  return new Map(all.map((row) => [row.nonce, row]));
}

/** Waits until `count` calls of a payer are delivered: answers do not wait for the ledger. */
export function delivered(gateway, payer, count) {
  return waitFor(async () => {
    const rows = await payments(gateway, '--payer', payer, '--status', 'delivered');
    return rows.length === count;
  }, `${count} delivered payments`);
}

/** `x402 stats --json` of a gateway's ledger. */
export async function stats(gateway) {
  return JSON.parse(await x402Output(['stats', '--data', gateway.data, '--json'], { gateway }));
}

/** `x402 check --books`, with the chain's logs when a chain is given; throws when it is wrong. */
export function checkBooks(gateway, chain) {
  const rpc = chain ? ['--rpc', `base-sepolia=${chain.url}`] : [];
  return x402Output(['check', '--data', gateway.data, '--books', ...rpc], { gateway });
}
