// make bench: nginx's plain proxying, the 402 answer and the paid call, side by side in one
// run, rounds interleaved. CPU microseconds a request of the server's processes is the main
// figure: it is steadier than a rate on a shared machine. Nothing here asserts.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { page } from './page.mjs';
import { settlement } from './settlement.mjs';

const build = process.env.X402_BUILD ?? 'build';
const rounds = Number(process.env.ROUNDS ?? 5);
const seconds = Number(process.env.SECONDS ?? 2);
const workers = Number(process.env.WORKERS ?? 2);
const toSettle = Number(process.env.SETTLE ?? 5000); // payments
const toShow = Number(process.env.PAGE ?? 10_000_000); // payments
const payee = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';
const module = `${process.cwd()}/${build}/ngx_http_x402_module.so`;
const root = mkdtempSync(join(tmpdir(), 'x402-bench-'));
const running = [];

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

async function listening(port) {
  for (let i = 0; i < 200; i++) {
    const up = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => resolve(false));
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens on port ${port}`);
}

async function startNginx(name, http, { main = '', count = workers } = {}) {
  const dir = join(root, name);
  mkdirSync(join(dir, 'temp'), { recursive: true });
  const port = await freePort();
  const user = process.getuid() === 0 ? 'user root;' : '';
  writeFileSync(join(dir, 'nginx.conf'), `${main} ${user} daemon off; worker_processes ${count};
pid nginx.pid; error_log error.log;
events { worker_connections 2048; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
  uwsgi_temp_path temp; scgi_temp_path temp;
  large_client_header_buffers 4 16k;
  ${http(port, dir)}
}`);
  const child = spawn('nginx', ['-p', dir, '-c', 'nginx.conf'], { stdio: 'inherit' });
  running.push(child);
  await listening(port);
  return { port, dir, pid: child.pid };
}

function workersOf({ pid }) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
}

// Nanoseconds on a CPU, of every thread of every worker.
function cpuNanoseconds(server) {
  let sum = 0;
  for (const pid of workersOf(server)) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return sum;
}

// Runs beside nginx (no await on the loop), so that this process adds no load.
function load(server, path, connections, payments) {
  const before = cpuNanoseconds(server);
  const args = [server.port, path, connections, seconds, ...(payments ? [payments.header, payments.file] : [])];
  const result = JSON.parse(execFileSync(`${build}/bench/load`, args.map(String), { encoding: 'utf8' }));
  result.cpu_us = (cpuNanoseconds(server) - before) / 1000 / result.requests;
  return result;
}

function sign(dialect, count) {
  const header = dialect === 'v2' ? 'PAYMENT-SIGNATURE' : 'X-PAYMENT';
  const file = join(root, `${dialect}.txt`);
  const text = execFileSync(`${build}/bench/payments`,
    [String(count), dialect, '100', payee, '1000', '3600'], { maxBuffer: 1 << 30 });
  writeFileSync(file, text);
  return { header, file };
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const spread = (list) => `${Math.min(...list).toFixed(1)}..${Math.max(...list).toFixed(1)}`;

async function main() {
  const upstream = await startNginx('upstream', (port) => `server { listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '{"answer":42}'; } }`, { count: 1 });
  const pool = `upstream up { server 127.0.0.1:${upstream.port}; keepalive 64; }`;
  const pass = 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";';
  const plain = await startNginx('plain', (port) => `${pool}
    server { listen 127.0.0.1:${port} backlog=4096; location / { ${pass} } }`);
  const gateway = await startNginx('gateway', (port, dir) => `${pool}
    x402_ledger ${dir}/ledger.db; x402_network base-sepolia; x402_pay_to ${payee};
    x402_window 300 max=7200; x402_rate off; x402_refusal_rate off; x402_max_unsettled off;
    server { listen 127.0.0.1:${port} backlog=4096;
      location / { x402_price 0.001; ${pass} }
      location /free { ${pass} } }`, { main: `load_module ${module};` });

  const cases = [
    { name: 'nginx, plain proxying', server: plain, path: '/' },
    { name: 'gateway, free location', server: gateway, path: '/free' },
    { name: 'gateway, 402 answer', server: gateway, path: '/' },
    { name: 'gateway, paid (v2)', server: gateway, path: '/', dialect: 'v2' },
    { name: 'gateway, paid (v1)', server: gateway, path: '/', dialect: 'v1' },
    { name: 'gateway, paid (flat)', server: gateway, path: '/', dialect: 'flat' },
  ];
  const results = [];

  for (const connections of [1, 32, 256]) {
    const samples = new Map(cases.map((c) => [c, []]));
    for (let round = 0; round < rounds; round++) {
      for (const c of cases) {
        process.stderr.write(`\r${connections} connections, round ${round + 1}: ${c.name}          `);
        const payments = c.dialect && sign(c.dialect, 25000 * seconds);
        samples.get(c).push(load(c.server, c.path, connections, payments));
      }
    }
    for (const [c, runs] of samples) {
      const pick = (key) => runs.map((r) => r[key]);
      results.push({ case: c.name, connections, cpu_us: median(pick('cpu_us')), cpu_us_spread: spread(pick('cpu_us')),
        rate: median(pick('rate')), p50_us: median(pick('p50_us')), p99_us: median(pick('p99_us')),
        generator_cpu_share: Math.max(...pick('generator_cpu_share')),
        statuses: runs.reduce((sum, r) => { for (const [s, n] of Object.entries(r.statuses)) sum[s] = (sum[s] ?? 0) + n; return sum; }, {}) });
    }
  }
  process.stderr.write('\r'.padEnd(80) + '\r');
  print(results);
  const settled = toSettle > 0 ? await settlement(toSettle) : [];
  const shown = toShow > 0 ? await page(toShow, { startNginx, load, root, build, module }) : {};
  writeFileSync(`${build}/bench.json`,
    JSON.stringify({ workers, rounds, seconds, results, settlement: settled, page: shown }, null, 1));
  console.log(`\nwritten to ${build}/bench.json`);
}

function print(results) {
  console.log('case                       conns   CPU us (spread)        rate/s   p50 us   p99 us  statuses');
  for (const r of results) {
    console.log(`${r.case.padEnd(26)} ${String(r.connections).padStart(5)}  ${r.cpu_us.toFixed(1).padStart(7)} `
      + `(${r.cpu_us_spread})`.padEnd(16) + `${r.rate.toFixed(0).padStart(8)} ${r.p50_us.toFixed(0).padStart(8)} `
      + `${r.p99_us.toFixed(0).padStart(8)}  ${JSON.stringify(r.statuses)}${r.generator_cpu_share > 0.9 ? '  generator at its limit' : ''}`);
  }
}

try {
  await main();
} finally {
  for (const child of running) child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 500));
  rmSync(root, { recursive: true, force: true });
}
