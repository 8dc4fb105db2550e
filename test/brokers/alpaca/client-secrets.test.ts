import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeError } from '../../../src/model/errors.ts';
import { failure } from '../../contract/broker-requests.ts';
import { against, answer, closeAll, type Handler, request, secretKey } from '../support/alpaca-server.ts';

afterEach(closeAll);

describe('secrets', () => {
  const shown = (error: unknown) =>
    [inspect(error, { depth: 10, showHidden: true }), JSON.stringify(encodeError(error))].join();
  const leaks = (text: string) => /canary|PKCANARY/.test(text);

  it.each<[string, Handler]>([
    [
      'an error message',
      (received, response) =>
        answer(
          403,
          JSON.stringify({
            message: `no: ${received.headers['apca-api-secret-key']} ${received.headers['apca-api-key-id']}`,
          }),
        )(received, response),
    ],
    [
      'an HTML page',
      (received, response) => answer(502, `<p>${received.headers['apca-api-secret-key']}</p>`)(received, response),
    ],
    [
      'an answer that cannot be understood',
      (received, response) => answer(200, JSON.stringify({ echo: received.headers }))(received, response),
    ],
    [
      'a URL',
      (received, response) =>
        answer(422, `at /?secret=${encodeURIComponent(String(received.headers['apca-api-secret-key']))}`)(
          received,
          response,
        ),
    ],
    ['nothing', (_, response) => response.socket?.destroy()],
  ])('that a server quotes in %s are in no error', async (_, handler) => {
    const { broker } = await against(handler);
    const calls = [
      () => broker.submitOrder(request),
      () => broker.fetchAccount(),
      () => broker.fetchFills({ activity_id: null, at: null }),
    ];
    for (const call of calls) {
      const text = shown(await failure(call()));
      expect(leaks(text), text).toBe(false);
    }
  });

  it('are not shown by the adapter itself', async () => {
    const { broker } = await against(answer(200, '{}'));
    expect(leaks(inspect(broker, { depth: 10, showHidden: true }) + JSON.stringify(broker))).toBe(false);
  });

  it('are cut out before an excerpt is cut, so that no half of one is left', async () => {
    const filler = 'x'.repeat(190);
    const { broker } = await against(answer(200, `${filler}${secretKey}`));
    const error = await failure(broker.fetchAccount());
    expect(String(error.details['excerpt'])).toHaveLength(195);
    expect(leaks(shown(error))).toBe(false);
  });
});
