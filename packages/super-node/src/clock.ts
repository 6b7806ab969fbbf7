import { limits } from '@orb/protocol';

/** Ticket roots that are due leave, and overdue jobs are looked for, this often. */
const tickMs = limits.rootTickMs;

/** Full transactions are looked for this often: a node under full load fills one in 15 ms. */
const fullMs = 20;

export interface ClockWork {
  everyTick(): void;
  readonly settleEveryMs: number;
  settle(): Promise<void>;
  settleFull(): void;
  everySecond(): Promise<void>;
}

/** What a super node does by the clock, and nothing else does. */
export function startClock({ everyTick, settle, settleFull, settleEveryMs, everySecond }: ClockWork): { stop(): Promise<void> } {
  const timers = [
    setInterval(everyTick, tickMs),
    setInterval(() => void settle(), settleEveryMs),
    setInterval(settleFull, fullMs),
    setInterval(() => void everySecond(), 1_000),
  ];
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      everyTick();
      await everySecond();
    },
  };
}
