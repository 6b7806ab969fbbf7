import type { Surroundings } from '../src/surroundings/port.ts';

/** A computer that is as the test says. */
export class StillSurroundings implements Surroundings {
  readonly idleFrom = 'the test';
  idle: number | undefined;
  battery: boolean | undefined = false;
  busy: number | undefined = 0;

  async idleMs(): Promise<number | undefined> {
    return this.idle;
  }

  async onBattery(): Promise<boolean | undefined> {
    return this.battery;
  }

  async busyUs(): Promise<number | undefined> {
    return this.busy;
  }

  close(): void {}
}
