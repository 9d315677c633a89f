// Imported before anything else: ends a process that would connect to anywhere but this machine
import net from "node:net";

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const first = Array.isArray(given[0]) ? given[0][0] : given[0];
  const host = typeof first === "object" ? first.host ?? first.path : typeof given[1] === "string" ? given[1] : "localhost";
  if (!["127.0.0.1", "::1", "localhost"].includes(host)) {
    console.error(`refused to connect to ${host}`);
    process.exit(70);
  }
  return connect.apply(this, given);
};
