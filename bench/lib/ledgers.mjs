// Ledgers with a past, filled once a run (bench/ledger.c).
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { BUILD, temporaryFolder } from '../../tests/e2e/lib/process.mjs';
import { progress } from './table.mjs';

const DAYS = 10;
const LIVE_SECONDS = 7000; // below the window's end, as no signature is accepted beyond

/** A ledger that sold `payments` times; `live` when none of them has expired. */
export function filled(payments, { live = false } = {}) {
  const file = join(temporaryFolder('bench-ledger'), 'ledger.db');
  progress(`filling a ledger with ${payments} payments`);
  execFileSync(join(BUILD, 'bench/ledger'),
    ['fill', file, payments, live ? 1 : DAYS, ...(live ? [LIVE_SECONDS] : [])].map(String));
  return file;
}
