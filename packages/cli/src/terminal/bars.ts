const steps = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * One character for each value, as high as its share of `most`; a dot where there is none.
 * @param most what fills a character @default the largest value
 */
export function renderBars(values: readonly (number | undefined)[], most?: number): string {
  const top = most ?? Math.max(0, ...values.map((value) => value ?? 0));
  return values
    .map((value) => {
      if (value === undefined) return '·';
      const share = top > 0 ? Math.min(1, value / top) : 0;
      return steps[Math.min(steps.length - 1, Math.ceil(share * steps.length) - 1)] ?? steps[0]!;
    })
    .join('');
}
