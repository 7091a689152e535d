// The fastest form a JavaScript gateway has: one handler on node:http, the digest with
// fixed offsets, the signature by the native secp256k1 addon, nonces in the memory of each
// process, which forgets all when it ends. What is paid goes on to the upstream (UPSTREAM, a
// port) by undici's dispatch, the fastest client there is; without one it answers by itself.
import http from 'node:http';
import sha3 from 'js-sha3';
import secp256k1 from 'secp256k1';
import { Pool } from 'undici';
import { ANSWER, PAYEE, UPSTREAM, USDC, VALUE, inEachWorker } from './cluster.mjs';

const keccak = (bytes) => Buffer.from(sha3.keccak256.arrayBuffer(bytes));
const bytesOf = (hex) => Buffer.from(hex.slice(2), 'hex');
const ANSWER_TEXT = JSON.stringify(ANSWER);

function domainSeparator() {
  const words = Buffer.alloc(160);
  keccak(Buffer.from('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')).copy(words);
  keccak(Buffer.from('USDC')).copy(words, 32);
  keccak(Buffer.from('2')).copy(words, 64);
  words.writeUInt32BE(84532, 124);
  bytesOf(USDC).copy(words, 140);
  return keccak(words);
}

// The parts that never change are written once.
const message = Buffer.alloc(224);
const envelope = Buffer.alloc(66);
keccak(Buffer.from('TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)')).copy(message);
bytesOf(PAYEE).copy(message, 76);
message.writeBigUInt64BE(BigInt(VALUE), 120);
envelope.writeUInt16BE(0x1901);
domainSeparator().copy(envelope, 2);

const payee = PAYEE.toLowerCase();
const used = new Map(); // nonce to when it expires

function digest(authorization) {
  bytesOf(authorization.from).copy(message, 44);
  message.writeBigUInt64BE(BigInt(authorization.validAfter), 152);
  message.writeBigUInt64BE(BigInt(authorization.validBefore), 184);
  bytesOf(authorization.nonce).copy(message, 192);
  keccak(message).copy(envelope, 34);
  return keccak(envelope);
}

function isSigned({ authorization, signature }) {
  const bytes = bytesOf(signature);
  const key = secp256k1.ecdsaRecover(bytes.subarray(0, 64), bytes[64] - 27, digest(authorization), false);
  return keccak(key.subarray(1)).subarray(12).equals(bytesOf(authorization.from));
}

/** Whether the header buys one call. */
function accepts(header) {
  const { payload } = JSON.parse(Buffer.from(header, 'base64').toString());
  const { authorization } = payload;
  const now = Date.now() / 1000;
  if (authorization.to.toLowerCase() !== payee || authorization.value !== VALUE) return false;
  if (authorization.validBefore < now + 6 || authorization.validAfter > now) return false;
  const key = authorization.from + authorization.nonce;
  if (used.has(key) || !isSigned(payload)) return false;
  used.set(key, authorization.validBefore);
  return true;
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

const upstream = UPSTREAM && new Pool(UPSTREAM, { connections: 64 });

/** What an answer comes to, as undici tells it. */
class Forwarded {
  constructor(response) {
    this.response = response;
    this.pieces = [];
  }

  onConnect() {}

  onHeaders(status) {
    this.status = status;
    return true;
  }

  onData(piece) {
    this.pieces.push(piece);
    return true;
  }

  onComplete() {
    answer(this.response, this.status, Buffer.concat(this.pieces));
  }

  onError() {
    answer(this.response, 502, '{}');
  }
}

function serve(request, response) {
  if (upstream) {
    upstream.dispatch({ path: request.url, method: request.method }, new Forwarded(response));
  } else {
    answer(response, 200, ANSWER_TEXT);
  }
}

function handle(request, response) {
  const header = request.headers['payment-signature'];
  let paid = false;
  try {
    paid = header !== undefined && accepts(header);
  } catch { /* what cannot be read buys nothing */ }
  if (paid) serve(request, response);
  else answer(response, 402, '{}');
}

await inEachWorker((port) => http.createServer(handle).listen(port, '127.0.0.1', 4096));
