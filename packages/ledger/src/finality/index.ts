export { CosignatureBook, cosignaturesMessageSchema, type CosignaturesMessage, type FinalityStatus } from './cosignature-book.ts';
export { openCosigner, type Cosigner } from './cosign-record.ts';
export { startCosigning, type CosignatureSink, type CosigningOptions } from './cosigning.ts';
export { httpCosignatures, rovingCosignatures } from './http-cosignatures.ts';
