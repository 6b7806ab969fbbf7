import type { ChannelUsage } from './channel.ts';

/** Reading a process's CPU time costs about 50 µs, so it is done at most this often. */
const sampleEveryUs = 10_000;

/** State of the meter when a job started. */
export interface MeterMark {
  readonly virtualUs: number;
}

/**
 * Shares a process's CPU time and memory among the jobs in it. Between two samples the CPU time is divided among the jobs
 * under way in proportion to the time each was under way; a job that starts and ends between two samples is charged at
 * the rate measured just before. So a single short call's CPU time is an estimate, and the sum over many is exact.
 */
export class CpuMeter {
  readonly #read: () => ChannelUsage;
  #active = 0;
  /** ∫ active dt since the last sample, job-µs. */
  #jobUs = 0;
  #lastChangeUs = 0;
  #lastSampleUs = 0;
  #lastCpuUs = 0;
  /** CPU per job-µs. */
  #rate = 0;
  /** What a job that has been there from the start would have used. */
  #virtualUs = 0;
  #memoryKiB = 0;
  #peakKiB = 0;
  #sampled = false;

  constructor(read: () => ChannelUsage) {
    this.#read = read;
  }

  /** KiB as last measured. */
  get memoryKiB(): number {
    return this.#memoryKiB;
  }

  start(nowUs: number): MeterMark {
    if (!this.#sampled) this.#sample(nowUs);
    if (this.#active === 0) this.#peakKiB = this.#memoryKiB;
    this.#advance(nowUs);
    this.#active++;
    return { virtualUs: this.#now(nowUs) };
  }

  finish(mark: MeterMark, nowUs: number): { cpuUs: number; peakMemoryKiB: number } {
    this.#advance(nowUs);
    if (nowUs - this.#lastSampleUs > sampleEveryUs) this.#sample(nowUs);
    this.#active--;
    return { cpuUs: Math.max(0, Math.round(this.#now(nowUs) - mark.virtualUs)), peakMemoryKiB: this.#peakKiB };
  }

  /** Takes a measurement that was made for another reason. */
  observe(memoryKiB: number): void {
    this.#memoryKiB = memoryKiB;
    if (memoryKiB > this.#peakKiB) this.#peakKiB = memoryKiB;
  }

  #advance(nowUs: number): void {
    this.#jobUs += this.#active * (nowUs - this.#lastChangeUs);
    this.#lastChangeUs = nowUs;
  }

  #now(nowUs: number): number {
    return this.#virtualUs + this.#rate * (nowUs - this.#lastSampleUs);
  }

  #sample(nowUs: number): void {
    const { cpuUs, memoryKiB } = this.#read();
    this.observe(memoryKiB);
    if (this.#sampled) {
      this.#rate = this.#jobUs > 0 ? Math.max(0, cpuUs - this.#lastCpuUs) / this.#jobUs : 0;
      this.#virtualUs += this.#rate * (nowUs - this.#lastSampleUs);
    }
    this.#sampled = true;
    this.#lastCpuUs = Math.max(cpuUs, this.#lastCpuUs);
    this.#lastSampleUs = nowUs;
    this.#jobUs = 0;
  }
}
