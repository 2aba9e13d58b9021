// Asking whoever is signed in to prove it: one question at a time, whichever calls wait for its answer.

type Listener = () => void;

let waiting: ((proven: boolean) => void)[] = [];
const listeners = new Set<Listener>();

function tell(): void {
  for (const listener of listeners) listener();
}

/** Asks; `true` once proven, `false` when the person would rather not. Nobody to ask counts as no. */
export function askForProof(): Promise<boolean> {
  if (listeners.size === 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    waiting.push(resolve);
    tell();
  });
}

/** The answer, for everybody who waits. */
export function answerProof(proven: boolean): void {
  const all = waiting;
  waiting = [];
  for (const resolve of all) resolve(proven);
  tell();
}

/** For `useSyncExternalStore`. */
export const proofAsked = {
  subscribe(listener: Listener): () => void {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  },
  isAsked: (): boolean => waiting.length > 0,
};
