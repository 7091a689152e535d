// A wallet in the browser, for tests: an EIP-1193 provider that announces itself
// (EIP-6963) and signs for real, with a key that stays in this process.

/**
 * Gives every page of this one's session a wallet for `account`. What it is asked is in
 * `wallet.requests`; `wallet.refuse` makes it say no to signatures, `wallet.chainId` is
 * the chain it is on, `wallet.known` the chains it can switch to, `wallet.alter` changes
 * a signature before it is given.
 */
export async function addWallet(page, account, { chainId = 84532, known = [84532] } = {}) {
  const wallet = { requests: [], refuse: false, chainId, known, alter: (s) => s };
  await page.exposeFunction('x402TestWallet', async (request) => {
    wallet.requests.push(request);
    try {
      return { result: await answer(wallet, account, request) };
    } catch (error) {
      return { error: { code: error.code ?? -32603, message: error.message } };
    }
  });
  await page.addInitScript(announce);
  return wallet;
}

async function answer(wallet, account, { method, params }) {
  switch (method) {
    case 'eth_requestAccounts': return [account.address];
    case 'eth_chainId': return `0x${wallet.chainId.toString(16)}`;
    case 'wallet_switchEthereumChain': return switchTo(wallet, Number(params[0].chainId));
    case 'eth_signTypedData_v4': return signFor(wallet, account, params);
    default: throw Object.assign(new Error(`no method ${method}`), { code: -32601 });
  }
}

function switchTo(wallet, chainId) {
  if (!wallet.known.includes(chainId)) {
    throw Object.assign(new Error('an unknown chain'), { code: 4902 });
  }
  wallet.chainId = chainId;
  return null;
}

async function signFor(wallet, account, [address, text]) {
  if (wallet.refuse) throw Object.assign(new Error('the user said no'), { code: 4001 });
  const { types: { EIP712Domain, ...types }, domain, primaryType, message } = JSON.parse(text);
  if (address !== account.address || domain.chainId !== wallet.chainId) {
    throw new Error('not this account, or not this chain');
  }
  return wallet.alter(await account.signTypedData({ types, domain, primaryType, message }));
}

/** Runs in the page. */
function announce() {
  const provider = {
    async request(request) {
      const { result, error } = await window.x402TestWallet(request);
      if (error) throw Object.assign(new Error(error.message), { code: error.code });
      return result;
    },
  };
  const detail = Object.freeze({
    info: { uuid: 'b1946ac9-2492-4d23-9d2e-0c6f6c1c7f00', name: 'Test Wallet', icon: '', rdns: 'test' },
    provider,
  });
  const tell = () => window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }));
  window.addEventListener('eip6963:requestProvider', tell);
}
