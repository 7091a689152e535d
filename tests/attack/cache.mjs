// A shared cache between clients and the server: a real nginx with proxy_cache, which
// believes what answers say of themselves.

import fs from 'node:fs';
import path from 'node:path';
import { canConnect, freePort, start, stop, temporaryFolder, waitFor } from '../e2e/lib/process.mjs';
import { NGINX } from '../e2e/lib/gateway.mjs';
import { ask } from '../e2e/lib/ask.mjs';
import { decode } from '../e2e/lib/wallet.mjs';
import { isServed, noting, tally } from './target.mjs';

/** `keeps` is how long it keeps what does not say, for any status. */
function configuration(folder, port, upstream) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  return `${process.getuid() === 0 ? 'user root;' : ''} daemon off; worker_processes 1;
pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off; ${temporary} large_client_header_buffers 4 32k;
  proxy_cache_path ${folder}/cache keys_zone=answers:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache answers; proxy_cache_key $request_uri; proxy_cache_valid any 10m;
      proxy_cache_methods GET HEAD POST;
      add_header X-Cache $upstream_cache_status always;
    }
  }
}
`;
}

/** Runs `body` with a cache in front of the target: {port}. */
async function cached(target, body) {
  const [folder, port] = [temporaryFolder('cache'), await freePort()];
  const file = path.join(folder, 'nginx.conf');
  fs.writeFileSync(file, configuration(folder, port, target.port));
  const child = start(NGINX, ['-p', `${folder}/`, '-c', file, '-e', path.join(folder, 'error.log')]);
  try {
    await waitFor(() => canConnect(port), 'the cache');
    return await body({ port });
  } finally {
    await stop(child);
  }
}

const hits = (answers) => answers.filter(({ headers }) => headers['x-cache'] === 'HIT').length;

/** The free ones must get no goods, the payer must not be asked again. */
function judge(unpaid, paid, extra = '') {
  const leaked = unpaid.filter(isServed).length;
  return {
    ok: !leaked && !hits(unpaid) && !hits(paid) && paid.every(isServed),
    did: `unpaid ${tally(unpaid)}; paid ${tally(paid)}; ${hits([...unpaid, ...paid])} from the cache${extra}`,
  };
}

/** Unpaid, paid, unpaid in several ways, paid by another, unpaid: all for one URL. */
const round = (target, more = '') => cached(target, async (proxy) => {
  const call = target.call(target.path, more);
  const get = (options) => ask(proxy, call.path, options);
  const unpaid = [await get(), await get()];
  const paid = [await get({ payment: await target.newPayment() })];
  for (const headers of [
    {}, { 'If-None-Match': '*' }, { Range: 'bytes=0-4' }, { 'Cache-Control': 'only-if-cached' }]) {
    unpaid.push(await get({ headers }));
  }
  unpaid.push(await get({ method: 'HEAD' }));
  paid.push(await get({ payment: await target.newPayment() }));
  unpaid.push(await get());
  return judge(unpaid, paid);
});

const headerOf = (line) => `&header=${encodeURIComponent(line)}`;

/** Upstreams that want their answers kept by everybody. */
async function permissive(target) {
  const lines = ['Cache-Control: public, max-age=600', 'Cache-Control: s-maxage=600', 'X-Accel-Expires: 600',
    `Expires: ${new Date(Date.now() + 3_600_000).toUTCString()}`, 'Cache-Control: max-age=600, immutable',
    'Surrogate-Control: max-age=600', 'CDN-Cache-Control: max-age=600', 'Vary: *', 'ETag: "1"'];
  const rounds = [];
  for (const one of lines) rounds.push({ one, ...(await round(target, headerOf(one))) });
  const wrong = rounds.filter(({ ok }) => !ok);
  return {
    ok: !wrong.length,
    did: wrong.length ? wrong.map(({ one, did }) => `${one}: ${did}`).join('; ') : `${lines.length} kinds, none kept`,
  };
}

/** Headers by which a CDN keeps what Cache-Control says is private (RFC 9213, and older ones). */
async function targeted(target) {
  const names = ['Surrogate-Control', 'CDN-Cache-Control', 'Cloudflare-CDN-Cache-Control',
    'Vercel-CDN-Cache-Control', 'Netlify-CDN-Cache-Control', 'Akamai-Cache-Control', 'Edge-Control'];
  const passed = [];
  for (const name of names) {
    const got = await target.buy(target.call(target.path, headerOf(`${name}: max-age=600`)));
    if (got.headers[name.toLowerCase()] !== undefined) passed.push(name);
  }
  return { ok: !passed.length, did: noting(`${names.length} of them`, 'passed on', passed) };
}

/** Offers for one must not be told to another: nor with a host that somebody made up. */
const poisoned = (target) => cached(target, async (proxy) => {
  const call = target.call();
  const evil = 'evil.example';
  for (const headers of [{ Host: evil }, { 'X-Forwarded-Host': evil }, { 'X-Forwarded-Proto': evil },
    { Forwarded: `host=${evil}` }, { 'X-Original-Host': evil }, { 'X-Forwarded-Port': '1' }]) {
    await ask(proxy, call.path, { headers });
  }
  const got = await ask(proxy, call.path);
  const { resource } = decode(got.headers['payment-required']);
  const clean = !`${got.body}${JSON.stringify(resource)}`.includes(evil);
  return {
    ok: clean && got.status === 402 && !hits([got]),
    did: `${got.status}, ${clean ? 'its own host' : resource.url}`,
  };
});

/** What the answers themselves say, for caches that are not nginx. */
async function words(target) {
  const call = target.call();
  const [unpaid, paid] = [await target.send(call), await target.buy(call)];
  const said = [unpaid, paid].map(({ headers }) => headers['cache-control'] ?? 'nothing');
  return {
    ok: /no-store/.test(said[0]) && /private|no-store/.test(said[1]),
    did: `402: ${said[0]}; paid: ${said[1]}`,
  };
}

const neither = 'lets it keep neither the 402 nor the goods';

export const cache = [
  { name: 'what answers say to caches', correct: '402 no-store, paid private', run: words },
  { name: 'a cache in front', correct: neither, needs: ['nginx'], run: (target) => round(target) },
  { name: 'a cache in front of an upstream that allows it', correct: neither,
    needs: ['nginx', 'testUpstream'], run: permissive },
  { name: 'an upstream\'s words to CDNs', correct: 'keeps them back', needs: ['testUpstream'], run: targeted },
  { name: 'an offer poisoned with a host', correct: 'tells nobody else of it', needs: ['nginx'], run: poisoned },
];
