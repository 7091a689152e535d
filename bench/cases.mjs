// What is measured: a server, a path, and what is presented there. Payments are unique to
// each server, but for those that are to be refused.
export const CASES = [
  { key: 'plain', name: 'nginx, plain proxying', server: 'plain', path: '/', expect: 200 },
  { key: 'plain402', name: 'nginx, return 402', server: 'plain', path: '/402', expect: 402 },
  { key: 'free', name: 'gateway, free location', server: 'gateway', path: '/free', expect: 200 },
  { key: 'offer', name: 'gateway, 402 answer', server: 'gateway', path: '/', expect: 402 },
  { key: 'paid', name: 'gateway, paid (v2)', server: 'gateway', path: '/', payments: 'v2', expect: 200 },
  { key: 'v1', name: 'gateway, paid (v1)', server: 'gateway', path: '/', payments: 'v1', expect: 200 },
  { key: 'flat', name: 'gateway, paid (flat)', server: 'gateway', path: '/', payments: 'flat', expect: 200 },
  { key: 'strangers', name: 'gateway, paid, new payers', server: 'gateway', path: '/', payments: 'strangers', expect: 200 },
  { key: 'big', name: 'gateway, paid, big ledger', server: 'big', path: '/', payments: 'v2', expect: 200 },
  { key: 'replayed', name: 'gateway, replayed', server: 'gateway', path: '/', payments: 'replayed', expect: 400 },
  { key: 'malformed', name: 'gateway, malformed', server: 'gateway', path: '/', payments: 'malformed', expect: 400 },
  { key: 'forged', name: 'gateway, bad signature', server: 'gateway', path: '/', payments: 'forged', expect: 402 },
  { key: 'minimal', name: 'Node, native addon, paid', server: 'minimal', path: '/', payments: 'v2', expect: 200 },
  { key: 'alone', name: 'Node, native addon, no upstream', server: 'alone', path: '/', payments: 'v2', expect: 200 },
  { key: 'reference', name: 'Node, @x402/hono, paid', server: 'reference', path: '/', payments: 'v2', expect: 200 },
];
