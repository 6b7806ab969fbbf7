import { Option, type Command } from 'commander';
import { OrbError, formatCredits, isFunctionName, isolationTiers, limits, type IsolationTier } from '@orb/protocol';
import { nameFromFile } from '../deploy/bundle-source.ts';
import { deployFunction, type Deployment, type ManifestTerms } from '../deploy/deploy-function.ts';
import { parseImagePlace } from '../deploy/image-registry.ts';
import type { CodeSource } from '../deploy/read-code.ts';
import { budgetDefaults } from '../deploy/ensure-allowance.ts';
import { FunctionFiles } from '../deploy/function-files.ts';
import { reportJson } from '../secrets/describe-secrets.ts';
import type { Session } from '../session/session.ts';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';
import { renderFacts } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { baseUnits, credits, duration, memory, networkHosts, secretNames, variables, wholeNumber } from './option-values.ts';

interface DeployFlags {
  readonly image?: string;
  readonly name?: string;
  readonly memory?: number;
  readonly timeout?: number;
  readonly priceCap?: bigint;
  readonly replicas?: number;
  readonly concurrency?: number;
  readonly handler?: string;
  readonly isolation?: IsolationTier;
  readonly env?: Readonly<Record<string, string>> | false;
  readonly secrets?: readonly string[];
  readonly network?: readonly string[];
  readonly health?: string | false;
  readonly healthEvery?: number;
  readonly budget?: bigint;
  readonly allowanceFor?: number;
  readonly private?: boolean;
  readonly public?: boolean;
  readonly idempotent?: boolean;
  readonly printDescriptor?: boolean;
}

/** `orb deploy FILE` */
export function addDeployCommand(program: Command, context: CommandContext): void {
  program
    .command('deploy')
    .description(
      'bundle a function, put it on the ledger and see it seeded; deploying again publishes a new version, with the limits of the one before unless told otherwise',
    )
    .argument('[file]', 'TypeScript or JavaScript source, whose npm packages are bundled in, or a WebAssembly module')
    .option('--image <reference>', 'a container image instead of a file, as docker pull takes it')
    .option('--name <name>', 'name of the function (default: from the file or image)')
    .option(
      '--memory <MiB>',
      `memory limit, which is what is billed (default: ${limits.memoryMiB.default})`,
      memory(limits.memoryMiB.min, limits.memoryMiB.max),
    )
    .option(
      '--timeout <time>',
      `time limit of a call, such as 500ms or 10s (default: ${limits.timeoutMs.default / 1000}s)`,
      duration(limits.timeoutMs.min, limits.timeoutMs.max),
    )
    .option(
      '--price-cap <units>',
      `the most to pay, base units per MiB·ms (default: ${limits.rate.default}, which is ${formatCredits(limits.rate.default * 1_024n * 1_000n)} credits per GiB·s)`,
      baseUnits(limits.rate.max),
    )
    .option(
      '--replicas <number>',
      `nodes that should seed it (default: ${limits.replicas.default})`,
      wholeNumber(limits.replicas.min, limits.replicas.max),
    )
    .option(
      '--concurrency <number>',
      `calls that one instance may run at once (default: ${limits.concurrency.default})`,
      wholeNumber(limits.concurrency.min, limits.concurrency.max),
    )
    .option(
      '--handler <export>',
      'which export answers (default: fetch, then default, then handler; of WebAssembly _start, then handle); of an image job or http (default: http if it names a port)',
    )
    .addOption(
      new Option('--isolation <tier>', 'the weakest isolation of a node that may run it, weakest first (default: process)').choices(
        isolationTiers,
      ),
    )
    .option(
      '--env <NAME=VALUE>',
      'a variable of its environment, which everybody can read on the ledger; once for each. Replaces those of the version before',
      variables,
    )
    .option('--no-env', 'no environment')
    .option(
      '--secrets <names>',
      'names of secrets that its environment holds, with commas between them; none for none. Their values: orb secrets put',
      secretNames,
    )
    .option(
      '--network <hosts>',
      'what fetch may reach, with commas between: api.example.com, example.com:8443, or public for every public host; none takes it back',
      networkHosts,
    )
    .option(
      '--health <path>',
      'of an image’s server: a path that answers 2xx or 3xx while it is well; three bad answers end it (default: its label orb.health)',
    )
    .option('--health-every <time>', 'how often it is asked while there are calls (default: 10s)', duration(1_000, 300_000))
    .option('--no-health', 'no check but that of its label')
    .option('--private', 'only the owner may call it')
    .addOption(new Option('--public', 'everybody may call it (the default of a new function)').conflicts('private'))
    .option('--idempotent', 'safe to run twice: a call whose node is lost is tried again')
    .option('--no-idempotent', 'not safe to run twice')
    .option(
      '--budget <credits>',
      `the most it may cost while its allowances live; half is set aside at once, the rest as it is used (default: ${formatCredits(budgetDefaults.budgetUnits)})`,
      credits,
    )
    .option('--allowance-for <time>', 'how long allowances live (default: 30d)', duration(60_000, 366 * 86_400_000))
    .option('--print-descriptor', 'print the signed descriptor as well')
    .action(async (file: string | undefined, flags: DeployFlags, command: Command) => deploy(context.session(command), file, flags));
}

async function deploy(session: Session, file: string | undefined, flags: DeployFlags): Promise<void> {
  const source = sourceOf(file, flags, session);
  const name = flags.name ?? nameFromFile('file' in source ? source.file : parseImagePlace(source.image).path);
  if (!isFunctionName(name)) {
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(name.slice(0, 80))} is not a function name.`,
      hint: 'Choose one with --name: 1 to 63 of a–z, 0–9 and single hyphens.',
    });
  }
  const { orb, owner, name: ownerName } = await session.orbAs();
  const files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  const options = {
    source,
    name,
    manifest: manifestFlags(flags),
    ...(flags.budget !== undefined && { budgetUnits: flags.budget }),
    ...(flags.allowanceFor !== undefined && { allowanceMs: flags.allowanceFor }),
  };
  const { progress, signal } = session;
  const deployment = await deployFunction(options, { orb, owner, ownerName, files, progress, signal }).catch((error: unknown) => {
    progress.fail();
    throw error;
  });
  const descriptor = await files.readDescriptor(ownerName, name);
  session.result(jsonOf(deployment, files, descriptor), () => {
    const lines = [describeDeployment(deployment, files, session)];
    if (flags.printDescriptor) lines.push('', JSON.stringify(descriptor, null, 2));
    return lines.join('\n');
  });
}

function sourceOf(file: string | undefined, { image, handler }: DeployFlags, { terminal }: Session): CodeSource {
  if (image !== undefined && file === undefined) return { image, handler, login: terminal.streams.env['ORB_REGISTRY_LOGIN'] };
  if (file !== undefined && image === undefined) return { file, handler };
  throw new OrbError('invalid-request', {
    message: 'Give either a source file or --image.',
    hint: 'orb deploy hello.ts, or orb deploy --image ghcr.io/me/app:1',
  });
}

function manifestFlags(flags: DeployFlags): ManifestTerms {
  return {
    ...(flags.memory !== undefined && { memoryMiB: flags.memory }),
    ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
    ...(flags.priceCap !== undefined && { priceCap: String(flags.priceCap) }),
    ...(flags.replicas !== undefined && { replicas: flags.replicas }),
    ...(flags.concurrency !== undefined && { concurrency: flags.concurrency }),
    ...(flags.handler !== undefined && { handler: flags.handler }),
    ...(flags.isolation !== undefined && { isolation: flags.isolation }),
    ...(flags.env !== undefined && { env: flags.env || undefined }),
    ...(flags.secrets && { secrets: [...flags.secrets] }),
    ...(flags.network && { network: [...flags.network] }),
    ...healthFlags(flags),
    ...(flags.private && { visibility: 'private' as const }),
    ...(flags.public && { visibility: 'public' as const }),
    ...(flags.idempotent !== undefined && { idempotent: flags.idempotent }),
  };
}

function healthFlags({ health, healthEvery }: DeployFlags): Pick<ManifestTerms, 'health'> {
  if (health === false) return { health: undefined };
  if (health !== undefined)
    return { health: { path: health, ...(healthEvery !== undefined && { everySeconds: Math.round(healthEvery / 1_000) }) } };
  if (healthEvery === undefined) return {};
  throw new OrbError('invalid-request', { message: '--health-every needs --health.', hint: 'orb deploy --image … --health /healthz' });
}

function jsonOf(
  { identity, url, version, change, bundle, allowance, secrets, ready, wanted }: Deployment,
  files: FunctionFiles,
  descriptor: object,
): object {
  return {
    function: `${identity.owner}/${identity.name}`,
    id: identity.id,
    url,
    version,
    change,
    code: { sha256: bundle.sha256, bytes: bundle.code.byteLength },
    image: bundle.manifest.image ?? null,
    allowance,
    secrets: secrets ? reportJson(secrets) : null,
    replicas: { ready, wanted },
    files: {
      descriptor: files.descriptorPath(identity),
      clientSecret: files.secretPath(identity, 'client-secret'),
      recoveryKey: files.secretPath(identity, 'recovery'),
    },
    descriptor,
  };
}

function describeAllowances(allowances: Deployment['allowances']): string {
  const leftUnits = allowances.reduce((sum, one) => sum + one.leftUnits, 0n);
  const untilMs = Math.min(...allowances.map(({ expiresMs }) => expiresMs));
  const where = allowances.length > 1 ? ` at ${allowances.length} super nodes` : '';
  return `${formatMoney(leftUnits)}${where} until ${formatInstant(untilMs)}`;
}

function describeDeployment(
  { identity, url, version, change, bundle, allowances, ready, wanted }: Deployment,
  files: FunctionFiles,
  { terminal }: Session,
): string {
  const { style } = terminal;
  const words = {
    created: 'is deployed',
    published: 'has a new version',
    reverted: 'is back at an earlier version',
    unchanged: 'is deployed already, unchanged',
  }[change];
  const facts: [string, string][] = [
    ['call it', style.accent(url)],
    ['version', shortId(version)],
    ...(bundle.manifest.image ? [['image', bundle.manifest.image] as [string, string]] : []),
    ['replicas', `${ready} of ${wanted} ready`],
    ['allowance', describeAllowances(allowances)],
    ['descriptor', files.descriptorPath(identity)],
  ];
  if (change === 'created') {
    facts.push(['client secret', files.secretPath(identity, 'client-secret')], ['recovery key', files.secretPath(identity, 'recovery')]);
  }
  return [
    '',
    `${style.good('✓')} ${style.strong(`${identity.owner}/${identity.name}`)} ${words}.`,
    renderFacts(facts, style, '  '),
    ...(change === 'created'
      ? [
          style.quiet('  Back up both key files, apart from each other: the client secret changes the function,'),
          style.quiet('  the recovery key replaces a client secret that is lost or stolen.'),
        ]
      : []),
    '',
    `  curl -d '{"name":"Orb"}' -H 'content-type: application/json' ${url}`,
  ].join('\n');
}
