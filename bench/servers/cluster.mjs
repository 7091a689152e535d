// A Node server of several processes, as a shop would run it: PORT, WORKERS and UPSTREAM (a
// port; none: it answers by itself) are its environment, and it listens when the port answers.
import cluster from 'node:cluster';

/** Calls `serve(port)` in each of the workers. */
export async function inEachWorker(serve) {
  if (cluster.isWorker) {
    await serve(Number(process.env.PORT));
    return;
  }
  for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
}

export const NETWORK = 'eip155:84532';
export const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
export const PAYEE = process.env.PAYEE;
export const VALUE = process.env.VALUE;
export const UPSTREAM = process.env.UPSTREAM && `http://127.0.0.1:${process.env.UPSTREAM}`;
export const ANSWER = { answer: 42 };
