// Socket.IO with its defaults: io.emit("m", object).  usage: node socketio.js PORT
const http = require("http");
const { Server } = require("socket.io");

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    response.writeHead(204).end();
    const message = JSON.parse(Buffer.concat(parts));
    setImmediate(() => io.emit("m", message));
  });
});
const io = new Server(server, { serveClient: false });
server.listen(+process.argv[2], "127.0.0.1", 4096);
