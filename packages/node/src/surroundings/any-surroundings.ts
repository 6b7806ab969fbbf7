import { cpus } from 'node:os';
import type { Surroundings } from './port.ts';

/** What Node itself knows on every system: how busy the processors are. */
export class AnySurroundings implements Surroundings {
  readonly idleFrom = 'nothing on this system';

  async idleMs(): Promise<undefined> {
    return undefined;
  }

  async onBattery(): Promise<undefined> {
    return undefined;
  }

  async busyUs(): Promise<number> {
    return cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + (user + nice + sys + irq) * 1_000, 0);
  }

  close(): void {}
}
