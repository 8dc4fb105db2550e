import { mayFollow, type Phase, type PhaseKind } from './phases.ts';

/** Which phase the engine is in. One that may not follow is left out: what comes too late changes nothing. */
export class PhaseLine {
  readonly #changed: (phase: Phase) => void;
  #current: Phase = { kind: 'idle' };

  constructor(changed: (phase: Phase) => void) {
    this.#changed = changed;
  }

  get current(): Phase {
    return this.#current;
  }

  is(...kinds: readonly PhaseKind[]): boolean {
    return kinds.includes(this.#current.kind);
  }

  enter(phase: Phase): void {
    if (!mayFollow(this.#current.kind, phase.kind)) return;
    this.#current = phase;
    this.#changed(phase);
  }

  /** Why no order may leave now, or null. */
  closedBecause(): string | null {
    const phase = this.#current;
    if (phase.kind === 'halted') return `the engine is halted: ${phase.reason}`;
    return phase.kind === 'trading' ? null : `the engine is ${phase.kind}`;
  }
}
