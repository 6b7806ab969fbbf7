/*
 * Loaded into a real node process before its own code (`--import`): an internet of names that this test has made up, all of
 * them at one public address, whose ports are servers on this computer. Nothing in Orb knows of it.
 */
import net from 'node:net';
import { Resolver } from 'node:dns/promises';

const publicAddress = '93.184.216.34';
const { names, ports } = JSON.parse(process.env['ORB_TEST_INTERNET']!) as {
  readonly names: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<string, number>>;
};
const none = (host: string) => Object.assign(new Error(`queryA ENOTFOUND ${host}`), { code: 'ENOTFOUND' });

Resolver.prototype.resolve4 = ((host: string) =>
  names[host] === undefined ? Promise.reject(none(host)) : Promise.resolve([names[host]])) as typeof Resolver.prototype.resolve4;
Resolver.prototype.resolve6 = ((host: string) => Promise.reject(none(host))) as typeof Resolver.prototype.resolve6;

const { connect } = net;
net.connect = ((options: net.TcpNetConnectOpts, ...more: []) =>
  connect(
    options.host === publicAddress ? { ...options, host: '127.0.0.1', port: ports[String(options.port)] ?? 1 } : options,
    ...more,
  )) as typeof connect;
