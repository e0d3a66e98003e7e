// The variables of the parent that a program needs to be found, and to start in half of the time: scripts/test.ts gives all tests one
// folder for compiled code.
const { PATH = '', NODE_COMPILE_CACHE } = process.env

export const basicEnvironment: Readonly<Record<string, string>> = {
  PATH,
  ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }),
}
