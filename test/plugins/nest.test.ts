// NestJS on Express and on Fastify. Its decorators are called as functions here, since Node only strips types. N-24; CL13.
import 'reflect-metadata'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Controller, Get, Module, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express'
import { FastifyAdapter, type NestFastifyApplication, RouteConfig } from '@nestjs/platform-fastify'
import { type AccessToken, requireToken as requireTokenOfFastify } from 'tlsbound'
import { requireToken } from 'tlsbound/express'
import { listen, testFramework } from '../helpers/server/bound-api.ts'

interface WithToken {
  readonly token: AccessToken
}

/** A controller with the three routes; `onWrite` decorates `write`. */
function makeModule(onWrite: MethodDecorator = () => {}): new () => object {
  class Notes {
    notes({ token }: WithToken): string {
      return `notes of ${token.claims.sub}`
    }
    write({ token }: WithToken): string {
      return `written by ${token.claims.sub}`
    }
    fault(): never {
      throw new Error('a fault of the app')
    }
  }
  const decorate = (name: 'notes' | 'write' | 'fault', ...decorators: MethodDecorator[]) => {
    const descriptor = Object.getOwnPropertyDescriptor(Notes.prototype, name) as PropertyDescriptor
    for (const decorator of [Get(name), ...decorators]) decorator(Notes.prototype, name, descriptor)
    Req()(Notes.prototype, name, 0)
  }
  decorate('notes')
  decorate('write', onWrite)
  decorate('fault')
  Controller()(Notes)
  class AppModule {}
  Module({ controllers: [Notes] })(AppModule)
  return AppModule
}

const quiet = { logger: false } as const

testFramework('NestJS on Express', {
  protocols: { mutualTls: ['http/1.1'], https: ['http/1.1'] },
  start: async (t, factory, { verifier }) => {
    const app = await NestFactory.create<NestExpressApplication>(makeModule(), new ExpressAdapter(), quiet)
    app.use(requireToken(verifier))
    app.use('/write', requireToken(verifier, { scope: 'notes:write' }))
    await app.init()
    t.teardown(() => app.close())
    return listen(t, factory(app.getHttpAdapter().getInstance() as RequestListener))
  },
})

testFramework('NestJS on Fastify', {
  answersMalformed: true,
  protocols: { mutualTls: ['http/1.1', 'h2'], https: ['http/1.1'] },
  start: async (t, factory, { options }) => {
    const adapter = new FastifyAdapter({ serverFactory: (handler: RequestListener) => factory(handler) })
    const AppModule = makeModule(RouteConfig({ requireToken: { scope: 'notes:write' } }) as MethodDecorator)
    const app = await NestFactory.create<NestFastifyApplication>(AppModule, adapter, quiet)
    await app.register(requireTokenOfFastify, options)
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => app.close())
    return (app.getHttpServer().address() as AddressInfo).port
  },
})
