import type { Instances } from '../job/instances.ts';
import type { Engines } from '../offer/engines.ts';
import type { Lending } from '../offer/lending.ts';
import type { Machine } from '../offer/machine.ts';
import type { SeedShelf } from '../seeding/seed-shelf.ts';
import type { Seeding } from '../seeding/seeding.ts';
import type { Conditions } from '../surroundings/conditions.ts';
import type { OwnerSettings } from './owner-settings.ts';
import type { SettingsChange } from './settings.ts';
import { lendingTerms, lentLimits } from './terms.ts';

export interface Followers {
  readonly settings: OwnerSettings;
  readonly machine: Machine;
  readonly lending: Lending;
  readonly engines: Engines;
  readonly shelf: SeedShelf;
  readonly seeding: Seeding;
  readonly instances: Instances;
  readonly conditions: Conditions;
  /** Tells the super nodes what is offered now. */
  readonly offerAll: () => void;
}

/**
 * Makes a change of the owner's hold everywhere: what is offered, what the engines enforce, which versions stay.
 * Jobs under way go on. @throws OrbError `invalid-request` for what cannot be, `not-supported` for what the engines here
 * cannot hold functions to, both with nothing changed
 */
export async function changeSettings(change: SettingsChange, followers: Followers): Promise<void> {
  const { settings, machine, lending, engines, conditions, offerAll } = followers;
  await engines.limit(lentLimits(settings.after(change), machine));
  try {
    await settings.change(change);
  } finally {
    // Also where it could not be written: then what held before holds again.
    await engines.limit(lentLimits(settings.now, machine));
  }
  const { now } = settings;
  lending.change(lendingTerms(now, machine));
  // Trying an engine takes seconds: the owner is not kept waiting, and the offer follows.
  void engines.useImages(now.containers === 'on').then(offerAll, () => undefined);
  await makeRoom(followers);
  await conditions.look();
  offerAll();
}

async function makeRoom({ settings, lending, shelf, seeding, instances }: Followers): Promise<void> {
  const gone = [
    ...(await shelf.limitDisk(settings.now.diskMiB * 1_048_576, (seeded) => instances.isBusy(seeded))),
    ...(await seeding.leaveUnwanted()),
  ];
  for (const seeded of gone) instances.forget(seeded);
  await instances.resize(lending.terms.memoryMiB);
}
