// The distribution's nginx with our module, on a configuration written for one test.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  BUILD, SANITIZER_REPORT, canConnect, freePort, isRunning, sanitizerEnvironment, signal, start,
  temporaryFolder, waitFor, waitForExit,
} from './process.mjs';
import { PAYEE } from './wallet.mjs';

export const MODULE = path.join(BUILD, 'ngx_http_x402_module.so');

export const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(fs.existsSync) ?? 'nginx';

// nginx started by root gives its workers to this user, as distributions do.
const WORKER_USER = process.getuid() === 0 ? 'www-data' : null;

const DEFAULTS = {
  /** Snippets: locations of the server, and more for the server, http and main contexts. */
  locations: '', server: '', http: '', main: '',
  /** What is sold, and how; each line is left out when null. */
  payTo: PAYEE, accept: 'base-sepolia', price: null, settle: null, rate: 'off',
  /** What may be served before it is settled: anything, unless a test says otherwise. */
  maxUnsettled: 'off', maxUnsettledNew: null, maxUnsettledTotal: null, settleTimeout: null,
  refusalRate: 'off', window: null, publicUrl: null, ledger: true,
  /** More for the first listen: reuseport spreads connections evenly over workers. */
  listen: '',
  workers: 1, logLevel: 'info', accessLog: null, module: true,
};

const line = (name, value) => (value === null ? '' : `    ${name} ${value};\n`);

function configuration(gateway) {
  const o = gateway.options;
  const products = [
    o.ledger ? line('x402_ledger', gateway.ledger) : '',
    line('x402_pay_to', o.payTo), line('x402_accept', o.accept), line('x402_price', o.price),
    line('x402_settle', o.settle), line('x402_settle_timeout', o.settleTimeout),
    line('x402_max_unsettled', o.maxUnsettled),
    line('x402_max_unsettled_new', o.maxUnsettledNew),
    line('x402_max_unsettled_total', o.maxUnsettledTotal), line('x402_rate', o.rate),
    line('x402_refusal_rate', o.refusalRate), line('x402_window', o.window),
    line('x402_public_url', o.publicUrl),
  ].join('');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `    ${kind}_temp_path ${gateway.folder}/temp/${kind};\n`).join('');
  return `
${o.module ? `load_module ${MODULE};` : ''}
${WORKER_USER ? `user ${WORKER_USER};` : ''}
worker_processes ${o.workers};
pid ${gateway.folder}/nginx.pid;
error_log ${gateway.errorLogFile} ${o.logLevel};
env X402_TEST_CLOCK_FILE;
${o.main}
events { worker_connections 4096; }
http {
    access_log ${o.accessLog ? `${gateway.folder}/access.log ${o.accessLog}` : 'off'};
${temporary}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    large_client_header_buffers 4 16k;
    client_max_body_size 0;
${o.module ? products : ''}
${o.http}
    server {
        listen 127.0.0.1:${gateway.port} ${o.listen};
        listen 127.0.0.1:${gateway.http2Port} http2;
${o.server}
${o.locations}
    }
}
`;
}

/**
 * Writes the configuration and starts nginx. See DEFAULTS for the options; a snippet
 * may be a function of the gateway, which then has its ports and folder.
 */
export async function startGateway(options = {}) {
  const gateway = new Gateway(await freePort(), await freePort());
  await gateway.configure(options);
  await gateway.start();
  return gateway;
}

class Gateway {
  constructor(port, http2Port) {
    this.port = port;
    this.http2Port = http2Port;
    this.url = `http://127.0.0.1:${port}`;
    this.folder = temporaryFolder('gateway');
    this.data = path.join(this.folder, 'data'); // what the command line calls --data
    this.ledger = path.join(this.data, 'ledger.db');
    this.errorLogFile = path.join(this.folder, 'error.log');
    this.clockFile = path.join(this.folder, 'clock');
    this.options = { ...DEFAULTS };
    this.killed = new Set(); // workers that a test killed
    this.allowed = [];
    this.layOut();
  }

  layOut() {
    fs.chmodSync(this.folder, 0o755);
    for (const name of ['data', 'temp']) {
      fs.mkdirSync(path.join(this.folder, name));
      if (WORKER_USER) execFileSync('chown', [WORKER_USER, path.join(this.folder, name)]);
    }
    fs.writeFileSync(this.clockFile, '0\n');
  }

  /** The environment that shares this gateway's clock: for the settler and command line. */
  get environment() {
    return { X402_TEST_CLOCK_FILE: this.clockFile };
  }

  /** Sets the clock of everything ahead by `seconds` of the real one. */
  setClock(seconds) {
    fs.writeFileSync(this.clockFile, `${seconds}\n`);
  }

  /** Changes the configuration; takes effect at the next start or reload. */
  configure(options) {
    Object.assign(this.options, options);
    for (const [name, value] of Object.entries(this.options)) {
      if (typeof value === 'function') this.options[name] = value(this);
    }
    fs.writeFileSync(this.file, configuration(this));
  }

  get file() {
    return path.join(this.folder, 'nginx.conf');
  }

  get arguments() {
    return ['-p', `${this.folder}/`, '-c', this.file, '-e', this.errorLogFile];
  }

  async start() {
    this.master = start(NGINX, [...this.arguments, '-g', 'daemon off;'], {
      log: path.join(this.folder, 'output.log'),
      env: { ...this.environment, ...sanitizerEnvironment() },
    });
    await waitFor(async () => {
      if (!isRunning(this.master)) throw new Error(`nginx did not start:\n${this.output()}`);
      return this.workers().length === this.options.workers && (await canConnect(this.port));
    }, 'nginx', 20_000);
  }

  /** `nginx -t`: {ok, output}. */
  test() {
    try {
      execFileSync(NGINX, [...this.arguments, '-t'], {
        env: { ...process.env, ...this.environment, ...sanitizerEnvironment() }, stdio: 'pipe',
      });
      return { ok: true, output: '' };
    } catch (error) {
      return { ok: false, output: error.stderr.toString() };
    }
  }

  /** The worker processes that are not shutting down; with `all`, those too. */
  workers({ all = false } = {}) {
    return childrenOf(this.master.pid).filter((pid) => {
      const title = titleOf(pid);
      return title.includes('worker process') && (all || !title.includes('shutting down'));
    });
  }

  /** SIGHUP; resolves when the new workers are there. Old ones may still be finishing. */
  async reload() {
    const before = new Set(this.workers({ all: true }));
    const logged = this.errorLog().length;
    signal(this.master, 'SIGHUP');
    await waitFor(() => {
      const news = this.errorLog().slice(logged);
      if (news.includes('[emerg]')) throw new Error(`reload failed:\n${news}`);
      const workers = this.workers();
      return workers.length === this.options.workers && workers.every((pid) => !before.has(pid));
    }, 'the new workers');
  }

  /** Graceful: finishes what is being served. */
  async quit(within) {
    signal(this.master, 'SIGQUIT');
    return waitForExit(this.master, within);
  }

  /** Fast, but in order. */
  async terminate(within) {
    signal(this.master, 'SIGTERM');
    return waitForExit(this.master, within);
  }

  /** kill -9 of one worker; resolves when the master has started another. */
  async killWorker(pid = this.workers()[0]) {
    this.killed.add(pid);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => {
      const workers = this.workers();
      return !workers.includes(pid) && workers.length === this.options.workers;
    }, 'the next worker');
    return pid;
  }

  /** kill -9 of master and workers at once. */
  async kill() {
    process.kill(-this.master.pid, 'SIGKILL');
    await waitForExit(this.master);
    await waitFor(async () => !(await canConnect(this.port)), 'the port to be free');
  }

  errorLog() {
    return readText(this.errorLogFile);
  }

  accessLog() {
    return readText(path.join(this.folder, 'access.log'));
  }

  output() {
    return readText(path.join(this.folder, 'output.log')) + this.errorLog().slice(-4000);
  }

  /** Says that lines of the error log which match are part of the test. */
  allow(...patterns) {
    this.allowed.push(...patterns);
  }

  /** Throws when nginx or a sanitizer complained of something no test provoked. */
  check() {
    const output = this.output();
    if (SANITIZER_REPORT.test(output)) throw new Error(`sanitizer report:\n${output}`);
    const lines = this.errorLog().split('\n').filter((text) => this.isAlarm(text));
    if (lines.length) throw new Error(`nginx logged:\n${lines.join('\n')}`);
  }

  isAlarm(text) {
    if (!/\[(alert|emerg)\]/.test(text)) return false;
    const killed = /process (\d+) exited on signal 9/.exec(text);
    if (killed && this.killed.has(Number(killed[1]))) return false;
    return !this.allowed.some((pattern) => pattern.test(text));
  }

  /** Ends nginx, gracefully first, and checks what it logged. Safe to call twice. */
  async stop(within = 5_000) {
    if (isRunning(this.master)) await this.quit(within);
    this.check();
  }
}

function childrenOf(pid) {
  return readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

const titleOf = (pid) => readText(`/proc/${pid}/cmdline`);

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '';
    throw error;
  }
}
