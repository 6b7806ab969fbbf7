import { asOrbError, inTime, OrbError, parseWith, seedAnswerSchema, xorDistance, type SeedRequest } from '@orb/protocol';
import type { FunctionEntry, KnownVersion } from '../registry/function-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import type { Publications } from './publications.ts';
import type { SecretRelay } from '../secrets/secret-relay.ts';
import { whyUnfit } from '../scheduler/fits.ts';

/** One step of seeding, as the owner sees it. */
export interface SeedStep {
  readonly type: 'asked' | 'ready' | 'refused';
  readonly node: string;
  readonly label: string;
  readonly reason?: string;
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
 * @throws OrbError `no-node-fits` when no more nodes can be asked and not one is ready
 */
export async function* seedFunction(
  entry: FunctionEntry,
  version: KnownVersion,
  dependencies: SeedDependencies,
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
    yield { type: 'asked', node: node.id, label: node.label, ready: ready(), wanted };
    const refusal = await askToSeed(node, request, version, dependencies);
    if (refusal !== undefined) reasons.add(refusal);
    yield refusal === undefined
      ? { type: 'ready', node: node.id, label: node.label, ready: ready(), wanted }
      : { type: 'refused', node: node.id, label: node.label, reason: refusal, ready: ready(), wanted };
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

/** @returns why it refused; undefined when it seeds now */
async function askToSeed(
  node: NodeSession,
  request: SeedRequest,
  version: KnownVersion,
  { nodes, secrets, onSeeded }: SeedDependencies,
): Promise<string | undefined> {
  node.asked.add(version.manifest.code.sha256);
  try {
    const answer = await inTime(60_000, (signal) => node.link.call('seed', request, undefined, { signal }));
    const result = parseWith(seedAnswerSchema, answer.header, 'seed');
    if (!result.seeding) return result.reason;
    const without = await secrets.deliver(node, version);
    if (without !== undefined) return without;
    if (!nodes.isLive(node)) return 'the node went away';
    nodes.markSeeding(node, version.replica);
    onSeeded();
    return undefined;
  } catch (error) {
    return asOrbError(error).message;
  }
}
