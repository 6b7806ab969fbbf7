import sodium from 'sodium-native';
import { createUnsealer, sealedBytes } from '../src/crypto/sealed-box.ts';
import {
  fromHex,
  fromUtf8,
  labels,
  readSecrets,
  sha256,
  signSecrets,
  statement,
  toHex,
  utf8,
  type Json,
  type Secrets,
} from '../src/index.ts';
import { refusalOf } from './format-vectors.ts';
import { keyNumbers, keyOf, sampleIds, vectorHash } from './sample.ts';

/**
 * A sealed box made step by step, as libsodium's documentation says, with a one-time key that is not random: so the vector
 * is the same each time, and shows what `crypto_box_seal` writes.
 */
function sealWith(oneTimeSeed: string, publicKey: string, content: Uint8Array): Uint8Array {
  const ownPublic = Buffer.alloc(sodium.crypto_box_PUBLICKEYBYTES);
  const ownSecret = Buffer.alloc(sodium.crypto_box_SECRETKEYBYTES);
  sodium.crypto_box_seed_keypair(ownPublic, ownSecret, Buffer.from(fromHex(oneTimeSeed)));
  const to = Buffer.alloc(sodium.crypto_box_PUBLICKEYBYTES);
  sodium.crypto_sign_ed25519_pk_to_curve25519(to, Buffer.from(fromHex(publicKey)));
  const nonce = Buffer.alloc(sodium.crypto_box_NONCEBYTES);
  sodium.crypto_generichash(nonce, Buffer.concat([ownPublic, to]));
  const sealed = Buffer.alloc(content.byteLength + sodium.crypto_box_MACBYTES);
  sodium.crypto_box_easy(sealed, Buffer.from(content), nonce, to, ownSecret);
  return Buffer.concat([ownPublic, sealed]);
}

export function secretVectors(): Json {
  const { chain, function: fn, node } = sampleIds;
  const body: Secrets = { v: 1, chain, function: fn, number: 2, node, values: { API_KEY: 'é"\n', TOKEN: '' } };
  const content = signSecrets(body, keyOf('control'));
  const nodeKey = keyOf('node').publicKey;
  const box = sealWith(vectorHash('one-time key of a box'), nodeKey, content);
  const expected = { chain, function: fn, node, key: keyOf('control').publicKey };
  const refusedPackages: Record<string, Uint8Array> = {
    'another signer': signSecrets(body, keyOf('other')),
    'another chain': signSecrets({ ...body, chain: vectorHash('another chain') }, keyOf('control')),
    'another function': signSecrets({ ...body, function: vectorHash('another function') }, keyOf('control')),
    'another node': signSecrets({ ...body, node: vectorHash('another node') }, keyOf('control')),
    'a value changed': utf8(fromUtf8(content).replace('"TOKEN":""', '"TOKEN":"x"')),
    'the number changed': utf8(fromUtf8(content).replace('"number":2', '"number":3')),
    'a version of the format that nobody knows': utf8(fromUtf8(content).replace('"v":1', '"v":2')),
    'an unknown field': utf8(fromUtf8(content).replace('"v":1', '"v":1,"w":1')),
    'cut short': content.subarray(0, -1),
    nothing: new Uint8Array(),
  };
  const unsealer = createUnsealer(sha256(`orb vector key ${keyNumbers.node}`));
  const cut = box.subarray(0, -1);
  const flipped = Uint8Array.from(box, (byte, i) => (i === 40 ? byte ^ 1 : byte));
  const forOther = sealWith(vectorHash('one-time key of a box'), keyOf('other').publicKey, content);
  const unopened = {
    'cut short': cut,
    'a bit changed': flipped,
    'sealed to another key': forOther,
    'shorter than a seal': box.subarray(0, 47),
  };
  return {
    about:
      'package: canonical JSON of the body with key and signature. box: crypto_box_seal of it to the node’s Ed25519 key turned into X25519; here its one-time key is crypto_box_seed_keypair of oneTimeSeed.',
    statement: fromUtf8(statement(labels.secrets, body)),
    package: fromUtf8(content),
    node: { text: `orb vector key ${keyNumbers.node}`, publicKey: nodeKey },
    oneTimeSeed: vectorHash('one-time key of a box'),
    box: toHex(box),
    sealedBytes,
    opens: fromUtf8(unsealer.unseal(box)!),
    unopened: Object.entries(unopened).map(([name, bytes]) => ({ name, box: toHex(bytes), opens: unsealer.unseal(bytes) !== undefined })),
    expected,
    refused: Object.entries(refusedPackages).map(([name, bytes]) => ({
      name,
      package: fromUtf8(bytes),
      code: refusalOf(() => readSecrets(bytes, expected)),
    })),
  };
}
