import {
  accountId,
  allowanceId,
  chainId,
  createSigner,
  functionId,
  nodeId,
  parseManifest,
  sha256,
  superNodeId,
  versionId,
  type Acknowledgement,
  type Genesis,
  type Manifest,
  type Receipt,
  type Signer,
  type Ticket,
} from '../src/index.ts';

/*
 * The one sample network of all vectors. Keys derive from public texts, sha256("orb vector key 1") and so on: whoever
 * uses one of them outside a test gives away what it guards.
 */

/** The signer whose private key is SHA-256 of `orb vector key <number>`. */
export function vectorKey(number: number): Signer {
  return createSigner(sha256(`orb vector key ${number}`));
}

/** Thirty-two bytes that stand for something whose making does not matter. */
export function vectorHash(name: string): string {
  return sha256(`orb vector ${name}`);
}

/** Who holds which key. */
export const keyNumbers = {
  treasury: 1,
  orderer: 2,
  developer: 3,
  provider: 4,
  operator: 5,
  superNode: 6,
  node: 7,
  control: 8,
  recovery: 9,
  peer: 10,
  other: 11,
} as const;

export function keyOf(holder: keyof typeof keyNumbers): Signer {
  return vectorKey(keyNumbers[holder]);
}

/** 2025-11-20T00:00:00Z */
export const sampleTime = 1_763_596_800_000;

export const sampleGenesis: Genesis = {
  v: 1,
  name: 'vectors',
  network: 'test',
  time: sampleTime,
  salt: vectorHash('salt'),
  treasuryKey: keyOf('treasury').publicKey,
  ordererKey: keyOf('orderer').publicKey,
  parameters: {
    version: 1,
    fromHeight: 0,
    split: { relayBps: 1_000, commissionBps: 200, seedingBps: 300 },
    disputeWindowMs: 600_000,
    graceMs: 60_000,
    runToleranceMs: 50,
    minBond: '1000000000000',
    faucetGrant: '100000000000',
    faucetTotal: '1000000000000',
  },
};

export const sampleManifest: Manifest = parseManifest({
  v: 1,
  kind: 'bundle',
  runtime: 'deno-2',
  code: { sha256: vectorHash('code'), bytes: 1_234 },
  priceCap: '2000',
  labels: { region: 'eu', 'cpu.arch': 'x86-64' },
});

export const sampleIds = {
  chain: chainId(sampleGenesis),
  treasury: accountId(keyOf('treasury').publicKey),
  developer: accountId(keyOf('developer').publicKey),
  provider: accountId(keyOf('provider').publicKey),
  operator: accountId(keyOf('operator').publicKey),
  superNode: superNodeId(keyOf('superNode').publicKey),
  node: nodeId(keyOf('node').publicKey),
  function: functionId(accountId(keyOf('developer').publicKey), 'hello', 1),
  version: versionId(sampleManifest),
  allowance: allowanceId(accountId(keyOf('developer').publicKey), 2),
} as const;

/** Job number `sequence` of the sample allowance. */
export function sampleTicket(sequence: number): Ticket {
  return {
    allowance: sampleIds.allowance,
    sequence,
    attempt: 1,
    call: vectorHash(`call ${sequence}`).slice(0, 32),
    function: sampleIds.function,
    version: sampleIds.version,
    parameters: 1,
    rate: '1000',
    maxCost: '1280000000',
    requestHash: vectorHash(`request ${sequence}`),
    notAfter: sampleTime + 60_000 + sequence,
  };
}

export function sampleReceipt(sequence: number): Receipt {
  return {
    setupUs: 4_200 + sequence,
    runUs: 12_345 + sequence,
    cpuUs: 9_876,
    peakMemoryKiB: 51_200,
    bytesIn: 200,
    bytesOut: 321,
    requestHash: '',
    resultHash: vectorHash(`result ${sequence}`),
    outcome: 'ok',
  };
}

export function sampleAcknowledgement(sequence: number): Acknowledgement {
  return {
    received: true,
    observedUs: 17_000 + sequence,
    prcUs: 310,
    rspUs: 17_600 + sequence,
    doneAtMs: sampleTime + 1_000 + sequence,
  };
}
