// A node between the settler and the chain that fails as nodes do: it loses replies,
// refuses, goes away and comes back, and says who it is not.

import { Listener, bodyOf, say } from './listener.mjs';

/**
 * Starts one in front of `chain`. `proxy.rule` says what becomes of a call, given
 * {method, params, url}: nothing or 'pass'; 'lose', it arrives and its answer does not;
 * 'drop', it does not arrive; 'hold', no answer until the caller goes away, and it does
 * not arrive; {result} or {error}, which is the answer; or a function of the exchange
 * (Exchange, below), which answers or does not, as it likes: node-faults.mjs has many.
 * `proxy.calls` is what was asked.
 */
export const startNodeProxy = (chain, rule) => new NodeProxy(chain, rule).listen();

class NodeProxy extends Listener {
  constructor(chain, rule = () => 'pass') {
    super();
    Object.assign(this, { chain, rule, calls: [] });
  }

  /** The calls of one method. */
  asked(method) {
    return this.calls.filter((call) => call.method === method);
  }

  /** The raw transactions sent so far, in order. */
  get sent() {
    return this.asked('eth_sendRawTransaction').map(({ params }) => params[0]);
  }

  async answer(request, response) {
    const asked = await bodyOf(request);
    const { id, method, params } = JSON.parse(asked);
    this.calls.push({ method, params });
    const what = (await this.rule({ method, params })) ?? 'pass';
    if (what === 'hold') return;
    if (typeof what === 'function') {
      await what(new Exchange(this, request, response, { id, method, params }));
      return;
    }
    if (what === 'drop') {
      request.socket.destroy();
      return;
    }
    const body = typeof what === 'object'
      ? JSON.stringify({ jsonrpc: '2.0', id, ...what }) : await this.forward(asked);
    if (what === 'lose') {
      request.socket.destroy();
      return;
    }
    say(response, 200, 'application/json', body);
  }

  /** The text that the node answers to the text of a question. */
  async forward(body) {
    const response = await fetch(this.chain.url, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body,
    });
    return response.text();
  }
}

/** One question on its way: {id, method, params}, and what can be done with it. */
class Exchange {
  constructor(proxy, request, response, { id, method, params }) {
    Object.assign(this, { proxy, request, response, id, method, params });
  }

  /** The node's answer to it, or to another one in its place: {result} or {error}. */
  async ask(method = this.method, params = this.params) {
    const asked = { jsonrpc: '2.0', id: this.id, method, params };
    const { result, error } = JSON.parse(await this.proxy.forward(JSON.stringify(asked)));
    return error ? { error } : { result };
  }

  /** {result} or {error} as the text of an answer. */
  text(answer, id = this.id) {
    return JSON.stringify({ jsonrpc: '2.0', id, ...answer });
  }

  /** Answers with {result} or {error}, as a node does. */
  answer(answer) {
    this.say(200, 'application/json', this.text(answer));
  }

  /** Answers with any text, and more headers. */
  say(status, type, text, headers) {
    say(this.response, status, type, text, headers);
  }

  /** Closes the connection without an answer. */
  cut() {
    this.request.socket.destroy();
  }
}
