// What make bench measures, and how much of it: the environment's say. QUICK=1 is a short
// form for a look; figures to go by need the long one, at least five rounds.
const { env } = process;
const quick = env.QUICK === '1';
const number = (name, long, short) => Number(env[name] ?? (quick ? short : long));

export const settings = {
  quick,
  rounds: number('ROUNDS', 5, 1), // of every case at every number of connections
  seconds: number('SECONDS', 2, 1), // of one case in one round
  workers: number('WORKERS', 2, 2),
  connections: (env.CONNECTIONS ?? '1,32,256').split(',').map(Number),
  pairs: number('PAIRS', 15, 3), // where two are compared closely
  cases: new RegExp(env.CASES ?? ''), // only those with such a name
  rows: Number(env.LEDGER_ROWS ?? env.PAGE ?? (quick ? 100_000 : 10_000_000)), // of the big ledger; 0: none
  live: number('LIVE', 1_000_000, 100_000), // authorizations, for the memory they take; 0: none
  settle: number('SETTLE', 5000, 0), // payments; 0: none
};

export const PAYEE = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';
export const VALUE = 1000; // $0.001
export const PAYERS = 1000; // as many as bench/ledger's, and the same
export const STRANGERS = 65_535; // so many that hardly one comes twice; some are PAYERS
