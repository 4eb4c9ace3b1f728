// Tells the story with @segment/analytics-node: `node tell.mjs FOLDER HOST WRITE_KEY`.
import { createRequire } from 'node:module'

const [folder, host, writeKey] = process.argv.slice(2)
const { Analytics } = createRequire(`${folder}/node/`)('@segment/analytics-node')

const sdk = new Analytics({ writeKey, host, maxRetries: 2 })
sdk.on('error', (error) => {
  console.log(error)
  process.exitCode = 1
})
const user = { userId: 'u-1' }
sdk.track({ anonymousId: 'v-1', event: 'Viewed', properties: { sku: 'A' } })
const traits = { email: 'ana@example.com', name: 'Ana Lee', plan: 'pro' }
sdk.identify({ ...user, anonymousId: 'v-1', traits })
sdk.track({ ...user, event: 'Order Completed', properties: { total: 12.5 } })
sdk.page({ ...user, name: 'Home', category: 'Docs' })
sdk.screen({ ...user, name: 'Start' })
sdk.group({ ...user, groupId: 'acme', traits: { size: 3 } })
sdk.alias({ ...user, previousId: 'v-1' })
await sdk.closeAndFlush({ timeout: 30000 })
