import { Canceller, type CancelSignal } from './canceller.ts';

/**
 * Does work with a signal that aborts when its time is up. An AbortSignal.timeout would hold a timer for all of that time,
 * however soon the work is done, and make an error with a stack when it goes off.
 */
export async function inTime<T>(ms: number, work: (signal: CancelSignal) => Promise<T>): Promise<T> {
  const canceller = new Canceller();
  const timer = setTimeout(() => canceller.abort(), ms);
  try {
    return await work(canceller);
  } finally {
    clearTimeout(timer);
  }
}
