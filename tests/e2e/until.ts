/** How often an event that nobody announces is looked for. */
const lookEveryMs = 20;

/** Resolves with what `look` finds as soon as it finds something. @throws Error naming what did not come */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 30_000): Promise<T> {
  const since = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() - since > withinMs) throw new Error(`${withinMs} ms were not enough for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
