export { askAll, askStanding, findChange, gatewaysOf, startChangeWatch, type Elsewhere, type WatchOptions } from './change-watch.ts';
export { ChangeDesk, type DeskDependencies, type OrdererStanding } from './change-desk.ts';
export { readCertificateFile, writeCertificateFile } from './certificate-file.ts';
export { examineChange, type ChangeAhead } from './examine-change.ts';
export { droppedPath, writeCut } from '../embedded/cut-back.ts';
export { resubmitDropped } from './resubmit-dropped.ts';
