// Fastify on a node cluster, one named prepared insert a request through a node-postgres pool.

import cluster from 'node:cluster'
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import pg from 'pg'

const { DATABASE_URL, PEER_COUNTRIES, PEER_POOL = '16', PORT, WEB_CONCURRENCY = '2' } = process.env
const KEY = randomBytes(32)
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const BANDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 70]
const DAY = 86_400_000

const country = { type: 'string', enum: JSON.parse(readFileSync(PEER_COUNTRIES, 'utf8')) }
const schema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    required: ['origin_country_id', 'destination_country_id', 'weight', 'created_at', 'customer_id', 'customer_name',
      'customer_slug'],
    properties: {
      origin_country_id: country,
      destination_country_id: country,
      weight: { type: 'string', pattern: '^[0-9]{1,4}(\\.[0-9]{1,3})?$' },
      created_at: { type: 'string', format: 'date-time' },
      customer_id: { type: 'string', format: 'uuid' },
      customer_name: { type: 'string', minLength: 1, maxLength: 200 },
      customer_slug: { type: 'string', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$', maxLength: 200 }
    }
  },
  response: {
    200: { type: 'object', properties: { tracking_number: { type: 'string' }, created_at: { type: 'string' } } }
  }
}

// 19 bits of the process above 22 that count: unique in one run, within the table's 41.
let serial = (process.pid % 2 ** 19) * 2 ** 22

// 53 random bits, the route, and no check character worth the name.
function newNumber (origin, destination) {
  const random = randomBytes(11)
  let number = ALPHABET[random[0] & 7]
  for (let place = 1; place < 11; place++) number += ALPHABET[random[place] & 31]
  return number + origin + destination + '0'
}

function weightBand (weight) {
  let band = 0
  while (band < BANDS.length && weight > BANDS[band]) band++
  return band
}

const insert = {
  name: 'insert',
  text: `INSERT INTO issuance_event (number, serial, customer_tag, customer_key_id, origin, destination, weight_band,
                                     order_created_at, requested_at, request_id)
         VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9)`
}

async function serve () {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(PEER_POOL), idleTimeoutMillis: 0 })
  const app = Fastify({
    logger: false,
    // Refuse unknown parameters, as the service does; Fastify's own default drops them.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } }
  })
  app.get('/next-tracking-number', { schema }, async (request, reply) => {
    const order = request.query
    const weight = Number(order.weight)
    const created = Date.parse(order.created_at)
    const now = new Date()
    if (!(weight > 0 && weight <= 1000) || !(created >= 0 && created <= now.getTime() + DAY)) {
      return reply.code(400).send({ detail: 'weight or created_at is out of range' })
    }
    const number = newNumber(order.origin_country_id, order.destination_country_id)
    const tag = createHmac('sha256', KEY).update(Buffer.from(order.customer_id.replaceAll('-', ''), 'hex')).digest()
    const requestedAt = now.toISOString()
    await pool.query({
      ...insert,
      values: [number, serial++, tag, order.origin_country_id, order.destination_country_id, weightBand(weight),
        order.created_at, requestedAt, randomUUID()]
    })
    return { tracking_number: number, created_at: requestedAt }
  })
  await app.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 })
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(WEB_CONCURRENCY); worker++) cluster.fork()
  process.on('SIGTERM', () => process.exit(0))
} else {
  await serve()
}
