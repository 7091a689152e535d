// What can go wrong between a settler and its node, each thing by name, and when it does:
// by method and count, or at random and the same for the same seed.

import { keccak256, toHex } from 'viem';
import { sleep } from './process.mjs';
import { numberOf } from './random.mjs';

const SLOW_MILLISECONDS = 700;
const BLOCKS_BEHIND = 3;
const ANSWERS_KEPT = 16;

const SEND = 'eth_sendRawTransaction';

/**
 * The faults. Each gets the exchange (node-proxy.mjs) and the node's earlier answers. One
 * that cannot happen to a call answers false, and has done nothing.
 */
const behaviours = {
  /** The answer comes late. */
  async delay(exchange) {
    await sleep(SLOW_MILLISECONDS);
    exchange.answer(await exchange.ask());
  },

  /** The connection is reset; the question did not arrive. */
  reset({ request }) {
    request.socket.resetAndDestroy();
  },

  /** No answer at all, and the question did not arrive. */
  hang() {},

  /** Asked too often. */
  tooMany(exchange) {
    const error = { code: -32005, message: 'project rate limit exceeded' };
    exchange.say(429, 'application/json', exchange.text({ error }), { 'retry-after': '1' });
  },

  /** The node breaks. */
  broken(exchange) {
    exchange.say(500, 'text/plain', 'internal server error\n');
  },

  /** The load balancer has no node. */
  html(exchange) {
    exchange.say(503, 'text/html', '<html><h1>503 Service Unavailable</h1></html>\n');
  },

  /** It arrived, and the answer breaks off in the middle. */
  async truncated(exchange) {
    const text = exchange.text(await exchange.ask());
    exchange.response.writeHead(200, {
      'content-type': 'application/json', 'content-length': text.length,
    });
    exchange.response.write(text.slice(0, text.length / 2), () => exchange.cut());
  },

  /** It arrived, and the answer is half of a JSON document, as if that were all. */
  async badJson(exchange) {
    const text = exchange.text(await exchange.ask());
    exchange.say(200, 'application/json', text.slice(0, text.length / 2));
  },

  /** It arrived, and the answer is that to another question. */
  async wrongId(exchange) {
    const text = exchange.text(await exchange.ask(), exchange.id + 1000);
    exchange.say(200, 'application/json', text);
  },

  /** Null, for whatever was asked. */
  nothing(exchange) {
    exchange.answer({ result: null });
  },

  /** The node says that it cannot. */
  error(exchange) {
    exchange.answer({ error: { code: -32603, message: 'Internal error' } });
  },

  /** It arrived, and its answer does not. */
  async lost(exchange) {
    await exchange.ask();
    exchange.cut();
  },

  /** It arrived, and the node says that it did not. */
  async denied(exchange) {
    await exchange.ask();
    exchange.answer({ error: { code: -32000, message: 'request timed out' } });
  },

  /**
   * An earlier answer to the same question, or what it would have been. A transaction is
   * said to be taken, and is not.
   */
  async stale(exchange, earlier) {
    const old = exchange.method === SEND
      ? { result: keccak256(exchange.params[0]) } : earlier(exchange);
    if (old === undefined && viewsBehind[exchange.method]) return behaviours.behind(exchange);
    exchange.answer(old ?? await exchange.ask()); // what no block changes is as it was
    return true;
  },

  /** The state of some blocks ago, as from a node that lags the others. */
  async behind(exchange) {
    const view = viewsBehind[exchange.method];
    if (!view) return false;
    const latest = Number((await exchange.ask('eth_blockNumber', [])).result);
    exchange.answer(await view(exchange, Math.max(0, latest - BLOCKS_BEHIND)));
    return true;
  },
};

/** The faults' names. */
export const FAULTS = Object.keys(behaviours);

/** Why a fault cannot happen to a method; undefined when it can. */
export function exemption(fault, method) {
  if (fault === 'behind' && !viewsBehind[method]) return 'is the same in every block';
  if (fault === 'denied' && method !== SEND) return 'changes nothing by arriving';
  return undefined;
}

// ----------------------------------------------------------------------- a node that lags

/** The answer with the tag or number at `place` brought down to what the node has. */
const atBlock = (place) => (exchange, last) => {
  const { params } = exchange;
  const block = params[place];
  if (block === 'latest' || block === 'pending') {
    const brought = params.map((value, i) => (i === place ? toHex(last) : value));
    return exchange.ask(exchange.method, brought);
  }
  if (Number(block) > last) return { error: { code: -32000, message: 'header not found' } };
  return exchange.ask();
};

/** How each question is answered by a node that has not got further than block `last`. */
const viewsBehind = {
  eth_blockNumber: (_, last) => ({ result: toHex(last) }),
  eth_getBlockByNumber: atBlock(0),
  eth_getTransactionCount: atBlock(1),
  eth_getBalance: atBlock(1),
  eth_getCode: atBlock(1),
  eth_call: atBlock(1),
  eth_feeHistory: atBlock(1),

  async eth_getTransactionReceipt(exchange, last) {
    const answer = await exchange.ask();
    return Number(answer.result?.blockNumber) > last ? { result: null } : answer;
  },

  async eth_getLogs(exchange, last) {
    const answer = await exchange.ask();
    if (!answer.result) return answer;
    return { result: answer.result.filter((log) => Number(log.blockNumber) <= last) };
  },
};

// ---------------------------------------------------------------------------------- when

/** Whether, and how, a node fails: give its `rule` to the proxy. */
export class Faults {
  constructor() {
    this.clear();
    this.answers = new Map();
    this.rule = () => (exchange) => this.meet(exchange);
  }

  /** The node is well from here on; what it answered before may still come back stale. */
  clear() {
    this.steps = [];
    this.choose = () => undefined;
    this.asked = new Map(); // how often, by method
    this.fired = []; // "fault method", in order
  }

  /** `fault` befalls `count` calls of a method, after `skip` that are well. */
  add({ fault, method, skip = 0, count = 1 }) {
    if (!FAULTS.includes(fault)) throw new Error(`no fault is called ${fault}`);
    this.steps.push({ fault, method, skip, left: count });
  }

  /**
   * Any of `list` befalls one call in `every`: which one, and which call, depends on the
   * seed, the method, and how often it was asked before. A node that only says that it
   * hangs is waited for so long that few of these are enough.
   */
  atRandom(seed, { every, list = FAULTS }) {
    this.choose = (method, nth) => {
      if (numberOf(every, seed, method, nth) !== 0) return undefined;
      return list[numberOf(list.length, seed, method, nth, 'which')];
    };
  }

  async meet(exchange) {
    const { method } = exchange;
    const nth = this.asked.get(method) ?? 0;
    this.asked.set(method, nth + 1);
    const step = this.stepFor(method);
    const fault = step?.fault ?? this.choose(method, nth);
    if (fault !== undefined && exemption(fault, method) === undefined
      && (await behaviours[fault](exchange, (question) => this.earlier(question))) !== false) {
      if (step) step.left--;
      this.fired.push(`${fault} ${method}`);
      return;
    }
    const answer = await exchange.ask();
    this.remember(exchange, answer);
    exchange.answer(answer);
  }

  stepFor(method) {
    const step = this.steps.find((one) => one.method === method && one.left > 0);
    if (!step || step.skip-- > 0) return undefined;
    return step;
  }

  remember(exchange, answer) {
    const kept = this.answers.get(questionOf(exchange)) ?? [];
    kept.push(answer);
    this.answers.set(questionOf(exchange), kept.slice(-ANSWERS_KEPT));
  }

  /** The oldest answer kept to a question. */
  earlier(question) {
    return this.answers.get(questionOf(question))?.[0];
  }
}

const questionOf = ({ method, params }) => JSON.stringify([method, params]);
