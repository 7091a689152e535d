// The servers that are compared. Each is {port, folder, pid, stop}.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, canConnect, freePort, start, stop, temporaryFolder, waitFor } from '../../tests/e2e/lib/process.mjs';
import { PAYEE, VALUE, settings } from './settings.mjs';

async function listening(child, port, folder) {
  await waitFor(() => canConnect(port), `a server on port ${port}: see ${folder}`, 30_000);
  return { port, folder, pid: child.pid,
    stop: async () => {
      await stop(child);
      rmSync(folder, { recursive: true });
    } };
}

/** nginx; `http` gives the content of its http block for a port and a folder. */
export async function startNginx(name, http, { main = '', workers = settings.workers } = {}) {
  const folder = temporaryFolder(`bench-${name}`);
  const port = await freePort();
  mkdirSync(join(folder, 'temp'));
  const user = process.getuid() === 0 ? 'user root;' : '';
  writeFileSync(join(folder, 'nginx.conf'), `${main} ${user} daemon off; worker_processes ${workers};
pid nginx.pid; error_log error.log;
events { worker_connections 2048; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
  uwsgi_temp_path temp; scgi_temp_path temp;
  client_header_buffer_size 4k; large_client_header_buffers 4 16k;
  ${http(port, folder)}
}`);
  const log = join(folder, 'output.log');
  return listening(start('nginx', ['-p', folder, '-c', 'nginx.conf'], { log }), port, folder);
}

/** One of bench/servers, before an upstream, or (none) answering by itself. */
export async function startNode(name, upstream) {
  const folder = temporaryFolder(`bench-${name}`);
  const port = await freePort();
  const child = start('node', [`bench/servers/${name}.mjs`], {
    log: join(folder, 'output.log'),
    env: { NODE_ENV: 'production', PORT: port, WORKERS: settings.workers, PAYEE, VALUE,
      ...(upstream && { UPSTREAM: upstream.port }) },
  });
  return listening(child, port, folder);
}

/** What answers what is sold: a constant. */
export const startUpstream = () => startNginx('upstream', (port) => `
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '{"answer":42}'; } }`, { workers: 1 });

const PASS = 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";';
const pool = (upstream) => `upstream up { server 127.0.0.1:${upstream.port}; keepalive 64; }`;

/** nginx without the module: plain proxying, and a 402 of its own with a body of a size. */
export const startPlain = (upstream, bodySize) => startNginx('plain', (port) => `${pool(upstream)}
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { ${PASS} }
    location = /402 { default_type application/json; return 402 '${'x'.repeat(bodySize)}'; } }`);

export const MODULE = `load_module ${join(BUILD, 'ngx_http_x402_module.so')};`;

/** The gateway, with a ledger of its own that is empty, or the one given. */
export const startGateway = (upstream, ledger) => startNginx('gateway', (port, folder) => `${pool(upstream)}
  x402_ledger ${ledger ?? `${folder}/ledger.db`}; x402_network base-sepolia; x402_pay_to ${PAYEE};
  x402_window 300 max=7200; x402_rate off; x402_refusal_rate off; x402_max_unsettled off;
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { x402_price 0.001; ${PASS} }
    location /free { ${PASS} } }`, { main: MODULE });
