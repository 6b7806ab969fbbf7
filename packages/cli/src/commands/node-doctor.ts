import type { SandboxReport } from '@orb/sandbox';
import { probeSandbox } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';

/** `orb node doctor`: which walls stand around functions on this computer, and how to raise the missing ones. */
export async function examineNode(session: Session): Promise<void> {
  session.progress.step('Trying what this computer can enforce');
  const report = await probeSandbox().catch((error: unknown) => {
    session.progress.fail();
    throw error;
  });
  session.progress.done('Tried what this computer can enforce');
  session.result(report, () => describeReport(report, session));
}

function describeReport({ tier, runtimes, layers }: SandboxReport, { terminal: { style } }: Session): string {
  const lines = layers.map(({ name, active, stops, remedy }) => {
    const mark = active ? style.good('✓') : style.warn('✗');
    const more = active || remedy === undefined ? '' : `\n      ${style.warn(cleanText(remedy))}`;
    return `  ${mark} ${style.strong(cleanText(name))} ${style.quiet(cleanText(stops))}${more}`;
  });
  return [`isolation: ${style.strong(tier)}, runtimes: ${runtimes.join(', ') || 'none'}`, ...lines].join('\n');
}
