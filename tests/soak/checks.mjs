// What may grow in a soak, and by how much: bounds on what was measured (measure.mjs), and
// why they are what they are. Pure, so that soak.test.mjs shows each of them failing.
//
// Workers are replaced by reloads and kills, so a process's memory is compared with its own,
// over a stretch in which nobody replaced it; generations are compared in what does not
// depend on age: descriptors at rest, and the most that any may have.

const KILOBYTE = 1024;
const MEGABYTE = 1024 * KILOBYTE;

/**
 * Where a process stops growing: a worker, new with 7 MB, was at 9.9 MB after ten thousand
 * calls and at 10.2 after fifteen; a settler, new with 5, at 8, and by steps at 10.3 with a
 * node that is away half of the time. It is the most that was in use at once: SQLite's page
 * caches of 4 MB (sqlite_connection.c), which others' writes empty and of which a settler has
 * three, and the calls or batches under way. Up to here growth shows nothing: a soak of a
 * minute finds leaks of some kilobytes a call, one of ten minutes those of some hundred bytes.
 */
const FULL = { worker: 11 * MEGABYTE, settler: 13 * MEGABYTE };

/** What an allocator takes at once, and gives back late. */
const ALLOCATOR = 256 * KILOBYTE;

/** Less than the smallest thing there is to lose: a pointer and malloc's word. */
const LEAK = 16; // bytes a call

/** A full worker in the midst of its calls: 100 at once of some 20 KB. */
const WORKER_MAX = FULL.worker + 2 * MEGABYTE;

/** A reload makes the whole configuration anew, 200 KB of it; what stays is noise. */
const RELOAD = 8 * KILOBYTE;

/**
 * At rest a worker has its listeners, its log, its ledger's files, and a channel to each
 * other worker that nginx started since; of those some belong to workers that are dead.
 */
const DESCRIPTORS = { master: 0, worker: 4, settler: 8 };

/** A ledger's bytes a payment in the second half, against the first: pages are not full. */
const HALVES = 1.2;

/**
 * SQLite moves its log to the ledger at 1000 pages (4 MB), and begins it anew when nobody
 * reads; what is written while somebody does comes on top.
 */
const LOG_MAX = 12 * MEGABYTE;

const shown = (bytes) => `${Math.round(bytes / KILOBYTE)} KB`;

const named = (rests, name) => rests.find((rest) => rest.name === name);

/** Bytes of the ledger a payment, before the middle and after it. */
export function perPayment(rests) {
  const [first, middle, last] = [rests[0], named(rests, 'level'), rests.at(-1)];
  return [[first, middle], [middle, last]].map(([from, to]) =>
    (to.ledger.bytes - from.ledger.bytes) / (to.ledger.payments - from.ledger.payments));
}

/** What each process that lived through the steady stretch grew by: [{name, bytes, calls, …}]. */
export function growthOf(rests) {
  const [from, to] = [named(rests, 'level'), named(rests, 'steady')];
  const grown = (name, was, is, calls) => ({
    name, kind: name.split(' ')[0], had: was.anonymous, bytes: is.anonymous - was.anonymous, calls,
    descriptors: is.descriptors - was.descriptors,
  });
  const workers = from.workers.map((was, i) => {
    const is = to.workers.find(({ pid }) => pid === was.pid);
    return is && grown(`worker ${i + 1}`, was, is, to.answers.get(was.pid) - (from.answers.get(was.pid) ?? 0));
  }).filter(Boolean);
  if (from.settler.pid !== to.settler.pid) return workers;
  const payments = to.ledger.payments - from.ledger.payments;
  return [...workers, grown('settler', from.settler, to.settler, payments)];
}

export const checks = {
  /** There is something to compare: a soak in which all died shows nothing. */
  survivors({ rests }) {
    const names = growthOf(rests).map(({ name }) => name);
    return ['worker 1', 'worker 2', 'settler'].filter((name) => !names.includes(name))
      .map((name) => `${name} did not live through the steady stretch`);
  },

  memory({ rests }) {
    return growthOf(rests).flatMap(({ name, kind, had, bytes, calls }) => {
      const most = Math.max(0, FULL[kind] - had) + ALLOCATOR + LEAK * calls;
      return bytes <= most ? [] : [`${name} grew by ${shown(bytes)} in ${calls} calls, at most ${shown(most)} is in order`];
    });
  },

  largest({ most }) {
    return most.worker <= WORKER_MAX ? [] : [`a worker had ${shown(most.worker)}, at most ${shown(WORKER_MAX)} is in order`];
  },

  reloads({ rests, reloads }) {
    const grown = rests.at(-1).master.anonymous - rests[0].master.anonymous;
    const most = ALLOCATOR + RELOAD * reloads;
    return grown <= most ? [] : [`the master grew by ${shown(grown)} in ${reloads} reloads, at most ${shown(most)} is in order`];
  },

  descriptors({ rests }) {
    const [first, last] = [rests[0], rests.at(-1)];
    const compared = [['master', first.master, last.master], ['settler', first.settler, last.settler]];
    const most = Math.max(...first.workers.map(({ descriptors }) => descriptors));
    for (const worker of last.workers) compared.push(['worker', { descriptors: most }, worker]);
    const faults = compared.filter(([name, was, is]) => is.descriptors > was.descriptors + DESCRIPTORS[name])
      .map(([name, was, is]) => `a ${name} has ${is.descriptors} descriptors at rest, and had ${was.descriptors}`);
    const grown = growthOf(rests).filter(({ kind, descriptors }) => descriptors > DESCRIPTORS[kind])
      .map(({ name, descriptors }) => `${name} has ${descriptors} more descriptors at rest after the steady stretch`);
    return [...faults, ...grown];
  },

  ledger({ rests }) {
    const [first, second] = perPayment(rests);
    return second <= HALVES * first ? [] : [`a payment took ${Math.round(second)} bytes in the second half, ${Math.round(first)} in the first`];
  },

  log({ most }) {
    return most.log <= LOG_MAX ? [] : [`the write-ahead log had ${shown(most.log)}, at most ${shown(LOG_MAX)} is in order`];
  },
};

/** {rests, most, reloads}: what is out of order, in sentences. */
export const checkAll = (figures) => Object.values(checks).flatMap((check) => check(figures));
