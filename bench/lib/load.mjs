// One run of the generator against one server, and what it cost the server.
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { join } from 'node:path';
import { BUILD } from '../../tests/e2e/lib/process.mjs';
import { spent, threads } from './processes.mjs';
import { settings } from './settings.mjs';

/** As many threads as there are cores, so that no server waits for the generator. */
const threadsFor = (connections) => Math.min(connections, os.availableParallelism(), 16);

/**
 * `payments` is {header, file, again}. The answer has the generator's figures and the
 * server's: cpu_us a request; busy, the busiest thread's share of the time; and whether the
 * generator was what kept the rate down: never idle itself, while the server was.
 */
export function load(server, path, connections, payments, seconds = settings.seconds) {
  const args = ['-t', threadsFor(connections), ...(payments?.again ? ['-r'] : []),
    server.port, path, connections, seconds, ...(payments ? [payments.header, payments.file] : [])];
  const before = threads(server.pid);
  const result = JSON.parse(execFileSync(join(BUILD, 'bench/load'), args.map(String), { encoding: 'utf8' }));
  const { cpu, busiest } = spent(before, threads(server.pid));
  const busy = busiest / 1e9 / result.seconds;
  return { ...result, cpu_us: cpu / 1000 / result.requests, server_busy_share: busy,
    generator_limited: result.generator_busy_share > 0.95 && busy < 0.9 };
}
