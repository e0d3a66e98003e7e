// Malicious and damaged repositories: the scan runs no program and reads no file that they name, and does not block. Damage
// does not hide other objects, and the memory of git and of the scan is limited.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readFiles } from '../../src/scan/files.ts'
import { scan } from '../../src/scan/scan.ts'
import { makeRepository, makeToken, openRepository, scanRepository } from '../helpers/process/repository.ts'

t.setTimeout(600_000)

/** The folder for temporary files of the scan. */
const temporary = join(t.testdir(), 'temporary')
mkdirSync(temporary)
process.env.TMPDIR = temporary

const makeFifo = (path: string) => execFileSync('mkfifo', [path])

/** A repository with three tokens: in a file, in a file name that is not UTF-8, and in the message of a tag. */
const original = makeRepository(join(temporary, '../original'))
const [file, name, message] = [makeToken(), makeToken(), makeToken()]
original.put('file', file)
original.put(Buffer.concat([Buffer.from([0xe9, 0xff]), Buffer.from(name)]), 'x')
original.commit('x')
original.git('tag', '-a', 'v1', '-m', message)
const tokens = [file, name, message].toSorted()

/** Copies that repository. */
function makeVictim(t: Test) {
  const folder = join(t.testdir(), 'victim')
  execFileSync('cp', ['-a', original.folder, folder])
  return { ...openRepository(folder), own: join(folder, '.git') }
}

const expectTokens = async (t: Test, folder: string, tokens: readonly string[], env?: object) => {
  const scanned = await scanRepository(t, folder, env)
  t.same(scanned.tokens.toSorted(), tokens, 'every token is found')
  return scanned
}

/** Settings that name a file that git reads. */
const fileSettings = [
  ...['diff.orderFile', 'mailmap.file', 'include.path', 'includeIf.gitdir:/**.path', 'core.attributesFile'],
  ...['core.excludesFile', 'blame.ignoreRevsFile', 'commit.template', 'gpg.ssh.allowedSignersFile', 'http.cookieFile'],
]

t.test('reads no file that a configuration names', async t => {
  const { folder, own } = makeVictim(t)
  makeFifo(join(own, 'fifo'))
  for (const setting of fileSettings)
    for (const target of ['/dev/zero', join(own, 'fifo')]) {
      const [, section, name] = /^(.+)\.(\w+)$/.exec(setting) ?? []
      const [first, ...rest] = section?.split('.') ?? []
      const header = rest.length === 0 ? first : `${first} "${rest.join('.')}"`
      writeFileSync(join(own, 'config'), `[core]\n\trepositoryFormatVersion = 0\n[${header}]\n\t${name} = ${target}\n`)
      t.same((await expectTokens(t, folder, tokens)).problems, [], `${setting} = ${target}`)
    }
})

t.test('shows that git itself blocks on a file that a configuration names (control)', t => {
  const { folder, git, own } = makeVictim(t)
  makeFifo(join(own, 'fifo'))
  git('config', 'diff.orderFile', join(own, 'fifo'))
  const { signal } = spawnSync('git', ['-C', folder, 'log', '--raw'], { timeout: 2000, killSignal: 'SIGKILL' })
  t.equal(signal, 'SIGKILL')
  t.end()
})

t.test('runs no program that a configuration or an attribute names', async t => {
  const { folder, git, own, put, commit } = makeVictim(t)
  const marker = join(folder, '../ran')
  const program = join(folder, '../program')
  writeFileSync(program, `#!/bin/sh\ntouch '${marker}'\n`)
  chmodSync(program, 0o755)
  put('.gitattributes', '* diff=evil filter=evil\n')
  commit('attributes')
  mkdirSync(join(own, 'info'), { recursive: true })
  writeFileSync(join(own, 'info/attributes'), '* diff=evil filter=evil\n')
  for (const name of ['post-index-change', 'reference-transaction', 'post-checkout'])
    symlinkSync(program, join(own, 'hooks', name))
  for (const setting of [
    ...['core.fsmonitor', 'core.pager', 'core.editor', 'core.sshCommand', 'core.askPass', 'core.alternateRefsCommand'],
    ...['diff.external', 'diff.evil.textconv', 'diff.evil.command', 'filter.evil.smudge', 'filter.evil.process'],
    ...['gpg.program', 'gpg.ssh.program', 'credential.helper', 'uploadpack.packObjectsHook', 'remote.origin.vcs'],
    ...['remote.origin.uploadpack', 'pager.cat-file', 'pager.rev-list', 'alias.cat-file', 'sequence.editor'],
  ])
    git('config', setting, setting.startsWith('alias') ? `!${program}` : program)
  git('config', 'core.hooksPath', join(own, 'hooks'))
  git('config', 'log.showSignature', 'true')
  git('config', 'remote.origin.url', `ext::${program}`)
  git('config', 'remote.origin.promisor', 'true')
  git('config', 'protocol.allow', 'always')
  git('config', 'extensions.partialClone', 'origin')
  const unneeded = git('rev-parse', 'main:readme') // git fetches missing objects
  rmSync(join(own, 'objects', unneeded.slice(0, 2), unneeded.slice(2)))
  rmSync(marker, { force: true })
  const { problems } = await expectTokens(t, folder, tokens)
  t.match(problems, [/objects missing in the history: 1, such as/])
  t.notOk(existsSync(marker), 'no program was run')
  for (const command of [['status'], ['log', '-p'], ['cat-file', '-p', unneeded]]) {
    spawnSync('git', ['-C', folder, ...command], { timeout: 60_000, killSignal: 'SIGKILL' })
    t.ok(existsSync(marker), `control: git ${command[0]} runs the program`)
    rmSync(marker, { force: true })
  }
})

/** Content of a repository that is not needed to read its objects. */
const traps: Readonly<Record<string, (own: string) => void>> = {
  'a configuration that blocks': own => replaceByFifo(join(own, 'config')),
  'an endless configuration': own => replaceByZero(join(own, 'config')),
  'an invalid configuration': own => writeFileSync(join(own, 'config'), '[core\n'),
  'an unknown repository format version': own =>
    writeFileSync(join(own, 'config'), '[core]\nrepositoryformatversion = 9\n[extensions]\nodd = true\n'),
  'another working tree': own => writeFileSync(join(own, 'config'), '[core]\nworktree = /nowhere\n'),
  'a configuration that hides merges': own =>
    writeFileSync(join(own, 'config'), '[log]\ndiffMerges = off\nshowRoot = false\n'),
  'grafts that block': own => replaceByFifo(join(own, 'info/grafts')),
  'attributes that block': own => replaceByFifo(join(own, 'info/attributes')),
  'endless attributes in the working tree': own => replaceByZero(join(own, '../.gitattributes')),
  'a mailmap that blocks': own => replaceByFifo(join(own, '../.mailmap')),
  'an index that blocks': own => replaceByFifo(join(own, 'index')),
  'a commit graph that blocks': own => replaceByFifo(join(own, 'objects/info/commit-graph')),
  'a multi-pack index that blocks': own => replaceByFifo(join(own, 'objects/pack/multi-pack-index')),
  'HTTP alternates that block': own => replaceByFifo(join(own, 'objects/info/http-alternates')),
}

function replaceByFifo(path: string): void {
  prepare(path)
  makeFifo(path)
}

function replaceByZero(path: string): void {
  prepare(path)
  symlinkSync('/dev/zero', path)
}

function prepare(path: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  rmSync(path, { force: true })
}

for (const [trap, set] of Object.entries(traps))
  t.test(`is not affected by ${trap}`, async t => {
    const { folder, own } = makeVictim(t)
    set(own)
    t.same((await expectTokens(t, folder, tokens)).problems, [])
  })

/** Damage to content that a scan needs. The scan reports it, and still reads all objects. */
const damages: Readonly<Record<string, (own: string, git: (...args: string[]) => string) => RegExp>> = {
  'a HEAD that blocks': own => {
    replaceByFifo(join(own, 'HEAD'))
    return /HEAD cannot be read \(not a regular file\)/
  },
  'a ref that blocks': own => {
    replaceByFifo(join(own, 'refs/heads/x'))
    return /refs\/heads\/x is neither a file nor a folder/
  },
  'an endless ref': own => {
    replaceByZero(join(own, 'refs/heads/x'))
    return /refs\/heads\/x is neither a file nor a folder/
  },
  'a ref to a missing object': own => {
    writeFileSync(join(own, 'refs/heads/x'), `${'1'.repeat(40)}\n`)
    return /refs\/heads\/x refers to 1{40}, which is not in the repository/
  },
  'an invalid ref': own => {
    writeFileSync(join(own, 'refs/heads/x'), 'x')
    return /refs\/heads\/x contains no object id/
  },
  'packed refs that block': own => {
    replaceByFifo(join(own, 'packed-refs'))
    return /packed-refs cannot be read \(not a regular file\)/
  },
  'endless packed refs': own => {
    replaceByZero(join(own, 'packed-refs'))
    return /packed-refs cannot be read \(not a regular file\)/
  },
  'packed refs of a hundred gigabytes': own => {
    writeFileSync(join(own, 'packed-refs'), '')
    truncateSync(join(own, 'packed-refs'), 1e11)
    return /packed-refs cannot be read \(more than \d+ octets\)/
  },
  'refs in the reftable format': own => {
    mkdirSync(join(own, 'reftable'))
    return /stores its refs as reftable, which scan does not support/
  },
  'a reflog that blocks': own => {
    replaceByFifo(join(own, 'logs/HEAD'))
    return /logs\/HEAD is neither a file nor a folder/
  },
  'a shallow file that blocks': own => {
    replaceByFifo(join(own, 'shallow'))
    return /shallow cannot be read \(not a regular file\)/
  },
  'alternates that block': own => {
    replaceByFifo(join(own, 'objects/info/alternates'))
    return /alternates cannot be read \(not a regular file\)/
  },
  'endless alternates': own => {
    replaceByZero(join(own, 'objects/info/alternates'))
    return /alternates cannot be read \(not a regular file\)/
  },
  'a missing alternate': own => {
    writeFileSync(join(own, 'objects/info/alternates'), '# comment\n../../nowhere\n')
    return /the object folder .*nowhere cannot be read/
  },
  'an alternate that is a device': own => {
    writeFileSync(join(own, 'objects/info/alternates'), '/dev/zero\n')
    return /the object folder \/dev\/zero cannot be read/
  },
  'a thousand alternates': own => {
    const lines = Array.from({ length: 1000 }, (_, index) => `../${index}\n`)
    writeFileSync(join(own, 'objects/info/alternates'), lines.join(''))
    return /has more than 100 object folders/
  },
  'a damaged object': (own, git) => {
    writeFileSync(looseObject(own, git('rev-parse', 'main:readme')), 'damaged', { flag: 'r+' })
    return /object [0-9a-f]{40} cannot be read \(/
  },
  'a truncated object': (own, git) => {
    truncateSync(looseObject(own, git('rev-parse', 'main:readme')), 12)
    return /object [0-9a-f]{40} cannot be read \(/
  },
  'an object that is a device': (own, git) => {
    replaceByZero(looseObject(own, git('rev-parse', 'main:readme')))
    return /object [0-9a-f]{40} cannot be read \(/
  },
  'a damaged pack': own => {
    writeFileSync(join(own, 'objects/pack/pack-1.idx'), 'x')
    writeFileSync(join(own, 'objects/pack/pack-1.pack'), 'x')
    return /pack-1\.idx/
  },
}

function looseObject(own: string, id: string): string {
  const path = join(own, 'objects', id.slice(0, 2), id.slice(2))
  chmodSync(path, 0o644)
  return path
}

for (const [damage, make] of Object.entries(damages))
  t.test(`reports ${damage}, and reads all objects`, async t => {
    const { folder, own, git } = makeVictim(t)
    const expected = make(own, git)
    const { problems } = await expectTokens(t, folder, tokens)
    t.ok(
      problems.some(problem => expected.test(problem)),
      problems.join('\n'),
    )
  })

t.test('reads circular alternates once', async t => {
  const { folder, own } = makeVictim(t)
  const other = makeRepository(join(folder, '../other'))
  const token = makeToken()
  other.put('a', token)
  writeFileSync(join(own, 'objects/info/alternates'), '../../../other/.git/objects\n')
  writeFileSync(join(other.folder, '.git/objects/info/alternates'), `${own}/objects\n`)
  t.same((await expectTokens(t, folder, [...tokens, token].toSorted())).problems, [])
})

t.test('stops git after a timeout without output, and reports what it was reading', async t => {
  const { folder, own, git } = makeVictim(t)
  const id = git('rev-parse', 'main:readme')
  const path = looseObject(own, id)
  const content = readFileSync(path)
  replaceByFifo(path)
  const silent = await scanRepository(t, folder, {}, 1500)
  t.ok(
    silent.problems.includes(`${folder}: object ${id} cannot be read (git wrote nothing for 1.5 s and was stopped)`),
    silent.problems.join(),
  )
  rmSync(path)
  writeFileSync(path, content)
  t.same((await scanRepository(t, folder, {}, 10_000)).problems, [], 'control')
  replaceByFifo(join(own, 'objects/pack/pack-1.idx'))
  writeFileSync(join(own, 'objects/pack/pack-1.pack'), '')
  const { problems } = await scanRepository(t, folder, {}, 1500)
  t.ok(problems.includes(`${folder}: git wrote nothing for 1.5 s and was stopped`), problems.join('\n'))
})

/** Returns an environment that limits the virtual memory of git. */
function limitMemory(t: Test, kibibytes: number): { PATH: string } {
  const folder = t.testdir()
  const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  writeFileSync(join(folder, 'git'), `#!/bin/sh\nulimit -v ${kibibytes}\nexec ${real} "$@"\n`, { mode: 0o755 })
  return { PATH: `${folder}:${process.env.PATH}` }
}

t.test('reads a large file in chunks, so that neither git nor the scan loads it into memory', async t => {
  const token = makeToken()
  const env = limitMemory(t, 100_000)
  const { folder, git, put, commit } = makeRepository(join(t.testdirName, 'large'))
  put('large', Buffer.concat([Buffer.alloc(130_000_000), Buffer.from(token)]))
  const id = commit('x')
  for (const form of ['loose', 'packed']) {
    if (form === 'packed') git('-c', 'core.bigFileThreshold=1m', 'repack', '-qad')
    const before = process.memoryUsage.rss()
    const { tokens, findings, problems } = await scanRepository(t, folder, env)
    t.same({ tokens, problems }, { tokens: [token], problems: [] }, form)
    t.match(findings, [{ path: 'large', commit: id }])
    const grown = (process.memoryUsage.rss() - before) / 1e6
    t.ok(grown < 100, `the scan used ${Math.round(grown)} MB more`)
  }
  const { status } = spawnSync('git', ['-C', folder, 'cat-file', '-p', 'main:large'], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })
  t.not(status, 0, 'control: git fails if it loads the file into memory')
})

t.test('reports a small delta that expands to gigabytes, without using the memory', async t => {
  const { folder, own } = makeVictim(t)
  writeBomb(join(own, 'objects/pack'), 3000)
  const { problems } = await expectTokens(t, folder, tokens)
  t.match(problems, [/object e{40} cannot be read \(.*attempting to allocate \d+ over limit 536870912/])
})

/** Writes a pack of two objects: 1 MB of zeros, and a delta that repeats it this many times. */
function writeBomb(folder: string, times: number): void {
  const base = Buffer.alloc(0x100000)
  const baseId = createHash('sha1').update(`blob ${base.length}\0`).update(base).digest('hex')
  // gitformat-pack: sizes of base and result, then one instruction for each copy (size 0x100000, offset 0).
  const copy = Buffer.from([0x80 | 0x40, 0x10])
  const delta = Buffer.concat([varint(base.length), varint(base.length * times), ...Array(times).fill(copy)])
  const objects = [
    { id: baseId, octets: Buffer.concat([packHeader(3, base.length), deflateSync(base)]) },
    {
      id: 'e'.repeat(40),
      octets: Buffer.concat([packHeader(7, delta.length), Buffer.from(baseId, 'hex'), deflateSync(delta)]),
    },
  ]
  const header = Buffer.alloc(12)
  header.write('PACK')
  header.writeUInt32BE(2, 4)
  header.writeUInt32BE(objects.length, 8)
  const pack = withHash(Buffer.concat([header, ...objects.map(({ octets }) => octets)]))
  const sorted = objects.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  const fanout = Array.from({ length: 256 }, (_, first) =>
    uint32(sorted.filter(({ id }) => Number.parseInt(id.slice(0, 2), 16) <= first).length),
  )
  const index = [
    ...[Buffer.from([0xff, 0x74, 0x4f, 0x63]), uint32(2), ...fanout],
    ...sorted.map(({ id }) => Buffer.from(id, 'hex')),
    ...sorted.map(({ octets }) => uint32(crc32(octets))),
    ...sorted.map(({ octets }) => uint32(pack.indexOf(octets))),
    pack.subarray(-20),
  ]
  const name = join(folder, `pack-${'1'.repeat(40)}`)
  writeFileSync(`${name}.pack`, pack)
  writeFileSync(`${name}.idx`, withHash(Buffer.concat(index)))
}

function varint(value: number): Buffer {
  const octets: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) octets.push(0x80 | (rest & 0x7f))
  return Buffer.from([...octets, rest])
}

/** Returns the type and size of an entry. */
function packHeader(type: number, size: number): Buffer {
  if (size < 16) return Buffer.from([(type << 4) | size])
  return Buffer.concat([Buffer.from([0x80 | (type << 4) | (size & 15)]), varint(size >> 4)])
}

function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

const withHash = (content: Buffer) => Buffer.concat([content, createHash('sha1').update(content).digest()])

t.test('escapes the octets of a name that is not UTF-8, in a repository and in a folder', async t => {
  const { folder, put, commit } = makeRepository(t.testdir())
  const token = makeToken()
  put(Buffer.from([0x61, 0xe9, 0xff]), token)
  put('\u00e9\u001b', 'x')
  commit('x')
  const { tokens, findings, problems } = await scanRepository(t, folder)
  t.match({ tokens, problems, findings }, { tokens: [token], problems: [], findings: [{ path: 'a\\xe9\\xff' }] })
  const onProblem = (problem: string) => t.fail(problem)
  const files = await scan(readFiles(folder, onProblem), 0, onProblem)
  t.match(files.findings, [{ path: `${folder}/a\\xe9\\xff` }])
})

t.test('reads a very long file name, and shortens it in the report', async t => {
  const { folder, git, gitWith } = makeRepository(t.testdir())
  const token = makeToken()
  const name = `${'x'.repeat(2_000_000)}.${token}`
  const blob = gitWith(makeToken(), 'hash-object', '-w', '--stdin')
  const entry = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')])
  const tree = gitWith(entry, 'hash-object', '-t', 'tree', '-w', '--literally', '--stdin')
  git('update-ref', 'refs/heads/long', git('commit-tree', '-m', 'x', tree))
  const { tokens, findings, problems } = await scanRepository(t, folder)
  t.same({ count: tokens.length, problems }, { count: 2, problems: [] })
  t.ok(tokens.includes(token))
  t.ok(findings.every(({ path }) => path.length < 20_000))
})

t.test('stops after a hundred unreadable objects, and reports it', async t => {
  const { folder, own } = makeVictim(t)
  for (let number = 0; number < 150; number++) {
    const id = number.toString(16).padStart(40, '0')
    mkdirSync(join(own, 'objects', id.slice(0, 2)), { recursive: true })
    writeFileSync(join(own, 'objects', id.slice(0, 2), id.slice(2)), 'x')
  }
  const { problems } = await scanRepository(t, folder)
  t.equal(problems.filter(problem => /cannot be read/.test(problem)).length, 100)
  t.ok(problems.some(problem => /the remaining objects were not searched/.test(problem)))
})

t.test('reports a thousand dangling refs, and that there are more', async t => {
  const { folder, own } = makeVictim(t)
  const lines = Array.from({ length: 3000 }, (_, number) => `${'1'.repeat(40)} refs/heads/${number}\n`)
  writeFileSync(join(own, 'packed-refs'), lines.join(''))
  const { problems } = await expectTokens(t, folder, tokens)
  t.equal(problems.length, 1001)
  t.equal(problems.at(-1), `${folder}: further problems are not listed`)
})

t.test('rejects a folder that is not a repository, and reports a missing git', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, '.git/HEAD'), { recursive: true })
  await t.rejects(scanRepository(t, '/dev'), { message: 'git cannot read /dev: it is not in a git repository' })
  await t.rejects(scanRepository(t, join(folder, 'nowhere')), { message: /git cannot read .*nowhere: ENOENT/ })
  const { problems } = await scanRepository(t, makeVictim(t).folder, { PATH: folder })
  t.match(problems, [/git is not installed; install it/])
})

t.test('removes all temporary files', t => {
  t.same(readdirSync(temporary), [])
  t.end()
})
