import { utf8 } from '@orb/protocol';
import type { BenchNetwork } from './network.ts';

/** Accounts that deploy at the same time: each can have one transaction under way. */
const developers = 8;
const budgetUnits = 10_000_000n;

/** Deploys so many tiny functions, each with code of its own, and waits for the seeder of each. */
export async function deployMany(network: BenchNetwork, count: number): Promise<void> {
  const deploySome = async (first: number) => {
    // The owner of the function that will be called has its share of the others.
    const developer = first === 0 ? network.developer : await network.newDeveloper(`bench-dev-${first}`);
    for (let index = first; index < count; index += developers) {
      const code = utf8(`/* ${index} */ export default () => ${index};\n`);
      await developer.deploy({ name: `f-${index}`, code, memoryMiB: 128, concurrency: 1, replicas: 1, budgetUnits });
    }
  };
  await Promise.all(Array.from({ length: developers }, (_, first) => deploySome(first)));
}
