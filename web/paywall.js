// The browser paywall: one button signs the payment with the browser's wallet (EIP-1193,
// EIP-6963, EIP-712) and shows what it bought. Nothing is sent but the paid call itself.
//
// A payment that was signed is kept, by the tab, too, until it is known to be used or worthless:
// whatever goes wrong on the way, the same one is presented again, so that one call is never
// paid twice, and what was paid for and not delivered is not forgotten by a page loaded again.

const TYPES = {
  EIP712Domain: [
    { name: 'name', type: 'string' }, { name: 'version', type: 'string' },
    { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' },
  ],
  TransferWithAuthorization: [ // EIP-3009
    { name: 'from', type: 'address' }, { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' }, { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' }, { name: 'nonce', type: 'bytes32' },
  ],
};

/** What became of a presented payment, and what may be done now. */
const REASONS = {
  insufficient_funds: 'This account does not have enough of the token on this network.',
  invalid_exact_evm_insufficient_balance:
    'This account does not have enough of the token on this network.',
  invalid_exact_evm_signature:
    'The signature is not this account’s. Smart accounts cannot pay here yet.',
  invalid_exact_evm_payload_authorization_valid_before:
    'The payment came too late, or the clock of this device is wrong.',
  invalid_exact_evm_payload_authorization_value_mismatch:
    'The price has changed. Load the page again to see the new one.',
  invalid_payload:
    'The gateway does not understand this signature. Smart accounts cannot pay here yet.',
  payment_abandoned: 'The call was cut off by a crash. That payment will never be charged.',
};

/* ------------------------------------------------------------------------------- pure */

/** 84532 of 'eip155:84532'. */
export const chainOf = (network) => Number(network.split(':')[1]);

export function decodeJson(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function encodeJson(value) {
  let text = '';
  for (const byte of new TextEncoder().encode(JSON.stringify(value))) {
    text += String.fromCharCode(byte);
  }
  return btoa(text);
}

/** The authorization of one call: `now` in seconds, of the server's clock. */
export function authorization(accept, from, now, random) {
  const nonce = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return {
    from, to: accept.payTo, value: accept.amount, validAfter: '0',
    validBefore: String(now + accept.maxTimeoutSeconds), nonce: `0x${nonce}`,
  };
}

export function typedData(accept, message) {
  return {
    types: TYPES,
    domain: {
      name: accept.extra.name, version: accept.extra.version,
      chainId: chainOf(accept.network), verifyingContract: accept.asset,
    },
    primaryType: 'TransferWithAuthorization', message,
  };
}

/** Some wallets end a signature in 0 or 1, where EIP-3009's tokens expect 27 or 28. */
export function withRecoveryId(signature) {
  const last = Number.parseInt(signature.slice(-2), 16);
  return last < 27 ? signature.slice(0, -2) + (last + 27).toString(16) : signature;
}

/** How an answer is shown: json, text, html, image, audio, video or file. */
export function kindOf(type) {
  const name = type.split(';')[0].trim().toLowerCase();
  if (name === 'application/json' || name.endsWith('+json')) return 'json';
  if (name === 'text/html' || name === 'application/xhtml+xml') return 'html';
  if (name.startsWith('text/') || name === 'application/x-ndjson') return 'text';
  return ['image', 'audio', 'video'].find((kind) => name.startsWith(`${kind}/`)) ?? 'file';
}

/* ------------------------------------------------------------------------------- page */

const page = {};
const wallets = new Map(); // name -> {name, icon, provider}
const WAIT_MAX = 30; // seconds; who asks for more is not waited for
let offer;
// {header, wallet, way, open}: presented until it is used or worthless. `open`: what became of
// it is not known, so that nothing else may be signed in its place.
let signed = null;
let busy = false;

const element = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, mood = '') {
  const status = element('status');
  status.className = mood;
  status.replaceChildren(make('p', { textContent: text }));
}

/** The way to pay that is chosen: its place in the offer. */
function chosen() {
  return Number(document.querySelector('#ways input:checked')?.value ?? 0);
}

/** One way to pay is no choice. */
function showWays() {
  element('ways').hidden = offer.accepts.length < 2;
}

function showWallet(wallet) {
  const button = make('button', { type: 'button' });
  if (/^data:image\//.test(wallet.icon ?? '')) {
    button.append(make('img', { src: wallet.icon, alt: '' }));
  }
  button.append(`Pay ${page.price} with ${wallet.name}`);
  button.addEventListener('click', () => pay(wallet));
  element('wallets').append(button);
  element('wallet').hidden = false;
}

function addWallet(name, icon, provider) {
  if (wallets.has(name)) return;
  wallets.set(name, { name, icon, provider });
  showWallet(wallets.get(name));
}

function findWallets() {
  window.addEventListener('eip6963:announceProvider', ({ detail }) => {
    addWallet(String(detail.info.name), String(detail.info.icon), detail.provider);
  });
  window.dispatchEvent(new Event('eip6963:requestProvider'));
  if (wallets.size === 0 && window.ethereum) addWallet('your wallet', '', window.ethereum);
}

/* ----------------------------------------------------------------------- what is kept */

const placeOf = () => `x402 ${location.pathname}${location.search}`;

/** Takes a payment, or null, for the one there is. Not every browser lets a page keep it. */
function keep(payment) {
  signed = payment;
  try {
    if (payment) sessionStorage.setItem(placeOf(), JSON.stringify(payment));
    else sessionStorage.removeItem(placeOf());
  } catch { /* then the page has it as long as it is open */ }
}

function recall() {
  try {
    signed = JSON.parse(sessionStorage.getItem(placeOf()));
  } catch { /* nothing is kept here */ }
  if (signed) say('A payment for this call was signed here before. The button presents it again and signs no other.');
}

/* ---------------------------------------------------------------------------- signing */

async function onChain(provider, id) {
  const chainId = `0x${id.toString(16)}`;
  if (Number(await provider.request({ method: 'eth_chainId' })) === id) return;
  try {
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] });
  } catch (error) {
    if (error?.code !== 4902) throw error; // EIP-3085: a chain it does not know
    throw new Error(`Your wallet does not know this network: add chain ${id} to it, then try again.`);
  }
}

async function sign(wallet) {
  const { provider } = wallet;
  const way = chosen();
  const accept = offer.accepts[way];
  const [account] = await provider.request({ method: 'eth_requestAccounts' });
  await onChain(provider, chainOf(accept.network));
  const now = Math.floor(Date.now() / 1000) + page.clockOffset;
  const random = crypto.getRandomValues(new Uint8Array(32));
  const message = authorization(accept, account, now, random);
  const data = JSON.stringify(typedData(accept, message));
  const signature = await provider.request({ method: 'eth_signTypedData_v4', params: [account, data] });
  const { x402Version, resource } = offer;
  const payload = { signature: withRecoveryId(signature), authorization: message };
  const header = encodeJson({ x402Version, resource, accepted: accept, payload });
  return { header, wallet: wallet.name, way, open: false };
}

/* ----------------------------------------------------------------------------- paying */

const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

/** How many seconds to wait before it is presented again; 0: this is the answer. */
function waitOf(response) {
  const wait = Number(response.headers.get('retry-after'));
  return [409, 429, 503].includes(response.status) && wait > 0 && wait <= WAIT_MAX ? wait : 0;
}

/** Presents the payment; while the answer is "later", again. */
async function present() {
  for (let tries = 1; ; tries++) {
    const response = await fetch(location.href, {
      headers: { 'PAYMENT-SIGNATURE': signed.header, Accept: '*/*' }, cache: 'no-store',
      redirect: 'manual',
    });
    const wait = waitOf(response);
    if (wait === 0 || tries === 20) return response;
    say(receiptOf(response) ? 'The payment is being settled…' : 'Waiting for the service…');
    await pause(Math.min(wait, 10));
  }
}

/** The settlement response; null when there is none. */
function receiptOf(response) {
  const text = response.headers.get('payment-response');
  try {
    return text && decodeJson(text);
  } catch {
    return null;
  }
}

/** Why it was refused: the code of a problem document, or of a fresh offer. */
async function refusal(response) {
  const fresh = response.headers.get('payment-required');
  const receipt = receiptOf(response);
  if (receipt) return receipt.errorReason ?? '';
  if (fresh) return decodeJson(fresh).error;
  const type = response.headers.get('content-type') ?? '';
  return kindOf(type) === 'json' ? ((await response.json()).code ?? '') : '';
}

/** The gateway's own "not now", of a payment that it may have served before. */
const NOT_NOW = {
  settlement_pending: 'The payment is still being settled.',
  payment_in_progress: 'This payment is being served at the moment.',
  rate_limited: 'Too many calls at the moment.',
  ledger_unavailable: 'Payments cannot be taken at the moment.',
};

/** What no gateway takes, however often it is presented; 400. */
const MALFORMED = ['payment_header_too_large', 'invalid_base64', 'invalid_json', 'invalid_payload',
  'invalid_x402_version'];

/** The payment will not be taken any more. Unless it is known, an earlier try may have been. */
function explainWorthless(code, isUncharged) {
  keep(null);
  const charged = isUncharged ? 'You were not charged.' : 'An earlier try of it may have been charged.';
  say(`${REASONS[code] ?? `The payment was refused (${code}).`} ${charged}`, 'bad');
}

/** What an answer says that is not the one paid for; `wasOpen`: before it was presented. */
async function explain(response, wasOpen) {
  const code = await refusal(response).catch(() => '');
  const again = 'try again: the same payment is used.';
  if (response.type === 'opaqueredirect') {
    say(`The answer leads to another address, which this page cannot follow. It may have been paid for; ${again}`, 'bad');
  } else if (response.status === 402 || MALFORMED.includes(code)) {
    explainWorthless(code, !wasOpen || code === 'payment_abandoned' || receiptOf(response));
  } else if (code === 'nonce_already_used') {
    keep(null);
    say('This payment was used: its answer was delivered before.', 'bad');
  } else if (Object.hasOwn(NOT_NOW, code)) {
    keep({ ...signed, open: wasOpen || code === 'settlement_pending' || code === 'payment_in_progress' });
    say(`${NOT_NOW[code]} Wait a little and ${again}`, 'bad');
  } else if (receiptOf(response)?.success) {
    say(`The service answered ${response.status}. The call is paid for and still owed to you; ${again}`, 'bad');
  } else if ([502, 504].includes(response.status) || response.status >= 520) { // or a proxy before the gateway
    say(`The service answered ${response.status}. You are charged only for what is delivered; ${again}`, 'bad');
  } else { // the service was asked, so no earlier try was served
    keep({ ...signed, open: false });
    say(`The service answered ${response.status}. You were not charged; ${again}`, 'bad');
  }
}

/** Another wallet or way is another signature, once the one there is is known to be unused. */
function mayBePresented(wallet) {
  return signed !== null && (signed.open || (signed.wallet === wallet.name && signed.way === chosen()));
}

async function buy(wallet) {
  if (!mayBePresented(wallet)) {
    say('Confirm the signature in your wallet…');
    keep(await sign(wallet));
  }
  const wasOpen = signed.open;
  keep({ ...signed, open: true });
  say('Paying…');
  const response = await present();
  if (!response.ok) {
    await explain(response, wasOpen);
    return;
  }
  await showAnswer(response);
  keep(null);
}

async function pay(wallet) {
  if (busy) return;
  setBusy(true);
  try {
    await buy(wallet);
  } catch (error) {
    const refused = error?.code === 4001; // EIP-1193
    say(refused ? 'Nothing was signed, and nothing is charged.' : trouble(error), refused ? '' : 'bad');
  } finally {
    setBusy(false);
  }
}

/** A payment whose answer was lost may have been used. */
function trouble(error) {
  const why = error?.message ?? error;
  if (!signed?.open) return `That did not work: ${why}`;
  return `The answer did not arrive (${why}). Try again: the same payment is used.`;
}

function setBusy(now) {
  busy = now;
  element('ways').disabled = now;
  for (const button of document.querySelectorAll('#wallets button')) {
    button.setAttribute('aria-disabled', String(now));
  }
}

/* ----------------------------------------------------------------------------- answer */

function fileName(response) {
  const named = /filename="?([^";]+)/.exec(response.headers.get('content-disposition') ?? '');
  return named?.[1] ?? (location.pathname.split('/').pop() || 'answer');
}

/** Text as it comes, so that a stream is seen while it runs. */
async function streamText(response, into) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    into.append(value);
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const views = {
  async json(response) {
    return make('pre', { textContent: pretty(await response.text()), tabIndex: 0 });
  },
  async html(response) { // no script of it runs, and it is no part of this site
    const frame = make('iframe', { title: 'The answer', sandbox: 'allow-popups' });
    frame.srcdoc = await response.text();
    return frame;
  },
  async image(response) {
    return make('img', { src: URL.createObjectURL(await response.blob()), alt: 'The answer' });
  },
  async audio(response) {
    return make('audio', { src: URL.createObjectURL(await response.blob()), controls: true });
  },
  async video(response) {
    return make('video', { src: URL.createObjectURL(await response.blob()), controls: true });
  },
  async file(response) {
    const href = URL.createObjectURL(await response.blob());
    const name = fileName(response);
    return make('a', { href, download: name, textContent: `Save ${name}` });
  },
};

async function showAnswer(response) {
  const kind = kindOf(response.headers.get('content-type') ?? '');
  const section = element('answer');
  if (kind === 'text') {
    const text = make('pre', { tabIndex: 0 });
    element('content').replaceChildren(text);
    section.hidden = false;
    await streamText(response, text);
  } else {
    element('content').replaceChildren(await views[kind](response));
    section.hidden = false;
  }
  say(`Paid ${page.price}. The button above buys one more call.`, 'good');
  showReceipt(response);
  section.focus();
}

function showReceipt(response) {
  const link = receiptOf(response)?.extra?.receipt;
  if (!/^(https?:\/)?\//.test(link ?? '')) return;
  element('after').replaceChildren('Receipt: ', make('a', { href: link, textContent: link }));
}

/* ------------------------------------------------------------------------------ start */

function start() {
  const { offer: text, price, method, time } = document.body.dataset;
  offer = decodeJson(text);
  page.clockOffset = Number(time) - Math.floor(Date.now() / 1000);
  page.price = price;
  if (method !== 'GET' && method !== 'HEAD') {
    say(`This page was asked for by ${method}, which cannot be repeated from here.`);
    return;
  }
  showWays();
  findWallets();
  recall();
}

if (typeof document !== 'undefined') start();
