// tlsbound reload: loads the files of a running server again, and shows what was loaded.
import { type Command, showArgument, UsageError } from './command.ts'
import { openOps, opsOptions } from './ops.ts'
import { writeResult } from './output.ts'

interface Reloaded {
  readonly files: string
  readonly problem?: string
}

export const command: Command = {
  usage: ['[OPTIONS]'],
  description: [
    'Loads the files of a running server again through its ops listener, as SIGHUP does, and shows what was loaded. The server also notices a changed file by itself within two seconds.',
    'Files that cannot be used leave the former ones in use.',
  ],
  options: opsOptions,
  failure: 'some files could not be used; the former ones stay in use',
  examples: ['tlsbound reload'],
  async run(values, [unexpected]) {
    if (unexpected !== undefined) throw new UsageError(`unexpected argument ${showArgument(unexpected)}`)
    const answer: { readonly reloaded: readonly Reloaded[] } = await openOps(values)('POST', '/admin/reload')
    const { reloaded } = answer
    const lines = reloaded.map(({ files, problem }) =>
      problem === undefined ? `loaded: ${files}` : `not loaded: ${files}: ${problem}`,
    )
    writeResult(values, answer, lines.join('\n'))
    if (reloaded.some(({ problem }) => problem !== undefined)) process.exitCode = 1
  },
}
