import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/*
 * The edge cases on which Ed25519 libraries differ (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", 2020),
 * made here from noble's points: keys and signatures with parts of small order, and encodings that are not canonical.
 * They follow from the fixed texts below; no secret stands behind them.
 */
const Point = ed25519.Point;
type Point = InstanceType<typeof Point>;
const order = Point.Fn.ORDER;
const prime = Point.Fp.ORDER;

export interface EdgeCase {
  readonly name: string;
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
}

/** The eight points of small order: multiples 0 to 7 of one of order 8. */
export function torsionPoints(): readonly Point[] {
  for (let y = 2n; ; y++) {
    const found = tryDecode(encodeLittle(y));
    if (!found) continue;
    const torsion = found.multiplyUnsafe(order - 1n).add(found);
    if (torsion.multiplyUnsafe(4n).is0()) continue;
    return Array.from({ length: 8 }, (_, i) => (i === 0 ? Point.ZERO : torsion.multiplyUnsafe(BigInt(i))));
  }
}

/** Every edge case, each with a name that says what is odd about it. */
export function edgeCases(): EdgeCase[] {
  return [...plainCases(), ...torsionCases(), ...smallOrderCases(), ...encodingCases()];
}

function plainCases(): EdgeCase[] {
  const key = scalar('key');
  const good = craft({ name: 'an ordinary signature', key, nonce: scalar('nonce') });
  const s = littleToBigInt(hexToBytes(good.signature.slice(64)));
  const withS = (name: string, value: bigint): EdgeCase => ({
    ...good,
    name,
    signature: good.signature.slice(0, 64) + bytesToHex(encodeLittle(value)),
  });
  return [
    good,
    withS('S increased by the group order', s + order),
    withS('S increased by as many group orders as fit in 256 bits', s + ((2n ** 256n - 1n - s) / order) * order),
    withS('S with its highest bit set', s + 2n ** 255n),
    withS('S equal to the group order', order),
    withS('S one less than the right one', s - 1n),
    { ...good, name: 'another message', message: bytesToHex(utf8ToBytes('orb ed25519 another message')) },
    { ...good, name: 'all bytes of the signature zero', signature: '0'.repeat(128) },
  ];
}

/** Key and R each with every small-order part, where the exact equation holds and where only the cofactored one does. */
function torsionCases(): EdgeCase[] {
  const torsion = torsionPoints();
  const cases: EdgeCase[] = [];
  for (const exact of [true, false]) {
    for (const [inKey, inR] of [
      [1, 0],
      [0, 1],
      [4, 0],
      [0, 4],
      [4, 4],
      [1, 7],
      [2, 6],
      [5, 3],
    ] as const) {
      const options = {
        key: scalar('key'),
        nonce: scalar('nonce'),
        keyTorsion: torsion[inKey]!,
        nonceTorsion: torsion[inR]!,
        exact,
      };
      const name = `key with torsion ${inKey}, R with torsion ${inR}, ${exact ? 'exact equation holds' : 'only the cofactored equation holds'}`;
      const made = tryCraft({ name, ...options });
      if (made) cases.push(made);
    }
  }
  return cases;
}

/** Keys and R that are nothing but a small-order point. */
function smallOrderCases(): EdgeCase[] {
  const torsion = torsionPoints();
  return torsion.flatMap((point, i) => [
    ...optional(
      tryCraft({
        name: `key of small order ${i}, ordinary R`,
        key: 0n,
        keyTorsion: point,
        nonce: scalar('nonce'),
        exact: true,
      }),
    ),
    ...optional(
      tryCraft({
        name: `ordinary key, R of small order ${i}`,
        key: scalar('key'),
        nonce: 0n,
        nonceTorsion: point,
        exact: i === 0,
      }),
    ),
    ...optional(
      tryCraft({
        name: `key with torsion 1, R of small order ${i}`,
        key: scalar('key'),
        keyTorsion: torsion[1]!,
        nonce: 0n,
        nonceTorsion: point,
        exact: true,
      }),
    ),
    ...optional(
      tryCraft({
        name: `key and R of small order ${i}`,
        key: 0n,
        keyTorsion: point,
        nonce: 0n,
        nonceTorsion: torsion[(8 - i) % 8]!,
        exact: true,
      }),
    ),
  ]);
}

/** Small-order points in encodings that are not the canonical one: y not below the field's prime, or a sign without x. */
function encodingCases(): EdgeCase[] {
  return oddEncodings().flatMap(({ name, bytes, point }) => [
    ...optional(
      tryCraft({
        name: `key encoded as ${name}`,
        key: 0n,
        keyTorsion: point,
        keyBytes: bytes,
        nonce: scalar('nonce'),
        exact: true,
      }),
    ),
    ...optional(
      tryCraft({
        name: `R encoded as ${name}, key with torsion 1`,
        key: scalar('key'),
        keyTorsion: torsionPoints()[1]!,
        nonce: 0n,
        nonceTorsion: point,
        nonceBytes: bytes,
        exact: true,
      }),
    ),
    ...optional(
      tryCraft({
        name: `R encoded as ${name}, ordinary key`,
        key: scalar('key'),
        nonce: 0n,
        nonceTorsion: point,
        nonceBytes: bytes,
        exact: point.is0(),
      }),
    ),
  ]);
}

function oddEncodings(): { name: string; bytes: Uint8Array; point: Point }[] {
  const sign = 2n ** 255n;
  const torsion = torsionPoints();
  const [identity, two] = [torsion[0]!, torsion[4]!];
  const fours = [torsion[2]!, torsion[6]!].map((point) => ({ point, bit: point.toBytes()[31]! >> 7 }));
  return [
    { name: 'y = p + 1', bytes: encodeLittle(prime + 1n), point: identity },
    { name: 'y = p + 1 with sign', bytes: encodeLittle(prime + 1n + sign), point: identity },
    { name: 'y = 1 with sign', bytes: encodeLittle(1n + sign), point: identity },
    { name: 'y = p − 1 with sign', bytes: encodeLittle(prime - 1n + sign), point: two },
    ...fours.map(({ point, bit }) => ({
      name: `y = p${bit ? ' with sign' : ''}`,
      bytes: encodeLittle(prime + (bit ? sign : 0n)),
      point,
    })),
  ];
}

interface CraftOptions {
  readonly name: string;
  /** Scalar of the key's and of R's part in the prime-order group; 0n for none. */
  readonly key: bigint;
  readonly nonce: bigint;
  readonly keyTorsion?: Point;
  readonly nonceTorsion?: Point;
  /** The bytes to use instead of the points' own encodings. */
  readonly keyBytes?: Uint8Array;
  readonly nonceBytes?: Uint8Array;
  /** Whether S·B = R + k·A must hold exactly, or must not. @default true */
  readonly exact?: boolean;
}

/** A signature that fulfils the cofactored equation, over the first of a row of messages that is exact as asked. */
function tryCraft({
  name,
  key,
  nonce,
  keyTorsion = Point.ZERO,
  nonceTorsion = Point.ZERO,
  keyBytes,
  nonceBytes,
  exact = true,
}: CraftOptions): EdgeCase | undefined {
  const a = Point.BASE.multiplyUnsafe(key).add(keyTorsion);
  const r = Point.BASE.multiplyUnsafe(nonce).add(nonceTorsion);
  const publicKey = keyBytes ?? a.toBytes();
  const rBytes = nonceBytes ?? r.toBytes();
  for (let i = 0; i < 64; i++) {
    const message = utf8ToBytes(`orb ed25519 message ${i}`);
    const k = littleToBigInt(sha512(concatBytes(rBytes, publicKey, message))) % order;
    const left = keyTorsion.multiplyUnsafe(k % 8n).add(nonceTorsion);
    if (left.is0() !== exact) continue;
    const s = (nonce + k * key) % order;
    return {
      name,
      publicKey: bytesToHex(publicKey),
      message: bytesToHex(message),
      signature: bytesToHex(rBytes) + bytesToHex(encodeLittle(s)),
    };
  }
  return undefined;
}

function craft(options: CraftOptions): EdgeCase {
  const made = tryCraft(options);
  if (!made) throw new Error(`no message makes the case: ${options.name}`);
  return made;
}

function scalar(name: string): bigint {
  return littleToBigInt(sha512(utf8ToBytes(`orb ed25519 ${name}`))) % order;
}

function optional<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}

function tryDecode(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes);
  } catch {
    return undefined;
  }
}

function encodeLittle(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n);
  return bytes;
}

function littleToBigInt(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
