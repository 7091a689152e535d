// Mistakes in a configuration, one list for each directive: what is written, where, and
// what nginx must say. The line it names must be one of the text; where the mistake is
// that something is `missing`, any line will do. `@` stands for a byte that is not UTF-8.

const ADDRESS = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';
const BAD_CHECKSUM = ADDRESS.replace('Bc', 'bC');
const PRICED = 'x402_price 0.001;';

/** One directive with each of several wrong values, in a location that sells. */
const wrong = (directive, says, values, where = 'location') =>
  values.map((value) => ({ where, text: `${directive} ${value};`, says }));

const twice = (line, where = 'location') => [{ where, text: `${line}\n${line}`, says: /duplicate/ }];

/** What is wrong with any page: where it stands. */
const pageMistakes = (directive) => [
  ...wrong(directive, /not allowed here/, [''], 'server'),
  ...wrong(directive, /invalid number of arguments/, ['a b c']),
  ...twice(`${directive};`),
  {
    where: 'server', text: `location ~ ^/pattern/ {\n ${directive};\n}`, says: /needs a location that names a path/,
  },
  {
    where: 'location', text: directive === 'x402_health' ? 'x402_ready;\nx402_health;' : `x402_health;\n${directive};`,
    says: /another directive answers for/,
  },
];

export const MISTAKES = {
  x402_ledger: [
    ...wrong('x402_ledger', /invalid number of arguments/, ['', '/a /b'], 'http'),
    ...wrong('x402_ledger', /not allowed here/, ['/a'], 'server'),
    ...wrong('x402_ledger', /duplicate/, ['/a'], 'http'),
    { where: 'http', text: 'x402_ledger "";', says: /x402_ledger/, options: { ledger: false } },
    { where: 'location', text: '', says: /x402_ledger PATH/, missing: true, options: { ledger: false } },
  ],
  x402_network: [
    ...wrong('x402_network', /no network known/, [
      'nowhere', 'Base', 'eip155', 'eip155:', 'eip155:0', 'eip155:01', 'eip155:x', 'eip155:-1',
      'eip155:18446744073709551616', 'solana:mainnet', '""',
    ], 'http'),
    ...wrong('x402_network', /needs asset=, name= and version=/, [
      'eip155:31337', `eip155:31337 asset=${ADDRESS}`, `eip155:31337 asset=${ADDRESS} name=Dollar`,
      'eip155:31337 name=Dollar version=1',
    ], 'http'),
    ...wrong('x402_network', /asset that is not an address/, [
      'base asset=0x12', 'base asset=', `base asset=${ADDRESS.slice(2)}`,
      `base asset=${BAD_CHECKSUM}`, `base asset=${ADDRESS}00`,
    ], 'http'),
    ...wrong('x402_network', /name that is empty or too long/, [
      'base name=', 'base version=', `base name=${'x'.repeat(300)}`, `base version=${'9'.repeat(300)}`,
    ], 'http'),
    ...wrong('x402_network', /decimals that are not a number/, [
      'base decimals=', 'base decimals=x', 'base decimals=-1', 'base decimals=37',
    ], 'http'),
    ...wrong('x402_network', /takes asset=, name=, version= and decimals=/, [
      'base token=1', 'base usdc', 'base =',
    ], 'http'),
    ...wrong('x402_network', /not allowed here/, ['base']),
    ...wrong('x402_network', /invalid number of arguments/, [''], 'http'),
    { where: 'http', text: 'x402_network base;\nx402_network eip155:8453;', says: /x402_network/ },
  ],
  x402_pay_to: [
    ...wrong('x402_pay_to', /"x402_pay_to" is not an address/, [
      'me', '""', ADDRESS.slice(2), ADDRESS.slice(0, -1), `${ADDRESS}0`, BAD_CHECKSUM, '0xshop',
    ]),
    ...wrong('x402_pay_to', /invalid number of arguments/, ['', `${ADDRESS} ${ADDRESS}`]),
    ...twice(`x402_pay_to ${ADDRESS};`),
    { where: 'location', text: '', says: /x402_pay_to ADDRESS/, missing: true, options: { payTo: null } },
  ],
  x402_accept: [
    ...wrong('x402_accept', /unknown network "(nowhere|eip155:4242|Base)"/, [
      'nowhere', 'eip155:4242', 'Base', 'base nowhere']),
    ...wrong('x402_accept', /accepted twice/, ['base base', 'base eip155:8453']),
    ...wrong('x402_accept', /at most 8 networks/, [
      'base-sepolia base ethereum polygon polygon-amoy avalanche avalanche-fuji arbitrum monad']),
    ...wrong('x402_accept', /invalid number of arguments/, ['']),
    { where: 'location', text: '', says: /x402_accept base-sepolia/, missing: true, options: { accept: null } },
  ],
  x402_price: [
    ...wrong('x402_price', /"x402_price" is not a price/, [
      '""', 'free', 'Off', '-1', '+1', '0', '0.0', '0c', '1e-3', '0x10', '1,5', '.5', '5.', '1.2.3',
      '0.0000001', '0.00001c', '1cc', '1USD', 'c', '1000000001', '99999999999999999999',
      '0.0010000000000000000000001',
    ], 'unpriced'),
    ...wrong('x402_price', /unknown "nowhere" variable/, ['$nowhere'], 'unpriced')
      .map((mistake) => ({ ...mistake, missing: true })),
    ...wrong('x402_price', /invalid number of arguments/, ['', '1 USD'], 'unpriced'),
    { where: 'unpriced', text: `${PRICED} ${PRICED}`, says: /duplicate/ },
    {
      where: 'unpriced', text: `x402_accept eip155:31337; ${PRICED}`, says: /cannot be expressed/,
      options: { http: `x402_network eip155:31337 asset=${ADDRESS} name=Cents version=1 decimals=2;` },
    },
  ],
  x402_settle: [
    ...wrong('x402_settle', /after or before/, ['now', '""', 'After']),
    ...wrong('x402_settle', /invalid number of arguments/, ['', 'after before']),
    ...twice('x402_settle after;'),
  ],
  x402_settle_timeout: [
    ...wrong('x402_settle_timeout', /invalid value/, ['now', '""', '-1', '5x']),
    ...wrong('x402_settle_timeout', /is a time from 1s to 10m/, ['0', '999ms', '601s', '1h']),
    ...wrong('x402_settle_timeout', /invalid number of arguments/, ['', '1s 2s']),
    ...twice('x402_settle_timeout 5s;'),
  ],
  x402_max_unsettled: [
    ...wrong('x402_max_unsettled', /"x402_max_unsettled" is not an amount in dollars/, [
      '""', '0', '-1', '1e3', 'Off', '$price', '0.0000001', '1000000001']),
    ...wrong('x402_max_unsettled', /invalid number of arguments/, ['', '1 2']),
    ...twice('x402_max_unsettled 5;'),
    ...twice('x402_max_unsettled off;'),
  ],
  x402_max_unsettled_new: [
    ...wrong('x402_max_unsettled_new', /"x402_max_unsettled_new" is not an amount in dollars/, ['x', '0']),
    ...wrong('x402_max_unsettled_new', /cannot be off: "x402_max_unsettled off" lifts all bounds/, ['off']),
    ...wrong('x402_max_unsettled_new', /invalid number of arguments/, ['']),
    ...twice('x402_max_unsettled_new 5;'),
  ],
  x402_max_unsettled_total: [
    ...wrong('x402_max_unsettled_total', /"x402_max_unsettled_total" is not an amount in dollars/, ['x', '0']),
    ...wrong('x402_max_unsettled_total', /cannot be off: "x402_max_unsettled off" lifts all bounds/, ['off']),
    ...wrong('x402_max_unsettled_total', /invalid number of arguments/, ['']),
    ...twice('x402_max_unsettled_total 5;'),
  ],
  x402_rate: [
    ...wrong('x402_rate', /a rate is written/, ['60', '""', 'r/m', '60r/h', '-1r/s', '1.5r/s', 'OFF']),
    ...wrong('x402_rate', /from 1 to 1000000 calls/, ['0r/m', '1000001r/s', '99999999999r/s']),
    ...wrong('x402_rate', /burst that is not a number/, [
      '1r/s burst=0', '1r/s burst=', '1r/s burst=x', '1r/s burst=-1', '1r/s burst=1000001']),
    ...wrong('x402_rate', /burst=N after the rate/, ['1r/s 5', '1r/s nodelay']),
    ...wrong('x402_rate', /off takes no burst/, ['off burst=5']),
    ...wrong('x402_rate', /invalid number of arguments/, ['', '1r/s burst=1 burst=2']),
    ...twice('x402_rate 1r/s;'),
  ],
  x402_refusal_rate: [
    ...wrong('x402_refusal_rate', /a rate is written/, ['10', '10r/h']),
    ...wrong('x402_refusal_rate', /from 1 to 1000000 calls/, ['0r/s']),
    ...wrong('x402_refusal_rate', /burst that is not a number/, ['1r/s burst=0']),
    ...wrong('x402_refusal_rate', /off takes no burst/, ['off burst=5']),
    ...wrong('x402_refusal_rate', /invalid number of arguments/, ['']),
    ...twice('x402_refusal_rate 1r/s;'),
  ],
  x402_window: [
    ...wrong('x402_window', /is not a number of seconds/, ['0', 'x', '-5', '""', '5m', '31536001', '1.5']),
    ...wrong('x402_window', /min that is not a number of seconds/, ['300 min=0', '300 min=', '300 min=x']),
    ...wrong('x402_window', /max that is not a number of seconds/, ['300 max=0', '300 max=x']),
    ...wrong('x402_window', /takes min=SECONDS and max=SECONDS/, ['300 30', '300 least=30']),
    ...wrong('x402_window', /must not be below its min/, ['300 min=301', '10', '300 max=299', '86401']),
    ...wrong('x402_window', /invalid number of arguments/, ['', '300 min=1 max=1000 min=2']),
    ...twice('x402_window 300;'),
  ],
  x402_description: [
    ...wrong('x402_description', /invalid number of arguments/, ['', 'two words']),
    ...wrong('x402_description', /UTF-8/, ['"caf\u00e9 @"']),
    ...twice('x402_description words;'),
  ],
  x402_mime_type: [
    ...wrong('x402_mime_type', /invalid number of arguments/, ['', 'text/html utf-8']),
    ...wrong('x402_mime_type', /UTF-8/, ['"text/@"']),
    ...twice('x402_mime_type text/html;'),
  ],
  x402_public_url: [
    ...wrong('x402_public_url', /must start with http/, ['shop.example', 'ftp://shop.example', '""', '/shop', 'http://']),
    ...wrong('x402_public_url', /scheme and authority/, [
      'https://shop.example/?a=b', 'https://shop.example?', 'https:///shop', '"https://shop example"',
      'https://shop.example/#top', `https://${'x'.repeat(600)}.example`,
    ]),
    ...wrong('x402_public_url', /invalid number of arguments/, ['']),
    ...twice('x402_public_url https://shop.example;'),
  ],
  x402_facilitator: [
    ...wrong('x402_facilitator', /must start with http/, ['x402.org', 'ftp://x402.org', '""', 'https://']),
    ...wrong('x402_facilitator', /the facilitator's URL/, [
      'https://x402.org/?key=1', 'https://me:secret@x402.org/', 'https:///f', '"https://x402 org"',
      `https://${'x'.repeat(600)}.example`,
    ]),
    ...wrong('x402_facilitator', /invalid number of arguments/, ['']),
    ...twice('x402_facilitator https://x402.org/facilitator;'),
  ],
  x402_receipts: [
    ...wrong('x402_receipts', /invalid number of arguments/, ['on']),
    ...wrong('x402_receipts', /not allowed here/, [''], 'server'),
    ...twice('x402_receipts;'),
    ...['= /exact', '~ ^/pattern/', `/${'x'.repeat(256)}/`].map((place) => ({
      where: 'server', text: `location ${place} {\n x402_receipts;\n}`,
      says: /needs a location that names a prefix|a name too long/,
    })),
  ],
  x402_status: [
    ...pageMistakes('x402_status'),
    ...wrong('x402_status', /is public, or private FILE/, ['off', 'private', 'public /token', 'on /token']),
    { where: 'server', text: 'location = /exact {\n x402_status;\n}', says: /needs a location that names a prefix/ },
  ],
  x402_stats: [
    ...pageMistakes('x402_stats'),
    ...wrong('x402_stats', /is public, or private FILE/, ['on', 'private', 'public /token']),
  ],
  x402_metrics: [
    ...pageMistakes('x402_metrics'),
    ...wrong('x402_metrics', /is public, or private FILE/, ['on', 'private', 'public /token']),
  ],
  x402_health: [
    ...pageMistakes('x402_health'),
    ...wrong('x402_health', /invalid number of arguments/, ['on']),
  ],
  x402_ready: [
    ...pageMistakes('x402_ready'),
    ...wrong('x402_ready', /takes settler= and due=/, [
      'on', '60', 'settler=', 'settler=0', 'due=-1', 'due=x', 'due=31536001', 'settler=1 settler=2', 'due=5s',
    ]),
  ],
};

/** The harness's options for a configuration with this mistake. */
export function mistaken({ where, text, options = {} }) {
  const base = { http: '', server: '', locations: '', ...options };
  const location = where === 'unpriced' ? text : `${PRICED}\n${where === 'location' ? text : ''}`;
  return {
    ...base,
    http: where === 'http' ? `${base.http}\n${text}` : base.http,
    server: where === 'server' ? text : base.server,
    locations: `location /sold/ {\n${location}\n}`,
  };
}
