import { sha256, type ReplicaId } from '@orb/protocol';
import { expect, test } from 'vitest';
import { WaitingCalls, type WaitingCall } from './waiting-calls.ts';

const replica = sha256('replica') as ReplicaId;

/** Waiting calls of one version on a clock of the test's own, where places come by number. */
function setUp(most = 2_000) {
  let nowMs = 0;
  const calls = new WaitingCalls(most, () => nowMs);
  const come = (from: string): boolean => {
    if (!calls.hasRoom(replica, from)) return false;
    const call: WaitingCall = {
      replica,
      from,
      choosy: false,
      tryPlace: () => {
        calls.delete(call);
        return true;
      },
      giveUp: () => undefined,
    };
    calls.add(call);
    return true;
  };
  /** So many come as find room. */
  const flood = (from: string) => {
    while (come(from));
  };
  /** Time goes by, in which so many a second get a place and a flood fills what room there is. */
  const pass = (ms: number, perSecond: number, from: string) => {
    for (let passed = 0; passed < ms; passed += 10) {
      nowMs += 10;
      let places = perSecond / 100;
      calls.serve(
        () => true,
        () => places-- > 0,
      );
      flood(from);
    }
  };
  return { calls, come, flood, pass };
}

test('a burst may be as long as there is room; a line that stands as long as it is served in a tenth of a second', () => {
  const { calls, flood, pass } = setUp();
  flood('flood');
  expect(calls.size).toBe(1_000);
  pass(900, 5_000, 'flood');
  expect(calls.size).toBe(1_000);
  pass(1_000, 5_000, 'flood');
  // Of one caller half of it.
  expect(calls.size).toBe(250);
  pass(2_000, 8_000, 'flood');
  expect(calls.size).toBe(400);
});

test('in a line that stands there is room for a newcomer, whoever floods it', () => {
  const { calls, come, flood, pass } = setUp();
  flood('flood');
  pass(3_000, 5_000, 'flood');
  expect(come('flood')).toBe(false);
  for (let guests = 0; guests < 50; guests++) expect(come('guest')).toBe(true);
  expect(calls.size).toBe(300);
});

test('however slowly a function is served, some may wait', () => {
  const { calls, flood, pass } = setUp();
  flood('flood');
  pass(12_000, 100, 'flood');
  expect(calls.size).toBe(128);
});

test('a line that was empty in between may be a burst again', () => {
  const { calls, flood, pass } = setUp();
  flood('flood');
  pass(3_000, 5_000, 'flood');
  calls.serve(
    () => true,
    () => true,
  );
  expect(calls.size).toBe(0);
  flood('flood');
  expect(calls.size).toBe(1_000);
});
