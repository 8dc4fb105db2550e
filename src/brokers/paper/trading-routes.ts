/** The paths of the Alpaca Trading API, v2, as far as the paper broker has them. */
import { accountRoutes } from './account-routes.ts';
import { activityRoutes } from './activity-routes.ts';
import type { PaperExchange } from './exchange.ts';
import type { PaperRoute } from './http.ts';
import { orderRoutes } from './order-routes.ts';

export function tradingRoutes(exchange: PaperExchange): readonly PaperRoute[] {
  return [...accountRoutes(exchange), ...activityRoutes(exchange), ...orderRoutes(exchange)];
}
