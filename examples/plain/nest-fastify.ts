// A notes server in NestJS on Fastify that accepts bearer tokens, stolen ones too. nest-fastify.ts shows what to change. Node does
// not run decorators: compile it as your Nest project does, or run it beside `npm start` as examples/README.md says.
import 'reflect-metadata'
import { readFileSync } from 'node:fs'
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Module,
  Post,
  Req,
  SetMetadata,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common'
import { NestFactory, Reflector } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { FastifyRequest } from 'fastify'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

const issuer = 'https://localhost:8443'
const pem = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))

type BearerRequest = FastifyRequest & { claims: JWTPayload }
const reflector = new Reflector()

class BearerGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<BearerRequest>()
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const { payload } = await jwtVerify(token, keys, { issuer, audience: issuer }).catch(() => {
      throw new UnauthorizedException()
    })
    request.claims = payload
    const scope = reflector.get<string | undefined>('scope', context.getHandler()) ?? 'notes:read'
    return String(payload.scope).split(' ').includes(scope)
  }
}

@Controller('notes')
@UseGuards(BearerGuard)
class Notes {
  @Get()
  read(@Req() { claims }: BearerRequest): string {
    return `notes of ${claims.client_id}\n`
  }

  @Post()
  @SetMetadata('scope', 'notes:write')
  write(@Req() { claims }: BearerRequest): string {
    return `written by ${claims.client_id}\n`
  }
}

@Module({ controllers: [Notes] })
class AppModule {}

const adapter = new FastifyAdapter({ https: { cert: pem('server.crt'), key: pem('server.key') } })
const app = await NestFactory.create<NestFastifyApplication>(AppModule, adapter, { logger: ['warn', 'error'] })
await app.listen({ host: '127.0.0.1', port: 8444 })
