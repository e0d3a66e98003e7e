// Reading files: every problem names the file and what was found, and no read blocks.
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readRegularFile } from '../../src/files/file-access.ts'
import { FileProblem } from '../../src/files/file-problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'access-'))
chmodSync(folder, 0o755)
t.teardown(() => rmSync(folder, { recursive: true }))
const path = (name: string) => join(folder, name)
const most = 1000

const problemOf = (name: string, isSecret = false) => {
  try {
    return `read: ${readRegularFile(path(name), { most, isSecret })}`
  } catch (error) {
    if (error instanceof FileProblem) return error.message.replaceAll(`${folder}/`, '')
    throw error
  }
}

t.test('reads regular files, also through links and whatever their reported length', t => {
  writeFileSync(path('file'), 'content')
  symlinkSync('file', path('link'))
  t.equal(problemOf('file'), 'read: content')
  t.equal(problemOf('link'), 'read: content')
  writeFileSync(path('largest'), 'x'.repeat(most))
  t.equal(readRegularFile(path('largest'), { most }).length, most)
  t.match(
    readRegularFile('/proc/self/status', { most: 100_000 }).toString(),
    /^Name:/,
    'a file with a reported length of 0',
  )
  t.end()
})

t.test('rejects a path that is not a file, is too large or does not exist, and reports why', async t => {
  mkdirSync(path('folder'))
  symlinkSync('loop-2', path('loop-1'))
  symlinkSync('loop-1', path('loop-2'))
  symlinkSync('nothing', path('dangling'))
  writeFileSync(path('large'), 'x'.repeat(most + 1))
  spawnSync('mkfifo', [path('fifo')])
  const server = createServer()
  await new Promise<void>(listening => server.listen(path('socket'), listening))
  t.teardown(() => server.close())
  const refused: Record<string, string> = {
    folder: 'folder: this is a directory, a file is needed',
    fifo: 'fifo: this is a FIFO (named pipe), a file is needed',
    socket: 'socket: this is a socket, a file is needed',
    large: 'large: this file is larger than 1000 octets',
    missing: 'missing: there is no such file (ENOENT)',
    dangling: 'dangling: there is no such file (ENOENT): the target of the symbolic link does not exist',
    'loop-1': 'loop-1: the symbolic links in this path form a loop (ELOOP)',
    'file/below': 'file/below: a part of this path is a file, not a directory (ENOTDIR)',
  }
  for (const [name, says] of Object.entries(refused)) t.equal(problemOf(name), says, name)
  t.throws(() => readRegularFile('/dev/zero', { most }), { message: '/dev/zero: this is a device, a file is needed' })
  t.throws(() => readRegularFile('/dev/null', { most }), { message: '/dev/null: this is a device, a file is needed' })
})

t.test('names the user and the mode of an unreadable file or directory', async t => {
  if (process.geteuid?.() !== 0) return t.comment('only root can become another user')
  writeFileSync(path('private'), 'x', { mode: 0o600 })
  mkdirSync(path('closed/inner'), { recursive: true })
  writeFileSync(path('closed/inner/file'), 'x')
  chmodSync(path('closed'), 0o700)
  process.seteuid?.(65_534)
  try {
    t.match(
      problemOf('private'),
      /^private: the user \S+ \(65534\) may not read this file \(mode 600, owner 0, group 0\); change its owner or its mode$/,
    )
    t.match(
      problemOf('closed/inner/file'),
      /^closed\/inner\/file: the user \S+ \(65534\) may not enter the directory closed \(mode 700, owner 0, group 0\); change/,
    )
  } finally {
    process.seteuid?.(0)
  }
  t.equal(problemOf('private'), 'read: x', 'control')
})

t.test('accepts a secret of root that a group of this process can read, and says how to give one', async t => {
  t.equal(process.getuid?.(), 0, 'this test changes its user')
  writeFileSync(path('mounted'), 'x')
  const groups = process.getgroups?.() ?? []
  const asUser = (mode: number, group: number, owner = 0) => {
    chownSync(path('mounted'), owner, group)
    chmodSync(path('mounted'), mode)
    process.setgroups?.([2000])
    process.setegid?.(1000)
    process.seteuid?.(65_534)
    try {
      return problemOf('mounted', true)
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
      process.setgroups?.(groups)
    }
  }
  for (const mode of [0o440, 0o640])
    for (const group of [1000, 2000]) t.equal(asUser(mode, group), 'read: x', `${mode.toString(8)}, group ${group}`)
  const advice =
    'as root: chgrp 1000 mounted && chmod 440 mounted; in Kubernetes: defaultMode: 0440 of the volume, and fsGroup: 1000 of the pod'
  for (const [mode, group] of [
    [0o444, 1000],
    [0o644, 0],
    [0o660, 2000],
    [0o450, 2000],
    [0o441, 1000],
  ] as const)
    t.equal(
      asUser(mode, group),
      `mounted: others can read this secret (mode ${mode.toString(8)}); ${advice}`,
      `${mode.toString(8)}, group ${group}`,
    )
  t.match(asUser(0o440, 1000, 65_534), /\(mode 440\); chmod 600 mounted$/, 'an own file has no need of a group')
  t.match(asUser(0o444, 1000, 3000), /\(mode 444\); chmod 600/, 'a file of a third user')
  t.equal(asUser(0o400, 1000, 65_534), 'read: x', 'control')
  t.end()
})

t.test('rejects a secret that others can read, by the mode of the opened file', t => {
  writeFileSync(path('secret'), 'x')
  for (const [mode, says] of [
    [0o600, 'read: x'],
    [0o400, 'read: x'],
    [0o640, 'secret: others can read this secret (mode 640); chmod 600 '],
    [0o604, 'secret: others can read this secret (mode 604); chmod 600 '],
    [0o620, 'secret: others can read this secret (mode 620); chmod 600 '],
  ] as const) {
    chmodSync(path('secret'), mode)
    t.ok(problemOf('secret', true).startsWith(says), mode.toString(8))
    t.equal(problemOf('secret'), 'read: x', 'accepts the same file if it is not a secret')
  }
  t.end()
})
