// A notes server in NestJS on Fastify that accepts a token only from its own client. Node does not run decorators: compile it as
// your Nest project does, or run it beside `npm start` as examples/README.md says.
import 'reflect-metadata'
import { readFileSync } from 'node:fs'
import { Controller, Get, Module, Post, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication, RouteConfig } from '@nestjs/platform-fastify'
import type { FastifyRequest } from 'fastify'
import { mutualTls, requireToken } from 'tlsbound'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')

@Controller('notes')
class Notes {
  @Get()
  read(@Req() { token }: FastifyRequest): string {
    return `notes of ${token.claims.client_id}\n`
  }

  @Post()
  @RouteConfig({ requireToken: { scope: 'notes:write' } })
  write(@Req() { token }: FastifyRequest): string {
    return `written by ${token.claims.client_id}\n`
  }
}

@Module({ controllers: [Notes] })
class AppModule {}

const tls = mutualTls({ cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') })
const adapter = new FastifyAdapter({ serverFactory: tls })
const app = await NestFactory.create<NestFastifyApplication>(AppModule, adapter, { logger: ['warn', 'error'] })
await app.register(requireToken, { issuer, audience: issuer, jwks: { ca: pem('ca.crt') }, scope: 'notes:read' })
await app.listen({ host: '127.0.0.1', port: 8444 })
