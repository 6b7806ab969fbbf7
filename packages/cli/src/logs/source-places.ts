import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';

/** A place in a bundle, as stacks name it; what `console.error(error)` shows counts the two lines before the bundle in. */
const places = /function\.js(, <anonymous>)?:(\d{1,9}):(\d{1,9})/g;
const wrapperLines = 2;
const maxMaps = 16;

/** Turns places in a function's bundle into places in its sources, by the source maps that this machine kept when it deployed. */
export class SourcePlaces {
  readonly #pathOf: (version: string) => string;
  readonly #maps = new Map<string, SourceMap | undefined>();

  /** @param pathOf where the source map of a version is, if it is here */
  constructor(pathOf: (version: string) => string) {
    this.#pathOf = pathOf;
  }

  /** The text with `hello.ts:3:9` in place of `function.js:1:204`; as it is where the version was deployed elsewhere. */
  translate(text: string, version: string | undefined): string {
    if (version === undefined || !text.includes('function.js')) return text;
    const map = this.#mapOf(version);
    if (!map) return text;
    return text.replace(places, (found, wrapped: string | undefined, line: string, column: string) => {
      const row = Number(line) - (wrapped === undefined ? 0 : wrapperLines);
      const entry = map.findEntry(row - 1, Number(column) - 1);
      return 'originalSource' in entry ? `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}` : found;
    });
  }

  #mapOf(version: string): SourceMap | undefined {
    if (!this.#maps.has(version)) {
      if (this.#maps.size >= maxMaps) this.#maps.clear();
      this.#maps.set(version, readMap(this.#pathOf(version)));
    }
    return this.#maps.get(version);
  }
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload);
  } catch {
    return undefined;
  }
}
