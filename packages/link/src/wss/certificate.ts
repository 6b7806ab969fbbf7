/** A certificate for a TLS server and its private key, PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly privateKey: string;
}

const lifeMs = 10 * 365 * 24 * 3_600_000;

/**
 * Makes a self-signed certificate (ECDSA P-256) for links inside a test network. Nobody has to trust it: the link's
 * handshake proves who is at the other end.
 */
export async function makeCertificate(options: { readonly names?: readonly string[] } = {}): Promise<Certificate> {
  // Loaded here because the libraries take 60 ms that only a listener without a certificate has to spend; x509's
  // dependency injection wants the metadata library first.
  await import('reflect-metadata');
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const names = options.names ?? ['localhost'];
  const now = Date.now();
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Orb link',
    // A day earlier, for peers whose clocks are behind.
    notBefore: new Date(now - 86_400_000),
    notAfter: new Date(now + lifeMs),
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: made.toString('pem'),
    privateKey: `-----BEGIN PRIVATE KEY-----\n${key.replaceAll(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
  };
}
