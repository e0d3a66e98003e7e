// How many workers a server has. A file of its own, so that a server without workers loads nothing else for them.
import { availableParallelism } from 'node:os'
import type { Settings } from '../../settings/settings.ts'

/** The number of workers that the settings ask for; 1: requests are answered by the process itself. */
export function countWorkers({ workers }: Pick<Settings, 'workers'>): number {
  return workers === 'auto' ? availableParallelism() : workers
}
