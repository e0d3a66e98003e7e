// The facts about Node's TLS that the code depends on or avoids.
import { bindings } from './bindings.ts'
import { certificates } from './certificates.ts'
import type { Fact } from './fact.ts'
import { resumptions } from './resumption.ts'

export const facts: readonly Fact[] = [...bindings, ...resumptions, ...certificates]
