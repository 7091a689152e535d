// An Internet on this machine: hosts with names, whose addresses of 127.77.0.0/16 builds for
// tests take for public ones; and a trap where private addresses lead to.

import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { freePort, temporaryFolder } from './process.mjs';

const PUBLIC = '127.77.0.0/16';
const PAGES = '127.77.0.1';
const ELSEWHERE = '127.77.0.2';

class Internet {
  constructor() {
    this.pages = new Map();
    this.requests = [];
    this.trapped = 0;
    this.servers = [];
    this.sockets = new Set();
    this.hosts = path.join(temporaryFolder('internet'), 'hosts');
    this.env = { X402_SERVICES_TEST_PUBLIC: PUBLIC, X402_SERVICES_TEST_HOSTS: this.hosts };
  }

  /** What DNS says from now on: {name: 'address,address'}, beside page.test. */
  resolve(names) {
    const lines = Object.entries({ 'page.test': PAGES, ...names })
      .map(([name, addresses]) => `${name} ${addresses}\n`);
    fs.writeFileSync(`${this.hosts}.new`, lines.join(''));
    fs.renameSync(`${this.hosts}.new`, this.hosts);
  }

  /** A page: its body, or a function of (request, response). Gives its URL. */
  page(where, body, { type = 'text/html; charset=utf-8', status = 200, headers = {} } = {}) {
    const answer = typeof body === 'function' ? body : (request, response) => {
      response.writeHead(status, { 'content-type': type, ...headers });
      response.end(body);
    };
    this.pages.set(where, answer);
    return this.url(where);
  }

  redirect(where, location, status = 302) {
    return this.page(where, '', { status, headers: { location } });
  }

  url(where, host = 'page.test') {
    return `http://${host}:${this.port}${where}`;
  }

  answer(request, response) {
    this.requests.push({ url: request.url, headers: request.headers });
    const page = this.pages.get(request.url);
    response.on('error', () => {}); // whoever reads it has had enough
    if (page) {
      page(request, response);
      return;
    }
    response.writeHead(404, { 'content-type': 'text/html' });
    response.end('<p>There is nothing here, and that in a sentence that could be summarized.');
  }

  async listen() {
    this.port = await freePort();
    const serve = (request, response) => this.answer(request, response);
    await this.start(http.createServer(serve), PAGES);
    await this.start(http.createServer(serve), ELSEWHERE);
    await this.start(net.createServer(() => { this.trapped += 1; }), '127.0.0.1');
    this.resolve({});
    return this;
  }

  start(server, address) {
    this.servers.push(server);
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
    });
    return new Promise((resolve) => { server.listen(this.port, address, resolve); });
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
    return Promise.all(this.servers.map((server) =>
      new Promise((resolve) => { server.close(resolve); })));
  }
}

export const startInternet = () => new Internet().listen();
