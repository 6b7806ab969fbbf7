import { readFile } from 'node:fs/promises';

/** What a new function can begin as. */
export const templates = {
  json: { words: 'a function that takes and gives JSON', dependencies: {}, tryIt: (name: string) => `orb call ${name} '{"name": "Ada"}'` },
  hono: {
    words: 'a web application with Hono',
    dependencies: { hono: '4.13.19' },
    tryIt: (name: string) => `orb call ${name} --path /greet/Ada`,
  },
  lambda: {
    words: 'a function in the style of AWS Lambda',
    dependencies: {},
    tryIt: (name: string) => `orb call ${name} --path '/?name=Ada'`,
  },
} as const satisfies Record<string, Template>;

interface Template {
  /** Completes “NAME is ready: …”. */
  readonly words: string;
  readonly dependencies: Readonly<Record<string, string>>;
  /** @param name of one's own function */
  readonly tryIt: (name: string) => string;
}

export type TemplateName = keyof typeof templates;

/** The compiler that a new project checks its types with. */
const typescriptVersion = '7.0.2';

/** The files of a new project, by name. */
export async function projectFiles(template: TemplateName, name: string): Promise<Readonly<Record<string, string>>> {
  const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');
  return {
    [`${name}.ts`]: await read(`../../templates/${template}/function.ts`),
    'package.json': json({
      name,
      private: true,
      type: 'module',
      scripts: { check: 'tsc', dev: `orb dev ${name}.ts`, deploy: `orb deploy ${name}.ts` },
      dependencies: templates[template].dependencies,
      devDependencies: { typescript: typescriptVersion },
    }),
    'tsconfig.json': json({
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024', 'dom', 'dom.iterable'],
        module: 'preserve',
        types: [],
        strict: true,
        noUncheckedIndexedAccess: true,
        verbatimModuleSyntax: true,
        skipLibCheck: true,
        noEmit: true,
        paths: { '@orb/types': ['./orb-types.d.ts'] },
      },
      include: ['*.ts'],
    }),
    'orb-types.d.ts': await read('../../../types/src/index.d.ts'),
    '.gitignore': 'node_modules/\n',
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
