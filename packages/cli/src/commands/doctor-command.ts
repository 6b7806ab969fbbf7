import type { Command } from 'commander';
import { asOrbError } from '@orb/protocol';
import { probeSandbox } from '../compose.ts';
import { examineDisk, examineNodeVersion, examinePort, examineSandbox } from '../doctor/examine-computer.ts';
import { examineKeys } from '../doctor/examine-keys.ts';
import { examineNetwork } from '../doctor/examine-network.ts';
import type { Finding } from '../doctor/finding.ts';
import { exitCodes } from '../session/exit-codes.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import type { CommandContext } from './command-context.ts';

/** `orb doctor` */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description('look for what could keep Orb from working here, and say how to mend it; ends with 1 when something must be mended')
    .action(async (_: unknown, command: Command) => examine(context.session(command)));
}

async function examine(session: Session): Promise<void> {
  const { progress, terminal, home } = session;
  progress.step('Looking at this computer, its keys and its network');
  const account = await session.accountName().catch(() => undefined);
  const network = await examineNetwork(await session.orb(), account);
  const findings = [
    examineNodeVersion(process.versions.node),
    await sandboxFinding(),
    await examineDisk(home),
    await examineKeys(home),
    ...(await portFindings(session, network[0]?.state === 'good')),
    ...network,
  ];
  progress.done('Looked at this computer, its keys and its network');
  if (findings.some(({ state }) => state === 'bad')) terminal.exitCode = exitCodes.failed.code;
  session.result({ findings }, () => findings.map((finding) => describe(finding, session)).join('\n'));
}

async function sandboxFinding(): Promise<Finding> {
  try {
    return examineSandbox(await probeSandbox());
  } catch (error) {
    const { message, hint } = asOrbError(error);
    return { name: 'sandbox', state: 'bad', words: message, ...(hint !== undefined && { mend: hint }) };
  }
}

/** The ports of the network that `orb up` would start here. */
async function portFindings(session: Session, isReached: boolean): Promise<readonly Finding[]> {
  const local = new URL((await session.localGateway()).split(',')[0]!);
  const isOurs = isReached && (await session.gateway()).split(',').includes(local.origin);
  const gateway = await examinePort(Number(local.port) || 7080, 'callers', isOurs ? 'the network of this computer' : undefined);
  return isOurs ? [gateway] : [gateway, await examinePort(7443, 'nodes', undefined)];
}

function describe({ name, state, words, mend }: Finding, { terminal: { style } }: Session): string {
  const mark = { good: style.good('✓'), warn: style.warn('!'), bad: style.bad('✗') }[state];
  return `${mark} ${style.strong(name)} ${cleanText(words)}${mend === undefined ? '' : `\n    ${style.warn(cleanText(mend))}`}`;
}
