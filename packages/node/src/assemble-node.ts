import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkTransport } from '@orb/link';
import { nodeId, OrbError, tierSatisfies, type Hex32 } from '@orb/protocol';
import type { Sandbox } from '@orb/sandbox';
import type { BlobStore } from '@orb/store';
import { JobDesk } from './job/accept-job.ts';
import { LedgerDuties } from './claims/ledger-duties.ts';
import type { NodeLedger } from './claims/node-ledger.ts';
import type { Instances } from './job/instances.ts';
import { Tally } from './job/tally.ts';
import { LentNode, type NodeLog } from './lent-node.ts';
import type { CheckedNodeConfig } from './node-config.ts';
import { Lending } from './offer/lending.ts';
import type { Machine } from './offer/machine.ts';
import type { OfferFacts } from './offer/make-offer.ts';
import { EvidenceLog } from './receipts/evidence-log.ts';
import type { ReceiptBookOptions } from './receipts/receipt-book.ts';
import { ControlServer } from './owner-control/control-server.ts';
import { NodeAtWork, type RunningNode } from './running-node.ts';
import { SeedShelf } from './seeding/seed-shelf.ts';
import { Seeding } from './seeding/seeding.ts';
import { SuperLinks } from './super-links.ts';
import { SuperNodeAccount } from './super-node-account.ts';

/** What a node stands on, chosen by whoever composes it. */
export interface NodeFoundations {
  readonly transport: LinkTransport;
  /** Called once the data folder is this node's alone. */
  readonly openStore: () => Promise<BlobStore>;
  readonly sandbox: Sandbox;
  /** Instances of that sandbox, for the versions on a shelf. */
  readonly openInstances: (shelf: SeedShelf, memoryMiB: number) => Instances;
  readonly machine: Machine;
  /** The ledger, for what a super node owes; undefined where it cannot be reached. */
  readonly openLedger?: (superNode: Hex32) => NodeLedger | undefined;
  readonly log: NodeLog;
  /** Milliseconds since 1970. @default Date.now */
  readonly nowMs?: () => number;
  readonly batching?: Pick<ReceiptBookOptions, 'batchMs' | 'segmentBytes' | 'keepSettledBytes'>;
}

/** Puts a node together and links it. @throws OrbError for what keeps it from starting, naming the fix */
export async function assembleNode(config: CheckedNodeConfig, on: NodeFoundations): Promise<RunningNode> {
  mkdirSync(config.dataFolder, { recursive: true, mode: 0o700 });
  // First of all: it is also the lock on the data folder.
  const control = await ControlServer.listen(config.dataFolder, (request) => {
    if (!node) throw new OrbError('conflict', { message: 'The node is still starting.' });
    return node.obey(request);
  });
  let node: NodeAtWork | undefined;
  try {
    node = await putTogether(config, on, () => control.close());
    return node;
  } catch (error) {
    await control.close();
    await on.sandbox.close();
    throw error;
  }
}

async function putTogether(config: CheckedNodeConfig, on: NodeFoundations, closeControl: () => Promise<void>): Promise<NodeAtWork> {
  const { chain, signer, dataFolder, policy, caps } = config;
  const nowMs = on.nowMs ?? Date.now;
  const id = nodeId(signer.publicKey);
  const report = await on.sandbox.probe();
  if (!tierSatisfies(report.tier, policy.minIsolation)) throw tooWeak(report, policy.minIsolation);
  const facts: OfferFacts = {
    machine: on.machine,
    cores: Math.min(caps.cores ?? on.machine.cores, on.machine.cores),
    runtimes: report.runtimes,
    isolation: report.tier,
    labels: config.labels,
  };
  const lending = new Lending({
    slots: caps.slots ?? 16 * Math.ceil(facts.cores),
    memoryMiB: caps.memoryMiB ?? Math.max(64, Math.floor(on.machine.memoryMiB / 2)),
    rate: BigInt(config.rate),
  });
  const shelf = await SeedShelf.open(
    { path: join(dataFolder, 'seeds.json'), diskBytes: caps.diskMiB * 1024 * 1024 },
    { store: await on.openStore() },
  );
  const instances = on.openInstances(shelf, lending.terms.memoryMiB);
  const means = () => ({ runtimes: report.runtimes, isolation: report.tier, labels: config.labels, ...lending.terms });
  const seeding = new Seeding({ chain, policy }, { shelf, means, prepare: async (program) => on.sandbox.prepare?.(program) });
  const tally = new Tally();
  const nowUs = () => performance.now() * 1000;
  const desk = new JobDesk({}, { lending, shelf, tally, nowUs, nowMs });
  const evidence = new EvidenceLog({ path: join(dataFolder, 'evidence.jsonl') });
  const accounts = config.superNodes.map(
    ({ key }) =>
      new SuperNodeAccount(
        {
          chain,
          node: id,
          superNodeKey: key,
          receiptsFolder: join(dataFolder, 'receipts'),
          boot: on.machine.boot,
          ...(on.batching && { batching: on.batching }),
        },
        { signer, nowMs, onRoot: () => node.rootSigned(key) },
      ),
  );
  const byKey = new Map<Hex32, SuperNodeAccount>(accounts.map((account) => [account.key, account]));
  const node: LentNode = new LentNode(
    { chain, id, facts },
    {
      lending,
      shelf,
      seeding,
      evidence,
      accounts: byKey,
      nowMs,
      log: on.log,
      desk,
      instances,
      tally,
      nowUs,
      challenged: (superNode, fn) => duties.challenged(superNode, fn),
      streamBytes: caps.streamBytes,
    },
  );
  const duties = new LedgerDuties(
    { chain, node: id, claimAfterMs: config.claims.afterMs, everyMs: config.claims.everyMs },
    { accounts, signer, shelf, evidence, nowMs, say: on.log, openLedger: (key) => on.openLedger?.(key) },
  );
  const identity = { chain, role: 'node', signer } as const;
  const links = new SuperLinks({ superNodes: config.superNodes, identity }, { transport: on.transport, handler: node, log: on.log });
  const closers = [
    () => duties.close(),
    () => instances.close(),
    () => on.sandbox.close(),
    ...accounts.map((account) => () => account.close()),
    closeControl,
  ];
  return new NodeAtWork({
    id,
    offersTaken: () => node.offersTaken(),
    label: config.label,
    startedMs: nowMs(),
    nowMs,
    accounts,
    duties,
    lending,
    desk,
    tally,
    shelf,
    node,
    links,
    closers,
  });
}

function tooWeak(report: Awaited<ReturnType<Sandbox['probe']>>, wanted: string): OrbError {
  const remedies = report.layers.filter(({ active }) => !active).map(({ name, remedy }) => `${name}${remedy ? `: ${remedy}` : ''}`);
  return new OrbError('sandbox-failed', {
    message: `This computer can isolate functions only by ${report.tier}; its owner demands ${wanted}.`,
    hint: remedies.length > 0 ? `Missing: ${remedies.join('; ')}` : 'Lower policy.minIsolation.',
  });
}
