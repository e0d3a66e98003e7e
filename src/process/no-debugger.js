// Preloaded, and plain JavaScript like check-node.js. SIGUSR1 makes Node open its debugger, which can read every key,
// unless Node runs with --disable-sigusr1 or has a listener for the signal.
if (process.platform !== 'win32') process.on('SIGUSR1', () => {})
