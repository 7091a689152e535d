// What servers of tests have in common: a port, which they keep while they are away.

import http from 'node:http';
import { freePort } from './process.mjs';

/** Whoever extends it has answer(request, response); what that throws ends the connection. */
export class Listener {
  async listen() {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.server = http.createServer((request, response) => {
      this.answer(request, response).catch(() => request.socket.destroy());
    });
    this.server.on('connection', (socket) => socket.unref().on('error', () => {}));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
    this.server.unref();
    return this;
  }

  /** It is down: connections are refused until listen(). */
  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** The body of a request. */
export async function bodyOf(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  return text;
}

/** Answers with any text, and more headers. */
export function say(response, status, type, text, headers = {}) {
  response.writeHead(status, { 'content-type': type, ...headers });
  response.end(text);
}
