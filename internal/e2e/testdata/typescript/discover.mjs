// SPDX-License-Identifier: Apache-2.0

// Prints what the two TypeScript clients make of challenges, and of the servers behind URLs.

import { readFileSync } from 'node:fs'
import * as v1 from '@modelcontextprotocol/sdk/client/auth.js'
import * as v2 from '@modelcontextprotocol/client'

const { challenges, pasted } = JSON.parse(readFileSync(0, 'utf8'))
const clients = { 'TypeScript SDK 1.32.2': v1, 'TypeScript client 2.4.0': v2 }

function challenge(client, response) {
  const p = client.extractWWWAuthenticateParams(response)
  return { Metadata: p.resourceMetadataUrl?.href ?? '', Scope: p.scope ?? '', Error: p.error ?? '', Description: p.errorDescription ?? '' }
}

async function discover(client, url) {
  const response = await fetch(url, { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
  const { resourceMetadataUrl } = client.extractWWWAuthenticateParams(response)
  const found = await client.discoverOAuthServerInfo(url, { resourceMetadataUrl })
  await client.selectResourceURL(url, {}, found.resourceMetadata) // throws where it does not fit
  const metadata = found.authorizationServerMetadata
  return {
    Resource: found.resourceMetadata.resource,
    Issuer: found.authorizationServerUrl,
    Authorization: metadata.authorization_endpoint,
    Token: metadata.token_endpoint,
    Registration: metadata.registration_endpoint,
  }
}

const out = {}
for (const [name, client] of Object.entries(clients)) {
  out[name] = { Challenges: [], Found: {} }
  for (const value of challenges) {
    out[name].Challenges.push(challenge(client, new Response(null, { headers: { 'WWW-Authenticate': value } })))
  }
  for (const url of pasted) {
    out[name].Found[url] = await discover(client, url)
  }
}
console.log(JSON.stringify(out))
