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
  image: { words: 'a server in a container image', dependencies: {}, tryIt: (name: string) => `orb call ${name} --path '/?name=Ada'` },
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

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

/** What a project is deployed from: its source, or the image that is made of it. */
export function sourceOf(template: TemplateName, name: string): string {
  return template === 'image' ? 'server.mjs' : `${name}.ts`;
}

/** The files of a new project, by name. */
export async function projectFiles(template: TemplateName, name: string): Promise<Readonly<Record<string, string>>> {
  return template === 'image' ? imageFiles(name) : functionFiles(template, name);
}

/** Built and pushed with Docker: the nodes fetch it from a registry. */
async function imageFiles(name: string): Promise<Readonly<Record<string, string>>> {
  const image = '$npm_package_config_image';
  return {
    'server.mjs': await read('../../templates/image/server.mjs'),
    Dockerfile: await read('../../templates/image/Dockerfile'),
    'package.json': json({
      name,
      private: true,
      type: 'module',
      config: { image: `ghcr.io/YOU/${name}:1` },
      scripts: {
        build: `docker build --tag ${image} . && docker push ${image}`,
        deploy: `orb deploy --image ${image} --name ${name} --health /healthz`,
      },
    }),
    '.dockerignore': 'node_modules/\n',
  };
}

async function functionFiles(template: TemplateName, name: string): Promise<Readonly<Record<string, string>>> {
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
