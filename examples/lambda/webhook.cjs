/** CommonJS with a callback, as older Lambda code is: checks the signature of a webhook with Node's crypto. */
const crypto = require('crypto');

const secret = 'an example, not a secret';
const sign = (body) => crypto.createHmac('sha256', secret).update(body).digest('hex');

exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  const given = Buffer.from(event.headers['x-signature'] ?? '', 'hex');
  const right = Buffer.from(sign(body), 'hex');
  if (given.length !== right.length || !crypto.timingSafeEqual(given, right)) {
    return callback(null, { statusCode: 401, headers: { 'content-type': 'text/plain' }, body: 'wrong signature' });
  }
  // An image answers an event that may hold any bytes.
  const pixel = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';
  callback(null, { statusCode: 200, headers: { 'content-type': 'image/gif' }, isBase64Encoded: true, body: pixel });
};
