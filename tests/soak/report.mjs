// What a soak has to tell, as text.

import { growthOf, perPayment } from './checks.mjs';

const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KB`;
const list = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', ');

const line = (name, ...values) => `${name.padEnd(26)}${values.map((value) => String(value).padEnd(18)).join('')}`.trimEnd();

const memoryOf = ({ anonymous, file, shared }) =>
  `${kilobytes(anonymous)} (+${kilobytes(file + shared)} mapped)`;

/** Memory and descriptors of each kind of process, at rest: first and last. */
function processLines(first, last) {
  const lines = [['master', first.master, last.master], ['settler', first.settler, last.settler]];
  first.workers.forEach((worker, i) => lines.push([`worker ${i + 1}`, worker, last.workers[i]]));
  return lines.flatMap(([name, was, is]) => [
    line(`${name}: memory`, memoryOf(was), '', memoryOf(is)),
    line(`${name}: descriptors`, was.descriptors, '', is.descriptors),
  ]);
}

const growthLines = (rests) => growthOf(rests).map(({ name, bytes, calls }) =>
  line(`  ${name}`, `${kilobytes(bytes)} in ${calls} calls`));

export function table(soak, verdict) {
  const { traffic, chaos, rests, most, fired } = soak;
  const [first, last] = [rests[0], rests.at(-1)];
  const { accounts } = verdict;
  return [
    line('calls', traffic.total), line('  by kind', list(traffic.counts)),
    line('  answers', list(traffic.answers)),
    line('  without one', `${verdict.excused}, each where a worker was killed or replaced`),
    line('happened', `${chaos.counts.reload} reloads, ${chaos.counts.worker} workers and ${chaos.counts.settler} settlers killed, `
      + `${chaos.counts.storm} storms at the node, ${chaos.counts.down} times away`),
    line('  the node', list(fired)),
    '', line('at rest', 'first', '', 'last'), ...processLines(first, last),
    line('grew in the steady part', ''), ...growthLines(rests),
    line('most of a worker', kilobytes(most.worker)),
    '', line('ledger', `${last.ledger.payments} payments, ${kilobytes(last.ledger.bytes)}`),
    line('  bytes a payment', ...perPayment(rests).map((bytes, i) => `${['first', 'second'][i]} half ${Math.round(bytes)}`)),
    line('  log, at most', kilobytes(most.log)),
    line('  files', list(last.ledger.files)),
    '', line('charged', accounts.charged), line('  left in the midst', accounts.left),
    line('gifts of a kill', `${accounts.given}, and ${accounts.twice} settled first and served twice`),
    verdict.books.trimEnd(),
    line('faults', verdict.faults.length), ...verdict.faults.slice(0, 20).map((fault) => `  ${fault}`),
  ].join('\n');
}
