import type { Progress } from '../terminal/progress.ts';

/** Steps of a part, shown as changing words of one step of the whole. */
export function nestedProgress(outer: Progress, prefix: string): Progress {
  const show = (text: string, share?: number) => outer.update(`${prefix}: ${text}`, share);
  return {
    step: (text) => show(text),
    update: (text, share) => show(text, share),
    advance: (text, share) => show(text, share),
    done: (text) => text !== undefined && show(text),
    fail: () => undefined,
    note: (text) => outer.note(text),
  };
}
