import { afterEach, beforeEach, describe } from 'vitest';
import { describeBodies } from './conformance/bodies.ts';
import { describeCalls } from './conformance/calls.ts';
import { describeCancelling } from './conformance/cancelling.ts';
import { describeClosing } from './conformance/closing.ts';
import { describeHandshake } from './conformance/handshakes.ts';
import { describeHostilePeers } from './conformance/hostile-peers.ts';
import { World, type LinkFixture, type MakeLinkFixture } from './conformance/world.ts';

export type { LinkFixture, MakeLinkFixture };

/** Every rule of the link port, for one transport. @param name what the test report calls the transport */
export function linkConformance(name: string, makeFixture: MakeLinkFixture): void {
  describe(`link over ${name}`, () => {
    let world: World;
    beforeEach(() => {
      world = new World(makeFixture);
    });
    afterEach(() => world.close());
    const current = () => world;
    describeHandshake(current);
    describeCalls(current);
    describeBodies(current);
    describeCancelling(current);
    describeClosing(current, makeFixture);
    describeHostilePeers(current, makeFixture);
  });
}
