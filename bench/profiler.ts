// Profiles the process that it runs in, for the one that asks (child.ts).
import { type Profiler, Session } from 'node:inspector/promises'

export type ProfileQuestions = {
  startProfile(_: null): Promise<void>
  stopProfile(_: null): Promise<Profiler.Profile>
}

export function createProfiler(): ProfileQuestions {
  const session = new Session()
  return {
    startProfile: async () => {
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.start')
    },
    stopProfile: async () => (await session.post('Profiler.stop')).profile,
  }
}
