// Mixed traffic, with random reloads, kills and faults of the node, and then the accounts:
//
//   node tests/soak/run.mjs           or make soak
//
//   SOAK_SECONDS=600   of traffic; rests and the end come on top
//   SOAK_RATE=70       calls a second
//   X402_SEED=N        the same calls and events again, as far as time allows
//   SOAK_BREAK=NAME    a deliberate breakage, which must be found (sabotage.mjs)
//
// Exit status: 0 when nothing grew and every account balances, 1 otherwise.

import { seedOfRun } from '../e2e/lib/random.mjs';
import { table } from './report.mjs';
import { sabotages } from './sabotage.mjs';
import { Soak } from './soak.mjs';

const SECONDS = 600;
const RATE = 70;
const PROGRESS_MILLISECONDS = 2000;

export const optionsOf = (environment) => ({
  seconds: Number(environment.SOAK_SECONDS ?? SECONDS), rate: Number(environment.SOAK_RATE ?? RATE),
  seed: seedOfRun(), sabotage: environment.SOAK_BREAK,
});

/** One soak from beginning to end: {text, faults}. */
export async function runSoak(options) {
  const soak = new Soak(options);
  let failed = true;
  try {
    await soak.open();
    options.onOpen?.(soak);
    await soak.run();
    await soak.finish();
    const verdict = await soak.judge();
    failed = false;
    return { text: table(soak, verdict), faults: verdict.faults };
  } finally {
    await soak.close().catch((error) => { if (!failed) throw error; });
  }
}

/** A line that is written over, on a terminal. */
function showProgress(soak) {
  if (!process.stderr.isTTY) return;
  setInterval(() => {
    const { reload, worker, settler } = soak.chaos.counts;
    process.stderr.write(`\r\x1b[K${soak.traffic.total} calls, ${reload} reloads, ${worker + settler} kills, `
      + `${soak.traffic.odd.length} without an answer`);
  }, PROGRESS_MILLISECONDS).unref();
}

function say(text) {
  process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${new Date().toTimeString().slice(0, 8)} ${text}\n`);
}

async function main() {
  const options = optionsOf(process.env);
  if (options.sabotage && !sabotages[options.sabotage]) {
    throw new Error(`no breakage is called ${options.sabotage}: ${Object.keys(sabotages).join(', ')}`);
  }
  say(`${options.seconds} s of ${options.rate} calls a second, X402_SEED=${options.seed}`);
  const { text, faults } = await runSoak({ ...options, say, onOpen: showProgress });
  console.log(`\n${text}\n\nX402_SEED=${options.seed}: ${faults.length ? 'FAILED' : 'ok'}`);
  return faults.length ? 1 : 0;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  main().then((code) => process.exit(code), (error) => {
    console.error(`soak: ${error.stack}`);
    process.exit(1);
  });
}
