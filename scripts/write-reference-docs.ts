import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referenceDocs } from './reference-docs.ts';
import { sdkReference } from './sdk-reference.ts';

const pages = { ...referenceDocs(), 'docs/reference/sdk.md': sdkReference() };
for (const [page, text] of Object.entries(pages)) writeFileSync(join(import.meta.dirname, '..', page), text);
