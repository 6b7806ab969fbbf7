import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { RowUnavailable } from './row.ts';

/** A certificate for 127.0.0.1 and its key, PEM. Lives in memory, as long as the run. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Makes a certificate with the `openssl` command. @throws RowUnavailable where there is none */
export async function makeCertificate(): Promise<Certificate> {
  const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=orb bench', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-'];
  try {
    const { stdout } = await promisify(execFile)('openssl', [...argv, ...names]);
    return { key: block(stdout, 'PRIVATE KEY'), cert: block(stdout, 'CERTIFICATE') };
  } catch (error) {
    throw new RowUnavailable('The TLS row needs the openssl command to make its certificate.', { cause: error });
  }
}

function block(text: string, label: string): string {
  const match = new RegExp(`-----BEGIN ${label}-----[^]+?-----END ${label}-----`).exec(text);
  if (match === null) throw new Error(`openssl printed no ${label}.`);
  return `${match[0]}\n`;
}
