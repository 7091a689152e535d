// Compiles Facilitator.sol and writes what the C side knows of it, src/evm/facilitator_code.h:
//   node contracts/build.mjs           write the header
//   node contracts/build.mjs --check   fail when it is not what would be written
//
// The bytecode depends on the source and the settings here alone (no metadata, a compiler
// named to the last digit), so anybody can make it again and find the same address.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { getContractAddress, keccak256, stringToHex } from 'viem';

const SOURCE = fileURLToPath(new URL('Facilitator.sol', import.meta.url));
const HEADER = fileURLToPath(new URL('../src/evm/facilitator_code.h', import.meta.url));

// Arachnid's deterministic deployment proxy: at this address on every chain.
const DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C';
const SALT = stringToHex('x402 gateway facilitator', { size: 32 });

const SETTINGS = {
  optimizer: { enabled: true, runs: 1_000_000 },
  evmVersion: 'cancun',
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: { '*': { '*': ['evm.bytecode.object', 'evm.deployedBytecode.object'] } },
};

function compile() {
  const solc = createRequire(import.meta.url)('solc');
  const input = {
    language: 'Solidity',
    sources: { 'Facilitator.sol': { content: fs.readFileSync(SOURCE, 'utf8') } },
    settings: SETTINGS,
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  if (output.errors?.length) {
    throw new Error(output.errors.map((e) => e.formattedMessage).join('\n'));
  }
  const { evm } = output.contracts['Facilitator.sol'].Facilitator;
  return {
    initCode: `0x${evm.bytecode.object}`,
    code: `0x${evm.deployedBytecode.object}`,
  };
}

/** The elements of an array of bytes, 12 a line. */
function bytes(hex) {
  const all = hex.slice(2).match(/../g).map((byte) => `0x${byte},`);
  const lines = [];
  while (all.length) lines.push(`    ${all.splice(0, 12).join(' ')}\n`);
  return lines.join('');
}

function header({ initCode, code }) {
  const address = getContractAddress({
    opcode: 'CREATE2', from: DEPLOYER, salt: SALT, bytecode: initCode,
  });
  const array = (name, size, hex) =>
    `const uint8_t ${name}[${size}] = {\n${bytes(hex)}};\n`;
  return `/*
 * Written by contracts/build.mjs from contracts/Facilitator.sol; do not edit. For
 * facilitator.c alone.
 */
/* clang-format off */

/* ${address} */
${array('x402_facilitator_address20', '20', address.toLowerCase())}
/* keccak256 of the ${(code.length - 2) / 2} bytes that run */
${array('x402_facilitator_code_hash32', '32', keccak256(code))}
/* ${DEPLOYER} */
${array('x402_facilitator_deployer20', '20', DEPLOYER.toLowerCase())}
/* the salt (32 bytes), then the init code */
${array('x402_facilitator_deploy_data', '', SALT + initCode.slice(2))}`;
}

const text = header(compile());
if (process.argv[2] === '--check') {
  if (!fs.existsSync(HEADER) || fs.readFileSync(HEADER, 'utf8') !== text) {
    console.error('src/evm/facilitator_code.h is not of this source: node contracts/build.mjs');
    process.exit(1);
  }
} else {
  fs.writeFileSync(HEADER, text);
}
