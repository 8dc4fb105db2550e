import { BrokerError } from '../model/errors.ts';

/** The broker said no, or did not let us in: either way it took nothing. Any other error is the lack of an answer. */
export function isRefusal(error: unknown): boolean {
  const code = brokerCode(error);
  return code === 'BROKER_REJECTED' || code === 'BROKER_UNAUTHORIZED';
}

export function brokerCode(error: unknown): string | null {
  return error instanceof BrokerError ? error.code : null;
}
