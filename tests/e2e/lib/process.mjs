// Child processes, ports and folders of a test: everything started here is stopped when
// the test's process ends, however it ends.

import { spawn, spawnSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// Node 18 has Web Crypto, but not yet as a global, where the stock clients look for it.
globalThis.crypto ??= webcrypto;

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The folder with the programs under test: X402_BUILD, or build/test. */
export const BUILD = path.resolve(ROOT, process.env.X402_BUILD ?? 'build/test');

export const SANITIZED = path.basename(BUILD).includes('asan');

const children = new Set();
const folders = new Set();

process.on('exit', () => {
  for (const child of children) killGroup(child, 'SIGKILL');
  for (const folder of folders) {
    if (!process.env.X402_KEEP) fs.rmSync(folder, { recursive: true, force: true });
  }
});
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => process.exit(code));
}

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** A folder that is gone when the process ends (kept with X402_KEEP=1). */
export function temporaryFolder(name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `x402-${name}-`));
  folders.add(folder);
  return folder;
}

/**
 * Starts a program in a process group of its own, its output going to the file `log`.
 * It gets SIGTERM should this process be killed, and does not keep this process alive.
 * The answer's `exited` resolves to {code, signal}.
 */
export function start(command, args, { log, env = {}, cwd } = {}) {
  const output = log ? fs.openSync(log, 'a') : 'ignore';
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
    detached: true,
  });
  if (log) fs.closeSync(output);
  child.unref();
  children.add(child);
  child.exited = new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return child;
}

export const isRunning = (child) => child.exitCode === null && child.signalCode === null;

/** Sends a signal to the program alone (not to its group). */
export function signal(child, name) {
  if (isRunning(child)) process.kill(child.pid, name);
}

/** Waits until the program has ended; kills its group after `within` milliseconds. */
export async function waitForExit(child, within = 10_000) {
  child.ref();
  const timer = setTimeout(() => killGroup(child, 'SIGKILL'), within);
  const status = await child.exited;
  clearTimeout(timer);
  child.unref();
  return status;
}

/** SIGTERM, then SIGKILL for whatever of the group is left. */
export async function stop(child, within) {
  signal(child, 'SIGTERM');
  const status = await waitForExit(child, within);
  killGroup(child, 'SIGKILL');
  children.delete(child);
  return status;
}

/** Runs a program to its end: {code, signal, stdout, stderr}. */
export async function run(command, args, { env = {}, input, within = 60_000, cwd } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
  const timer = setTimeout(() => child.kill('SIGKILL'), within);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  child.stdin.on('error', () => {}); // it need not read what it is given
  child.stdin.end(input);
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signalName) => resolve({ code, signal: signalName }));
  });
  clearTimeout(timer);
  return { ...status, stdout: await stdout, stderr: await stderr };
}

async function collect(stream) {
  let text = '';
  for await (const piece of stream.setEncoding('utf8')) text += piece;
  return text;
}

/**
 * Calls `test` until it answers something true, and returns that. It is called once more
 * when the time is over: this process may have stood still, with what it waits for unread.
 */
export async function waitFor(test, what, within = 10_000, every = 20) {
  const end = Date.now() + within;
  for (let last = false; ;) {
    const value = await test();
    if (value) return value;
    if (last) throw new Error(`waited ${within} ms in vain for ${what}`);
    last = Date.now() > end;
    await sleep(every);
  }
}

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const taken = new Set();

/** A free port of 127.0.0.1, below those the kernel hands out for outgoing connections. */
export async function freePort() {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (!taken.has(port) && (await canListen(port))) {
      taken.add(port);
      return port;
    }
  }
}

export function canListen(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

export function canConnect(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/**
 * What a process needs to load a library built with clang's sanitizers when it was not
 * built with them itself. Leaks are the other program's affair.
 */
export function sanitizerEnvironment() {
  if (!SANITIZED) return {};
  const architecture = os.arch() === 'arm64' ? 'aarch64' : 'x86_64';
  const file = `libclang_rt.asan-${architecture}.so`;
  const found = spawnSync('clang', [`-print-file-name=${file}`], { encoding: 'utf8' });
  return {
    LD_PRELOAD: found.stdout.trim(),
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:handle_abort=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}

/** Lines in which a sanitizer reports something. */
export const SANITIZER_REPORT =
  /(ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:)/;

/**
 * Opens something, gives it to `body`, and close()s it. What went wrong in the body is
 * thrown rather than what goes wrong in closing afterwards.
 */
export async function using(opening, body) {
  const opened = await opening;
  let failed = true;
  try {
    await body(opened);
    failed = false;
  } finally {
    await opened.close().catch((error) => { if (!failed) throw error; });
  }
}
