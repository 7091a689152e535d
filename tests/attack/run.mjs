// Attacks x402 servers by URL, on this machine only, and says what each did:
//
//   node tests/attack/run.mjs URL [option…]
//   node tests/attack/run.mjs gateway reference     (both started here, one beside the other)
//
// URL is a call that is sold, http://127.0.0.1:4021/api/x. What cannot be seen by it alone is
// reported as not tested, unless told:
//
//   --counter URL        GET URL?id=ID answers what the upstream executed of requests with
//                        ?id=ID, a JSON list of {method, url, headers}
//   --proxy              it forwards calls to an upstream that is another program
//   --test-upstream      the upstream is that of tests/e2e/lib/upstream.mjs
//   --free PATH          costs nothing, and goes to the same upstream
//   --other PATH         another route for the same price
//   --dear PATH          a route for another price
//   --upfront PATH       settled before it is served, for the same price
//   --http2 PORT         HTTP/2 with prior knowledge
//   --payer-header NAME  how the server tells its upstream who paid
//   --chain PORT         the local chain it settles on (tests/e2e/lib/chain.mjs)
//   --credit USD         what it says it may serve a payer and not collect (0)
//   --only WORD          attacks whose group or name has this word
//   --json               the report as JSON
//
// Exit status: 0 as a correct server does, 1 a fault, 2 it could not be run. Of several servers
// it is the first one's: the others are there to be compared with.

import { parseArgs } from 'node:util';
import { attacks, carryOut } from './attacks.mjs';
import { summary, table } from './report.mjs';
import { stands } from './stands.mjs';
import { Target } from './target.mjs';

const OPTIONS = {
  counter: 'string', proxy: 'boolean', 'test-upstream': 'boolean', free: 'string', other: 'string', dear: 'string', upfront: 'string',
  http2: 'string', 'payer-header': 'string', chain: 'string', credit: 'string', only: 'string', json: 'boolean',
};

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** The report of one server: {name, rows}. `onRow` hears of each as it is known. */
export async function attackServer(name, url, options, onRow = () => {}) {
  const target = new Target(url, options);
  await target.learn();
  await target.buy(); // one that serves nobody would pass everything
  const rows = [];
  const word = options.only ?? '';
  for (const attack of attacks.filter((each) => `${each.group} ${each.name}`.includes(word))) {
    rows.push(await carryOut(attack, target));
    onRow(rows.at(-1));
  }
  return { name, rows };
}

const progress = (name) => ({ group, name: attack, verdict }) =>
  process.stderr.write(`${name}: ${verdict.padEnd(10)} ${group}: ${attack}\n`);

async function reportOf(which, options) {
  if (!(which in stands)) return attackServer(which, which, options, progress(which));
  const stand = await stands[which]();
  try {
    return await attackServer(which, stand.url, { ...stand.options, only: options.only }, progress(which));
  } finally {
    await stand.close();
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(Object.entries(OPTIONS).map(([name, type]) => [name, { type }])),
  });
  if (!positionals.length) throw new Error('which server? (see the head of tests/attack/run.mjs)');
  const options = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [camel(name), value]));
  const reports = [];
  for (const which of positionals) reports.push(await reportOf(which, { nginx: true, ...options }));
  console.log(values.json ? JSON.stringify(reports, null, 2) : table(reports));
  if (!values.json) console.log(`\n${reports.map(summary).join('\n')}`);
  return reports[0].rows.some(({ verdict }) => verdict === 'FAULT') ? 1 : 0;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  main().then((code) => process.exit(code), (error) => {
    console.error(`attack: ${error.message}`);
    process.exit(2);
  });
}
