// Checks whether the server can create or write its files.
import { accessSync, constants, lstatSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { quoteForShell } from '../files/file-problem.ts'
import { type Finding, failure, good } from './finding.ts'

export function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** Checks whether a missing file can be created, with its parent directories. */
export function checkCreatable(path: string, what: string): Finding {
  let directory = dirname(resolve(path))
  while (!exists(directory) && directory !== dirname(directory)) directory = dirname(directory)
  try {
    if (!statSync(directory).isDirectory()) return failure(`${path}: ${directory} is a file, not a directory`)
    accessSync(directory, constants.W_OK | constants.X_OK)
    return good(`${path}: does not exist yet; the server creates ${what} when it starts`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const remedy = `allow this user to write to ${directory}, or create the file`
    return failure(`${path}: the server cannot create ${what}, because ${directory} is not writable (${code})`, remedy)
  }
}

/** Checks whether an existing file can be written. */
export function checkWritable(path: string, what: string): Finding {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return good(`${path}: ${what} is readable and writable`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return failure(
      `${path}: ${what} is not readable and writable (${code})`,
      `change its mode or owner: ls -l ${quoteForShell(path)}`,
    )
  }
}
