// The reference stack: @x402/hono on @hono/node-server, a payment verified in the process
// with viem, settlement stubbed. What is paid goes on to the upstream by hono's proxy. It keeps
// no record of what it sold: the stub settles all.
import { serve } from '@hono/node-server';
import { paymentMiddleware, x402ResourceServer } from '@x402/hono';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { authorizationTypes } from '@x402/evm';
import { Hono } from 'hono';
import { proxy } from 'hono/proxy';
import { isAddressEqual, verifyTypedData } from 'viem';
import { NETWORK, PAYEE, UPSTREAM, USDC, VALUE, inEachWorker } from './cluster.mjs';

/** What the SDK's own facilitator asks of a payment before it asks a chain. */
async function verify({ payload }, requirements) {
  const { authorization, signature } = payload;
  const payer = authorization.from;
  const now = Math.floor(Date.now() / 1000);
  const refuse = (invalidReason) => ({ isValid: false, invalidReason, payer });
  if (!isAddressEqual(authorization.to, requirements.payTo)) return refuse('recipient_mismatch');
  if (BigInt(authorization.value) !== BigInt(requirements.amount)) return refuse('value_mismatch');
  if (Number(authorization.validBefore) < now + 6) return refuse('expired');
  if (Number(authorization.validAfter) > now) return refuse('not_yet_valid');
  const signed = await verifyTypedData({
    address: payer, types: authorizationTypes, primaryType: 'TransferWithAuthorization', signature,
    domain: { ...requirements.extra, chainId: 84532, verifyingContract: requirements.asset },
    message: {
      from: payer, to: authorization.to, value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter), validBefore: BigInt(authorization.validBefore),
      nonce: authorization.nonce,
    },
  });
  return signed ? { isValid: true, payer } : refuse('invalid_signature');
}

const facilitator = {
  verify,
  settle: async ({ payload }) => ({
    success: true, transaction: `0x${'ab'.repeat(32)}`, network: NETWORK,
    payer: payload.authorization.from,
  }),
  getSupported: async () => ({
    kinds: [{ x402Version: 2, scheme: 'exact', network: NETWORK }], extensions: [], signers: {},
  }),
};

await inEachWorker((port) => {
  const server = new x402ResourceServer(facilitator).register(NETWORK, new ExactEvmScheme());
  const price = { amount: VALUE, asset: USDC, extra: { name: 'USDC', version: '2' } };
  const app = new Hono();
  app.use(paymentMiddleware({
    'GET /': {
      accepts: { scheme: 'exact', network: NETWORK, payTo: PAYEE, price, maxTimeoutSeconds: 300 },
      description: '', mimeType: '',
    },
  }, server));
  app.get('/', () => proxy(UPSTREAM));
  serve({ fetch: app.fetch, port, hostname: '127.0.0.1' });
});
