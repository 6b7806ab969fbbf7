/** An HTTP API with AWS's own Powertools for Lambda: its router, its logger. */
import { NotFoundError, Router } from '@aws-lambda-powertools/event-handler/http';
import { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';

const logger = new Logger({ serviceName: 'todos' });
const app = new Router({ logger });
const todos = new Map([['1', { id: '1', text: 'water the tea', done: false }]]);

app.get('/todos', () => [...todos.values()]);
app.get('/todos/:id', ({ params: { id } }) => {
  const todo = todos.get(id!);
  if (!todo) throw new NotFoundError(`no todo ${id}`);
  return todo;
});

export const handler = async (event: APIGatewayProxyEventV2, context: Context) => {
  logger.addContext(context);
  logger.info('asked', { path: event.rawPath });
  return app.resolve(event, context);
};
