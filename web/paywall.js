// The browser paywall: one button signs the payment with the browser's wallet (EIP-1193,
// EIP-6963, EIP-712) and shows what it bought. Nothing is sent but the paid call itself.
//
// A payment that was signed is kept until it is known to be used or worthless: whatever goes
// wrong on the way, the same one is presented again, so that one call is never paid twice.

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
    'The payment came too late. Is the clock of this device right?',
  invalid_exact_evm_payload_authorization_value_mismatch:
    'The price has changed. Load the page again to see the new one.',
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
let offer;
let signed = null; // {header, lost}: presented until it is used or worthless
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

/** The way to pay that is chosen. */
function chosen() {
  const radio = document.querySelector('#ways input:checked');
  return offer.accepts[radio ? Number(radio.value) : 0];
}

/** One way to pay is no choice. Another way needs another signature. */
function showWays() {
  const ways = element('ways');
  ways.hidden = offer.accepts.length < 2;
  ways.addEventListener('change', () => { signed = null; });
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
  const accept = chosen();
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
  return { header, lost: false };
}

/* ----------------------------------------------------------------------------- paying */

const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

/** Presents the payment; while the gateway says "later", again. */
async function present() {
  for (let tries = 1; ; tries++) {
    const response = await fetch(location.href, {
      headers: { 'PAYMENT-SIGNATURE': signed.header, Accept: '*/*' }, cache: 'no-store',
      redirect: 'manual',
    });
    const wait = Number(response.headers.get('retry-after')) || 1;
    if (![409, 429, 503].includes(response.status) || tries === 20) return response;
    say(response.status === 503 ? 'The payment is being settled…' : 'Waiting for the service…');
    await pause(Math.min(wait, 10));
  }
}

/** Why it was refused: the code of a problem document, or of a fresh offer. */
async function refusal(response) {
  const fresh = response.headers.get('payment-required');
  const receipt = response.headers.get('payment-response');
  if (receipt) return decodeJson(receipt).errorReason;
  if (fresh) return decodeJson(fresh).error;
  const type = response.headers.get('content-type') ?? '';
  return kindOf(type) === 'json' ? ((await response.json()).code ?? '') : '';
}

async function explain(response) {
  const code = await refusal(response).catch(() => '');
  if (response.status === 402) { // it will not be taken any more
    const charged = signed.lost ? '' : ' You were not charged.';
    signed = null;
    say(`${REASONS[code] ?? `The payment was refused (${code}).`}${charged}`, 'bad');
  } else if (code === 'nonce_already_used') {
    signed = null;
    say('This payment was used: its answer was delivered before.', 'bad');
  } else {
    say(`The service answered ${response.status}. You were not charged; `
      + 'try again: the same payment is used.', 'bad');
  }
}

async function buy(wallet) {
  if (signed === null) {
    say('Confirm the signature in your wallet…');
    signed = await sign(wallet);
  }
  say('Paying…');
  const response = await present();
  if (!response.ok) {
    await explain(response);
    return;
  }
  await showAnswer(response);
  signed = null;
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
  if (signed === null) return `That did not work: ${why}`;
  signed.lost = true;
  return `The answer did not arrive (${why}). Try again: the same payment is used.`;
}

function setBusy(now) {
  busy = now;
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
  const header = response.headers.get('payment-response');
  const link = header === null ? undefined : decodeJson(header).extra?.receipt;
  if (!link) return;
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
}

if (typeof document !== 'undefined') start();
