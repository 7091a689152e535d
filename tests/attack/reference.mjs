// The same sale by the reference stack: @x402/hono on @hono/node-server, verification in
// the process with viem, settlement stubbed: an authorization settles once and a high s
// never, as the token would have it, and it costs no time. What is sold is an upstream's, as
// the gateway's. As a program: node tests/attack/reference.mjs PORT UPSTREAM

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { x402Facilitator } from '@x402/core/facilitator';
import { ExactEvmScheme as ExactFacilitator } from '@x402/evm/exact/facilitator';
import { ExactEvmScheme as ExactServer } from '@x402/evm/exact/server';
import { paymentMiddleware, x402ResourceServer } from '@x402/hono';
import { Hono } from 'hono';
import { proxy } from 'hono/proxy';
import { keccak256, parseSignature, stringToBytes, verifyTypedData } from 'viem';
import { CHAIN_ID, USDC } from '../e2e/lib/chain.mjs';
import { canConnect, freePort, start, stop, temporaryFolder, waitFor } from '../e2e/lib/process.mjs';
import { PAYEE, account } from '../e2e/lib/wallet.mjs';

const FILE = fileURLToPath(import.meta.url);
const NETWORK = `eip155:${CHAIN_ID}`;
const BALANCE = 10n ** 12n; // everybody's
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** USDC's ECRecover, but for who signed: s in the lower half, v 27 or 28. */
function isCanonical([, , , , , , ...signature]) {
  const { v, s } = signature.length === 1 ? parseSignature(signature[0]) : { v: signature[0], s: signature[2] };
  return BigInt(s) <= HALF_ORDER && [27n, 28n].includes(BigInt(v ?? 0));
}

/** A chain of one token, in memory, as the facilitator's signer sees it. */
function stubbedSigner() {
  const used = new Set();
  const key = (from, nonce) => `${from} ${nonce}`.toLowerCase();
  const reads = {
    authorizationState: ([from, nonce]) => used.has(key(from, nonce)),
    balanceOf: () => BALANCE,
    name: () => 'USDC',
    version: () => '2',
    transferWithAuthorization(args) {
      const [from, , , , , nonce] = args;
      if (!isCanonical(args)) throw new Error('ECRecover: invalid signature');
      if (used.has(key(from, nonce))) throw new Error('FiatTokenV2: authorization is used or canceled');
    },
  };
  return {
    getAddresses: () => [account('reference').address],
    readContract: async ({ functionName, args }) => reads[functionName](args),
    verifyTypedData: (parameters) => verifyTypedData(parameters),
    getCode: async ({ address }) => (address.toLowerCase() === USDC.toLowerCase() ? '0x01' : '0x'),
    async writeContract({ functionName, args }) {
      reads[functionName](args);
      used.add(key(args[0], args[5]));
      return keccak256(stringToBytes(key(args[0], args[5])));
    },
    waitForTransactionReceipt: async () => ({ status: 'success' }),
  };
}

const sold = (price) => ({
  accepts: { scheme: 'exact', network: NETWORK, payTo: PAYEE, price }, description: 'a call',
});

function application(upstream) {
  const facilitator = new x402Facilitator();
  facilitator.register(NETWORK, new ExactFacilitator(stubbedSigner()));
  const server = new x402ResourceServer({
    verify: (payload, requirements) => facilitator.verify(payload, requirements),
    settle: (payload, requirements) => facilitator.settle(payload, requirements),
    getSupported: async () => facilitator.getSupported(),
  }).register(NETWORK, new ExactServer());
  const routes = { '/api/*': sold('$0.001'), '/other/*': sold('$0.001'), '/dear/*': sold('$0.25') };
  const app = new Hono();
  app.use(paymentMiddleware(routes, server));
  for (const path of Object.keys(routes)) {
    app.all(path, (c) => {
      const { pathname, search } = new URL(c.req.url);
      return proxy(`${upstream}${pathname}${search}`, { raw: c.req.raw });
    });
  }
  return app;
}

/** Starts it as a process of its own, on a free port: {url, stop}. */
export async function startReference(upstream) {
  const port = await freePort();
  const log = path.join(temporaryFolder('reference'), 'log');
  const child = start(process.execPath, [FILE, String(port), upstream], { log });
  await waitFor(() => canConnect(port), 'the reference stack');
  return { url: `http://127.0.0.1:${port}`, stop: () => stop(child) };
}

if (process.argv[1] === FILE) {
  const [port, upstream] = process.argv.slice(2);
  serve({ fetch: application(upstream).fetch, port: Number(port), hostname: '127.0.0.1' });
}
