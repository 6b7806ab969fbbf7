import { limits } from '@orb/protocol';
import type { LentLimits } from '@orb/sandbox';
import type { LendingTerms } from '../offer/lending.ts';
import type { Machine } from '../offer/machine.ts';
import type { Settings } from './settings.ts';

/** Cores that are lent: what the owner says, and no more than there are. */
export function lentCores({ cores }: Settings, machine: Machine): number {
  return Math.min(cores ?? machine.cores, machine.cores);
}

/** What is offered, by the owner's settings and this computer. */
export function lendingTerms(settings: Settings, machine: Machine): LendingTerms {
  return {
    slots: settings.slots ?? 16 * Math.ceil(lentCores(settings, machine)),
    memoryMiB: settings.memoryMiB ?? Math.max(limits.memoryMiB.min, Math.floor(machine.memoryMiB / 2)),
    rate: BigInt(settings.price),
  };
}

/** The same for the engines that hold functions to it. */
export function lentLimits(settings: Settings, machine: Machine): LentLimits {
  const cores = lentCores(settings, machine);
  return {
    cores,
    memoryMiB: lendingTerms(settings, machine).memoryMiB,
    priority: settings.priority,
    imageDiskMiB: settings.imageDiskMiB,
    containerCores: Math.min(settings.containerCores, cores),
    containerRuntime: settings.containerRuntime,
    onlyListedRegistries: settings.registries === 'listed',
  };
}
