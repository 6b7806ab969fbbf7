import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { blockHeaderSchema, genesisSchema, inclusionProofSchema } from './block.ts';
import { labels } from './canonical.ts';
import { descriptorSchema } from './descriptor.ts';
import { outcomes } from './job.ts';
import { limits } from './limits.ts';
import { linkExporterLabel, linkHelloSchema, linkRoles } from './link-handshake.ts';
import { manifestSchema } from './manifest.ts';
import { parametersSchema } from './parameters.ts';
import { callStates, jobStates } from './states.ts';
import { controlActionSchema, transactionBodies } from './transaction.ts';

const vectors = new URL('../vectors/', import.meta.url);
const files = readdirSync(vectors).filter((name) => name.endsWith('.json'));
const page = readFileSync(new URL('../../../docs/reference/formats.md', import.meta.url), 'utf8');

/** True when the page has the word, not only as a part of another one. */
const says = (word: string) => new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(page);

describe('docs/reference/formats.md', () => {
  test('its examples stand in the golden vectors, and it names every vector file', () => {
    const all = files.map((name) => readFileSync(new URL(name, vectors), 'utf8')).join('\n');
    const numbers = page.match(/[0-9a-f]{32,}/g)!;
    expect(numbers.length).toBeGreaterThan(6);
    for (const number of numbers) expect(all, number).toContain(number);
    for (const name of files) expect(page).toContain(name);
  });

  test('lists every limit with its value', () => {
    for (const [name, limit] of Object.entries(limits)) {
      const value = typeof limit === 'object' ? `${limit.min} to ${limit.max}, ${limit.default} by default` : `${limit}`;
      expect(page).toContain(`| \`${name}\` | ${value} |`);
    }
  });

  test('names every kind of transaction with each field of its body, and every action', () => {
    for (const [kind, body] of Object.entries(transactionBodies)) {
      const line = page.split('\n').find((text) => text.startsWith(`| \`${kind}\``));
      for (const field of Object.keys(body.shape)) expect(line, `${kind}.${field}`).toMatch(new RegExp(`\\b${field}\\b`));
    }
    for (const { shape } of controlActionSchema.options) expect(page).toContain(`{type: "${shape.type.value}"`);
  });

  test('names every field, label, state, outcome and role of the other formats', () => {
    const shapes = [
      manifestSchema,
      descriptorSchema,
      genesisSchema,
      parametersSchema,
      blockHeaderSchema,
      inclusionProofSchema,
      linkHelloSchema,
    ];
    const words = [
      ...shapes.flatMap(({ shape }) => Object.keys(shape)),
      ...Object.values(labels),
      ...callStates,
      ...jobStates,
      ...Object.keys(outcomes),
      ...linkRoles,
      linkExporterLabel,
    ];
    for (const word of words) expect(says(word), word).toBe(true);
  });
});
