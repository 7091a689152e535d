// What happens to a ledger's disk and files: full, locked, read-only, damaged, gone. Each
// fault has begin(gateway) and end(gateway); what it needs is arranged by prepare(gateway).

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const mounts = new Set();

// Before the folders are removed.
process.prependListener('exit', () => {
  for (const folder of mounts) unmount(folder);
});

function unmount(folder) {
  execFileSync('umount', ['--lazy', folder]);
  mounts.delete(folder);
}

/**
 * Puts the data of a gateway that is stopped on a disk of its own, of `size` bytes, with
 * what is there. Needs root; it is unmounted when the process ends.
 */
function mountSmallDisk(gateway, size) {
  const { uid, gid } = fs.statSync(gateway.data);
  const aside = `${gateway.data}-aside`;
  fs.renameSync(gateway.data, aside);
  fs.mkdirSync(gateway.data);
  const options = `size=${size},mode=0755,uid=${uid},gid=${gid}`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', gateway.data]);
  mounts.add(gateway.data);
  execFileSync('cp', ['-a', `${aside}/.`, gateway.data]);
  fs.rmSync(aside, { recursive: true });
}

const filler = (gateway) => path.join(gateway.data, 'filler');

/** Writes until nothing more fits, not even one byte. */
function fillDisk(gateway) {
  const file = fs.openSync(filler(gateway), 'w');
  try {
    for (let size = 65_536; size >= 1;) {
      try {
        fs.writeSync(file, Buffer.alloc(size));
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error;
        size = Math.floor(size / 16);
      }
    }
  } finally {
    fs.closeSync(file);
  }
}

/**
 * Holds an exclusive lock on bytes of a file, from a process of its own, until release()
 * is called. (fcntl is in no module of node; perl is on every Debian.)
 */
export async function holdLock(file, start, length) {
  const program = `
    use Fcntl;
    open(my $file, "+<", $ARGV[0]) or die "$!";
    my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, $ARGV[1], $ARGV[2], 0);
    fcntl($file, F_SETLKW, $lock) or die "$!";
    $| = 1; print "held\\n";
    <STDIN>;`;
  const holder = spawn('perl', ['-e', program, file, String(start), String(length)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => { holder.once('exit', resolve); });
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('exit', () => reject(new Error(`${file} could not be locked`)));
  });
  return {
    release() {
      holder.stdin.end();
      return ended;
    },
  };
}

/** A fault that is a lock. */
const locked = (suffix, start, length) => {
  let lock;
  return {
    words: /it is locked by another process/,
    async begin(gateway) { lock = await holdLock(gateway.ledger + suffix, start, length); },
    end: () => lock.release(),
  };
};

const FILES = ['', '-wal', '-shm'];

/** Renames the ledger's files; `from` and `to` are endings of the folder's name. */
function moveLedger(gateway, from, to) {
  for (const suffix of FILES) {
    fs.renameSync(`${gateway.ledger}${suffix}${from}`, `${gateway.ledger}${suffix}${to}`);
  }
}

/** Overwrites the first bytes of the ledger and of its log. */
export function damage(gateway) {
  for (const suffix of ['', '-wal']) {
    const file = gateway.ledger + suffix;
    if (!fs.existsSync(file)) continue;
    const handle = fs.openSync(file, 'r+');
    fs.writeSync(handle, Buffer.alloc(4096, 'damage'), 0, 4096, 0);
    fs.closeSync(handle);
  }
}

export const FAULTS = {
  /** Its disk is full to the last byte. */
  on_a_full_disk: {
    words: /disk is full/,
    prepare: (gateway) => mountSmallDisk(gateway, 8 << 20), // room for all that is sold
    begin: fillDisk,
    end: (gateway) => fs.rmSync(filler(gateway)),
  },

  /** Another process stays in the queue of those who write. */
  whose_queue_is_held: locked('-queue', 0, 2),

  /** Another process is in a transaction, as after BEGIN IMMEDIATE: SQLite's own lock. */
  in_a_transaction_of_another: locked('-shm', 120, 1),

  /** Its workers may only read it. What they have open they can still write: new ones. */
  that_is_read_only: {
    words: /it is read-only|permission denied/,
    async begin(gateway) {
      fs.chmodSync(gateway.ledger, 0o400);
      await gateway.reload();
    },
    end: (gateway) => fs.chmodSync(gateway.ledger, 0o600),
  },

  /** It is gone, for a while. */
  that_was_deleted: {
    words: /no such file/,
    begin: (gateway) => moveLedger(gateway, '', '.aside'),
    end: (gateway) => moveLedger(gateway, '.aside', ''),
  },

  /** Another file is in its place, and that is damaged. */
  that_was_damaged: {
    words: /damaged|not a ledger/,
    begin(gateway) {
      const { uid, gid } = fs.statSync(gateway.ledger);
      moveLedger(gateway, '', '.aside');
      fs.copyFileSync(`${gateway.ledger}.aside`, gateway.ledger);
      fs.chownSync(gateway.ledger, uid, gid);
      damage(gateway);
    },
    end(gateway) {
      for (const suffix of FILES) fs.rmSync(gateway.ledger + suffix, { force: true });
      moveLedger(gateway, '.aside', '');
    },
  },
};
