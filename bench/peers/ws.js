// The npm package ws, plain: for (const client of clients) client.send(message).  usage: node ws.js PORT
const http = require("http");
const { WebSocketServer } = require("ws");

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    response.writeHead(204).end();
    const message = Buffer.concat(parts).toString();
    setImmediate(() => {
      for (const client of wss.clients) if (client.readyState === 1) client.send(message);
    });
  });
});
const wss = new WebSocketServer({ server, path: "/ws" });
server.listen(+process.argv[2], "127.0.0.1", 4096);
