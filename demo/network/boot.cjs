'use strict'
/*
 * A PLC directory and a PDS on this machine's loopback address, for the demo and the tests.
 *
 * Everything that must survive a restart is in NETWORK_DIRECTORY: the PDS's databases, the directory's log and the
 * keys. When both answer, network.json in it says where and lists the accounts. Serves until SIGTERM, SIGINT or the end
 * of standard input, so it can't outlive the process that started it.
 *
 *   NETWORK_DIRECTORY   where to keep everything
 *   PACKAGES            the folder whose node_modules holds the servers
 *   PLC_PORT, PDS_PORT  where to listen
 *   ACCOUNTS            [{"name", "handle", "email", "password", "displayName"}] as JSON; made if they do not exist
 *   SMTP_URL            where the PDS hands in its mail; without it, it sends none
 *   FETCH_MAP           {"https://origin": "http://127.0.0.1:port"} as JSON: what the PDS fetches from the origin comes
 *                       from that port, because a confidential OAuth client's id must look public
 */
const crypto = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const { createRequire } = require('node:module')
const net = require('node:net')
const path = require('node:path')

process.umask(0o077)
process.env.LOG_ENABLED ??= 'false'

const requirePackage = createRequire(path.join(process.env.PACKAGES, 'package.json'))
const directory = process.env.NETWORK_DIRECTORY
const plcUrl = `http://localhost:${process.env.PLC_PORT}`
const pdsUrl = `http://localhost:${process.env.PDS_PORT}`

/** Both servers ask for every interface; they get the loopback address. */
function listenOnLoopbackOnly() {
  const listen = net.Server.prototype.listen
  net.Server.prototype.listen = function (...args) {
    if (typeof args[0] === 'number' && typeof args[1] !== 'string') args.splice(1, 0, '127.0.0.1')
    return listen.apply(this, args)
  }
}

/** Without TLS here, Safari would keep none of the cookies that the PDS asks to be sent by TLS alone. */
function leaveCookiesWithoutTls() {
  const { appendHeader, setHeader } = http.ServerResponse.prototype
  const mended = (name, value) => {
    if (name.toLowerCase() !== 'set-cookie') return value
    return [value].flat().map((cookie) => cookie.replace(/; *Secure(?=;|$)/gi, ''))
  }
  http.ServerResponse.prototype.setHeader = function (name, value) {
    return setHeader.call(this, name, mended(name, value))
  }
  http.ServerResponse.prototype.appendHeader = function (name, value) {
    return appendHeader.call(this, name, mended(name, value))
  }
}

function fetchMappedOriginsFromLoopback(origins) {
  const realFetch = globalThis.fetch
  globalThis.fetch = (input, init) => {
    const request = new Request(input, init)
    for (const [origin, local] of Object.entries(origins)) {
      if (request.url.startsWith(`${origin}/`)) {
        return realFetch(local + request.url.slice(origin.length), { method: request.method, headers: request.headers })
      }
    }
    return realFetch(input, init)
  }
}

/** Whole or not at all, and on the disk: a reader never sees half a file, even after the power went. */
function writeAtomically(file, text) {
  const temporary = `${file}.new`
  const handle = fs.openSync(temporary, 'w', 0o600)
  fs.writeSync(handle, text)
  fs.fsyncSync(handle)
  fs.closeSync(handle)
  fs.renameSync(temporary, file)
}

function readJson(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined
}

/** The server's keys: made once, kept beside what they protect. */
async function serverSecrets() {
  const file = path.join(directory, 'secrets.json')
  const kept = readJson(file)
  if (kept) return kept
  const { Secp256k1Keypair } = requirePackage('@atproto/crypto')
  const rotationKey = await Secp256k1Keypair.create({ exportable: true })
  const made = {
    plcRotationKeyK256PrivateKeyHex: Buffer.from(await rotationKey.export()).toString('hex'),
    jwtSecret: crypto.randomBytes(32).toString('hex'),
    dpopSecret: crypto.randomBytes(32).toString('hex'),
    adminPassword: crypto.randomBytes(16).toString('hex'),
  }
  writeAtomically(file, JSON.stringify(made))
  return made
}

/** The directory's in-memory database, with its log kept in a file that is written before an operation is confirmed. */
async function keptDirectory(plc) {
  const file = path.join(directory, 'plc.json')
  const database = plc.Database.mock()
  const addOperation = database.validateAndAddOp.bind(database)
  for (const [did, log] of Object.entries(readJson(file) ?? {})) {
    for (const { operation } of log) await addOperation(did, operation)
    // Only now, because an old operation may not be overruled any more, as one of them may have been.
    log.forEach(({ createdAt }, index) => (database.contents[did][index].createdAt = new Date(createdAt)))
  }
  database.validateAndAddOp = async (did, operation) => {
    await addOperation(did, operation)
    const logs = Object.entries(database.contents).map(([owner, log]) => [
      owner,
      log.map(({ operation, createdAt }) => ({ operation, createdAt })),
    ])
    writeAtomically(file, JSON.stringify(Object.fromEntries(logs)))
  }
  return database
}

async function call(method, nsid, { body, token, query } = {}) {
  const url = new URL(`${pdsUrl}/xrpc/${nsid}`)
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
  const response = await fetch(url, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: body && JSON.stringify(body),
  })
  const answer = await response.json()
  return response.ok ? answer : { ...answer, failed: true }
}

async function callOrFail(method, nsid, options) {
  const answer = await call(method, nsid, options)
  if (answer.failed) throw new Error(`${nsid}: ${answer.error} ${answer.message}`)
  return answer
}

/** The account with its name in a profile record; one that exists is left as its owner made it. */
async function account({ handle, email, password, displayName }) {
  const known = await call('GET', 'com.atproto.identity.resolveHandle', { query: { handle } })
  if (!known.failed) return { handle, did: known.did, password, email }
  const made = await callOrFail('POST', 'com.atproto.server.createAccount', { body: { handle, email, password } })
  const record = { $type: 'app.bsky.actor.profile', displayName, createdAt: new Date().toISOString() }
  await callOrFail('POST', 'com.atproto.repo.putRecord', {
    token: made.accessJwt,
    body: { repo: made.did, collection: 'app.bsky.actor.profile', rkey: 'self', record },
  })
  return { handle, did: made.did, password, email }
}

/** A DID document names the PDS with its port: tell the directory when that is another one than last time. */
async function moveAccountsHere(server, database) {
  for (const did of Object.keys(database.contents)) {
    const document = await server.ctx.plcClient.getDocumentData(did)
    if (document.services.atproto_pds?.endpoint.startsWith('http://localhost:')) {
      if (document.services.atproto_pds.endpoint !== pdsUrl) {
        await server.ctx.plcClient.updatePds(did, server.ctx.plcRotationKey, pdsUrl)
        await server.ctx.idResolver.did.resolve(did, true)
      }
    }
  }
}

async function main() {
  listenOnLoopbackOnly()
  leaveCookiesWithoutTls()
  fetchMappedOriginsFromLoopback(JSON.parse(process.env.FETCH_MAP || '{}'))
  fs.mkdirSync(directory, { recursive: true })
  const announcement = path.join(directory, 'network.json')
  fs.rmSync(announcement, { force: true })

  const plc = requirePackage('@did-plc/server')
  const database = await keptDirectory(plc)
  const plcServer = plc.PlcServer.create({ db: database, port: Number(process.env.PLC_PORT) })
  await plcServer.start()

  const pds = requirePackage('@atproto/pds')
  const settings = {
    ...(await serverSecrets()),
    port: Number(process.env.PDS_PORT),
    // Any other name would make the PDS call itself by https.
    hostname: 'localhost',
    devMode: true,
    disableSsrfProtection: true,
    dataDirectory: path.join(directory, 'pds'),
    blobstoreDiskLocation: path.join(directory, 'pds', 'blobs'),
    didPlcUrl: plcUrl,
    serviceHandleDomains: ['.test'],
    serviceName: 'Local PDS',
    inviteRequired: false,
    ...(process.env.SMTP_URL ? { emailSmtpUrl: process.env.SMTP_URL, emailFromAddress: 'noreply@pds.test' } : {}),
  }
  fs.mkdirSync(settings.blobstoreDiskLocation, { recursive: true })
  const server = await pds.PDS.create(pds.envToCfg(settings), pds.envToSecrets(settings))
  await server.start()
  await moveAccountsHere(server, database)

  const stop = async () => {
    await server.destroy().catch(() => {})
    await plcServer.destroy().catch(() => {})
    process.exit(0)
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  process.stdin.once('end', stop).resume()

  const accounts = {}
  for (const wanted of JSON.parse(process.env.ACCOUNTS || '[]')) {
    accounts[wanted.name] = { ...(await account(wanted)), displayName: wanted.displayName }
  }
  writeAtomically(announcement, JSON.stringify({ plc: plcUrl, pds: pdsUrl, accounts }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
