// Loaded before the program, and plain JavaScript like check-node.js: SIGUSR1 makes Node open its debugger, which reads every
// key, unless it was started with --disable-sigusr1 or has a listener for the signal.
if (process.platform !== 'win32') process.on('SIGUSR1', () => {})
