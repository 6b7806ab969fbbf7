import { join } from 'node:path';
import type { Cosignatures, KeptLedger, LedgerEngine, Refusals } from '@orb/ledger';
import {
  ChangeDesk,
  findChange,
  gatewaysOf,
  readCertificateFile,
  resubmitDropped,
  writeCertificateFile,
  writeCut,
  type ChangeAhead,
} from '@orb/ledger/change';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import { CosignatureBook, openCosigner, rovingCosignatures, startCosigning } from '@orb/ledger/finality';
import {
  EvidenceFiles,
  openReplicaLedger,
  Refusals as RefusedBlocks,
  RovingUpstream,
  type Evidence,
  type ReplicaLedger,
} from '@orb/ledger/replica';
import {
  chainId,
  isOrbError,
  OrbError,
  superNodeId,
  type OrdererCertificate,
  type OwnTransactions,
  type Signer,
  type verify,
} from '@orb/protocol';
import type { SuperNodeConfig } from './config.ts';
import type { NetworkFolder } from './init.ts';
import type { Log } from './log.ts';

/** How long a replica that starts waits for what it has missed. Later it goes on with what it has. */
const catchUpMs = 10_000;
/** How long an orderer that starts asks the others whether another has taken its place. */
const askMs = 3_000;

interface Dependencies {
  readonly log: Log;
  readonly verify: typeof verify;
  readonly own: OwnTransactions;
  /** Ends this super node and starts it again. */
  readonly again: () => void;
}

/** A super node's part in the ledger: it orders, or it follows the orderer. */
export interface LedgerSide {
  readonly ledger: KeptLedger;
  readonly refusals: Refusals;
  readonly cosignatures: Cosignatures;
  readonly desk: ChangeDesk;
  readonly onChange: (ahead: ChangeAhead) => Promise<void>;
  /** Ends this super node's own co-signing. */
  stop(): Promise<void>;
}

interface Ordering {
  readonly mode: 'orders';
  readonly ledger: LedgerEngine;
  readonly key: Signer;
  readonly refusals: Refusals;
}
interface Following {
  readonly mode: 'follows';
  readonly ledger: ReplicaLedger;
  readonly roving: RovingUpstream;
  readonly refusals: Refusals;
}

/** Opens the ledger in a super node's folder. Who orders it stands in it: the configuration says who did at first. */
export async function openLedgerSide(config: SuperNodeConfig, keys: NetworkFolder, dependencies: Dependencies): Promise<LedgerSide> {
  const { log, again } = dependencies;
  const folder = join(config.folder, 'ledger');
  const opened = await openLedger(config, keys, dependencies);
  const { ledger, refusals } = opened;
  const own = [keys.superNode, keys.orderer].flatMap((signer) => signer?.publicKey ?? []);
  const onChange = async (ahead: ChangeAhead): Promise<void> => {
    await keepChange(folder, ahead);
    const { change } = ahead.certificate;
    log.info('the orderer changes', { epoch: change.epoch, height: change.height, gateway: change.gateway });
    if (opened.mode === 'orders' || ahead.cut || own.includes(change.key) || opened.ledger.status.state === 'refused') return again();
    opened.ledger.expectChange(change);
    opened.roving.expectChange(change);
  };
  const ending = new AbortController();
  let cosigned: Cosigned | undefined;
  try {
    cosigned = await openCosignatures(config, { opened, keys, log });
    const ordering = opened.mode === 'orders' ? { engine: opened.ledger, key: opened.key } : undefined;
    const desk = new ChangeDesk({ ledger, cosigner: cosigned.cosigner, ordering, own, onChange });
    const resubmitting = resubmitDropped(folder, ledger, ending.signal).then(
      (taken) => taken > 0 && log.info('transactions of blocks that were given up are on the ledger', { taken }),
      (error: unknown) => log.warn('transactions of blocks that were given up are not on the ledger yet', { message: String(error) }),
    );
    const stop = async () => {
      ending.abort();
      await cosigned!.stop();
    };
    void resubmitting;
    return { ledger, refusals, cosignatures: cosigned.cosignatures, desk, onChange, stop };
  } catch (error) {
    await cosigned?.stop();
    await ledger.close();
    throw error;
  }
}

/** Written down before anything else is done about it. */
async function keepChange(folder: string, { certificate, cut }: ChangeAhead): Promise<void> {
  await writeCertificateFile(folder, certificate);
  if (cut) await writeCut(folder, cut);
}

interface Cosigned {
  readonly cosignatures: Cosignatures;
  readonly cosigner: Awaited<ReturnType<typeof openCosigner>>;
  /** Ends this super node's own co-signing. */
  stop(): Promise<void>;
}

/**
 * The orderer keeps what peers co-sign; who follows it passes on what the orderer keeps. Each co-signs with its own key,
 * which counts while the ledger lists its owner as a peer.
 */
async function openCosignatures(
  config: SuperNodeConfig,
  { opened, keys, log }: { readonly opened: Ordering | Following; readonly keys: NetworkFolder; readonly log: Log },
): Promise<Cosigned> {
  const { ledger } = opened;
  const cosignatures =
    opened.mode === 'orders'
      ? await CosignatureBook.open({ folder: join(config.folder, 'cosignatures'), ledger })
      : rovingCosignatures(() => opened.roving.ordererUrl());
  let said = '';
  const onTrouble = ({ code, message }: OrbError) => {
    // Once, not at every try: most super nodes are no peers, and do well without.
    if (message !== said) log.info('blocks are not co-signed', { code, message });
    said = message;
  };
  try {
    const cosigner = await openCosigner(join(config.folder, 'ledger'), keys.superNode, ledger);
    const { stop } = startCosigning({ ledger, cosigner, sink: cosignatures, onTrouble });
    return { cosignatures, cosigner, stop };
  } catch (error) {
    await cosignatures.close();
    throw error;
  }
}

async function openLedger(config: SuperNodeConfig, keys: NetworkFolder, dependencies: Dependencies): Promise<Ordering | Following> {
  const change = await readCertificateFile(join(config.folder, 'ledger'));
  const key = ordererOf(config, keys, change);
  const ordering = key && (await tryOrdering(config, keys, { ...dependencies, key, change }));
  return ordering ?? follow(config, keys, dependencies);
}

/** The key that this super node may order with, as far as is known before the ledger is open. */
function ordererOf(
  { folder, ledger }: SuperNodeConfig,
  { superNode, orderer }: NetworkFolder,
  change: OrdererCertificate | undefined,
): Signer | undefined {
  if (change) return [superNode, orderer].find((signer) => signer?.publicKey === change.change.key);
  if (ledger.mode === 'replica') return undefined;
  if (orderer) return orderer;
  throw new OrbError('invalid-request', {
    message: `${folder} does not hold the key that orders this ledger.`,
    hint: 'Follow the super node that has it: set ledger to {"mode": "replica", "upstream": "https://…"}.',
  });
}

/** Opens the ledger to order it. Undefined when another does. */
async function tryOrdering(
  config: SuperNodeConfig,
  { genesis, superNode }: NetworkFolder,
  { log, verify: check, own, key, change }: Dependencies & { readonly key: Signer; readonly change: OrdererCertificate | undefined },
): Promise<Ordering | undefined> {
  const folder = join(config.folder, 'ledger');
  let ledger: LedgerEngine;
  try {
    ledger = await openEmbeddedLedger({ folder, genesis, ordererKey: key, verify: check, own, ...(change && { change }) });
  } catch (error) {
    // In the first epoch a key that is not the genesis's is a mistake of the operator's.
    if (!isOrbError(error) || error.code !== 'forbidden' || error.details?.['epoch'] === 1) throw error;
    log.info('another orders the ledger now', { message: error.message });
    return undefined;
  }
  if (await isReplaced(ledger, folder, superNodeId(superNode.publicKey))) {
    await ledger.close();
    log.info('another orders the ledger now', { asked: 'the other super nodes' });
    return undefined;
  }
  const files = await EvidenceFiles.open(folder);
  const onSecondBlock = async (evidence: Evidence) => {
    const file = await files.keep(evidence);
    log.error('another has a second block that this orderer has signed', { height: evidence.height, evidence: file });
  };
  return { mode: 'orders', ledger, key, refusals: new RefusedBlocks({ ledger, clock: Date.now, onSecondBlock }) };
}

/** Whether the others know of a change of the orderer that this one has missed. Then it is written down. */
async function isReplaced(ledger: LedgerEngine, folder: string, self: string): Promise<boolean> {
  const ahead = await findChange(ledger, await gatewaysOf(ledger, { self }), AbortSignal.timeout(askMs));
  if (ahead) await keepChange(folder, ahead);
  return ahead !== undefined;
}

async function follow(
  config: SuperNodeConfig,
  { genesis, superNode }: NetworkFolder,
  { log, verify: check }: Dependencies,
): Promise<Following> {
  const folder = join(config.folder, 'ledger');
  const change = (await readCertificateFile(folder))?.change;
  const configured = config.ledger.mode === 'replica' ? config.ledger : undefined;
  const url = configured?.upstream ?? change?.gateway ?? '';
  const roving = new RovingUpstream({ url, chain: chainId(genesis), self: superNodeId(superNode.publicKey) });
  if (change) roving.expectChange(change);
  const ledger = await openReplicaLedger({
    folder,
    genesis,
    verify: check,
    ...(configured && { begin: configured.begin, trusted: configured.trusted }),
    onWhole: () => log.info('the ledger is here from its first block, and has led to the snapshot that this copy began with'),
    upstream: roving,
    backOff: { firstMs: 100, mostMs: 2_000 },
    onTrouble: ({ code, message }) => log.warn('the ledger cannot be followed', { upstream: url, code, message }),
    onRefused: ({ height, reason }, file) => log.error('a block of the orderer is wrong', { height, reason, evidence: file }),
  });
  roving.attach(ledger);
  const until = Date.now() + catchUpMs;
  const behind = () => ledger.status.state === 'connecting' || ledger.head.height < (ledger.status.upstreamHeight ?? 0);
  while (behind() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  return { mode: 'follows', ledger, roving, refusals: ledger.refusals };
}
