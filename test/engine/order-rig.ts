import { Puppet, type Rig, type RigOptions, rig } from '../support/engine-rig.ts';

export const limitBuy = { asset: 'AAPL', amount: '10', type: 'limit', limitPrice: '100' } as const;

export interface Desk extends Rig {
  readonly puppet: Puppet;
  submit(): Promise<string>;
  replace(orderId: string, amount: string): Promise<string>;
  cancel(orderId: string): Promise<void>;
}

export async function desk(options: RigOptions = {}): Promise<Desk> {
  const puppet = new Puppet('alpha');
  const made = rig({ strategies: [puppet], ...options });
  await made.start();
  const does = async (action: Parameters<Puppet['next']>[0]): Promise<void> => {
    puppet.next(action);
    await made.trade('AAPL', '100');
  };
  return {
    ...made,
    puppet,
    async submit() {
      let orderId = '';
      await does((context) => {
        orderId = context.submit(limitBuy);
      });
      return orderId;
    },
    async replace(old, amount) {
      let orderId = '';
      await does((context) => {
        orderId = context.replace(old, { amount });
      });
      return orderId;
    },
    cancel: (orderId) => does((context) => context.cancel(orderId)),
  };
}
