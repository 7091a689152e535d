// The floor's parts, each alone (bench/floor.c).
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { BUILD, temporaryFolder } from '../../tests/e2e/lib/process.mjs';
import { sign } from './payments.mjs';
import { PAYEE, VALUE } from './settings.mjs';

const SECONDS_EACH = 0.2;
let samples;

/** Its figures by name; durable appends go to where ledgers are. */
export function floor() {
  const folder = temporaryFolder('bench-floor');
  samples ??= ['v2', 'v1', 'flat'].map((dialect) => sign(join(folder, dialect), dialect, 2000).file);
  const args = [SECONDS_EACH, folder, PAYEE, VALUE, ...samples].map(String);
  return JSON.parse(execFileSync(join(BUILD, 'bench/floor'), args, { encoding: 'utf8' }));
}
