// The demo services as they are built: BUILD/x402-services.

import fs from 'node:fs';
import path from 'node:path';
import {
  BUILD, canConnect, freePort, isRunning, start, stop, temporaryFolder, waitFor,
} from './process.mjs';

export async function startServices() {
  const port = await freePort();
  const log = path.join(temporaryFolder('services'), 'services.log');
  const program = path.join(BUILD, 'x402-services');
  const child = start(program, ['--listen', `127.0.0.1:${port}`], { log });
  await waitFor(() => {
    if (!isRunning(child)) throw new Error(`it ended: ${fs.readFileSync(log, 'utf8')}`);
    return canConnect(port);
  }, 'x402-services');
  return { port, url: `http://127.0.0.1:${port}`, child, stop: () => stop(child) };
}
