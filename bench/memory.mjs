// The memory that live authorizations take: a gateway whose ledger has `count` of them,
// beside one whose ledger is empty, both after sales to payers of whom none comes often enough
// to be remembered: that takes memory, too.
import { load } from './lib/load.mjs';
import { Purse } from './lib/payments.mjs';
import { residentBytes } from './lib/processes.mjs';
import { startGateway } from './lib/servers.mjs';

async function resident(upstream, purse, ledger) {
  const gateway = await startGateway(upstream, ledger);
  load(gateway, '/', 32, purse.take('strangers'), 1);
  const bytes = residentBytes(gateway.pid);
  await gateway.stop();
  return bytes;
}

export async function memory(count, upstream, ledger) {
  const purse = new Purse(32);
  const empty = await resident(upstream, purse);
  const full = await resident(upstream, purse, ledger);
  purse.drop();
  return { authorizations: count, empty_bytes: empty, full_bytes: full,
    megabytes_per_million: (full - empty) / count };
}
