import { setTimeout } from 'node:timers/promises';
import {
  asOrbError,
  inTime,
  OrbError,
  parseWith,
  seedAnswerSchema,
  xorDistance,
  type Fetching,
  type SeedAnswer,
  type SeedRequest,
  type VersionId,
} from '@orb/protocol';
import type { FunctionEntry, KnownVersion } from '../registry/function-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import type { Publications } from './publications.ts';
import type { SecretRelay } from '../secrets/secret-relay.ts';
import { whyUnfit } from '../scheduler/fits.ts';

/** A node that says it is still fetching without having taken its time is not asked in a loop. */
const betweenAsksMs = 250;

/** One step of seeding, as the owner sees it. */
export interface SeedStep {
  readonly type: 'asked' | 'fetching' | 'ready' | 'refused';
  readonly node: string;
  readonly label: string;
  readonly reason?: string;
  /** Of an image that the node fetches, where the type is `fetching`. */
  readonly receivedBytes?: number;
  readonly totalBytes?: number;
  readonly ready: number;
  readonly wanted: number;
}

export interface SeedDependencies {
  readonly nodes: NodeRegistry;
  readonly publications: Publications;
  readonly secrets: Pick<SecretRelay, 'whyNot' | 'deliver'>;
  /** Seeders changed: waiting calls may fit now. */
  onSeeded(): void;
}

/**
 * Asks nodes to seed a version until enough are ready: those that fit, nearest to the function by XOR distance first,
 * so that every super node asks the same ones. A node may refuse; then the next nearest is asked.
 * @param waitMs how long a node is waited for that goes on fetching an image; without it the next nearest is asked
 * @throws OrbError `no-node-fits` when no more nodes can be asked and not one is ready
 */
export async function* seedFunction(
  entry: FunctionEntry,
  version: KnownVersion,
  dependencies: SeedDependencies,
  waitMs = 0,
): AsyncGenerator<SeedStep, { ready: number; wanted: number }> {
  const { nodes } = dependencies;
  const wanted = version.manifest.replicas;
  const ready = () => nodes.seeders(version.replica).length;
  const transaction = await dependencies.publications.ofVersion(version);
  if (!transaction) throw new OrbError('not-found', { message: `The publication of ${entry.fullName} is not on the ledger.` });
  const request: SeedRequest = {
    name: entry.fullName,
    account: entry.record.account,
    function: entry.record.id,
    version: version.id,
    transaction,
    rotations: await dependencies.publications.rotations(entry.record.id),
  };
  const reasons = new Set<string>();
  for (const node of candidates(entry, version, dependencies, reasons)) {
    if (ready() >= wanted) break;
    if (!nodes.isLive(node)) continue;
    const about = () => ({ node: node.id, label: node.label, ready: ready(), wanted });
    yield { type: 'asked', ...about() };
    const asking = askUntilFetched(node, request, version, dependencies, waitMs);
    let step = await asking.next();
    for (; !step.done; step = await asking.next()) {
      const { receivedBytes, totalBytes } = step.value;
      yield { type: 'fetching', receivedBytes, totalBytes, ...about() };
    }
    const refusal = step.value;
    if (refusal !== undefined) reasons.add(refusal);
    yield refusal === undefined ? { type: 'ready', ...about() } : { type: 'refused', reason: refusal, ...about() };
  }
  if (ready() === 0) {
    const why = nodes.size === 0 ? 'no node is online' : [...reasons].slice(0, 5).join('; ');
    throw new OrbError('no-node-fits', {
      message: `Nobody seeds ${entry.fullName}: ${why}.`,
      hint: 'Lower its demands or try again when more nodes are online.',
    });
  }
  return { ready: ready(), wanted };
}

function candidates(
  entry: FunctionEntry,
  version: KnownVersion,
  { nodes, secrets }: SeedDependencies,
  reasons: Set<string>,
): NodeSession[] {
  return [...nodes.sessions()]
    .filter((node) => {
      if (node.seeds.has(version.replica)) return false;
      const reason = whyUnfit(node.offer, version.manifest) ?? secrets.whyNot(node, version);
      if (reason !== undefined) reasons.add(reason);
      return reason === undefined;
    })
    .sort((a, b) => xorDistance(a.id, entry.record.id) - xorDistance(b.id, entry.record.id));
}

/**
 * Asks a node, and again for as long as it goes on fetching; tells how far it is.
 * @returns why it refused; undefined when it seeds now
 */
async function* askUntilFetched(
  node: NodeSession,
  request: SeedRequest,
  version: KnownVersion,
  dependencies: SeedDependencies,
  waitMs: number,
): AsyncGenerator<Fetching, string | undefined> {
  for (const untilMs = performance.now() + waitMs; ; await setTimeout(betweenAsksMs)) {
    const asked = askToSeed(node, request, version, dependencies);
    if (version.manifest.kind === 'image') yield* fetchingUntil(asked, node, version.id);
    const answer = await asked;
    if (answer.seeding) return undefined;
    if (answer.fetching === undefined || performance.now() >= untilMs) return answer.reason;
  }
}

/** What the node tells of the version's image, the newest where it tells more than is taken, until it has answered. */
async function* fetchingUntil(asked: Promise<unknown>, node: NodeSession, version: VersionId): AsyncGenerator<Fetching, void> {
  let newest: Fetching | undefined;
  let over = false;
  let news = Promise.withResolvers<void>();
  const listen = (progress: Fetching) => {
    if (progress.version !== version) return;
    newest = progress;
    news.resolve();
  };
  node.fetching.add(listen);
  void asked.finally(() => {
    over = true;
    news.resolve();
  });
  try {
    for (;;) {
      await news.promise;
      if (over) return;
      news = Promise.withResolvers();
      if (newest) yield newest;
    }
  } finally {
    node.fetching.delete(listen);
  }
}

/** Never rejects: what goes wrong is a refusal. */
async function askToSeed(
  node: NodeSession,
  request: SeedRequest,
  version: KnownVersion,
  { nodes, secrets, onSeeded }: SeedDependencies,
): Promise<SeedAnswer> {
  const refused = (reason: string): SeedAnswer => ({ seeding: false, reason });
  node.asked.add(version.manifest.code.sha256);
  try {
    const { header } = await inTime(60_000, (signal) => node.link.call('seed', request, undefined, { signal }));
    const answer = parseWith(seedAnswerSchema, header, 'seed');
    if (!answer.seeding) return answer;
    const without = await secrets.deliver(node, version);
    if (without !== undefined) return refused(without);
    if (!nodes.isLive(node)) return refused('the node went away');
    nodes.markSeeding(node, version.replica);
    onSeeded();
    return answer;
  } catch (error) {
    return refused(asOrbError(error).message);
  }
}
