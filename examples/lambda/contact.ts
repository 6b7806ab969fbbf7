/** A form's end point with Middy, the middleware engine for Lambda. */
import middy from '@middy/core';
import httpErrorHandler from '@middy/http-error-handler';
import httpHeaderNormalizer from '@middy/http-header-normalizer';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import type { APIGatewayProxyEventV2, APIGatewayProxyResultV2 } from 'aws-lambda';

export const handler = middy<APIGatewayProxyEventV2, APIGatewayProxyResultV2>()
  .use(httpHeaderNormalizer())
  .use(httpJsonBodyParser())
  .use(httpErrorHandler())
  .handler(({ body, cookies = [] }) => {
    const { name } = body as unknown as { readonly name?: string };
    return {
      statusCode: name ? 201 : 422,
      headers: { 'content-type': 'application/json' },
      cookies: ['seen=yes; HttpOnly', 'theme=dark'],
      body: JSON.stringify({ thanks: name ?? null, cookies }),
    };
  });
