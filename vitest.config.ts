import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          // Modules hold no state (a house rule), so files can share them: half the processor time goes without.
          isolate: false,
          // A crowded machine is slow, not wrong.
          testTimeout: 30_000,
          expect: { poll: { timeout: 10_000 } },
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts', 'tests/house/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts'],
        },
      },
      {
        test: {
          name: 'slow',
          include: ['packages/*/src/**/*.integration.test.ts', 'bench/**/*.integration.test.ts', 'tests/**/*.test.ts'],
          exclude: ['tests/house/**/!(*.integration).test.ts'],
          testTimeout: 60_000,
          expect: { poll: { timeout: 10_000 } },
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
