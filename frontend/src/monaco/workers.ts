// Where Monaco's workers are: our own files, beside this one.

declare const WORKERS: Record<string, string>;

interface Environment {
  getWorker(id: string, label: string): Worker;
}

(globalThis as unknown as { MonacoEnvironment: Environment }).MonacoEnvironment = {
  getWorker(_id, label) {
    return new Worker(new URL(WORKERS[label] ?? WORKERS.editor!, import.meta.url));
  },
};
