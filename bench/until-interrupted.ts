/** Runs work to its end, or rejects at once when the person presses Ctrl-C or the process is told to end. */
export async function untilInterrupted<T>(work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onSignal = () => reject(new Error('Interrupted: every process of the bench has been stopped.'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
