// What the kernel and the files say of a gateway: memory and descriptors of each process,
// bytes of the ledger.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { stats } from '../e2e/lib/x402.mjs';

const KILOBYTE = 1024;

/**
 * One process: {pid, anonymous, file, shared, descriptors}, bytes that are resident. What a
 * process leaks is anonymous; mapped files (libraries, the ledger's index and live set) and
 * nginx's shared zones are counted apart, since the same pages are in several processes.
 * Null when it has ended.
 */
export function processOf(pid) {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    const bytes = (name) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) * KILOBYTE;
    return {
      pid, anonymous: bytes('RssAnon'), file: bytes('RssFile'), shared: bytes('RssShmem'),
      descriptors: fs.readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return null; // it ended in between, or is a zombie, which has no memory
  }
}

/** All that run: {master, workers, settler}; workers that are shutting down count. */
export function processesOf(gateway, settler) {
  const workers = gateway.workers({ all: true }).map(processOf).filter(Boolean);
  return {
    master: processOf(gateway.master.pid), workers,
    settler: settler?.isRunning() ? processOf(settler.pid) : null,
  };
}

/** The files of the ledger and beside it, by name: bytes. */
export function filesOf(gateway) {
  const files = {};
  for (const name of fs.readdirSync(gateway.data)) {
    files[name] = fs.statSync(path.join(gateway.data, name)).size;
  }
  return files;
}

export const logBytes = (gateway) => filesOf(gateway)['ledger.db-wal'] ?? 0;

/** Runs SQL by the command-line tool; gives its lines. */
export function sql(gateway, ...statements) {
  const output = execFileSync('sqlite3', [gateway.ledger, '.timeout 10000', ...statements]);
  return output.toString().trim().split('\n');
}

/**
 * The ledger: {bytes, payments, files}. Its bytes are its pages, whether they are in the
 * file yet or in its log: the log keeps the size of its fullest hour.
 */
export async function ledgerOf(gateway) {
  const [pages, size] = sql(gateway, 'PRAGMA page_count', 'PRAGMA page_size').map(Number);
  const { totals } = await stats(gateway);
  const payments = totals.reduce((sum, token) => sum + token.admitted.count, 0);
  return { bytes: pages * size, payments, files: filesOf(gateway) };
}
