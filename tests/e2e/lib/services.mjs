// The demo services as they are built: BUILD/x402-services.

import fs from 'node:fs';
import path from 'node:path';
import {
  BUILD, canConnect, freePort, isRunning, start, stop, temporaryFolder, waitFor,
} from './process.mjs';

export const SERVICES = path.join(BUILD, 'x402-services');

/** Nothing of whoever runs the tests reaches the services: no key, no proxy. */
export const CLEAN = {
  ANTHROPIC_API_KEY: '', http_proxy: '', https_proxy: '', all_proxy: '', HTTPS_PROXY: '',
  ALL_PROXY: '',
};

/** A file with a key, as the services want it. */
export function secretFile(text, mode = 0o600) {
  const file = path.join(temporaryFolder('secret'), 'key');
  fs.writeFileSync(file, text);
  fs.chmodSync(file, mode);
  return file;
}

/** Starts them; `args` are more arguments, `env` more of the environment. */
export async function startServices({ args = [], env = {}, program = SERVICES } = {}) {
  const port = await freePort();
  const log = path.join(temporaryFolder('services'), 'services.log');
  const child = start(program, ['--listen', `127.0.0.1:${port}`, ...args.map(String)], {
    log, env: { ...CLEAN, ...env },
  });
  await waitFor(() => {
    if (!isRunning(child)) throw new Error(`it ended: ${fs.readFileSync(log, 'utf8')}`);
    return canConnect(port);
  }, 'x402-services');
  return {
    port, child,
    url: `http://127.0.0.1:${port}`,
    log: () => fs.readFileSync(log, 'utf8'),
    stop: () => stop(child, 30_000),
  };
}
