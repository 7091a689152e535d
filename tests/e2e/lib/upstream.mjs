// The API being sold, played by a server that does what the request's query says, counts
// what it executed, and fails in every way an API can:
//
//   /anything?id=CALL&do=status&n=500
//
// `id` names the call (executions are counted by it), `do` the behaviour, the rest are
// the behaviour's parameters. A test can also lay down, for an id, what the next
// executions do: upstream.script('a', { do: 'reset' }, { do: 'ok' }).

import http from 'node:http';
import { freePort, sleep } from './process.mjs';

const BODY = { served: true };

/**
 * What `do=` can name. Each gets the call:
 * {id, request, response, execution, options, upstream}.
 */
export const behaviours = {
  /** 200 with JSON; `size` makes the body that many bytes, `delay` waits first. */
  async ok({ response, options }) {
    await wait(options.delay);
    const text = options.size ? 'x'.repeat(Number(options.size)) : JSON.stringify(BODY);
    response.writeHead(200, { 'content-type': 'application/json', ...headersOf(options) });
    response.end(text);
  },

  /** Status `n` with a small body, and `location` when given. */
  async status({ response, options }) {
    await wait(options.delay);
    response.writeHead(Number(options.n), {
      'content-type': 'text/plain',
      ...(options.location ? { location: options.location } : {}),
      ...headersOf(options),
    });
    response.end(`status ${options.n}\n`);
  },

  /** Says back what arrived: method, URL, headers and body. */
  echo({ request, response, execution: { body }, options }) {
    response.writeHead(200, { 'content-type': 'application/json', ...headersOf(options) });
    response.end(JSON.stringify({
      method: request.method, url: request.url, headers: request.headers,
      body: body.toString('latin1'), bodySize: body.length,
    }));
  },

  /** Nothing until the test calls upstream.release(id); then as `then` (ok) says. */
  async hold(call) {
    await call.upstream.held(call.id);
    return behaviours[call.options.then ?? 'ok'](call);
  },

  /** Never answers. */
  hang() {},

  /** Connection reset before any header. */
  reset({ request }) {
    request.socket.resetAndDestroy();
  },

  /** Connection closed before any header. */
  close({ request }) {
    request.socket.destroy();
  },

  /**
   * Header and part of the body, then the connection breaks. `framing` length, chunked
   * or close (ends by closing, so nobody can tell); `how` reset or close; `size` bytes
   * are sent first.
   */
  async truncate({ request, options }) {
    const { socket } = request;
    const size = Number(options.size ?? 100);
    const framing = options.framing ?? 'length';
    const header = {
      length: `Content-Length: ${size + 1000}\r\n`,
      chunked: 'Transfer-Encoding: chunked\r\n',
      close: 'Connection: close\r\n',
    }[framing];
    const piece = 'x'.repeat(size);
    const body = framing === 'chunked' ? `${size.toString(16)}\r\n${piece}\r\n` : piece;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${header}\r\n${body}`);
    await sleep(Number(options.delay ?? 50)); // let it be read
    if (options.how === 'close') socket.end();
    else socket.resetAndDestroy();
  },

  /** `events` server-sent events, one every `every` ms; `held`: N+1 after upstream.release(`${id}/${N}`). */
  async sse({ response, upstream, id, options }) {
    const buffering = options.unbuffered ? { 'x-accel-buffering': 'no' } : {};
    response.writeHead(200, { 'content-type': 'text/event-stream', ...buffering });
    for (let i = 0; i < Number(options.events ?? 3) && !response.destroyed; i++) {
      response.write(`data: ${i}\n\n`);
      await (options.held ? upstream.held(`${id}/${i}`) : wait(options.every ?? 20));
    }
    response.end();
  },

  /** `pieces` chunks of `size` bytes, one every `every` ms. */
  async slow({ response, options }) {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    for (let i = 0; i < Number(options.pieces ?? 5) && !response.destroyed; i++) {
      response.write('x'.repeat(Number(options.size ?? 1000)));
      await wait(options.every ?? 20);
    }
    response.end();
  },

  noContent({ response, options }) {
    response.writeHead(204, headersOf(options));
    response.end();
  },

  notModified({ response, options }) {
    response.writeHead(304, { etag: '"1"', ...headersOf(options) });
    response.end();
  },

  /** 101, then echoes bytes until either side closes. */
  upgrade({ request, socket }) {
    const protocol = request.headers.upgrade ?? 'echo';
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    socket.pipe(socket);
  },

  /** Not HTTP at all. */
  garbage({ request }) {
    request.socket.end('this is not HTTP\r\n\r\n');
  },
};

const wait = (milliseconds) => (milliseconds ? sleep(Number(milliseconds)) : undefined);

/** `header=Name:value`, or several of them, into an object. */
function headersOf({ header }) {
  const lines = header === undefined ? [] : [header].flat();
  return Object.fromEntries(lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2)));
}

class Upstream {
  constructor(server, port) {
    this.server = server;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.reset();
  }

  /** Forgets every call. */
  reset() {
    this.calls = [];
    this.scripts = new Map();
    this.gates = new Map();
  }

  /** The executions of a call id (or all): [{id, method, url, headers, body}]. */
  executions(id) {
    return id === undefined ? this.calls : this.calls.filter((call) => call.id === id);
  }

  count(id) {
    return this.executions(id).length;
  }

  /** What the next executions of `id` do, in order; the last one stays. */
  script(id, ...steps) {
    this.scripts.set(id, steps);
  }

  /** Lets what holds under `id` go on, now and later. */
  release(id) {
    this.gate(id).open();
  }

  held(id) {
    return this.gate(id).opened;
  }

  gate(id) {
    if (!this.gates.has(id)) {
      const gate = {};
      gate.opened = new Promise((resolve) => { gate.open = resolve; });
      this.gates.set(id, gate);
    }
    return this.gates.get(id);
  }

  scripted(id) {
    const steps = this.scripts.get(id);
    if (!steps) return {};
    return steps.length > 1 ? steps.shift() : steps[0];
  }

  /** Stops listening and breaks every connection; `listen` undoes it. */
  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }

  listen() {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', () => {
        this.server.unref();
        resolve(this);
      });
    });
  }
}

/** The query as an object; a name given twice becomes an array. */
function optionsOf(url) {
  const options = {};
  for (const [name, value] of new URL(url, 'http://upstream').searchParams) {
    options[name] = name in options ? [options[name], value].flat() : value;
  }
  return options;
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Notes the execution, as soon as it arrives, and says what to do for it. */
function record(upstream, request) {
  const query = optionsOf(request.url);
  const { method, url, headers } = request;
  const execution = { id: query.id, method, url, headers, body: null };
  upstream.calls.push(execution);
  return {
    upstream, request, execution, id: query.id,
    options: { ...query, ...upstream.scripted(query.id) },
  };
}

/** Starts the upstream; the options but the port are those of http.createServer. */
export async function startUpstream({ port, ...options } = {}) {
  const server = http.createServer({ keepAliveTimeout: 60_000, ...options });
  const upstream = new Upstream(server, port ?? (await freePort()));
  // Idle connections of the gateway must not keep a finished test's process alive.
  server.on('connection', (socket) => socket.unref().on('error', () => {}));
  server.on('request', async (request, response) => {
    const call = record(upstream, request);
    try {
      call.execution.body = await bodyOf(request);
      await behaviours[call.options.do ?? 'ok']({ ...call, response });
    } catch (error) {
      request.socket.destroy(error); // the gateway went away meanwhile
    }
  });
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => {});
    behaviours.upgrade({ ...record(upstream, request), socket });
  });
  return upstream.listen();
}
