// Deliberate breakages, by hand: each must make a soak fail, by the check it is for.
//
//   SOAK_BREAK=connections SOAK_SECONDS=60 make soak
//
// Nothing of the gateway is changed: the driver does to it, or to its own notes, what a
// fault in the gateway would come to.

import { spawn } from 'node:child_process';
import { useElsewhere } from '../e2e/lib/elsewhere.mjs';
import { RawConnection } from '../e2e/lib/raw.mjs';
import { sql } from './measure.mjs';
import { Traffic } from './traffic.mjs';

const HELD_EVERY = 2; // calls
const FAT_BYTES = 400; // a payment

/** The newest: what it was paid with is valid still. */
const saleThat = ({ traffic }, test) => [...traffic.sales.values()].reverse().find(test);

const wasServed = (sale) => sale.presented.some(({ status, whole }) => status === 200 && whole);

function holdConnections(soak) {
  const { traffic } = soak;
  const held = [];
  let calls = 0;
  traffic.begin = (kind) => {
    Traffic.prototype.begin.call(traffic, kind);
    if (++calls % HELD_EVERY) return;
    RawConnection.open(soak.shop.gateway.port).then((connection) => {
      held.push(connection.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Held: ${'x'.repeat(8000)}`));
    });
  };
  soak.letGo = () => {
    delete traffic.begin;
    for (const connection of held) connection.abort();
  };
}

export const sabotages = {
  /** Memory and descriptors: of every other call of the steady stretch something stays. */
  connections: {
    afterRest(soak, name) {
      if (name === 'level') holdConnections(soak);
      if (name === 'steady') soak.letGo();
    },
  },

  /** The write-ahead log: somebody reads, and does not end. */
  reader: {
    begin(soak) {
      soak.reader = spawn('sqlite3', [soak.shop.gateway.ledger], { stdio: ['pipe', 'ignore', 'inherit'] });
      soak.reader.stdin.write('BEGIN; SELECT count(*) FROM payment;\n');
    },
    end: (soak) => soak.reader.stdin.end(),
  },

  /** Bytes a payment: more in the second half. */
  fat: {
    afterRest(soak, name) {
      if (name !== 'level') return;
      const bytes = FAT_BYTES * soak.rests.at(-1).ledger.payments;
      sql(soak.shop.gateway, `CREATE TABLE fat AS SELECT randomblob(${bytes})`);
    },
  },

  /** Goods: one payment's are handed out once more. */
  twice: {
    async end(soak) {
      const got = await soak.traffic.ask('/free/x?do=ok');
      soak.traffic.noteSale(saleThat(soak, wasServed), got);
    },
  },

  /** Money: what was delivered is released. */
  released: {
    end: ({ shop }) => sql(shop.gateway,
      'UPDATE payment SET delivery = 2, money = 6 WHERE id = (SELECT min(id) FROM payment WHERE delivery = 1)'),
  },

  /** Money: what failed is collected. */
  collected: {
    async end(soak) {
      const { paid } = saleThat(soak, (sale) => sale.path.includes('n=500') && !wasServed(sale));
      await useElsewhere(soak.shop.chain, paid);
    },
  },

  /** Answers: one that no caller should see. */
  answer: {
    async end({ traffic }) {
      traffic.judge('free', await traffic.ask('/paid/x'), (status) => status === 200);
    },
  },
};
