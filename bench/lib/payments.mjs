// Payments, signed before anything is timed: files of header values, a line each.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, temporaryFolder } from '../../tests/e2e/lib/process.mjs';
import { PAYEE, PAYERS, STRANGERS, VALUE, settings } from './settings.mjs';

const headerOf = (dialect) => (dialect === 'v2' ? 'PAYMENT-SIGNATURE' : 'X-PAYMENT');

/** Signs `count` payments into `file`, each by the next of the payers. */
export function sign(file, dialect, count, payers = PAYERS) {
  const out = openSync(file, 'w');
  execFileSync(join(BUILD, 'bench/payments'), [count, dialect, payers, PAYEE, VALUE, 3600].map(String),
    { stdio: ['ignore', out, 'inherit'] });
  closeSync(out);
  return { header: headerOf(dialect), file };
}

/** Changes each line; what comes of it is presented over and over. */
function spoil({ header, file }, change) {
  const lines = readFileSync(file, 'utf8').trim().split('\n').map(change);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { header, file, again: true };
}

/** Another nonce than the one that was signed: it recovers, to somebody else. */
function forge(line) {
  const payment = JSON.parse(Buffer.from(line, 'base64'));
  const { authorization } = payment.payload;
  authorization.nonce = authorization.nonce.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  return Buffer.from(JSON.stringify(payment)).toString('base64');
}

/** The last field is of the wrong form, so that all of it has been read. */
function garble(line) {
  const text = Buffer.from(line, 'base64').toString();
  return Buffer.from(text.replace(/"nonce":"0x../, '"nonce":"0xzz')).toString('base64');
}

/**
 * Payments by name, made when they are first asked for. Those of v2 are for one round, as some
 * servers stand longer; the gateway that gets the others is new in each.
 */
export class Purse {
  #folder = temporaryFolder('bench-purse');
  #made = new Map();
  #count;

  /** Enough that none of its files runs out before the time. */
  constructor(connections) {
    this.#count = Math.ceil((connections === 1 ? 8000 : 25_000) * settings.seconds);
  }

  #make(name) {
    const file = join(this.#folder, name);
    switch (name) {
      case 'replayed': return { ...sign(file, 'v2', 16 * PAYERS), again: true };
      case 'strangers': return sign(file, 'v2', this.#count, STRANGERS);
      case 'forged': return spoil(sign(file, 'v2', 2000), forge);
      case 'malformed': return spoil(sign(file, 'v2', 2000), garble);
      default: return sign(file, name, this.#count);
    }
  }

  take(name) {
    if (!this.#made.has(name)) this.#made.set(name, this.#make(name));
    return this.#made.get(name);
  }

  renew() {
    this.#made.delete('v2');
  }

  drop() {
    rmSync(this.#folder, { recursive: true });
  }
}
