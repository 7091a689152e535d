// A local chain that looks like Base Sepolia: anvil with our test USDC at the address
// stock clients have built in. As a program:
//   node tests/e2e/lib/chain.mjs --port 8545 [--fund ADDRESS=USDC]… [--gas ADDRESS=ETH]…

import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createPublicClient, decodeFunctionResult, encodeFunctionData, http, keccak256, parseEther,
  parseUnits, stringToBytes, toHex,
} from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import {
  ROOT, canListen, freePort, isRunning, start, stop, temporaryFolder, waitFor,
} from './process.mjs';
import { x402Output } from './x402.mjs';

const require = createRequire(import.meta.url);

export const CHAIN_ID = 84532;
export const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';

// Pays the gas of mints; anvil lets anybody be impersonated.
const MINTER = '0x00000000000000000000000000000000000c0175';

const SOURCE = path.join(ROOT, 'contracts/test/TestUSDC.sol');
const ARTIFACT = path.join(ROOT, 'build/contracts/TestUSDC.json');

/** Compiles TestUSDC, or takes what was compiled of the same source: {abi, code}. */
export function testUsdc() {
  const source = fs.readFileSync(SOURCE, 'utf8');
  const sourceHash = keccak256(stringToBytes(source));
  const cached = readJson(ARTIFACT);
  if (cached?.sourceHash === sourceHash) return cached;
  const artifact = { sourceHash, ...compile('TestUSDC', source) };
  fs.mkdirSync(path.dirname(ARTIFACT), { recursive: true });
  const temporary = `${ARTIFACT}.${process.pid}`; // tests may compile at the same time
  fs.writeFileSync(temporary, JSON.stringify(artifact));
  fs.renameSync(temporary, ARTIFACT);
  return artifact;
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

function compile(name, source) {
  const solc = require('solc');
  const input = {
    language: 'Solidity',
    sources: { [name]: { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 10_000 },
      evmVersion: 'cancun',
      outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((e) => e.severity === 'error');
  if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join('\n'));
  const { abi, evm } = output.contracts[name][name];
  return { abi, code: `0x${evm.deployedBytecode.object}` };
}

function anvilBinary() {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[os.arch()] ?? os.arch();
  const name = `@foundry-rs/anvil-${os.platform()}-${architecture}`;
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), 'bin/anvil');
  } catch {
    throw new Error(`the npm package ${name} is not installed (npm ci installs it)`);
  }
}

/** USDC with its decimals, "1.5", as token units. */
export const usdc = (text) => parseUnits(String(text), 6);

/**
 * Starts the chain. With blockTime (seconds) blocks come by the clock; otherwise each
 * transaction gets one at once. `args` go to anvil.
 */
export async function startChain({ port, blockTime, log, args = [] } = {}) {
  const chosen = port ?? (await freePort());
  const logFile = log ?? path.join(temporaryFolder('chain'), 'anvil.log');
  const child = start(anvilBinary(), [
    '--host', '127.0.0.1', '--port', String(chosen), '--chain-id', String(CHAIN_ID),
    ...(blockTime ? ['--block-time', String(blockTime)] : []), ...args,
  ], { log: logFile });
  const chain = new Chain(child, chosen);
  await waitFor(() => {
    if (!isRunning(child)) {
      throw new Error(`anvil ended: ${fs.readFileSync(logFile, 'utf8').slice(-2000)}`);
    }
    return chain.rpc('eth_chainId').catch(() => false);
  }, 'anvil');
  await chain.placeUsdc();
  return chain;
}

/** The chain that listens on a port, started elsewhere. */
export const attachChain = (port) => new Chain(null, port);

class Chain {
  constructor(child, port) {
    this.child = child;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.usdc = USDC;
    this.abi = testUsdc().abi;
    this.client = createPublicClient({
      chain: baseSepolia, transport: http(this.url), pollingInterval: 50, cacheTime: 0,
    });
  }

  /** One JSON-RPC call, anvil's own included; throws {message, code, data}. */
  async rpc(method, ...params) {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(error.message), error);
    return result;
  }

  async placeUsdc() {
    await this.rpc('anvil_setCode', USDC, testUsdc().code);
    await this.giveGas(MINTER, '1000');
    await this.rpc('anvil_impersonateAccount', MINTER);
  }

  /** Calls a function of the token without a transaction. */
  async read(functionName, ...args) {
    const data = encodeFunctionData({ abi: this.abi, functionName, args });
    const answer = await this.rpc('eth_call', { to: USDC, data }, 'latest');
    return decodeFunctionResult({ abi: this.abi, functionName, data: answer, args });
  }

  /** Why the token would refuse a call now: its revert string, or null when it would not. */
  async refusal(functionName, args, from = MINTER) {
    const data = encodeFunctionData({ abi: this.abi, functionName, args });
    try {
      await this.rpc('eth_call', { from, to: USDC, data }, 'latest');
      return null;
    } catch (error) {
      const said = /^execution reverted: (.*)$/s.exec(error.message);
      if (!said) throw error;
      return said[1];
    }
  }

  /** Sends a function call to the token from a pocket full of gas; resolves to its receipt. */
  async send(functionName, ...args) {
    return this.sendAs(MINTER, functionName, ...args);
  }

  /** The same, from an address of your choice: anvil impersonates it. */
  async sendAs(from, functionName, ...args) {
    await this.rpc('anvil_impersonateAccount', from);
    const data = encodeFunctionData({ abi: this.abi, functionName, args });
    // A gas limit, so that a call that reverts is mined and not refused by estimation.
    const transaction = { from, to: USDC, data, gas: toHex(1_000_000) };
    const hash = await this.inTurn(() => this.rpc('eth_sendTransaction', transaction));
    return this.receipt(hash);
  }

  /** One after the other: anvil gives two transactions at once the same nonce. */
  inTurn(send) {
    const sent = (this.sending ?? Promise.resolve()).then(send);
    this.sending = sent.catch(() => {});
    return sent;
  }

  receipt(hash, within = 10_000) {
    return waitFor(() => this.rpc('eth_getTransactionReceipt', hash), `receipt ${hash}`, within);
  }

  /** Gives an address test USDC: "1.5", or token units as a bigint. */
  mint(address, amount) {
    return this.send('mint', address, typeof amount === 'bigint' ? amount : usdc(amount));
  }

  /** The address's test USDC, in token units. */
  balance(address) {
    return this.read('balanceOf', address);
  }

  giveGas(address, ether = '10') {
    return this.rpc('anvil_setBalance', address, toHex(parseEther(ether)));
  }

  mine(blocks = 1) {
    return this.rpc('anvil_mine', toHex(blocks));
  }

  automine(on) {
    return this.rpc('evm_setAutomine', on);
  }

  /** Moves the chain's clock ahead, and makes a block that shows it. */
  async advance(seconds) {
    await this.rpc('evm_increaseTime', toHex(seconds));
    return this.mine();
  }

  /** The time of the latest block, in Unix seconds. */
  async now() {
    return Number((await this.rpc('eth_getBlockByNumber', 'latest', false)).timestamp);
  }

  stop() {
    return stop(this.child);
  }
}

/**
 * Puts the facilitator contract on a chain that makes blocks, by `x402 contract deploy` and
 * a key of its own: {address, deployed, transaction, gasUsed, …}. No harm when it is there.
 */
export async function deployFacilitator(chain) {
  const key = generatePrivateKey();
  const file = path.join(temporaryFolder('deployer'), 'key');
  fs.writeFileSync(file, `${key}\n`, { mode: 0o600 });
  await chain.giveGas(privateKeyToAddress(key));
  return JSON.parse(await x402Output([
    'contract', 'deploy', '--json', '--rpc', `eip155:${CHAIN_ID}=${chain.url}`, '--key', file,
  ]));
}

// ------------------------------------------------------------------------ as a program

function parseArguments(args) {
  const options = { port: 8545, fund: [], gas: [] };
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i].replace(/^--/, ''), args[i + 1]];
    if (value === undefined || !(name in options)) {
      throw new Error('usage: chain.mjs --port N [--fund ADDRESS=USDC]… [--gas ADDRESS=ETH]…');
    }
    if (name === 'port') options.port = Number(value);
    else options[name].push(value.split('='));
  }
  return options;
}

async function main(args) {
  const { port, fund, gas } = parseArguments(args);
  if (!(await canListen(port))) throw new Error(`port ${port} is taken`);
  const chain = await startChain({ port });
  for (const [address, amount] of gas) await chain.giveGas(address, amount);
  for (const [address, amount] of fund) await chain.mint(address, amount);
  await chain.rpc('evm_setAutomine', false);
  await chain.rpc('evm_setIntervalMining', 2); // Base's pace
  console.log(`chain ${CHAIN_ID} on ${chain.url}, USDC ${USDC}`);
  chain.child.ref(); // run as long as the chain does
  const { code, signal } = await chain.child.exited;
  throw new Error(`anvil ended (${signal ?? code})`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(`chain: ${error.message}`);
    process.exit(1);
  });
}
