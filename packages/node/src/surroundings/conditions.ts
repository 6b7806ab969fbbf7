import type { Tally } from '../job/tally.ts';
import type { Lending, RestReason } from '../offer/lending.ts';
import { parseHours } from '../settings/hours.ts';
import type { Settings } from '../settings/settings.ts';
import type { DayBook } from './day-book.ts';
import type { Surroundings } from './port.ts';

export interface ConditionsOptions {
  readonly cores: number;
  /** @default 5000 */
  readonly everyMs?: number;
}

export interface ConditionsDependencies {
  readonly settings: () => Settings;
  readonly surroundings: Surroundings;
  readonly lending: Lending;
  readonly tally: Tally;
  readonly day: DayBook;
  /** Processor time of the node and its functions so far, microseconds. */
  readonly ownCpuUs: () => number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Milliseconds on a monotonic clock. */
  readonly clockMs: () => number;
}

/** What the node knows of its computer now. */
export interface Seen {
  /** Share of all processors that other programs use, %; smoothed over a quarter of a minute. */
  readonly otherLoadPercent: number | undefined;
  readonly idleMs: number | undefined;
  /** Where that is known from. */
  readonly idleFrom: string;
  readonly onBattery: boolean | undefined;
}

const smoothMs = 15_000;
/** Who lends only an idle computer means one whose other programs are quiet too. */
const idleLoadPercent = 25;
/** Lending that rests for other programs' sake begins again a good deal below the threshold, so that it does not flutter. */
const resumeShare = 0.8;
const saveEveryMs = 300_000;

interface Counters {
  readonly clockMs: number;
  readonly busyUs: number | undefined;
  readonly ownUs: number;
  readonly jobs: number;
  readonly units: bigint;
}

/** Looks around every few seconds, and lets lending rest while the owner's conditions do not hold. */
export class Conditions {
  readonly #options: Required<ConditionsOptions>;
  readonly #d: ConditionsDependencies;
  #timer: NodeJS.Timeout | undefined;
  #last: Counters | undefined;
  #otherLoad: number | undefined;
  #seen: Seen = { otherLoadPercent: undefined, idleMs: undefined, idleFrom: '', onBattery: undefined };
  #savedMs = 0;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: ConditionsOptions, dependencies: ConditionsDependencies) {
    this.#options = { everyMs: 5_000, ...options };
    this.#d = dependencies;
  }

  get seen(): Seen {
    return this.#seen;
  }

  /** Looks now, and from then on every few seconds. */
  async start(): Promise<void> {
    await this.look();
    this.#timer = setInterval(() => void this.look(), this.#options.everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    this.#d.surroundings.close();
    await this.#d.day.save().catch(() => undefined);
  }

  /** Looks around now; one look at a time. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look()).catch(() => undefined);
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { settings, surroundings, lending, clockMs } = this.#d;
    const { onlyWhenIdleMs, onBattery } = settings();
    const [busyUs, idleMs, battery] = await Promise.all([
      surroundings.busyUs(),
      onlyWhenIdleMs > 0 ? surroundings.idleMs() : undefined,
      onBattery === 'pause' ? surroundings.onBattery() : undefined,
    ]);
    this.#note(clockMs(), busyUs);
    this.#seen = { otherLoadPercent: this.#otherLoad, idleMs, idleFrom: surroundings.idleFrom, onBattery: battery };
    lending.rest(this.#reasons());
  }

  #note(clockMs: number, busyUs: number | undefined): void {
    const { ownCpuUs, tally, lending, day } = this.#d;
    const now: Counters = { clockMs, busyUs, ownUs: ownCpuUs(), jobs: tally.done, units: tally.askedUnits };
    const before = this.#last;
    this.#last = now;
    if (!before || clockMs <= before.clockMs) return;
    const seconds = (clockMs - before.clockMs) / 1_000;
    const ownSeconds = Math.max(0, now.ownUs - before.ownUs) / 1e6;
    const busySeconds = busyUs !== undefined && before.busyUs !== undefined ? Math.max(0, busyUs - before.busyUs) / 1e6 : undefined;
    const otherSeconds = busySeconds === undefined ? 0 : Math.max(0, busySeconds - ownSeconds);
    if (busySeconds !== undefined) this.#smooth((otherSeconds / seconds / this.#options.cores) * 100, seconds * 1_000);
    const { accepting: lent } = lending;
    const turned = day.add({ seconds, lent, ownSeconds, otherSeconds, jobs: now.jobs - before.jobs, units: now.units - before.units });
    if (!turned && clockMs - this.#savedMs < saveEveryMs) return;
    this.#savedMs = clockMs;
    void day.save().catch(() => undefined);
  }

  #smooth(percent: number, overMs: number): void {
    const weight = 1 - Math.exp(-overMs / smoothMs);
    const before = this.#otherLoad ?? percent;
    this.#otherLoad = Math.min(100, before + (percent - before) * weight);
  }

  #reasons(): RestReason[] {
    const { hours, onlyWhenIdleMs, onBattery, otherLoadPercent } = this.#d.settings();
    const { idleMs, onBattery: discharging } = this.#seen;
    const reasons: RestReason[] = [];
    if (!parseHours(hours).covers(new Date(this.#d.nowMs()))) reasons.push({ reason: 'hours', words: `its hours are ${hours}` });
    if (onBattery === 'pause' && discharging) reasons.push({ reason: 'battery', words: 'it runs on its battery' });
    if (onlyWhenIdleMs > 0 && idleMs !== undefined && idleMs < onlyWhenIdleMs)
      reasons.push({ reason: 'in-use', words: 'somebody is using it' });
    const most = onlyWhenIdleMs > 0 ? Math.min(otherLoadPercent, idleLoadPercent) : otherLoadPercent;
    if (this.#isLoaded(most)) reasons.push({ reason: 'other-load', words: 'other programs are using its processor' });
    return reasons;
  }

  #isLoaded(mostPercent: number): boolean {
    if (mostPercent >= 100 || this.#otherLoad === undefined) return false;
    const resting = this.#d.lending.resting.some(({ reason }) => reason === 'other-load');
    return this.#otherLoad > mostPercent * (resting ? resumeShare : 1);
  }
}
