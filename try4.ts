import { serverCertificates, privateKeys } from './test/helpers/corpus/server-files.ts'
const entries = [...serverCertificates(), ...privateKeys()]
console.log(serverCertificates().length, entries.length, process.cpuUsage())
