/** The paths of our own, by which a demo or a test has the paper broker do what no real one can be told to. */
import { z } from 'zod';
import type { PaperExchange } from './exchange.ts';
import { brokerOperations, type Misbehavior, misbehaviorKinds } from './faults.ts';
import type { PaperAnswer, PaperRoute } from './http.ts';
import { refuse } from './refusals.ts';
import type { TapePlayer } from './tape-player.ts';

const misbehaviorSchema = z.strictObject({
  kind: z.enum(misbehaviorKinds),
  times: z.int().min(1).max(1_000_000).exactOptional(),
  ms: z.int().min(0).max(600_000).exactOptional(),
  on: z.enum(brokerOperations).exactOptional(),
});
const adjustmentSchema = z.strictObject({ amount: z.string() });

export function controlRoutes(exchange: PaperExchange, player: TapePlayer): readonly PaperRoute[] {
  const status = (): PaperAnswer => ({ status: 200, body: player.status() });
  return [
    {
      method: 'POST',
      path: /^\/paper\/misbehave$/,
      handle({ body }) {
        const fault: Misbehavior = parse(misbehaviorSchema, body);
        exchange.misbehave(fault);
        return { status: 200, body: fault };
      },
    },
    {
      method: 'POST',
      path: /^\/paper\/positions\/(.+)$/,
      handle({ body }, [symbol = '']) {
        exchange.adjustPosition(symbol, parse(adjustmentSchema, body).amount);
        const position = exchange.positions().find(({ asset }) => asset === symbol);
        return { status: 200, body: { asset: symbol, amount: position?.amount ?? '0' } };
      },
    },
    {
      method: 'POST',
      path: /^\/paper\/pause$/,
      handle() {
        player.pause();
        return status();
      },
    },
    {
      method: 'POST',
      path: /^\/paper\/play$/,
      handle() {
        player.play();
        return status();
      },
    },
    { method: 'GET', path: /^\/paper\/status$/, handle: status },
  ];
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refuse('invalid_request', `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`);
}
