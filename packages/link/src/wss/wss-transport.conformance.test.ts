import { linkConformance } from '../conformance.ts';
import { makeCertificate } from './certificate.ts';
import { openWss } from './open-wss.ts';
import { WssTransport } from './wss-transport.ts';

const certificate = await makeCertificate();

linkConformance('wss', (settings) => ({ transport: new WssTransport({ settings, certificate }), openPipe: openWss }));
