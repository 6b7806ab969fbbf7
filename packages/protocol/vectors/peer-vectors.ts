import {
  callStates,
  callTransitions,
  checkSignedRequest,
  checkTranscript,
  fromHex,
  jobStates,
  jobTransitions,
  labels,
  parseDescriptor,
  signDescriptor,
  signRequest,
  signTranscript,
  statement,
  terminalCallStates,
  terminalJobStates,
  toHex,
  utf8,
  verify,
  type Json,
  type LinkHello,
  type LinkTranscript,
  type SignableRequest,
} from '../src/index.ts';
import { edgeCases } from './ed25519-edge-cases.ts';
import { refusalOf } from './format-vectors.ts';
import { keyOf, sampleIds, sampleTime, vectorHash } from './sample.ts';

const { chain } = sampleIds;
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export function descriptorVectors(): Json {
  const body = {
    v: 1 as const,
    chain,
    function: sampleIds.function,
    owner: 'alice',
    name: 'hello',
    version: null,
    gateways: ['https://super.example'],
  };
  const descriptor = signDescriptor(body, keyOf('control'));
  const refused: Record<string, Json> = {
    'another name': { ...descriptor, name: 'other' },
    'another key': { ...descriptor, key: keyOf('other').publicKey },
    'an unknown field': { ...descriptor, note: 'x' },
    'no gateway': { ...descriptor, gateways: [] },
    'a gateway that is no web address': { ...descriptor, gateways: ['javascript:alert(1)'] },
  };
  return {
    about: 'Signed: everything but key and signature.',
    statement: decode(statement(labels.descriptor, body)),
    descriptor,
    refused: Object.entries(refused).map(([name, value]) => ({
      name,
      descriptor: value,
      code: refusalOf(() => parseDescriptor(value)),
    })),
  };
}

export function signedRequestVectors(): Json {
  const nonce = vectorHash('nonce').slice(0, 32);
  const nowMs = sampleTime + 400;
  const make = (method: string, url: string, body: string) => {
    const request = { method, url, body: utf8(body) };
    return { request, headers: signRequest(request, chain, keyOf('developer'), nowMs, nonce) };
  };
  const accepted = [
    make('POST', 'https://super.example/v1/faucet', '{"account":"alice"}'),
    make('GET', 'http://127.0.0.1:8080/v1/functions?search=a%20b&limit=5', ''),
    make('PUT', 'https://super.example/', '\u0000binary'),
  ];
  const { request, headers } = accepted[0]!;
  type Case = readonly [SignableRequest, Record<string, string>, string, number];
  const refused: Record<string, Case> = {
    'another method': [{ ...request, method: 'PUT' }, { ...headers }, chain, nowMs],
    'another path': [{ ...request, url: 'https://super.example/v1/other' }, { ...headers }, chain, nowMs],
    'a query added': [{ ...request, url: `${request.url}?a=1` }, { ...headers }, chain, nowMs],
    'another authority': [{ ...request, url: 'https://other.example/v1/faucet' }, { ...headers }, chain, nowMs],
    'a path with dot segments': [{ ...request, url: 'https://super.example/x/../v1/faucet' }, { ...headers }, chain, nowMs],
    'another body': [{ ...request, body: utf8('{"account":"mallory"}') }, { ...headers }, chain, nowMs],
    'another network': [request, { ...headers }, vectorHash('another chain'), nowMs],
    'a minute and a second too old': [request, { ...headers }, chain, nowMs + 61_000],
    'a minute and a second too new': [request, { ...headers }, chain, nowMs - 61_000],
    'another nonce': [
      request,
      {
        ...headers,
        'signature-input': headers['signature-input'].replace(
          nonce,
          nonce.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
        ),
      },
      chain,
      nowMs,
    ],
    'another key': [
      request,
      {
        ...headers,
        'signature-input': headers['signature-input'].replace(keyOf('developer').publicKey, keyOf('other').publicKey),
      },
      chain,
      nowMs,
    ],
    'fewer covered components': [
      request,
      { ...headers, 'signature-input': headers['signature-input'].replace(' "content-digest"', '') },
      chain,
      nowMs,
    ],
    'no signature': [request, { 'content-digest': headers['content-digest'], 'signature-input': headers['signature-input'] }, chain, nowMs],
    'the digest of another body': [request, { ...headers, 'content-digest': accepted[1]!.headers['content-digest'] }, chain, nowMs],
  };
  const shown = ({ method, url, body }: SignableRequest) => ({ method, url, bodyHex: toHex(body) });
  return {
    about: 'One profile of RFC 9421 with RFC 9530. `nowMs` is the receiver’s clock.',
    accepted: accepted.map((one) => ({
      request: shown(one.request),
      chain,
      nowMs,
      headers: { ...one.headers },
      identity: { ...checkSignedRequest(one.request, { ...one.headers }, chain, nowMs) },
    })),
    refused: Object.entries(refused).map(([name, [one, given, forChain, now]]) => ({
      name,
      request: shown(one),
      chain: forChain,
      nowMs: now,
      headers: given,
      code: refusalOf(() => checkSignedRequest(one, given, forChain, now)),
    })),
  };
}

export function handshakeVectors(): Json {
  const dialler: LinkHello = {
    v: 1,
    chain,
    role: 'node',
    key: keyOf('node').publicKey,
    nonce: vectorHash('dialler nonce'),
  };
  const listener: LinkHello = {
    v: 1,
    chain,
    role: 'super-node',
    key: keyOf('superNode').publicKey,
    nonce: vectorHash('listener nonce'),
  };
  const transcript: LinkTranscript = { dialler, listener, exporter: vectorHash('exporter') };
  const accept = signTranscript('accept', transcript, keyOf('superNode'));
  const confirm = signTranscript('confirm', transcript, keyOf('node'));
  const sameKey = { ...transcript, dialler: { ...dialler, key: listener.key } };
  const sameNonce = { ...transcript, listener: { ...listener, nonce: dialler.nonce } };
  const foreign = { ...transcript, listener: { ...listener, chain: vectorHash('another chain') } };
  type Case = readonly ['accept' | 'confirm', LinkTranscript, string];
  const refused: Record<string, Case> = {
    'reflection: the listener’s signature sent back': ['confirm', transcript, accept],
    'the dialler’s signature in place of the listener’s': ['accept', transcript, confirm],
    'another connection: its exporter differs': ['confirm', { ...transcript, exporter: vectorHash('other exporter') }, confirm],
    'another nonce': ['confirm', { ...transcript, listener: { ...listener, nonce: vectorHash('other nonce') } }, confirm],
    'another role': ['confirm', { ...transcript, dialler: { ...dialler, role: 'super-node' } }, confirm],
    'sides swapped': ['accept', { ...transcript, dialler: listener, listener: dialler }, accept],
    'one key on both sides': ['accept', sameKey, signTranscript('accept', sameKey, keyOf('superNode'))],
    'one nonce on both sides': ['accept', sameNonce, signTranscript('accept', sameNonce, keyOf('superNode'))],
    'different networks, rightly signed': ['accept', foreign, signTranscript('accept', foreign, keyOf('superNode'))],
  };
  return {
    about: 'Both sign the transcript, the listener under the label orb/link-accept/1, the dialler under orb/link-confirm/1.',
    transcript: { ...transcript },
    acceptStatement: decode(statement(labels.linkAccept, { ...transcript })),
    accept,
    confirmStatement: decode(statement(labels.linkConfirm, { ...transcript })),
    confirm,
    refused: Object.entries(refused).map(([name, [step, given, signature]]) => ({
      name,
      step,
      transcript: { ...given },
      signature,
      code: refusalOf(() => checkTranscript(step, given, signature)),
    })),
  };
}

export function ed25519Vectors(): Json {
  return {
    about:
      'The verification rule of ledger rules version 1 (src/crypto/crypto.ts): exact equation, canonical encodings, neither key nor R of small order.',
    cases: edgeCases().map((one) => ({ ...one, valid: verify(one.publicKey, fromHex(one.message), one.signature) })),
  };
}

export function stateVectors(): Json {
  return {
    about: 'The state machines of calls and jobs.',
    call: {
      states: callStates,
      start: 'queued',
      terminal: terminalCallStates,
      transitions: callTransitions as unknown as Json,
    },
    job: {
      states: jobStates,
      start: 'assigned',
      terminal: terminalJobStates,
      transitions: jobTransitions as unknown as Json,
    },
  };
}
