// HTTP without a client library in between: pipelining, half requests, aborts, and
// HTTP/2 with prior knowledge.

import http2 from 'node:http2';
import net from 'node:net';

/** A TCP connection that speaks as much or as little HTTP/1.1 as a test wants. */
export class RawConnection {
  static open(port) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.buffer = Buffer.alloc(0);
    this.ended = false;
    this.waiting = [];
    socket.setNoDelay(true);
    socket.on('data', (piece) => {
      this.buffer = Buffer.concat([this.buffer, piece]);
      this.wake();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.ended = true;
        this.wake();
      });
    }
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  async more() {
    if (this.ended) return false;
    await new Promise((resolve) => this.waiting.push(resolve));
    return true;
  }

  write(text) {
    this.socket.write(text);
    return this;
  }

  /** Writes a request; `headers` is an object, `body` text or bytes. */
  request(method, target, { headers = {}, body } = {}) {
    const all = { Host: '127.0.0.1', ...headers };
    if (body !== undefined) all['Content-Length'] = Buffer.byteLength(body);
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`);
    if (body !== undefined) this.write(body);
    return this;
  }

  async until(test) {
    for (;;) {
      const found = test(this.buffer);
      if (found !== undefined && found !== -1) return found;
      if (!(await this.more())) throw new Error('the connection ended too early');
    }
  }

  take(size) {
    const piece = this.buffer.subarray(0, size);
    this.buffer = this.buffer.subarray(size);
    return piece;
  }

  async line() {
    const end = await this.until((buffer) => buffer.indexOf('\r\n'));
    return this.take(end + 2).toString('latin1').slice(0, -2);
  }

  async exactly(size) {
    await this.until((buffer) => (buffer.length >= size ? size : undefined));
    return this.take(size);
  }

  /** Status line and headers: {status, headers}, names in lower case, repeated ones joined. */
  async readHead() {
    const status = Number((await this.line()).split(' ')[1]);
    const headers = {};
    for (let line = await this.line(); line !== ''; line = await this.line()) {
      const colon = line.indexOf(':');
      const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    return { status, headers };
  }

  /** One whole answer; `method` HEAD has no body. Throws when the body is cut off. */
  async readResponse(method = 'GET') {
    const head = await this.readHead();
    return { ...head, body: (await this.readBody(head, method)).toString('latin1') };
  }

  async readBody({ status, headers }, method) {
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
      return Buffer.alloc(0);
    }
    if (headers['transfer-encoding'] === 'chunked') return this.readChunks();
    if (headers['content-length'] !== undefined) {
      return this.exactly(Number(headers['content-length']));
    }
    while (await this.more());
    return this.take(this.buffer.length);
  }

  async readChunks() {
    const chunks = [];
    for (;;) {
      const size = parseInt(await this.line(), 16);
      chunks.push(await this.exactly(size));
      await this.line();
      if (size === 0) return Buffer.concat(chunks);
    }
  }

  /** Resolves when the other side has closed. */
  async closed() {
    while (await this.more());
  }

  /** Closes in good order. */
  end() {
    this.socket.end();
  }

  /** Resets the connection: the client that has gone away. */
  abort() {
    this.socket.resetAndDestroy();
  }
}

/** An HTTP/2 session with prior knowledge; close it with session.close(). */
export function openHttp2(port) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.once('error', reject);
    session.once('connect', () => {
      session.off('error', reject);
      session.on('error', () => {});
      resolve(session);
    });
  });
}

/** One request on a session: {stream, response}; response resolves to {status, headers, body}. */
export function requestHttp2(session, path, { method = 'GET', headers = {}, body } = {}) {
  const stream = session.request({ ':path': path, ':method': method, ...lower(headers) });
  stream.end(body);
  return { stream, response: collectHttp2(stream) };
}

async function collectHttp2(stream) {
  const headers = await new Promise((resolve, reject) => {
    stream.once('response', resolve);
    stream.once('error', reject);
    stream.once('close', () => reject(new Error(`stream closed (${stream.rstCode})`)));
  });
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  if (stream.rstCode) throw new Error(`stream reset (${stream.rstCode})`);
  return { status: headers[':status'], headers, body: Buffer.concat(pieces).toString('utf8') };
}

const lower = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
