// A peer by Fluent's own hand: prints its port, then each entry as a line of JSON to a file, before anything else can
// happen. Usage: node fluentd.cjs MODULES FILE WHERE [SHARED_KEY]; WHERE is a port or the path of a socket.
const fs = require("fs");
const [modules, file, where, key] = process.argv.slice(2);
const { FluentServer } = require(`${modules}/@fluent-org/logger`);
const listenOptions = /^\d+$/.test(where) ? { host: "127.0.0.1", port: Number(where) } : { path: where };
const security = key ? { serverHostname: "peer", sharedKey: key } : undefined;
const server = new FluentServer({ listenOptions, security });
server.on("entry", (tag, time, record) => {
  fs.appendFileSync(file, JSON.stringify({ tag, seconds: time.epoch, nanos: time.nano, record }) + "\n");
});
// Between two turns of the loop: what has been acknowledged is in the file.
process.on("SIGTERM", () => process.exit(0));
server.listen().then(() => console.log(server.port || where));
