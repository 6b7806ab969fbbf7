import { createHash, createPrivateKey, createPublicKey, verify as verifyWithOpenssl } from 'node:crypto';
import { readFileSync } from 'node:fs';
import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { vectorFiles, vectorText } from '../vectors/generate.ts';

/*
 * The vectors checked against other implementations: OpenSSL's SHA-256 and Ed25519, the canonicalize package, and
 * Merkle trees written out by hand. Nothing here imports the package but the generator under test.
 */
const read = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const labelled = (label: string, value: unknown) => `${label}\n${canonicalize(value)}`;

function signed(key: string, statement: string, signature: string): boolean {
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key, 'hex').toString('base64url') },
    format: 'jwk',
  });
  return verifyWithOpenssl(null, Buffer.from(statement), publicKey, Buffer.from(signature, 'hex'));
}

/** RFC 6962 section 2.1, read literally. */
function treeHash(leaves: readonly string[]): Buffer {
  if (leaves.length === 0) return Buffer.from(sha256(''), 'hex');
  if (leaves.length === 1) return Buffer.from(sha256(Buffer.concat([Buffer.of(0), Buffer.from(leaves[0]!)])), 'hex');
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return Buffer.from(sha256(Buffer.concat([Buffer.of(1), treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split))])), 'hex');
}

function rowsRoot(rows: readonly string[]): string {
  const leaves = [];
  for (let i = 0; i < rows.length; i += 8) leaves.push(rows.slice(i, i + 8).join('\n'));
  return treeHash(leaves).toString('hex');
}

describe('golden vectors', () => {
  test.each(Object.entries(vectorFiles))('%s is what the generator makes: formats do not change by accident', (name, make) => {
    expect(vectorText(make)).toBe(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
  });

  test('canonical JSON: RFC 8785’s own examples, and what the canonicalize package writes', () => {
    const { values } = read('canonical-json.json');
    expect(values[0].canonical).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    expect(values[1].canonical).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    );
    for (const { json, canonical } of values) expect(canonical).toBe(canonicalize(JSON.parse(json)));
  });

  test('keys: public keys of SHA-256 of the named texts', () => {
    for (const { text, publicKey } of read('keys.json').keys) {
      // RFC 8410: the fixed head of an Ed25519 private key in PKCS #8, then the key.
      const der = Buffer.from(`302e020100300506032b657004220420${sha256(text)}`, 'hex');
      const { x } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
        format: 'jwk',
      });
      expect(publicKey).toBe(Buffer.from(x!, 'base64url').toString('hex'));
    }
  });

  test('ids: SHA-256 of label, line feed, canonical JSON', () => {
    const { account, node, superNode, functions, allowance, replica, job, distances } = read('ids.json');
    expect(account.id).toBe(sha256(`orb/account/1\n"${account.key}"`));
    expect(node.id).toBe(sha256(`orb/node/1\n"${node.key}"`));
    expect(superNode.id).toBe(sha256(`orb/super-node/1\n"${superNode.key}"`));
    for (const { owner, name, incarnation, id } of functions)
      expect(id).toBe(sha256(`orb/function/1\n["${owner}","${name}",${incarnation}]`));
    expect(allowance.id).toBe(sha256(`orb/allowance/1\n["${allowance.payer}",${allowance.sequence}]`).slice(0, 32));
    expect(replica.id).toBe(sha256(`orb/replica/1\n["${replica.function}","${replica.version}"]`));
    expect(job.id).toBe(`${job.allowance}-${job.sequence}`);
    for (const { a, b, distance } of distances)
      expect(distance).toBe(Number(BigInt(`0x${a.slice(0, 13)}`) ^ BigInt(`0x${b.slice(0, 13)}`)));
  });

  test('manifests: version id is SHA-256 of the canonical text', () => {
    for (const { input, canonical, versionId } of read('manifest.json').accepted) {
      expect(versionId).toBe(sha256(canonical));
      expect(canonicalize(JSON.parse(canonical))).toBe(canonical);
      expect(JSON.parse(canonical)).toMatchObject(input);
    }
  });

  test('money: products and floors done by hand', () => {
    const { costs, shares, credits } = read('money.json');
    expect(costs.map(({ cost }: { cost: string }) => cost)).toEqual(['64', '128000', '256000', '0', '92160000000000000000']);
    expect(shares.map(({ share }: { share: string }) => share)).toEqual(['0', '1234', '1', '9999']);
    expect(credits.map(({ units }: { units: string }) => units)).toEqual([
      '0',
      '1000000000',
      '12500000000',
      '1',
      '999999999999999999999999',
    ]);
  });

  test('Merkle trees: the known empty and one-leaf trees of RFC 6962, roots by the RFC’s recursion, paths that lead to them', () => {
    const { contents, leaves, trees, rows } = read('merkle.json');
    expect(trees[0].root).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(sha256(Buffer.of(0))).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    expect(trees[1].root).toBe(leaves[0]);
    for (const { size, root, paths } of trees) {
      expect(root).toBe(treeHash(contents.slice(0, size)).toString('hex'));
      expect(paths).toHaveLength(size);
    }
    const [first, second] = leaves;
    expect(trees[2].root).toBe(sha256(Buffer.from(`01${first}${second}`, 'hex')));
    expect(trees[2].paths).toEqual([[second], [first]]);
    for (const { rows: texts, root } of rows) expect(root).toBe(rowsRoot(texts));
  });

  test('rows: JSON without spaces; receipts repeat the ticket; hashes of requests and results', () => {
    const { ticket, receipt, hashes } = read('rows.json');
    expect(ticket.text).toBe(JSON.stringify(Object.values(ticket.fields)));
    expect(receipt.text).toBe(`[${ticket.text},${JSON.stringify(Object.values(receipt.fields))}]`);
    const body = sha256('hello');
    expect(hashes.request.hash).toBe(sha256(`POST /a?b=c\n${body}`));
    expect(hashes.streamedRequest.hash).toBe(sha256('POST /a?b=c\n*'));
    expect(hashes.result.hash).toBe(sha256(`200\n${body}`));
  });

  test('roots: recomputed from the texts, and signed', () => {
    const roots = read('roots.json');
    for (const kind of ['tickets', 'receipts']) {
      const { texts, statement, key, signature } = roots[kind];
      const [label, body] = statement.split('\n');
      expect(label).toBe(`orb/${kind}/1`);
      expect(JSON.parse(body)).toMatchObject({ root: rowsRoot(texts), count: texts.length });
      expect(signed(key, statement, signature)).toBe(true);
    }
  });

  test('row proofs: the leaf of eight texts, and up from there; what proves nothing leads elsewhere', () => {
    const { root, proofs, refused, closedRows } = read('row-proofs.json');
    const hash = (...parts: Buffer[]) => Buffer.from(sha256(Buffer.concat(parts)), 'hex');
    for (const { text, proof } of proofs) {
      // Eleven rows make two leaves, so each leaf's path is the other one.
      const own = hash(Buffer.of(0), Buffer.from(proof.leaf.join('\n')));
      const other = Buffer.from(proof.path[0], 'hex');
      expect(hash(Buffer.of(1), ...(proof.place < 8 ? [own, other] : [other, own])).toString('hex')).toBe(root);
      expect(proof.leaf[proof.place % 8]).toBe(text);
      expect(proof.path).toHaveLength(1);
    }
    for (const one of refused) expect(one.root, one.name).not.toBe(root);
    for (const { row, text } of closedRows) expect(text).toBe(JSON.stringify(row));
  });

  test('transactions: statement and id recomputed, every signature right, every kind there', () => {
    const { transactions } = read('transactions.json');
    expect(new Set(transactions.map((one: { transaction: { kind: string } }) => one.transaction.kind)).size).toBe(33);
    for (const { transaction, statement, id, signed: covered = statement } of transactions) {
      const { signatures, ...unsigned } = transaction;
      expect(statement).toBe(labelled('orb/transaction/1', unsigned));
      expect(id).toBe(sha256(statement));
      expect(covered).toBe(transaction.v === 2 ? labelled('orb/transaction-id/1', id) : statement);
      for (const { key, signature } of signatures) expect(signed(key, covered, signature)).toBe(true);
    }
  });

  test('chain: ids, hashes, roots and signatures recomputed', () => {
    const { genesis, chain, header, blockHash, ordererKey, signature, results, cosignStatement, proof } = read('chain.json');
    expect(chain).toBe(sha256(labelled('orb/genesis/1', genesis)));
    expect(blockHash).toBe(sha256(labelled('orb/block/1', header)));
    expect(signed(ordererKey, labelled('orb/block/1', header), signature)).toBe(true);
    expect(header.results).toBe(sha256(labelled('orb/results/1', results)));
    expect(cosignStatement).toBe(labelled('orb/cosign/1', { chain, epoch: 1, height: 1, hash: blockHash, state: header.state }));
    for (const { key, signature: cosignature } of proof.cosignatures) expect(signed(key, cosignStatement, cosignature)).toBe(true);
    const leaves = read('transactions.json')
      .transactions.slice(0, header.count)
      .map((one: { transaction: unknown }) => canonicalize(one.transaction)!);
    expect(header.transactions).toBe(treeHash(leaves).toString('hex'));
    expect(canonicalize(proof.transaction)).toBe(leaves[proof.index]);
  });

  test('descriptor, handshake and signed requests: statements recomputed, signatures right', () => {
    const { descriptor, statement } = read('descriptor.json');
    const { key, signature, ...body } = descriptor;
    expect(statement).toBe(labelled('orb/descriptor/1', body));
    expect(signed(key, statement, signature)).toBe(true);

    const handshake = read('link-handshake.json');
    const { dialler, listener } = handshake.transcript;
    expect(handshake.acceptStatement).toBe(labelled('orb/link-accept/1', handshake.transcript));
    expect(signed(listener.key, labelled('orb/link-accept/1', handshake.transcript), handshake.accept)).toBe(true);
    expect(signed(dialler.key, labelled('orb/link-confirm/1', handshake.transcript), handshake.confirm)).toBe(true);

    for (const { request, headers, identity } of read('signed-request.json').accepted) {
      const url = new URL(request.url);
      const digest = `sha-256=:${createHash('sha256').update(Buffer.from(request.bodyHex, 'hex')).digest('base64')}:`;
      expect(headers['content-digest']).toBe(digest);
      const base = [
        `"@method": ${request.method}`,
        `"@authority": ${url.host}`,
        `"@path": ${url.pathname}`,
        `"@query": ${url.search || '?'}`,
        `"content-digest": ${digest}`,
        `"@signature-params": ${headers['signature-input'].slice('orb='.length)}`,
      ].join('\n');
      expect(signed(identity.key, base, Buffer.from(headers.signature.slice('orb=:'.length, -1), 'base64').toString('hex'))).toBe(true);
    }
  });

  test('Ed25519: what is valid here is valid for OpenSSL too, whose rule is laxer', () => {
    const { cases } = read('ed25519.json');
    const valid = cases.filter((one: { valid: boolean }) => one.valid);
    expect(valid.length).toBeGreaterThan(5);
    for (const one of valid) expect(signed(one.publicKey, Buffer.from(one.message, 'hex').toString(), one.signature), one.name).toBe(true);
  });
});
