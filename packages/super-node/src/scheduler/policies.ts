import { xorDistance, type FunctionId } from '@orb/protocol';
import { assumedAnswerMs, type NodeSession } from '../registry/node-registry.ts';

export const placementPolicies = ['balanced', 'random', 'nearest'] as const;
export type PlacementPolicy = (typeof placementPolicies)[number];

/** Picks one of the nodes that fit and have a free slot; `nodes` is never empty. */
export type PickNode = (nodes: readonly NodeSession[], fn: FunctionId, chance: () => number) => NodeSession;

export const pickers: Readonly<Record<PlacementPolicy, PickNode>> = {
  /** ChainFaaS: any that fits. */
  random: (nodes, _fn, chance) => nodes[Math.floor(chance() * nodes.length)]!,

  /** Orb: shortest response time first, XOR distance to the function breaks ties. */
  nearest: (nodes, fn) => nodes.reduce((best, node) => (nearer(node, best, fn) ? node : best)),

  /**
   * The better of two random choices (Mitzenmacher, The Power of Two Choices, 2001), by the time in which each is
   * expected to be done, worsened by past failures.
   */
  balanced: (nodes, _fn, chance) => {
    const first = nodes[Math.floor(chance() * nodes.length)]!;
    if (nodes.length === 1) return first;
    const others = nodes.length - 1;
    const offset = 1 + Math.floor(chance() * others);
    const second = nodes[(nodes.indexOf(first) + offset) % nodes.length]!;
    return expectedMs(second) < expectedMs(first) ? second : first;
  },
};

/** How many free nodes a policy compares; undefined: all. */
export const compared: Readonly<Record<PlacementPolicy, number | undefined>> = { random: 1, nearest: undefined, balanced: 2 };

function nearer(a: NodeSession, b: NodeSession, fn: FunctionId): boolean {
  const gap = roundedRtt(a) - roundedRtt(b);
  return gap === 0 ? xorDistance(a.id, fn) < xorDistance(b.id, fn) : gap < 0;
}

/** Whole milliseconds, so that noise does not hide ties. */
function roundedRtt(node: NodeSession): number {
  return Math.round(node.link.rttMs ?? Number.MAX_SAFE_INTEGER);
}

function expectedMs(node: NodeSession): number {
  const answerMs = node.answerMs ?? assumedAnswerMs;
  const load = 1 + node.active / Math.max(1, node.offer.cores);
  return ((node.link.rttMs ?? 0) + answerMs * load) / Math.max(0.05, node.reliability);
}
