// The status page's part of make bench: a ledger that has sold `payments` times, what the
// page reads of it while somebody sells, and /x402/stats as nginx serves it (kept for a second).
// Nothing asserts.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

const DAYS = 10;

const row = (name, r) => console.log(`${name.padEnd(26)} ${r.cpu_ms.toFixed(2).padStart(8)} `
  + `${r.p50_ms.toFixed(2).padStart(8)} ${r.p99_ms.toFixed(2).padStart(8)}`);

function print(payments, result) {
  console.log(`\nstats page at ${payments.toLocaleString('en')} payments in ${DAYS} days`);
  console.log('read                         CPU ms   p50 ms   p99 ms');
  for (const [name, r] of Object.entries(result.reads)) row(name, r);
  row('/x402/stats', result.http);
}

/** `startNginx`, `load`, `root`, `build` and `module` are those of run.mjs. */
export async function page(payments, { startNginx, load, root, build, module }) {
  const file = join(root, 'large.db');
  process.stderr.write(`\rfilling a ledger with ${payments} payments          `);
  execFileSync(`${build}/bench/ledger`, ['fill', file, String(payments), String(DAYS)]);
  process.stderr.write('\r'.padEnd(80) + '\r');
  const reads = JSON.parse(execFileSync(`${build}/bench/ledger`, ['read', file], { encoding: 'utf8' }));
  const server = await startNginx('page', (port) => `x402_ledger ${file};
    server { listen 127.0.0.1:${port}; location = /x402/stats { x402_stats; } }`,
  { main: `load_module ${module};`, count: 1 });
  const { cpu_us: cpu, p50_us: p50, p99_us: p99, statuses } = load(server, '/x402/stats', 1);
  const result = { payments, reads, statuses,
    http: { cpu_ms: cpu / 1000, p50_ms: p50 / 1000, p99_ms: p99 / 1000 } };
  print(payments, result);
  rmSync(file);
  return result;
}
