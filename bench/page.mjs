// The status page's part of make bench: what the page reads of a big ledger while somebody
// sells, and /x402/stats as nginx serves it (kept for a second). Nothing asserts.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { BUILD } from '../tests/e2e/lib/process.mjs';
import { load } from './lib/load.mjs';
import { MODULE, startNginx } from './lib/servers.mjs';
import { digits, progress, table } from './lib/table.mjs';

function print(payments, result) {
  const rows = [...Object.entries(result.reads), ['/x402/stats', result.http]];
  table([`status page at ${digits(payments)} payments`, 'CPU ms', 'p50 ms', 'p99 ms'],
    rows.map(([name, r]) => [name, ...[r.cpu_ms, r.p50_ms, r.p99_ms].map((ms) => digits(ms, 2))]));
}

export async function page(payments, file) {
  progress('reading what the status page reads');
  const reads = JSON.parse(execFileSync(join(BUILD, 'bench/ledger'), ['read', file], { encoding: 'utf8' }));
  const server = await startNginx('page', (port) => `x402_ledger ${file};
    server { listen 127.0.0.1:${port}; location = /x402/stats { x402_stats; } }`,
  { main: MODULE, workers: 1 });
  const { cpu_us: cpu, p50_us: p50, p99_us: p99, statuses } = load(server, '/x402/stats', 1);
  await server.stop();
  const result = { payments, reads, statuses,
    http: { cpu_ms: cpu / 1000, p50_ms: p50 / 1000, p99_ms: p99 / 1000 } };
  print(payments, result);
  return result;
}
