// `x402 serve` under test: the whole gateway by one command.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  freePort, isRunning, sanitizerEnvironment, signal, start, stop, temporaryFolder, waitFor,
  waitForExit,
} from './process.mjs';
import { PAYEE } from './wallet.mjs';
import { X402 } from './x402.mjs';

/** A folder whose inside nginx's workers may reach, also when root made it. */
export function openFolder(name) {
  const folder = temporaryFolder(name);
  fs.chmodSync(folder, 0o755);
  return folder;
}

/** Process ids of a process's children. */
export function childrenOf(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** What a process was started as; '' when it is gone. */
export function commandOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

export const isAlive = (pid) => commandOf(pid) !== '';

class Serving {
  constructor(port, data, folder) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.data = data;
    this.logFile = path.join(folder, 'serve.log');
    this.clockFile = path.join(folder, 'clock');
    fs.writeFileSync(this.clockFile, '0\n');
  }

  get environment() {
    return { X402_TEST_CLOCK_FILE: this.clockFile };
  }

  /** Sets the clock of everything ahead (of builds whose clock can be moved). */
  setClock(seconds) {
    fs.writeFileSync(this.clockFile, `${seconds}\n`);
  }

  log() {
    return fs.readFileSync(this.logFile, 'utf8');
  }

  /** The nginx master's process id, and the settler's. */
  get nginx() {
    return childrenOf(this.child.pid).find((pid) => commandOf(pid).includes('nginx: master'));
  }

  get settler() {
    return childrenOf(this.child.pid).find((pid) => / settle /.test(commandOf(pid)));
  }

  get workers() {
    return childrenOf(this.nginx).filter((pid) => commandOf(pid).includes('worker process'));
  }

  /** Whether what is left of the workers finishes what is under way, and takes no more. */
  get isShuttingDown() {
    const left = this.workers.map(commandOf);
    return left.length > 0 && left.every((title) => title.includes('shutting down'));
  }

  /** Everything there is of it, itself last. */
  get processes() {
    const all = [...this.workers, this.nginx, this.settler, this.child.pid];
    return all.filter((pid) => pid !== undefined);
  }

  signal(name) {
    signal(this.child, name);
  }

  exit(within) {
    return waitForExit(this.child, within);
  }

  stop() {
    return stop(this.child, 20_000);
  }
}

/** Arguments of a gateway for `upstream`; `args` come last. */
export function serveArguments(upstream, { port, data, price = '0.001', args = [] }) {
  return [
    'serve', '--upstream', upstream.url, '--pay-to', PAYEE, '--listen', String(port),
    '--data', data, ...(price === null ? [] : ['--price', price]), ...args,
  ].map(String);
}

/** Starts `x402 serve` and waits until it has said what it sells. */
export async function startServe(upstream, { folder = openFolder('serve'), env = {}, ...options } = {}) {
  const port = options.port ?? (await freePort());
  const data = options.data ?? path.join(folder, 'data');
  const serving = new Serving(port, data, folder);
  serving.child = start(X402, serveArguments(upstream, { ...options, port, data }), {
    log: serving.logFile,
    env: { ...serving.environment, ...sanitizerEnvironment(), ...env },
  });
  await waitFor(() => {
    if (!isRunning(serving.child)) throw new Error(`x402 serve ended:\n${serving.log()}`);
    return serving.log().includes('Ctrl-C stops it');
  }, 'x402 serve', 20_000);
  return serving;
}

/** A certificate for localhost, and its key. */
export function selfSigned() {
  const folder = openFolder('tls');
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((file) => path.join(folder, file));
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost',
  ], { stdio: 'pipe' });
  return { certificate, pem: { key: fs.readFileSync(key), cert: fs.readFileSync(certificate) } };
}
