import { Option, type Command } from 'commander';
import { limits } from '@orb/protocol';
import type { Session } from '../session/session.ts';
import { formatInstant } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { duration } from './option-values.ts';

interface CreateFlags {
  readonly for: number;
  readonly label?: string;
}

/** `orb token …`: access keys for AWS's clients. */
export function addTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command('token').description('access keys with which AWS’s Lambda clients call functions here');
  token
    .command('create')
    .description('make an access key; its secret is shown this once')
    .argument('[functions...]', 'OWNER/NAME of each function it may call; every one you may call when left out')
    .addOption(
      new Option('--for <time>', 'how long it lives')
        .argParser(duration(limits.tokenMs.min, limits.tokenMs.max))
        .default(limits.tokenMs.default, '30d'),
    )
    .option('--label <text>', 'for you to know it by')
    .action(async (functions: string[], flags: CreateFlags, command: Command) => create(context.session(command), functions, flags));
  token
    .command('list')
    .description('your access keys, without their secrets')
    .action(async (_: unknown, command: Command) => list(context.session(command)));
  token
    .command('revoke')
    .description('end an access key at once')
    .argument('<id>', 'the access key id')
    .action(async (id: string, _: unknown, command: Command) => revoke(context.session(command), id));
}

async function create(session: Session, functions: readonly string[], flags: CreateFlags): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const token = await orb.tokens.create(owner, {
    functions: functions.length > 0 ? functions : '*',
    expiresMs: Date.now() + flags.for,
    ...(flags.label !== undefined && { label: flags.label }),
  });
  const { terminal, options } = session;
  const reach = functions.length > 0 ? functions.join(', ') : 'all functions you may call';
  // Beside the result, so that a shell can read that: orb token create … > aws.env
  if (!options.json)
    terminal.note(
      `${terminal.noteStyle.good('✓')} Access key for ${reach} until ${formatInstant(token.expiresMs)}. The secret is shown this once.`,
    );
  session.result({ ...token, endpoint: orb.url }, () =>
    [
      `export AWS_ACCESS_KEY_ID=${token.accessKeyId}`,
      `export AWS_SECRET_ACCESS_KEY=${token.secretAccessKey}`,
      `export AWS_ENDPOINT_URL_LAMBDA=${orb.url}`,
      'export AWS_REGION=orb',
    ].join('\n'),
  );
}

async function list(session: Session): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const tokens = await orb.tokens.list(owner);
  session.result({ tokens }, () => {
    if (tokens.length === 0) return 'You have no access keys here. Make one: orb token create OWNER/NAME';
    const rows = tokens.map(({ accessKeyId, functions, expiresMs, label }) => [
      accessKeyId,
      functions === '*' ? 'all' : functions.join(', '),
      formatInstant(expiresMs),
      label,
    ]);
    const columns = [{ title: 'access key' }, { title: 'functions', flexible: true }, { title: 'until' }, { title: 'label' }] as const;
    return renderTable(columns, rows, session.terminal.style, session.terminal.width);
  });
}

async function revoke(session: Session, id: string): Promise<void> {
  const { orb, owner } = await session.orbAs();
  await orb.tokens.revoke(owner, id);
  session.result({ revoked: id }, () => `${session.terminal.style.good('✓')} ${id} is good for nothing now.`);
}
