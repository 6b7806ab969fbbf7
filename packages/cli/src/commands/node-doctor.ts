import { tierOf, tierSatisfies } from '@orb/protocol';
import type { ExaminedMachine, NodeExamination } from '../compose.ts';
import { examineNodeMachine } from '../compose.ts';
import { raiseIsolation, tierMeanings } from '../doctor/raise-isolation.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import type { Style } from '../terminal/style.ts';
import { pad } from '../terminal/table.ts';

/** `orb node doctor`: which walls stand around functions on this computer, and how to raise the missing ones. */
export async function examineNode(session: Session, tried: Pick<ExaminedMachine, 'containerRuntime'>): Promise<void> {
  session.progress.step('Trying what this computer can enforce');
  const found = await examineNodeMachine(tried).catch((error: unknown) => {
    session.progress.fail();
    throw error;
  });
  session.progress.done('Tried what this computer can enforce');
  const verdict = judgeMachine(found, process.platform);
  const json = { ...found.report, ...verdict, facts: found.facts, around: found.around };
  session.result(json, () => describeMachine(found, verdict, session.terminal.style));
}

/** What a computer will offer, and how that can be more. */
interface Verdict {
  /** The tier of images; none are run where it is null. */
  readonly images: string | null;
  /** Whether functions of other accounts are taken, unless the owner says otherwise. */
  readonly strangers: boolean;
  readonly raise: readonly string[];
}

/** @param platform as Node names it */
export function judgeMachine({ report }: NodeExamination, platform: string): Verdict {
  const images = report.runtimes.includes('container') ? tierOf({ kind: 'image' }, report.tier) : null;
  return { images, strangers: tierSatisfies(report.tier, 'namespaces'), raise: raiseIsolation(platform, report) };
}

/** Everything that was found and is offered, for a person to read. */
export function describeMachine({ report, facts, around }: NodeExamination, { images, strangers, raise }: Verdict, style: Style): string {
  const { tier, layers } = report;
  const mark = (good: boolean) => (good ? style.good('✓') : style.warn('✗'));
  const width = Math.max(...[...facts, ...around].map(({ name }) => name.length));
  const factLines = [...facts, ...around].map(
    ({ name, found, words }) => `  ${mark(found)} ${pad(name, width)}  ${style.quiet(cleanText(words))}`,
  );
  const wall = ({ name, active, stops }: (typeof layers)[number]) =>
    `  ${mark(active)} ${style.strong(cleanText(name))}: ${style.quiet(cleanText(stops))}`;
  const isImages = ({ name }: (typeof layers)[number]) => name.startsWith('containers');
  const refused = 'functions of other accounts are refused: their code needs namespaces or better';
  return [
    `isolation: ${style.strong(tier)} ${style.quiet(`– ${tierMeanings[tier]}`)}`,
    `images:    ${images === null ? style.warn('not run here') : `${style.strong(images)} ${style.quiet(`– ${tierMeanings.container}`)}`}`,
    `others:    ${strangers ? 'functions of other accounts are taken' : style.warn(refused)}`,
    '',
    style.quiet('What is here'),
    ...factLines,
    '',
    style.quiet('Walls around JavaScript, TypeScript and WebAssembly, and what each stops'),
    ...layers.filter((layer) => !isImages(layer)).map(wall),
    '',
    style.quiet('Walls around container images'),
    ...layers.filter(isImages).map(wall),
    ...(raise.length === 0 ? [] : ['', style.quiet('To raise them'), ...raise.map((words) => `  · ${cleanText(words)}`)]),
  ].join('\n');
}
