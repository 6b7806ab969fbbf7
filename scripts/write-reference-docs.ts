import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referenceDocs } from './reference-docs.ts';

for (const [page, text] of Object.entries(referenceDocs())) writeFileSync(join(import.meta.dirname, '..', page), text);
