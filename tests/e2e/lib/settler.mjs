// The settler under test: `x402 settle`, once or running.

import fs from 'node:fs';
import path from 'node:path';
import { isRunning, signal, start, stop, waitFor, waitForExit } from './process.mjs';
import { account, keyFile } from './wallet.mjs';
import { X402, x402, x402Output } from './x402.mjs';

/** An account with gas for settling, and the file with its key. */
export async function settlerKey(chain, name = 'settler') {
  const settler = account(name);
  await chain.giveGas(settler.address);
  return { address: settler.address, file: keyFile(settler) };
}

const argumentsOf = (gateway, chain, key) =>
  ['settle', '--data', gateway.data, '--rpc', `base-sepolia=${chain.url}`, '--key', key.file];

/** Settles what is due and ends; throws when it fails. */
export function settleOnce(gateway, chain, key) {
  return x402Output([...argumentsOf(gateway, chain, key), '--once'], { gateway });
}

/** The same, and never throws: {code, stdout, stderr}. `args` are more arguments. */
export function trySettleOnce(gateway, chain, key, args = []) {
  return x402([...argumentsOf(gateway, chain, key), '--once', ...args], { gateway });
}

/**
 * Starts a settler that runs until it is stopped or killed; `args` are more arguments, and
 * the other options are those of startSettling.
 */
export function startSettler(gateway, chain, key, { args = [], ...options } = {}) {
  return startSettling(gateway, [...argumentsOf(gateway, chain, key), ...args], options);
}

/**
 * The same of a settler with just these arguments, whose log is a file of the gateway's
 * folder. Told to stop it has `within` milliseconds.
 */
export function startSettling(gateway, args, { log = 'settler.log', env = {}, within } = {}) {
  const file = path.join(gateway.folder, log);
  const child = start(X402, args, { log: file, env: { ...gateway.environment, ...env } });
  return {
    pid: child.pid,
    exited: child.exited, // {code, signal}
    exit: () => waitForExit(child, 30_000),
    isRunning: () => isRunning(child),
    log: () => fs.readFileSync(file, 'utf8'),
    stop: () => stop(child, within),
    async kill() {
      signal(child, 'SIGKILL');
      await waitForExit(child);
    },
  };
}

/** Waits until a settler has said `words`, a text or an expression; gives its log. */
export const noted = (settler, words, within = 20_000) => waitFor(() => {
  const log = settler.log();
  return (words instanceof RegExp ? words.test(log) : log.includes(words)) && log;
}, `the settler to say "${words}"`, within);
