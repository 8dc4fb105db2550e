/** The paths of our own, by which a demo or a test has the paper broker do what no real one can be told to. */
import { z } from 'zod';
import { type PaperActivityRequest, paperActivityTypes } from './activities.ts';
import type { PaperExchange } from './exchange.ts';
import { brokerOperations, type Misbehavior, misbehaviorKinds } from './faults.ts';
import type { PaperAnswer, PaperRoute } from './http.ts';
import { parse } from './request-forms.ts';
import type { TapePlayer } from './tape-player.ts';

const misbehaviorSchema = z.strictObject({
  kind: z.enum(misbehaviorKinds),
  times: z.int().min(1).max(1_000_000).exactOptional(),
  ms: z.int().min(0).max(600_000).exactOptional(),
  on: z.enum(brokerOperations).exactOptional(),
  asset: z.string().exactOptional(),
});
const activitySchema = z.strictObject({
  type: z.enum(paperActivityTypes),
  asset: z.string().exactOptional(),
  cash: z.string().exactOptional(),
  amount: z.string().exactOptional(),
  currency: z.string().exactOptional(),
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
    { method: 'GET', path: /^\/paper\/misbehave$/, handle: () => ({ status: 200, body: exchange.faults.armed() }) },
    {
      method: 'DELETE',
      path: /^\/paper\/misbehave$/,
      handle() {
        exchange.faults.clear();
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: /^\/paper\/activities$/,
      handle({ body }) {
        const request: PaperActivityRequest = parse(activitySchema, body);
        return { status: 200, body: exchange.bookActivity(request) };
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
