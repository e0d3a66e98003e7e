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
    return good(`${path}: not there yet; the server makes ${what} at its start`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const remedy = `let this user write in ${directory}, or make the file`
    return failure(`${path}: ${what} cannot be made, since ${directory} cannot be written (${code})`, remedy)
  }
}

/** Checks whether an existing file can be written. */
export function checkWritable(path: string, what: string): Finding {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return good(`${path}: ${what} can be read and written`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return failure(
      `${path}: ${what} cannot be read and written (${code})`,
      `change its mode or owner: ls -l ${quoteForShell(path)}`,
    )
  }
}
