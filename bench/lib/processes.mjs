// What the kernel says of a server's processes: the one that was started and all below it.
import { readFileSync, readdirSync } from 'node:fs';

function tree(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
    .trim().split(' ').filter(Boolean));
  return [pid, ...children.flatMap(tree)];
}

/** Each thread's nanoseconds on a core, and those it was ready for one or on it. */
export function threads(pid) {
  const all = new Map();
  for (const process of tree(pid)) {
    for (const thread of readdirSync(`/proc/${process}/task`)) {
      const [cpu, wait] = readFileSync(`/proc/${process}/task/${thread}/schedstat`, 'utf8')
        .split(' ').map(Number);
      all.set(thread, { cpu, busy: cpu + wait });
    }
  }
  return all;
}

/** Nanoseconds on a core between two readings, of all threads; and how long the busiest was busy. */
export function spent(before, after) {
  let cpu = 0;
  let busiest = 0;
  for (const [thread, now] of after) {
    const then = before.get(thread) ?? { cpu: 0, busy: 0 };
    cpu += now.cpu - then.cpu;
    busiest = Math.max(busiest, now.busy - then.busy);
  }
  return { cpu, busiest };
}

/** Resident bytes of all processes; what several share counts once. */
export function residentBytes(pid) {
  return tree(pid).reduce((sum, process) => {
    const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${process}/smaps_rollup`, 'utf8'));
    return sum + Number(kilobytes) * 1024;
  }, 0);
}
