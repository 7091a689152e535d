// The parts of the status page: the document to trees of elements. All text of the document
// becomes text nodes.

import {
  at, bucketsOf, count, currencies, DAY_SECONDS, decimalsOf, DELIVERY, durationParts,
  fetchSnippet, formatAge, formatCount, formatDuration, formatHeadline, formatWei, formatWeis,
  isPredicted, logPosition, minute, moment, money, MONEY, payCommand, safeLink, shortHex,
  sortTokens, utcDay,
} from './status-words.js';

// ---------------------------------------------------------------------------- elements

const SVG = 'http://www.w3.org/2000/svg';

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
export const h = (name, attributes, ...children) => make(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => make(document.createElementNS(SVG, name), attributes, children);

/** Makes an element's content that of a new one, touching only what differs: what has the
 *  focus, is selected or was opened by the reader stays so. */
export function become(old, next) {
  const before = [...old.childNodes];
  const after = [...next.childNodes];
  after.forEach((child, i) => {
    const known = before[i];
    if (!known) old.append(child);
    else if (known.nodeName !== child.nodeName) known.replaceWith(child);
    else if (child.nodeType === Node.TEXT_NODE) {
      if (known.data !== child.data) known.data = child.data;
    } else {
      sameAttributes(known, child);
      become(known, child);
    }
  });
  before.slice(after.length).forEach((child) => child.remove());
}

function sameAttributes(old, next) {
  for (const { name } of [...old.attributes]) {
    if (name !== 'open' && !next.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

/** Fills a part of the page. */
export function fill(id, ...children) {
  const place = document.getElementById(id);
  place.hidden = false;
  become(place, h('div', {}, ...children));
}

const title = (id, text, ...more) => h('div', { class: 'head' }, h('h2', { id: `${id}-title` }, text), ...more);
const tag = (kind, text) => h('span', { class: `tag ${kind}` }, text);
const testTag = (token) => token.test && tag('test', 'test money');
const code = (text) => h('code', {}, text);
const bar = (share, kind = '') => s('svg', { class: `bar ${kind}`, 'aria-hidden': 'true', focusable: 'false' },
  s('rect', { class: 'rail', width: '100%', height: '100%', rx: 3 }),
  share > 0 && s('rect', { width: `${Math.max(1, Math.round(share * 1000) / 10)}%`, height: '100%', rx: 3 }));

/**
 * A table that becomes a list of cards on a phone; the roles keep it a table there.
 * Columns are [name, class, what stands for the name]; of a row the first cell is its heading.
 */
function table(caption, columns, rows) {
  const cell = (content, i) => {
    const [label, kind] = columns[i];
    const shared = { class: kind, 'data-label': label };
    return i === 0
      ? h('th', { ...shared, scope: 'row', role: 'rowheader' }, content)
      : h('td', { ...shared, role: 'cell' }, h('span', {}, content));
  };
  return h('table', { role: 'table' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
      columns.map(([label, kind, head]) => h('th', { scope: 'col', role: 'columnheader', class: kind }, head ?? label)))),
    h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' }, row.map(cell)))));
}

export const key = ({ network, asset }) => `${network}/${asset}`;

/** The token of a route or payment; something is shown of one that is not listed. */
const tokenOf = (report, { network, asset }) =>
  report.tokens.find((token) => token.network === network && token.asset === asset)
  ?? { network, asset, name: network, symbol: 'units', decimals: 0, test: false };

export const several = (report) => report.tokens.length > 1;

// ------------------------------------------------------------------------ the figures

/** A figure has room for seven digits and points at its full size. */
const lengthOf = (number) => (number.length > 11 ? 'number longest' : number.length > 7 ? 'number long' : 'number');

const value = (number, unit) => h('dd', { class: 'value' },
  h('span', { class: lengthOf(number) }, number), unit && h('span', { class: 'unit' }, unit));
const note = (...text) => h('dd', { class: 'note' }, ...text);

function moneyFigure(report, predicted) {
  const sums = currencies(report.tokens).filter((sum) => (predicted ? sum.shadow > 0n : true));
  const lines = sums.map((sum) => [
    value(formatHeadline(predicted ? sum.shadow : sum.revenue, sum.decimals), sum.symbol),
    sum.test && h('dd', { class: 'mark' }, tag('test', 'test money')),
  ]);
  return lines.length ? lines : value('0', '');
}

export function viewFigures(report) {
  const { calls, callers, p50 } = report.week;
  const predicted = report.tokens.filter(isPredicted);
  const shadowCalls = predicted.reduce((sum, token) => sum + token.shadow.count, 0);
  const [number, unit] = durationParts(p50);
  return h('dl', {},
    predicted.length > 0 && h('div', { class: 'predicted' },
      h('dt', {}, 'Predicted revenue'), moneyFigure(report, true),
      note(`last 7 days, of ${count(shadowCalls, 'free call')}: not earned`)),
    h('div', {}, h('dt', {}, 'Paid calls'), value(formatCount(calls)), note('last 7 days')),
    h('div', {}, h('dt', {}, 'Latency, p50'), value(number, unit), note('last 7 days, verification included')),
    h('div', {}, h('dt', {}, 'Revenue'), moneyFigure(report, false), note('last 7 days')),
    h('div', {}, h('dt', {}, 'Distinct callers'), value(formatCount(callers)),
      note(several(report) ? 'since the ledger began, by token' : 'since the ledger began')));
}

export function viewNotices(report) {
  const test = report.tokens.filter((token) => token.test);
  const chains = [...new Set(test.map((token) => token.name))].join(', ');
  return [
    !report.enforced && h('p', { class: 'notice' }, h('strong', {}, 'Shadow mode. '),
      'Calls are served without payment where x402_enforce is off. What they would have earned is predicted, not earned.'),
    test.length > 0 && h('p', { class: 'notice test' }, h('strong', {}, 'Test money. '),
      test.length === report.tokens.length ? `All amounts here are of ${chains} and worth nothing.`
        : `Amounts of ${chains} are worth nothing, and are added to no other.`),
  ];
}

// --------------------------------------------------------------------------- the parts

export function viewTokens(report) {
  const shadow = report.tokens.some(isPredicted);
  const columns = [['Token'], ['Calls', 'num'], ['Revenue', 'num'], ...(shadow ? [['Predicted', 'num']] : []),
    ['Not charged', 'num'], ['Callers', 'num']];
  return [title('tokens', 'By token', h('p', { class: 'aside' }, 'last 7 days')), table('Calls and revenue of the last 7 days by token', columns,
    sortTokens(report.tokens).map((token) => [
      h('span', { class: 'name' }, `${token.symbol} on ${token.name} `, testTag(token)),
      formatCount(token.calls), money(token.revenue, token), ...(shadow ? [money(token.shadow.value, token)] : []),
      formatCount(token.failed.count), formatCount(token.callers),
    ]))];
}

export function viewRoutes(report) {
  const shadow = report.routes.some((route) => route.shadow.count > 0);
  const columns = [['Route'], ['Calls', 'num'], ['', 'share'],
    ['Revenue', 'num'], ...(shadow ? [['Predicted', 'num']] : []), ['Asked', 'num'], ['Refused', 'num'],
    ['Not charged', 'num']];
  const sold = (route) => route.calls + route.shadow.count;
  const most = Math.max(1, ...report.routes.map(sold));
  const rows = report.routes.map((route) => {
    const token = tokenOf(report, route);
    return [
      [code(route.route), several(report) && h('small', {}, `${token.symbol} on ${token.name}${token.test ? ', test money' : ''}`)],
      formatCount(sold(route)), bar(sold(route) / most), money(route.revenue, token),
      ...(shadow ? [money(route.shadow.value, token)] : []),
      formatCount(route.offered), formatCount(route.refused), formatCount(route.failed),
    ];
  });
  return [title('routes', 'By route', h('p', { class: 'aside' }, 'last 7 days')),
    rows.length ? table('What each route sold in the last 7 days', columns, rows)
      : h('p', { class: 'none' }, 'No route was called in 7 days.')];
}

export function viewRefusals(report) {
  const most = Math.max(1, ...report.refusals.map((refusal) => refusal.count));
  return [title('refusals', 'Refused, by reason', h('p', { class: 'aside' }, 'last 7 days')),
    report.refusals.length === 0 ? h('p', { class: 'none' }, 'Nothing was refused.')
      : h('ul', { class: 'bars' }, report.refusals.map(({ code: reason, title: words, count: times }) => h('li', {},
        h('span', { class: 'what' }, words || reason, h('small', {}, code(reason))),
        h('span', { class: 'count' }, formatCount(times)), bar(times / most, 'refused'))))];
}

const MEASURES = [
  ['call', 'Whole call', 'request read to answer sent, verification included'],
  ['verify', 'Verification', 'decoding, matching, the signature'],
  ['admit', 'Admission', 'matched to decided, its own verification left out'],
  ['commit', 'Ledger commit', 'one transaction of a worker'],
  ['settle', 'Settlement', 'admitted to settled on the chain'],
];

/** Median to the 99th, on a scale of tens. */
const spread = ({ p50, p90, p99 }) => {
  const [a, b, c] = [p50, p90, p99].map(logPosition);
  return s('svg', { class: 'spread', 'aria-hidden': 'true', focusable: 'false' },
    s('line', { class: 'rail', x1: '0%', x2: '100%', y1: '50%', y2: '50%' }),
    s('line', { class: 'far', x1: `${a}%`, x2: `${c}%`, y1: '50%', y2: '50%' }),
    s('line', { class: 'near', x1: `${a}%`, x2: `${b}%`, y1: '50%', y2: '50%' }),
    s('circle', { cx: `${a}%`, cy: '50%', r: 5 }));
};

/** The names of that scale: two tens a step. */
const scale = () => h('span', { class: 'scale', 'aria-hidden': 'true' },
  [10, 1e3, 1e5, 1e7].map((tick) => h('span', {}, formatDuration(tick))));

export function viewLatency(report) {
  const columns = [['Of'], ['p50', 'num'], ['p90', 'num'], ['p99', 'num'], ['Measured', 'num'], ['', 'range', scale()]];
  const rows = MEASURES.filter(([name]) => report.measures[name]).map(([name, words, what]) => {
    const measure = report.measures[name];
    return [h('span', { class: 'name' }, words, h('small', {}, what)),
      formatDuration(measure.p50), formatDuration(measure.p90), formatDuration(measure.p99),
      formatCount(measure.count), measure.count > 0 ? spread(measure) : ''];
  });
  return [title('latency', 'Latency', h('p', { class: 'aside' }, 'last 7 days')),
    table('Latency of the last 7 days: half, nine of ten and 99 of 100 took no longer than this', columns, rows)];
}

export function viewQueue(report) {
  const settle = report.measures.settle ?? {};
  const one = (token) => [
    several(report) && h('h3', {}, `${token.symbol} on ${token.name} `, testTag(token)),
    h('dl', { class: 'facts' },
      h('div', {}, h('dt', {}, 'In the queue'), h('dd', {}, formatCount(token.queue.count)),
        h('dd', { class: 'note' }, money(token.queue.value, token))),
      h('div', {}, h('dt', {}, 'Oldest due'),
        h('dd', {}, token.queue.oldestSeconds > 0 || token.queue.count > 0 ? formatAge(token.queue.oldestSeconds) : '–'),
        h('dd', { class: 'note' }, 'waiting')),
      h('div', {}, h('dt', {}, 'Not yet settled'), h('dd', {}, formatCount(token.unsettled.count)),
        h('dd', { class: 'note' }, money(token.unsettled.value, token)))),
  ];
  return [title('queue', 'Settlement queue', h('p', { class: 'aside' }, 'now')),
    sortTokens(report.tokens).map(one),
    h('p', { class: 'foot' }, settle.count > 0
      ? `Lag, admitted to settled: ${formatDuration(settle.p50)} for half, ${formatDuration(settle.p99)} for 99 of 100.`
      : 'How long it takes to settle was not measured in 7 days.')];
}

const SILENT_SECONDS = 60;

export function viewSettlers(report) {
  const state = ({ heardSeconds, troubled, trouble }) => {
    if (trouble || troubled) return tag('bad', 'in trouble');
    return heardSeconds > SILENT_SECONDS ? tag('wait', 'silent') : tag('good', 'working');
  };
  const one = (settler) => {
    const facts = [`heard from ${formatAge(settler.heardSeconds)} ago`,
      `${count(settler.inFlight, settler.remote ? 'request' : 'transaction')} under way`,
      ...(settler.latestBlock ? [`block ${formatCount(settler.latestBlock)}`] : []),
      ...(settler.latestBlock && settler.safeBlock
        ? [`the safe block ${formatCount(settler.latestBlock - settler.safeBlock)} behind`] : []),
      ...(settler.gasWei !== undefined ? [`${formatWei(settler.gasWei, settler.network)} for gas`] : [])];
    return h('li', {},
      h('p', { class: 'what' }, settler.name, settler.remote ? ' through a facilitator ' : ' ', state(settler)),
      settler.address && h('p', { class: 'small' }, code(settler.address)),
      h('p', { class: 'small' }, facts.join(' · ')),
      settler.trouble && h('p', { class: 'trouble' }, settler.trouble));
  };
  return [title('settlers', 'Settlers', h('p', { class: 'aside' }, 'now')),
    report.settlers.length ? h('ul', { class: 'list' }, report.settlers.map(one))
      : h('p', { class: 'none' }, 'No settler was heard from in a week. Payments stay due until one runs: ', code('x402 settle'), '.')];
}

export function viewGas(report) {
  const columns = [['Day'], ['Settled', 'num'], ['Revenue settled', 'num'], ['', 'share'], ['Failed', 'num'],
    ['Gas', 'num'], ['Gas a payment', 'num']];
  const one = (token) => {
    const { days, network } = token;
    const worth = days.map(({ settled }) => settled.value);
    const most = worth.reduce((top, value) => (BigInt(value) > top ? BigInt(value) : top), 1n);
    const digits = decimalsOf(worth, token.decimals);
    const gas = formatWeis(days.map(({ feeWei }) => feeWei), network);
    const each = formatWeis(days.map(({ settled, feeWei }) =>
      (settled.count > 0 ? BigInt(feeWei) / BigInt(settled.count) : null)), network);
    return [
      several(report) && h('h3', {}, `${token.symbol} on ${token.name} `, testTag(token)),
      table(`Gas spent and revenue settled by day, ${token.symbol} on ${token.name}`, columns, days.map((day, i) => [
        utcDay.format(at(day.day * DAY_SECONDS)), formatCount(day.settled.count), money(worth[i], token, digits),
        bar(Number(BigInt(worth[i])) / Number(most), 'earned'), formatCount(day.failed.count), gas[i], each[i],
      ])),
    ];
  };
  const settling = sortTokens(report.tokens).filter(({ days }) =>
    days.some(({ settled, failed, feeWei }) => settled.count > 0 || failed.count > 0 || BigInt(feeWei) > 0n));
  return [title('gas', 'Gas against revenue', h('p', { class: 'aside' }, 'by day, UTC')),
    settling.length ? settling.map(one) : h('p', { class: 'none' }, 'Nothing has settled in 7 days.')];
}

export function viewPayments(report) {
  const links = (payment) => [['Receipt', payment.receipt], ['Transaction', payment.explorer]]
    .filter(([, link]) => safeLink(link))
    .map(([words, link]) => h('a', { href: link, rel: 'noreferrer', 'aria-label': `${words} of payment ${payment.id}` }, words));
  const columns = [['Time'], ['Route'], ['Amount', 'num'], ...(report.private ? [['Payer']] : []), ['Call'], ['Money'],
    ...(report.private ? [['See', 'links']] : [])];
  const rows = report.payments.map((payment) => {
    const token = tokenOf(report, payment);
    const [words, kind] = MONEY[payment.money] ?? [payment.money, 'quiet'];
    return [
      h('time', { datetime: at(payment.time).toISOString() }, moment.format(at(payment.time))),
      code(payment.route), [money(payment.value, token), several(report) && [' ', testTag(token)]],
      ...(report.private ? [h('code', { title: payment.payer }, shortHex(payment.payer ?? ''))] : []),
      DELIVERY[payment.delivery] ?? payment.delivery,
      [tag(kind, words), payment.reason && h('small', {}, payment.reason)],
      ...(report.private ? [links(payment)] : []),
    ];
  });
  return [title('payments', 'Recent payments', h('p', { class: 'aside' }, 'the newest 20')),
    rows.length ? table('The newest payments and what became of them', columns, rows)
      : h('p', { class: 'none' }, 'No payment was taken yet.')];
}

// ----------------------------------------------------------------- hour by hour, in words

export function viewHours(token) {
  const predicted = isPredicted(token);
  const buckets = bucketsOf(token.hours).filter(({ calls, revenue, shadow }) => calls > 0 || revenue > 0n || shadow > 0n);
  const rows = buckets.reverse().map(({ from, to, calls, revenue, shadow }) => [
    `${moment.format(at(from))} to ${minute.format(at(to))}`, formatCount(calls), money(revenue, token),
    ...(predicted ? [money(shadow, token)] : []),
  ]);
  const columns = [['Hour'], ['Paid calls', 'num'], ['Revenue', 'num'], ...(predicted ? [['Predicted', 'num']] : [])];
  return rows.length ? table(`Calls and revenue by the hour, ${token.symbol} on ${token.name}; hours without either are left out`, columns, rows)
    : h('p', { class: 'none' }, 'Nothing in 7 days.');
}

export function summaryOf(token) {
  const busiest = bucketsOf(token.hours).reduce((most, bucket) => (bucket.calls > most.calls ? bucket : most));
  const parts = [`${count(token.calls, 'paid call')}, ${money(token.revenue, token)}${token.test ? ' of test money' : ''} on ${token.name} in 7 days.`];
  if (busiest.calls > 0) parts.push(`The busiest hour: ${moment.format(at(busiest.from))}, ${formatCount(busiest.calls)}.`);
  if (isPredicted(token)) parts.push(`Predicted, not earned: ${money(token.shadow.value, token)} of ${count(token.shadow.count, 'free call')}.`);
  return parts.join(' ');
}

// ------------------------------------------------------------------- what is sold here

function command(text, label) {
  return h('div', { class: 'command' },
    h('pre', { tabindex: '0', role: 'region', 'aria-label': label }, code(text)),
    h('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${label}` }, 'Copy'));
}

const urlOf = (sale) => sale.url || window.location.origin + sale.path;

function viewSale(sale) {
  const url = urlOf(sale);
  return h('li', {},
    h('div', { class: 'offer' },
      h('div', {}, h('h3', {}, code(sale.path), sale.buyable && !sale.exact && h('small', {}, ' and below')), sale.description && h('p', {}, sale.description),
        h('p', { class: 'small' }, sale.networks.map((name) => [tag('quiet', name), ' ']),
          !sale.enforced && tag('wait', 'free now: shadow mode'))),
      h('p', { class: 'price' }, sale.price ? [`$${sale.price}`, h('small', {}, ' a call')] : h('small', {}, 'the price depends on the call'))),
    sale.buyable ? [
      command(payCommand(sale, url), `command that buys ${sale.path}`),
      h('details', {}, h('summary', {}, 'In JavaScript, with @x402/fetch'),
        command(fetchSnippet(url), `JavaScript that buys ${sale.path}`)),
    ] : h('p', { class: 'small' }, 'A pattern of addresses: call one that it matches.'));
}

export function viewSold(report) {
  return [title('sold', 'What is sold here', h('p', { class: 'aside' }, count(report.sold.length, 'route'))),
    report.sold.length ? h('ul', { class: 'sales' }, report.sold.map(viewSale))
      : h('p', { class: 'none' }, 'Nothing is for sale on this server. Give a location a price: ', code('x402_price 0.001;'))];
}

export function viewWelcome(report) {
  const asked = report.routes.reduce((sum, route) => sum + route.offered, 0);
  const sale = report.sold.find(({ buyable }) => buyable);
  const test = sale?.networks.some((name) => /sepolia|amoy|fuji/.test(name));
  return [
    title('welcome', asked > 0 ? `Asked for money ${count(asked, 'time')}, not paid yet` : 'Nothing sold yet'),
    h('p', {}, 'The first paid call shows here as soon as it is answered. Buy one yourself:'),
    h('ol', { class: 'steps' },
      h('li', {}, h('p', {}, 'Make a wallet.'), command('x402 wallet new wallet.key', 'command that makes a wallet')),
      h('li', {}, h('p', {}, 'Send it some USDC', sale ? ` on ${sale.networks.join(' or ')}` : '', '. ',
        test && ['Test money is free at ', h('a', { href: 'https://faucet.circle.com/', rel: 'noreferrer' }, 'faucet.circle.com'), '.'])),
      h('li', {}, h('p', {}, sale ? 'Buy a call.' : 'Put something on sale, then buy it.'),
        sale ? command(payCommand(sale, urlOf(sale)), 'command that buys the first call')
          : command('location /api/ {\n    x402_price 0.001;\n    proxy_pass http://127.0.0.1:8080;\n}', 'configuration that sells a location'))),
  ];
}
