import serverless from 'serverless-http';
import { app } from './app.ts';

/** Instead of `app.listen(3000)`. The same file runs on AWS Lambda. `binary`: answers of any type go out byte by byte. */
export const handler = serverless(app, { binary: true });
