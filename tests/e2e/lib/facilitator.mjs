// A remote x402 facilitator: the reference SDK's own classes over the local chain, behind
// the three endpoints of the protocol, and a layer in front that fails as services do.

import { x402Facilitator } from '@x402/core/facilitator';
import { toFacilitatorEvmSigner } from '@x402/evm';
import { ExactEvmScheme } from '@x402/evm/exact/facilitator';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator';
import { createWalletClient, http as transport, publicActions } from 'viem';
import { baseSepolia } from 'viem/chains';
import { CHAIN_ID } from './chain.mjs';
import { Listener, bodyOf, say } from './listener.mjs';
import { sleep } from './process.mjs';
import { startSettling } from './settler.mjs';
import { newAccount } from './wallet.mjs';
import { x402 } from './x402.mjs';

const SLOW_MILLISECONDS = 700;
const FAKE_HASH = `0x${'ab'.repeat(32)}`;

/** One transaction is sent after the other: nonces are taken from the chain. */
function oneByOne(send) {
  let last = Promise.resolve();
  return (args) => {
    const mine = last.then(() => send(args));
    last = mine.catch(() => {});
    return mine;
  };
}

/** The SDK's facilitator for a chain, paying gas from an account of its own. */
async function reference(chain, { v1, v2, confirmationMilliseconds }) {
  const account = newAccount();
  await chain.giveGas(account.address);
  const client = createWalletClient({
    account, chain: baseSepolia, transport: transport(chain.url), pollingInterval: 50, cacheTime: 0,
  }).extend(publicActions);
  const signer = toFacilitatorEvmSigner({
    ...client, address: account.address,
    writeContract: oneByOne((args) => client.writeContract(args)),
  }, { confirmationTimeoutMs: confirmationMilliseconds });
  const facilitator = new x402Facilitator();
  if (v2) facilitator.register(`eip155:${CHAIN_ID}`, new ExactEvmScheme(signer));
  if (v1) facilitator.registerV1('base-sepolia', new ExactEvmSchemeV1(signer));
  return { facilitator, address: account.address };
}

/** What the answer to a payment names: its network and its payer. */
function about({ paymentRequirements, paymentPayload }) {
  return {
    network: paymentRequirements.network, payer: paymentPayload.payload.authorization.from,
  };
}

/** The faults. `exchange` has what was asked, and ask() has it done. */
const behaviours = {
  /** The answer comes late. */
  async delay(exchange) {
    await sleep(SLOW_MILLISECONDS);
    exchange.answer(await exchange.ask());
  },

  /** The connection is reset; nothing is settled. */
  reset: ({ request }) => { request.socket.resetAndDestroy(); },

  /** No answer, and nothing is settled. */
  hang: () => {},

  /** Settled, and no answer. */
  hangAfter: async (exchange) => { await exchange.ask(); },

  /** Settled, and the answer is lost. */
  async lost(exchange) {
    await exchange.ask();
    exchange.request.socket.destroy();
  },

  /** It breaks, and nothing is settled. */
  broken: (exchange) => exchange.say(500, 'application/json', '{"error":"out of order"}'),

  /** Settled, and it breaks afterwards. */
  async brokenAfter(exchange) {
    await exchange.ask();
    exchange.say(500, 'application/json', '{"error":"out of order"}');
  },

  /** Nobody is behind the load balancer. */
  html: (exchange) => exchange.say(503, 'text/html', '<html><h1>503</h1></html>\n'),

  /** A page, as if all were well. */
  page: (exchange) => exchange.say(200, 'text/html', '<html><h1>Welcome</h1></html>\n'),

  tooMany: (exchange) => exchange.say(429, 'application/json', '{"error":"slow down"}'),

  unauthorized: (exchange) => exchange.say(401, 'application/json', '{"error":"who are you"}'),

  redirect: (exchange) => exchange.say(307, 'text/plain', '', { location: '/elsewhere' }),

  /** Settled, and the answer breaks off in the middle. */
  async truncated(exchange) {
    const text = JSON.stringify((await exchange.ask()).json);
    exchange.response.writeHead(200, { 'content-length': text.length });
    exchange.response.write(text.slice(0, text.length / 2), () => exchange.request.socket.destroy());
  },

  /** Settled, and the answer is half of a JSON document. */
  async badJson(exchange) {
    const text = JSON.stringify((await exchange.ask()).json);
    exchange.say(200, 'application/json', text.slice(0, text.length / 2));
  },

  nothing: (exchange) => exchange.say(200, 'application/json', 'null'),

  huge: (exchange) => exchange.say(200, 'application/json', ' '.repeat(1 << 20)),

  /** Settled, and it says that this is not sure yet. */
  async pending(exchange) {
    const { json } = await exchange.ask();
    exchange.answer({
      status: 200, json: { ...json, success: false, errorReason: 'settlement_pending' },
    });
  },

  /** It says settled, in a transaction that is not. */
  bogus: (exchange) => exchange.answer({
    status: 200, json: { success: true, transaction: FAKE_HASH, ...about(exchange.json) },
  }),

  /** Settled, and the answer is about something else. */
  async otherNetwork(exchange) {
    const { json } = await exchange.ask();
    exchange.answer({ status: 200, json: { ...json, network: 'eip155:8453' } });
  },

  async otherPayer(exchange) {
    const { json } = await exchange.ask();
    exchange.answer({ status: 200, json: { ...json, payer: newAccount().address } });
  },

  /** Settled, and it says that it is not, and why nobody knows. */
  async denied(exchange) {
    await exchange.ask();
    exchange.answer({
      status: 200,
      json: {
        success: false, errorReason: 'unexpected_settle_error', transaction: '',
        ...about(exchange.json),
      },
    });
  },
};

/** The faults' names; and those which hide that the payment is settled. */
export const FAULTS = Object.keys(behaviours);
export const HIDING_FAULTS = [
  'hangAfter', 'lost', 'brokenAfter', 'truncated', 'badJson', 'pending', 'otherNetwork',
  'otherPayer', 'denied',
];

/** A refusal in the facilitator's words, without anything being done. */
export const refusing = (reason) => (exchange) => exchange.answer({
  status: 200,
  json: { success: false, errorReason: reason, transaction: '', ...about(exchange.json) },
});

/** One request, and the ways to answer it. */
class Exchange {
  constructor(facilitator, request, response, text) {
    Object.assign(this, { facilitator, request, response, text });
    this.path = request.url;
    this.headers = request.headers;
    this.json = text === '' ? null : JSON.parse(text);
  }

  /** Has it done: {status, json}. */
  async ask() {
    const { reference: { facilitator } } = this.facilitator;
    try {
      return { status: 200, json: await this.call(facilitator) };
    } catch (error) {
      return { status: 500, json: { error: error.message } };
    }
  }

  async call(facilitator) {
    if (this.path === '/supported') return facilitator.getSupported();
    const { paymentPayload, paymentRequirements } = this.json;
    if (this.path === '/settle') return facilitator.settle(paymentPayload, paymentRequirements);
    return facilitator.verify(paymentPayload, paymentRequirements);
  }

  answer({ status, json }) {
    this.say(status, 'application/json', JSON.stringify(json));
  }

  say(status, type, body, headers) {
    say(this.response, status, type, body, headers);
  }
}

/**
 * Starts one for `chain`. `rule` says what becomes of a request, given the exchange:
 * nothing, a fault's name, or a function of the exchange. `v1` and `v2` are the
 * generations it takes.
 */
export async function startFacilitator(chain, { rule, v1 = true, v2 = true, confirmationMilliseconds = 20_000 } = {}) {
  const facilitator = new Facilitator(rule);
  facilitator.reference = await reference(chain, { v1, v2, confirmationMilliseconds });
  return facilitator.listen();
}

class Facilitator extends Listener {
  constructor(rule = () => undefined) {
    super();
    Object.assign(this, { rule, exchanges: [] });
  }

  /** The requests to settle, in order; of one payment when it is given. */
  asked(paid) {
    const all = this.exchanges.filter(({ path }) => path === '/settle');
    if (!paid) return all;
    return all.filter(({ json }) => json.paymentPayload.payload.authorization.nonce === paid.message.nonce);
  }

  async answer(request, response) {
    const exchange = new Exchange(this, request, response, await bodyOf(request));
    this.exchanges.push(exchange);
    const what = await this.rule(exchange);
    if (typeof what === 'function') await what(exchange);
    else if (what) await behaviours[what](exchange);
    else exchange.answer(await exchange.ask());
  }
}

// ------------------------------------------------------------------- the settler in front

/** The arguments of a settler; `node` is a chain, or a proxy of one. */
const argumentsOf = (gateway, facilitator, { node, args = [], timeout = 20 } = {}) => [
  'settle', '--data', gateway.data, '--facilitator', facilitator.url,
  '--facilitator-timeout', String(timeout),
  ...(node ? ['--rpc', `base-sepolia=${node.url}`] : []), ...args,
];

/** Settles what is due through a facilitator and ends: {code, stdout, stderr}. */
export function settleThrough(gateway, facilitator, options) {
  return x402([...argumentsOf(gateway, facilitator, options), '--once'], { gateway });
}

/** Starts a settler that runs until it is stopped or killed. */
export function startThrough(gateway, facilitator, { env, ...options } = {}) {
  return startSettling(gateway, argumentsOf(gateway, facilitator, options), {
    log: `through-${facilitator.port}.log`, env, within: 20_000,
  });
}

/** The same, until the shop closes. */
export function runThrough(shop, facilitator, options) {
  const settler = startThrough(shop.gateway, facilitator, options);
  shop.later(() => settler.stop());
  return settler;
}
