import { createSigner, resultHash, sha256 } from '@orb/protocol';
import * as sdk from '@orb/sdk';

/** What a page of the test has at hand: the SDK as a bundler gives it to browsers. */
export const inPage = { ...sdk, createSigner, resultHash, sha256 };

Object.assign(globalThis, { sdk: inPage });
