import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { OrbError, isFunctionName } from '@orb/protocol';
import { projectFiles, sourceOf, templates, type TemplateName } from '../init/templates.ts';
import type { Session } from '../session/session.ts';
import type { CommandContext } from './command-context.ts';

/** `orb init [FOLDER]` */
export function addInitCommand(program: Command, context: CommandContext): void {
  program
    .command('init')
    .description('make a new function: its source, Orb’s types, and what TypeScript needs')
    .argument('[folder]', 'a new or empty folder; its name is the function’s', '.')
    .addOption(new Option('--template <template>', 'what it begins as').choices(Object.keys(templates)).default('json'))
    .action(async (folder: string, flags: { template: TemplateName }, command: Command) =>
      init(context.session(command), folder, flags.template),
    );
}

async function init(session: Session, given: string, template: TemplateName): Promise<void> {
  const folder = resolve(given);
  const name = basename(folder);
  if (!isFunctionName(name)) {
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(name.slice(0, 80))} is not a function name.`,
      hint: 'Name the folder with 1 to 63 of a–z, 0–9 and single hyphens: orb init my-function',
    });
  }
  await mkdir(folder, { recursive: true });
  const found = (await readdir(folder)).filter((file) => file !== '.git');
  if (found.length > 0) {
    throw new OrbError('conflict', {
      message: `${given} is not empty: it holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}.`,
      hint: 'Choose a new folder: orb init my-function',
    });
  }
  const files = await projectFiles(template, name);
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text, { flag: 'wx' });
  const source = join(folder, sourceOf(template, name));
  const { words, dependencies, tryIt } = templates[template];
  session.result({ name, template, folder, files: Object.keys(files), source }, () => {
    const { style } = session.terminal;
    const inside = relative(process.cwd(), folder);
    const within = inside && ` --prefix ${inside}`;
    const file = relative(process.cwd(), source);
    const steps =
      template === 'image'
        ? [
            `  npm pkg set config.image=REGISTRY/NAME:TAG${within}   ${style.quiet('where the nodes fetch it')}`,
            `  npm run build${within}   ${style.quiet('with Docker: make it and push it')}`,
            `  npm run deploy${within}`,
          ]
        : [`  orb dev ${file}   ${style.quiet('deploy to this computer’s network at every save')}`, `  orb deploy ${file}`];
    return [
      `${style.good('✓')} ${style.strong(name)} is ready: ${words}.`,
      ...(Object.keys(dependencies).length > 0 ? [`  npm install${within}   ${style.quiet('what it imports')}`] : []),
      ...steps,
      `  ${tryIt(name)}`,
    ].join('\n');
  });
}
